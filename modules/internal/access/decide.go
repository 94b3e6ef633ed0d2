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

	named   bool // a rule names the request
	refused bool
	by      int32 // the rule that refuses, if refused
	verdict Verdict

	dry   bool // the tree of rules in dry_run is visited
	would []Decision
}

// Decide decides about a request and its caller, who is nil if unknown. It
// allocates nothing, but for expressions what CEL does.
func (p *Policy) Decide(r Request, caller *principal.Principal) Decision {
	e := evaluation{policy: p, request: r, caller: caller}
	p.deny.visit(r.Path, &e)
	if !e.refused {
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

// DryRuns returns the names of the rules in dry_run.
func (p *Policy) DryRuns() []string { return p.dryNames }

// WouldRefuse appends to found what the rules in dry_run would refuse, each for
// itself and once. It is about requests that Decide allows, and without a refusal
// it allocates no more than Decide.
func (p *Policy) WouldRefuse(r Request, caller *principal.Principal, found []Decision) []Decision {
	if p.dry == nil {
		return found
	}
	e := evaluation{policy: p, request: r, caller: caller, dry: true, would: found}
	p.dry.visit(r.Path, &e)
	return e.would
}

// ByMethod reports whether some rule that is not in dry_run looks at the method.
func (p *Policy) ByMethod() bool { return p.byMethod }

// rules evaluates rules whose path matches. A rule with several matching paths
// comes more than once, to the same effect. The tree's order is not that of the
// configuration, so the first rule that refuses is kept, not the first found.
func (e *evaluation) rules(indices []int32) {
	for _, i := range indices {
		r := &e.policy.rules[i]
		if e.dry {
			e.rehearse(r)
			continue
		}
		if e.refused && i >= e.by || !r.names(&e.request) {
			continue
		}
		e.named = true
		if v := r.judge(&e.request, e.caller); v != Allowed {
			e.refused, e.by, e.verdict = true, i, v
		}
	}
}

func (e *evaluation) rehearse(r *compiled) {
	for i := range e.would {
		if e.would[i].Rule == r.name {
			return
		}
	}
	if !r.names(&e.request) {
		return
	}
	if v := r.judge(&e.request, e.caller); v != Allowed {
		e.would = append(e.would, Decision{Verdict: v, Rule: r.name})
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

// judge returns Allowed if the rule does not deny and the caller meets every
// requirement. Expressions come last, whatever the order of lines: the others are
// cheap.
func (c *compiled) judge(r *Request, caller *principal.Principal) Verdict {
	switch {
	case c.deny:
		return Denied
	case caller == nil:
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
		return met(claimIs(q.claimOf(caller.Claims), q.Claim.Values), MissingClaim)
	}
	return NotAllowed
}

// claimOf returns the claim that the requirement is about; nil, which is nothing,
// where there is none. The claim with the whole name wins, whatever it is.
func (q *Requirement) claimOf(claims map[string]any) any {
	value, ok := claims[q.Claim.Name]
	if ok {
		return value
	}
	value = claims
	for _, step := range q.steps {
		object, _ := value.(map[string]any)
		value = object[step]
	}
	return value
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
