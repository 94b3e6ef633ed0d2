package access

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Policy is a compiled set of rules. It is immutable and safe for concurrent use.
type Policy struct {
	rules     []compiled
	deny      *node // where deny rules are found by path
	require   *node // where the others are
	dry       *node // where those in dry_run are, of both kinds; nil if there are none
	dryNames  []string
	otherwise bool // allow what no rule names
	byMethod  bool
}

// compiled is a rule without its paths, which are in the tree.
type compiled struct {
	name      string
	deny      bool
	methods   []string // empty: all
	hosts     []host   // empty: all
	require   []Requirement
	challenge string // the scopes that a challenge names
}

// host is a host name in lower case, or what stands behind "*".
type host struct {
	name     string
	wildcard bool
}

func parseHost(s string) host {
	name, wildcard := strings.CutPrefix(strings.ToLower(s), "*")
	return host{name, wildcard}
}

func (h host) matches(name string) bool {
	if !h.wildcard {
		return name == h.name
	}
	label, ok := strings.CutSuffix(name, h.name)
	return ok && label != "" && !strings.Contains(label, ".")
}

func (h host) covers(other host) bool {
	return h == other || !other.wildcard && h.matches(other.name)
}

// Compile checks rules and returns what decides by them, or every error they
// have, joined. allowOthers says whether a request that no rule names is allowed.
func Compile(rules []Rule, allowOthers bool) (*Policy, error) {
	p := &Policy{deny: new(node), require: new(node), otherwise: allowOthers}
	var errs []error
	if len(rules) == 0 {
		errs = append(errs, errors.New("no rule: access_rules would treat every request alike"))
	} else if !allowOthers && !slices.ContainsFunc(rules, func(r Rule) bool { return !r.DryRun }) {
		errs = append(errs, errors.New("every rule is in dry_run, which names no request: all would be refused (otherwise allow lets them pass, mode dry_run tries the rules as a whole)"))
	}
	named := make(map[string]bool, len(rules))
	for i := range rules {
		r := &rules[i]
		bad := r.Check()
		for _, err := range bad {
			errs = append(errs, fmt.Errorf("rule %s: %w", cmp.Or(r.Name, strconv.Itoa(i)), err))
		}
		if bad != nil {
			continue
		}
		if named[r.Name] {
			errs = append(errs, fmt.Errorf("rule %s is given twice", r.Name))
		}
		named[r.Name] = true
		p.add(r)
	}
	if len(errs) == 0 {
		errs = shadowed(rules)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.deny.sort()
	p.require.sort()
	if p.dry != nil {
		p.dry.sort()
	}
	return p, nil
}

func (p *Policy) add(r *Rule) {
	c := compiled{name: r.Name, deny: r.Deny, methods: slices.Clone(r.Methods), require: slices.Clone(r.Require), challenge: challenge(r)}
	for i := range c.require {
		if q := &c.require[i]; q.Expression != "" {
			q.compiled, _ = compileExpression(q.Expression) // Check has seen it
		} else if q.Claim != nil {
			q.steps = strings.Split(q.Claim.Name, ".")
		}
	}
	if slices.Contains(c.methods, "GET") && !slices.Contains(c.methods, "HEAD") {
		c.methods = append(c.methods, "HEAD")
	}
	for _, s := range r.Host {
		c.hosts = append(c.hosts, parseHost(s))
	}
	// The override of a method that nobody asks about is not judged, so rules in
	// dry_run do not count.
	p.byMethod = p.byMethod || len(c.methods) > 0 && !r.DryRun
	index := int32(len(p.rules))
	p.rules = append(p.rules, c)
	tree := p.require
	switch {
	case r.DryRun:
		if p.dry == nil {
			p.dry = new(node)
		}
		tree, p.dryNames = p.dry, append(p.dryNames, r.Name)
	case r.Deny:
		tree = p.deny
	}
	for _, pat := range patternsOf(r) {
		tree.insert(&pat, index)
	}
}

// challenge lists the scopes the rule needs, of alternatives the first one: what
// a token's holder has to ask for (RFC 6750 section 3).
func challenge(r *Rule) string {
	var scopes []string
	for i := range r.Require {
		if q := &r.Require[i]; len(q.Scope) > 0 && !slices.Contains(scopes, q.Scope[0]) {
			scopes = append(scopes, q.Scope[0])
		}
	}
	return strings.Join(scopes, " ")
}

// patternsOf compiles the rule's paths; without any it is about all.
func patternsOf(r *Rule) []pattern {
	if len(r.Path) == 0 {
		return []pattern{{below: true}}
	}
	var out []pattern
	for _, s := range r.Path {
		if p, err := compilePattern(s); err == nil { // Check has seen it
			out = append(out, p)
		}
	}
	return out
}

// shadowed finds rules that never decide anything, because a deny rule names all
// that they name. A deny rule in dry_run takes nothing from others.
func shadowed(rules []Rule) (errs []error) {
	for i := range rules {
		for j := range rules {
			deny, r := &rules[j], &rules[i]
			if i == j || !deny.Deny || deny.DryRun || !covers(deny, r) {
				continue
			}
			// Of two deny rules that say the same, the later one is at fault.
			if r.Deny && !r.DryRun && i < j && covers(r, deny) {
				continue
			}
			errs = append(errs, fmt.Errorf("rule %s never decides: rule %s denies everything it is about", r.Name, deny.Name))
			break
		}
	}
	return errs
}

func covers(a, b *Rule) bool {
	if len(a.Methods) > 0 {
		if len(b.Methods) == 0 {
			return false
		}
		for _, m := range b.Methods {
			if !slices.Contains(a.Methods, m) && !(m == "HEAD" && slices.Contains(a.Methods, "GET")) {
				return false
			}
		}
	}
	if len(a.Host) > 0 {
		if len(b.Host) == 0 {
			return false
		}
		for _, other := range b.Host {
			if !slices.ContainsFunc(a.Host, func(s string) bool { return parseHost(s).covers(parseHost(other)) }) {
				return false
			}
		}
	}
	wide := patternsOf(a)
	for _, narrow := range patternsOf(b) {
		if !slices.ContainsFunc(wide, func(p pattern) bool { return p.covers(&narrow) }) {
			return false
		}
	}
	return true
}
