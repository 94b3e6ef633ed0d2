package problem

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

func init() {
	caddy.RegisterModule(Handler{})
	order.Register("problem", func() order.Directive { return new(Handler) })
}

// Handler answers the error that ended a request with a problem document. It is
// for handle_errors; outside of it, it answers 500.
type Handler struct{}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.problem",
		New: func() caddy.Module { return new(Handler) },
	}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	decision.WriteProblem(w, r, decision.ErrorStatus(r))
	return nil
}

// UnmarshalCaddyfile reads the directive, which has no arguments and no options.
func (Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		return o.Errf("problem has no options, found %q", o.Val())
	})
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
