package auth

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// UnmarshalCaddyfile reads the directive:
//
//	auth [<matcher>] {
//		jwt <issuer> {
//			audience     <audience...>
//			algorithms   <algorithm...>
//			jwks         <url>
//			key_file     <path>
//			secret       <name> {env.<NAME>} | {file.<PATH>}
//			type         access_token | id_token | any
//			subject_claim <claim>
//			scopes_claim <claim...>
//			roles_claim  <claim...>
//			tier_claim   <claim>
//			require_claim <claim> [<value...>]
//			leeway       <duration>
//			from         header <name> | cookie <name> | query <name>
//			forward
//		}
//		api_key {
//			header    <name>
//			keys_file <path>
//			pepper    {env.<NAME>} | {file.<PATH>}
//			forward
//		}
//		mtls {
//			principal    san_uri | san_dns | san_email | subject | fingerprint
//			allow_issuer <distinguished name...>
//		}
//		aws_alb_oidc <arn...> {
//			client       <id...>
//			issuer       <issuer...>
//			keys         <url> { ... }
//			scopes_claim, roles_claim, tier_claim <claim>
//		}
//		aws_alb_mtls {
//			mode         verify | passthrough
//			trust_pool   file <paths...>
//			principal    <name>
//			allow_issuer <distinguished name...>
//			header       <name>
//		}
//		gcp_iap {
//			audience     <resource...>
//			jwks         <url> { ... }
//			scopes_claim, roles_claim, tier_claim <claim>
//		}
//		cloudflare_access <team> {
//			audience     <tag...>
//			jwks         <url> { ... }
//			scopes_claim, roles_claim, tier_claim <claim>
//		}
//		all {
//			<two to four of jwt, api_key, mtls>
//		}
//		optional
//		failures <rate> [burst <number>] | off
//		revocation {
//			file    <path>
//			store
//			max_age <duration>
//		}
//		identity_headers <name...>
//		mode enforce | dry_run
//	}
//
// jwt, api_key and all may be repeated.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	directive := *d // stays on the directive's line
	err := read.Block(d, append(words(), wordAll, wordIdentityHeaders), h.option)
	return errors.Join(err, located(directive, h.check()))
}

const wordIdentityHeaders = "identity_headers"

func (h *Handler) option(o *caddyfile.Dispenser) error {
	if a, err := unmarshalMethod(o); a != nil {
		h.Alternatives = append(h.Alternatives, *a)
		return err
	}
	switch o.Val() {
	case wordAll:
		all, err := unmarshalGroup(o)
		h.Alternatives = append(h.Alternatives, Alternative{All: all})
		return err
	case "optional":
		return read.Flag(o, &h.Optional)
	case "failures":
		h.Failures = new(Failures)
		return h.Failures.unmarshal(o)
	case "revocation":
		h.Revocation = new(Revocation)
		return h.Revocation.unmarshal(o)
	case wordIdentityHeaders:
		return read.Values(o, valid(checkIdentityHeader), &h.IdentityHeaders)
	}
	if ok, err := guard.Option(o, &h.Guard); ok {
		return err
	}
	return read.Unknown(o, append(words(), wordAll, "optional", "failures", "revocation", wordIdentityHeaders, "mode")...)
}

// unmarshalMethod reads the method on which o stands, if it is one.
func unmarshalMethod(o *caddyfile.Dispenser) (*Alternative, error) {
	a, m := newMethod(o.Val())
	if m == nil {
		return nil, nil
	}
	return a, m.unmarshal(o)
}

func unmarshalGroup(o *caddyfile.Dispenser) ([]Alternative, error) {
	members := []Alternative{} // a group of none is refused as such
	err := read.Block(o, words(), func(o *caddyfile.Dispenser) error {
		a, err := unmarshalMethod(o)
		switch {
		case a != nil:
			members = append(members, *a)
			return err
		case o.Val() == wordAll:
			return o.Err("a group in a group")
		}
		return read.Unknown(o, words()...)
	})
	return members, err
}

// readQuietly is read.Value for what may be, or contain, a secret: the value does
// not stand in the error.
func readQuietly(o *caddyfile.Dispenser, check func(string) error, dst *string) error {
	name := o.Val()
	if !o.NextArg() {
		return o.Errf("%s needs a value", name)
	}
	if err := check(o.Val()); err != nil {
		return o.Errf("%s: %v", name, err)
	}
	*dst = o.Val()
	return nil
}

// located gives errors the file and line of at.
func located(at caddyfile.Dispenser, errs []error) error {
	for i, err := range errs {
		errs[i] = at.WrapErr(err)
	}
	return errors.Join(errs...)
}

// valid makes of a check a parser that returns what it was given.
func valid(check func(string) error) func(string) (string, error) {
	return func(value string) (string, error) { return value, check(value) }
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
