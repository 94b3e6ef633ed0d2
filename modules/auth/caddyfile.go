package auth

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

// The words of the alternatives.
const (
	wordJWT    = "jwt"
	wordAPIKey = "api_key"
	wordMTLS   = "mtls"
)

// UnmarshalCaddyfile reads the directive:
//
//	auth [<matcher>] {
//		jwt <issuer> {
//			audience     <audience...>
//			algorithms   <algorithm...>
//			jwks         <url>
//			key_file     <path>
//			scopes_claim <claim>
//			roles_claim  <claim>
//			tier_claim   <claim>
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
//		identity_headers <name...>
//		mode enforce | dry_run
//	}
//
// jwt and api_key may be repeated.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	directive := *d // stays on the directive's line
	err := read.Block(d, []string{wordJWT, wordAPIKey, wordMTLS, "identity_headers"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case wordJWT:
			j := new(JWT)
			h.Alternatives = append(h.Alternatives, Alternative{JWT: j})
			return j.unmarshal(o)
		case wordAPIKey:
			a := new(APIKey)
			h.Alternatives = append(h.Alternatives, Alternative{APIKey: a})
			return a.unmarshal(o)
		case wordMTLS:
			m := new(MTLS)
			h.Alternatives = append(h.Alternatives, Alternative{MTLS: m})
			return m.unmarshal(o)
		case "identity_headers":
			return read.Values(o, valid(checkIdentityHeader), &h.IdentityHeaders)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, wordJWT, wordAPIKey, wordMTLS, "identity_headers", "mode")
	})
	return errors.Join(err, located(directive, h.check()))
}

func (j *JWT) unmarshal(o *caddyfile.Dispenser) error {
	block := *o
	issuer := read.Value(o, valid(checkNotEmpty), &j.Issuer)
	given := make(map[string]bool)
	err := read.Block(o, []string{"audience", "algorithms"}, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return j.option(o)
	})
	return errors.Join(issuer, err, located(block, j.gaps(given)))
}

func (j *JWT) option(o *caddyfile.Dispenser) error {
	switch o.Val() {
	case "audience":
		return read.Values(o, valid(checkNotEmpty), &j.Audience)
	case "algorithms":
		return read.Values(o, parseAlgorithm, &j.Algorithms)
	case "jwks":
		return readQuietly(o, jwks.CheckURL, &j.JWKS)
	case "key_file":
		return read.String(o, &j.KeyFile)
	case "scopes_claim":
		return read.Value(o, parseClaimPath, &j.ScopesClaim)
	case "roles_claim":
		return read.Value(o, parseClaimPath, &j.RolesClaim)
	case "tier_claim":
		return read.Value(o, parseClaimPath, &j.TierClaim)
	case "leeway":
		j.Leeway = new(caddy.Duration)
		return read.Duration(o, 0, maxLeeway, j.Leeway)
	case "from":
		return j.From.unmarshal(o)
	case "forward":
		return read.Flag(o, &j.Forward)
	}
	return read.Unknown(o, "audience", "algorithms", "jwks", "key_file", "scopes_claim", "roles_claim", "tier_claim", "leeway", "from", "forward")
}

func (f *From) unmarshal(o *caddyfile.Dispenser) error {
	var place string
	if err := read.Word(o, &place, "header", "cookie", "query"); err != nil {
		return err
	}
	switch place {
	case "header":
		return read.Value(o, valid(checkSourceHeader), &f.Header)
	case "cookie":
		return read.Value(o, valid(checkTokenName), &f.Cookie)
	default:
		return read.Value(o, valid(checkTokenName), &f.Query)
	}
}

func (a *APIKey) unmarshal(o *caddyfile.Dispenser) error {
	block := *o
	given := make(map[string]bool)
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return a.option(o)
	})
	return errors.Join(err, located(block, a.gaps(given)))
}

func (a *APIKey) option(o *caddyfile.Dispenser) error {
	switch o.Val() {
	case "header":
		return read.Value(o, valid(checkKeyHeader), &a.Header)
	case "keys_file":
		return read.String(o, &a.KeysFile)
	case "pepper":
		return readQuietly(o, secret.Check, &a.Pepper)
	case "forward":
		return read.Flag(o, &a.Forward)
	}
	return read.Unknown(o, "header", "keys_file", "pepper", "forward")
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
