package upstream

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/rules"
)

// UnmarshalCaddyfile reads the directive:
//
//	verify_gateway [<matcher>] {
//		audience <text>
//		jwks     <url> | file <path>
//		issuer   <text>
//		header   <name>
//		leeway   <duration>
//		rule <name> {
//			...             # as in access_rules
//		}
//		otherwise allow | deny
//		mode      enforce | dry_run
//	}
//
// rule can be repeated.
func (v *Verifier) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"rule"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "audience":
			return read.Value(o, parseText, &v.Audience)
		case "issuer":
			return read.Value(o, parseText, &v.Issuer)
		case "jwks":
			return v.readKeys(o)
		case "header":
			return read.Value(o, parseHeader, &v.Header)
		case "leeway":
			v.Leeway = new(caddy.Duration)
			return read.Duration(o, 0, maxLeeway, v.Leeway)
		case "rule":
			return rules.Read(o, &v.Rules)
		case "otherwise":
			return read.Word(o, &v.Otherwise, otherwiseAllow, otherwiseDeny)
		}
		if ok, err := guard.Option(o, &v.Guard); ok {
			return err
		}
		return read.Unknown(o, "audience", "jwks", "issuer", "header", "leeway", "rule", "otherwise", "mode")
	})
	if err != nil {
		return err
	}
	_, err = v.compile()
	return read.At(d, err)
}

// readKeys reads a URL, or the word file and a path.
func (v *Verifier) readKeys(o *caddyfile.Dispenser) error {
	if args := o.RemainingArgs(); len(args) > 0 && args[0] == "file" {
		o.Reset()
		o.Next()
		o.NextArg()
		return read.String(o, &v.JWKSFile)
	}
	o.Reset()
	o.Next()
	return read.Value(o, func(s string) (string, error) { return s, jwks.CheckURL(s) }, &v.JWKS)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Verifier)(nil)
