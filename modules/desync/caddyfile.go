package desync

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
)

// UnmarshalCaddyfile reads the listener wrapper:
//
//	desync [monitor | defensive | strictest]
func (w *Wrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var err error
	if d.NextArg() {
		w.Mode = d.Val()
		if err = w.compile(); err != nil {
			err = d.WrapErr(err)
		}
	}
	return errors.Join(err, read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		return o.Errf("unknown option %q (desync has none)", o.Val())
	}))
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Wrapper)(nil)
