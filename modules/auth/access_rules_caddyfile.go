package auth

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/auth/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// UnmarshalCaddyfile reads the directive:
//
//	access_rules {
//		rule <name> {
//			methods <methods...>
//			path    <patterns...>
//			host    <hosts...>
//			require scope  <scopes...>
//			require role   <roles...>
//			require issuer <issuers...>
//			require method jwt | api_key
//			require tier   <tiers...>
//			require claim  <name> <values...>
//			deny
//		}
//		otherwise allow | deny
//		mode enforce | dry_run
//	}
//
// rule can be repeated, and require inside it. Words of a line are alternatives,
// lines all have to hold. A rule has require or deny.
func (h *AccessRules) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"rule"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "rule":
			return h.readRule(o)
		case "otherwise":
			return read.Word(o, &h.Otherwise, otherwiseAllow, otherwiseDeny)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "rule", "otherwise", "mode")
	})
	if err == nil {
		_, err = h.compile()
		err = at(d, err)
	} else if h.MatchersRaw != nil {
		err = errors.Join(at(d, errMatcher), err)
	}
	return err
}

func (h *AccessRules) readRule(o *caddyfile.Dispenser) error {
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
		}
		return read.Unknown(l, "methods", "path", "host", "require", "deny")
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(h.Rules, func(other access.Rule) bool { return other.Name == r.Name }) {
		return at(o, errors.New("rule "+r.Name+" is given twice"))
	}
	h.Rules = append(h.Rules, r)
	return at(o, prefixed("rule "+r.Name+": ", r.Check()))
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
		err = read.Values(l, access.ParseWord, &q.Issuer)
	case "method":
		err = read.Values(l, access.ParseAuthMethod, &q.Method)
	case "tier":
		err = read.Values(l, access.ParseWord, &q.Tier)
	case "claim":
		q.Claim = new(access.Claim)
		if err = read.Value(l, access.ParseText, &q.Claim.Name); err == nil {
			err = read.Values(l, access.ParseText, &q.Claim.Values)
		}
	default:
		return read.Unknown(l, "scope", "role", "issuer", "method", "tier", "claim")
	}
	if err == nil {
		*to = append(*to, q)
	}
	return err
}

// prefixed joins errs, each with what it is about in front.
func prefixed(prefix string, errs []error) error {
	for i, err := range errs {
		errs[i] = errors.New(prefix + err.Error())
	}
	return errors.Join(errs...)
}

// at gives each of the joined errors the position at which d began.
func at(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	d.Reset()
	d.Next()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return d.WrapErr(err)
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, at(d, err))
	}
	return errors.Join(errs...)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*AccessRules)(nil)
