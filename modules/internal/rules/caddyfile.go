package rules

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/access"
)

// Read reads a rule and appends it to dst:
//
//	rule <name> {
//		methods <methods...>
//		path    <patterns...>
//		host    <hosts...>
//		require scope  <scopes...>
//		require role   <roles...>
//		require issuer <issuers...>
//		require method jwt | api_key | mtls | <the name of a balancer's assertion>
//		require tier   <tiers...>
//		require claim  <name> <values...>
//		require expression `<CEL>`
//		deny
//		dry_run
//	}
//
// require can be repeated. A rule has require or deny.
func Read(o *caddyfile.Dispenser, dst *[]access.Rule) error {
	var r access.Rule
	if !o.NextArg() {
		return o.Err("rule needs a name")
	}
	r.Name = o.Val()
	err := read.Block(o, []string{"require"}, func(l *caddyfile.Dispenser) error {
		switch l.Val() {
		case "methods":
			return read.Values(l, access.ParseMethod, &r.Methods)
		case "path":
			return read.Values(l, access.ParsePath, &r.Path)
		case "host":
			return read.Values(l, access.ParseHost, &r.Host)
		case "require":
			return readRequirement(l, &r.Require)
		case "deny":
			return read.Flag(l, &r.Deny)
		case "dry_run":
			return read.Flag(l, &r.DryRun)
		}
		return read.Unknown(l, "methods", "path", "host", "require", "deny", "dry_run")
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(*dst, func(other access.Rule) bool { return other.Name == r.Name }) {
		return read.At(o, errors.New("rule "+r.Name+" is given twice"))
	}
	*dst = append(*dst, r)
	return read.At(o, prefixed("rule "+r.Name+": ", r.Check()))
}

func readRequirement(l *caddyfile.Dispenser, to *[]access.Requirement) error {
	if !l.NextArg() {
		return l.Err("require needs a kind of condition and its words")
	}
	var (
		q   access.Requirement
		err error
	)
	switch l.Val() {
	case "scope":
		err = read.Values(l, access.ParseScope, &q.Scope)
	case "role":
		err = read.Values(l, access.ParseWord, &q.Role)
	case "issuer":
		err = read.Values(l, access.ParseIssuer, &q.Issuer)
	case "method":
		err = read.Values(l, access.ParseAuthMethod, &q.Method)
	case "tier":
		err = read.Values(l, access.ParseWord, &q.Tier)
	case "claim":
		q.Claim = new(access.Claim)
		if err = read.Value(l, access.ParseClaim, &q.Claim.Name); err == nil {
			err = read.Values(l, access.ParseText, &q.Claim.Values)
		}
	case "expression":
		err = readExpression(l, &q.Expression)
	default:
		return read.Unknown(l, "scope", "role", "issuer", "method", "tier", "claim", "expression")
	}
	if err == nil {
		*to = append(*to, q)
	}
	return err
}

// readExpression reads the one argument that an expression is.
func readExpression(l *caddyfile.Dispenser, to *string) error {
	if l.CountRemainingArgs() > 1 {
		return l.Err("expression is one argument: write it between backticks")
	}
	return read.Value(l, access.ParseExpression, to)
}

// prefixed joins errs, each with what it is about in front.
func prefixed(prefix string, errs []error) error {
	for i, err := range errs {
		errs[i] = errors.New(prefix + err.Error())
	}
	return errors.Join(errs...)
}
