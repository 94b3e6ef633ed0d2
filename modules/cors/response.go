package cors

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/stamp"
)

// responseWriter makes the CORS fields of a response the gateway's alone.
type responseWriter struct {
	stamp.Writer
	fields
}

// claim makes policy the one that decides about the request; origin is the value
// of Access-Control-Allow-Origin.
func claim(w http.ResponseWriter, req *guard.Request, policy *Policy, origin string) *responseWriter {
	claimed := &responseWriter{fields: fields{policy: policy, origin: origin}}
	claimed.ResponseWriter, claimed.Stamper = w, claimed
	req.CORS = claimed
	return claimed
}

// claimOf returns what claim made for the request, or nil.
func claimOf(req *guard.Request) *responseWriter {
	claimed, _ := req.CORS.(*responseWriter)
	return claimed
}

// serve passes r on.
func (w *responseWriter) serve(r *http.Request, next caddyhttp.Handler) error {
	return w.Writer.Serve(w, r, next)
}

// Stamp implements stamp.Stamper.
func (w *responseWriter) Stamp(header http.Header) { w.stamp(header) }

// errorRoute stands in front of a server's error routes, which write to the
// server's own ResponseWriter: a backend that serves error pages can add fields
// to a response there as anywhere.
type errorRoute struct{}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (errorRoute) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req := guard.From(r)
	if req == nil || claimOf(req) == nil {
		return next.ServeHTTP(w, r)
	}
	claimed := claimOf(req)
	return claim(w, req, claimed.policy, claimed.origin).serve(r, next)
}

// Interface guards
var (
	_ stamp.Stamper               = (*responseWriter)(nil)
	_ caddyhttp.MiddlewareHandler = errorRoute{}
)
