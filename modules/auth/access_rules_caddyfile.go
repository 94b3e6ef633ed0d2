package auth

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/rules"
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
//			require method jwt | api_key | mtls | <the name of a balancer's assertion>
//			require tier   <tiers...>
//			require claim  <name> <values...>
//			require expression `<CEL>`
//			deny
//			dry_run
//		}
//		otherwise allow | deny
//		mode enforce | dry_run
//	}
//
// rule can be repeated, and require inside it. Words of a line are alternatives,
// lines all have to hold. A rule has require or deny. With dry_run, what it would
// refuse is recorded, and decisions are as if it were not there.
func (h *AccessRules) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"rule"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "rule":
			return rules.Read(o, &h.Rules)
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
		err = read.At(d, err)
	} else if h.MatchersRaw != nil {
		err = errors.Join(read.At(d, errMatcher), err)
	}
	return err
}

// Interface guards
var _ caddyfile.Unmarshaler = (*AccessRules)(nil)
