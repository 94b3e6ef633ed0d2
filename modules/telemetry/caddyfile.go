package telemetry

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
)

// UnmarshalCaddyfile reads the directive:
//
//	telemetry {
//		log_principal
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		if o.Val() == "log_principal" {
			return read.Flag(o, &h.LogPrincipal)
		}
		return read.Unknown(o, "log_principal")
	})
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
