package access

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Verdict is the outcome of a decision.
type Verdict uint8

// The verdicts. All but Allowed refuse.
const (
	NotAllowed       Verdict = iota // no rule names the request, and otherwise is deny
	Allowed                         // every rule that names the request is satisfied, or otherwise is allow
	Denied                          // a deny rule names it
	NoPrincipal                     // a rule requires something of a caller nobody knows
	MissingScope                    // the first requirement that is not met …
	MissingRole                     //
	MissingIssuer                   //
	MissingMethod                   //
	MissingTier                     //
	MissingClaim                    //
	UnmetExpression                 // an expression is false …
	FailedExpression                // … or cannot be evaluated
)

// Request is what rules see of a request, all of it canonical.
type Request struct {
	Method, Host, Path string
	// Client is the client's address, for expressions.
	Client netip.Addr
}

// Decision is a verdict and where it comes from.
type Decision struct {
	Verdict Verdict
	// Rule is the name of the rule that refuses; of several, the first one in the
	// configuration. Empty if none did.
	Rule string
	// Scope is, for MissingScope, the scopes the rule needs.
	Scope string
}

// evaluation is one decision under way.
type evaluation struct {
	policy  *Policy
	request Request
	caller  *principal.Principal

	denying bool // the tree of deny rules is visited
	named   bool // a rule names the request
	refused bool
	by      int32 // the rule that refuses, if refused
	verdict Verdict
}

// Decide decides about a request and its caller, who is nil if unknown. It
// allocates nothing, but for expressions what CEL does.
func (p *Policy) Decide(r Request, caller *principal.Principal) Decision {
	e := evaluation{policy: p, request: r, caller: caller, denying: true}
	p.deny.visit(r.Path, &e)
	if !e.refused {
		e.denying = false
		p.require.visit(r.Path, &e)
	}
	switch {
	case e.refused:
		d := Decision{Verdict: e.verdict, Rule: p.rules[e.by].name}
		if d.Verdict == MissingScope {
			d.Scope = p.rules[e.by].challenge
		}
		return d
	case e.named || p.otherwise:
		return Decision{Verdict: Allowed}
	default:
		return Decision{Verdict: NotAllowed}
	}
}

// ByMethod reports whether some rule looks at the method.
func (p *Policy) ByMethod() bool { return p.byMethod }

// rules evaluates rules whose path matches. A rule with several matching paths
// comes more than once, to the same effect. The tree's order is not that of the
// configuration, so the first rule that refuses is kept, not the first found.
func (e *evaluation) rules(indices []int32) {
	for _, i := range indices {
		r := &e.policy.rules[i]
		if e.refused && i >= e.by || !r.names(&e.request) {
			continue
		}
		e.named = true
		if e.denying {
			e.refused, e.by, e.verdict = true, i, Denied
		} else if v := r.judge(&e.request, e.caller); v != Allowed {
			e.refused, e.by, e.verdict = true, i, v
		}
	}
}

// names reports whether the rule is about the request, whose path matches.
func (c *compiled) names(r *Request) bool {
	if len(c.methods) > 0 && !slices.Contains(c.methods, r.Method) {
		return false
	}
	if len(c.hosts) == 0 {
		return true
	}
	for i := range c.hosts {
		if c.hosts[i].matches(r.Host) {
			return true
		}
	}
	return false
}

// judge returns Allowed if the caller meets every requirement. Expressions come
// last, whatever the order of lines: the others are cheap.
func (c *compiled) judge(r *Request, caller *principal.Principal) Verdict {
	if caller == nil {
		return NoPrincipal
	}
	for i := range c.require {
		if q := &c.require[i]; q.Expression == "" {
			if v := q.judge(caller); v != Allowed {
				return v
			}
		}
	}
	for i := range c.require {
		if q := &c.require[i]; q.Expression != "" {
			if v := q.compiled.judge(*r, caller); v != Allowed {
				return v
			}
		}
	}
	return Allowed
}

// judge returns Allowed if the caller meets the requirement. A requirement of no
// kind, which Compile refuses, is met by nobody.
func (q *Requirement) judge(caller *principal.Principal) Verdict {
	switch {
	case q.Scope != nil:
		return met(intersects(q.Scope, caller.Scopes), MissingScope)
	case q.Role != nil:
		return met(intersects(q.Role, caller.Roles), MissingRole)
	case q.Issuer != nil:
		return met(slices.Contains(q.Issuer, caller.Issuer), MissingIssuer)
	case q.Method != nil:
		return met(slices.Contains(q.Method, caller.Method), MissingMethod)
	case q.Tier != nil:
		return met(slices.Contains(q.Tier, caller.Tier), MissingTier)
	case q.Claim != nil:
		value, ok := caller.Claims[q.Claim.Name]
		return met(ok && claimIs(value, q.Claim.Values), MissingClaim)
	}
	return NotAllowed
}

func met(ok bool, missing Verdict) Verdict {
	if ok {
		return Allowed
	}
	return missing
}

func intersects(wanted, has []string) bool {
	for _, s := range wanted {
		if slices.Contains(has, s) {
			return true
		}
	}
	return false
}

// claimIs reports whether a decoded JSON value, or one element of a list, is one
// of wanted. Objects and null are nothing; neither are lists in lists.
func claimIs(value any, wanted []string) bool {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			if scalarIs(element, wanted) {
				return true
			}
		}
		return false
	case []string:
		return intersects(wanted, v)
	default:
		return scalarIs(value, wanted)
	}
}

func scalarIs(value any, wanted []string) bool {
	switch v := value.(type) {
	case string:
		return slices.Contains(wanted, v)
	case json.Number:
		return slices.Contains(wanted, v.String())
	case bool:
		return slices.Contains(wanted, strconv.FormatBool(v))
	}
	return false
}
