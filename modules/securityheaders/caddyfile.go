package securityheaders

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	order.Register("security_headers", func() order.Directive { return new(Handler) })
}

// UnmarshalCaddyfile reads the directive:
//
//	security_headers [<matcher>] [api | html | none] {
//		set     <name> <value>
//		default <name> <value>
//		remove  <name...>
//		mode    enforce | dry_run
//	}
//
// All options but mode may be repeated.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	directive := *d // stays on the directive's line
	if d.NextArg() {
		h.Preset = d.Val()
	}
	err := read.Block(d, []string{"set", "default", "remove"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "set":
			return readField(o, &h.Set)
		case "default":
			return readField(o, &h.Default)
		case "remove":
			return read.Values(o, func(name string) (string, error) {
				_, err := Compile(Config{Preset: presetNone, Remove: []string{name}})
				return name, err
			}, &h.Remove)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "set", "default", "remove", "mode")
	})
	if err != nil {
		return errors.Join(err, checkPreset(&directive, h.Preset))
	}
	if _, err := Compile(h.config()); err != nil {
		return directive.WrapErr(err)
	}
	return nil
}

func checkPreset(d *caddyfile.Dispenser, preset string) error {
	switch preset {
	case "", presetAPI, presetHTML, presetNone:
		return nil
	}
	return d.Errf("preset %q is not api, html or none", preset)
}

// readField reads a name and a value, which may be quoted.
func readField(o *caddyfile.Dispenser, dst *[]Field) error {
	option := o.Val()
	args := o.RemainingArgs()
	if len(args) != 2 {
		return o.Errf("%s needs a name and a value, in quotes if it has spaces", option)
	}
	f := Field{Name: args[0], Value: args[1]}
	if _, err := Compile(Config{Preset: presetNone, Set: []Field{f}}); err != nil {
		return o.WrapErr(err)
	}
	*dst = append(*dst, f)
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
