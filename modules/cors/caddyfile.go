package cors

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	order.Register("cors", func() order.Directive { return new(Handler) })
}

// UnmarshalCaddyfile reads the directive:
//
//	cors [<matcher>] {
//		allow_origins <origin...> | *
//		allow_methods <method...> | *
//		allow_headers <name...> | * [Authorization]
//		expose_headers <name...> | *
//		allow_credentials
//		max_age <duration>
//		mode enforce | dry_run
//	}
//
// allow_origins is required and may be repeated; the lists add up.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	directive := *d // stays on the directive's line
	origin, seen := valid(once(checkOrigin)), false
	err := read.Block(d, []string{"allow_origins"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "allow_origins":
			seen = true
			return read.Values(o, origin, &h.AllowOrigins)
		case "allow_methods":
			return read.Values(o, valid(once(checkMethod)), &h.AllowMethods)
		case "allow_headers":
			return read.Values(o, valid(once(checkRequestHeader)), &h.AllowHeaders)
		case "expose_headers":
			return read.Values(o, valid(once(checkExposedHeader)), &h.ExposeHeaders)
		case "allow_credentials":
			return read.Flag(o, &h.AllowCredentials)
		case "max_age":
			return read.Value(o, parseMaxAge, &h.MaxAge)
		default:
			if ok, err := guard.Option(o, &h.Guard); ok {
				return err
			}
			return read.Unknown(o, "allow_origins", "allow_methods", "allow_headers", "expose_headers",
				"allow_credentials", "max_age", "mode")
		}
	})
	errs := []error{err}
	if !seen {
		errs = append(errs, directive.WrapErr(errNoOrigins))
	}
	c := h.config()
	for _, fault := range c.contradictions() {
		errs = append(errs, directive.WrapErr(fault))
	}
	return errors.Join(errs...)
}

// valid makes of a check a parser that returns what it was given.
func valid(check func(string) error) func(string) (string, error) {
	return func(value string) (string, error) { return value, check(value) }
}

func parseMaxAge(s string) (caddy.Duration, error) {
	d, err := caddy.ParseDuration(s)
	if err != nil {
		return 0, errors.New("not a duration")
	}
	return caddy.Duration(d), checkMaxAge(d)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
