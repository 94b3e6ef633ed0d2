package cors

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// responseWriter stamps the CORS fields on the header at the last moment before
// it is sent: reverse_proxy adds the backend's fields to those that are there.
// Hijacking and deadlines reach the wrapped writer through Unwrap.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	fields
	sent bool
}

// claim makes policy the one that decides about the request; origin is the value
// of Access-Control-Allow-Origin.
func claim(w http.ResponseWriter, req *guard.Request, policy *Policy, origin string) *responseWriter {
	claimed := &responseWriter{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		fields:                fields{policy: policy, origin: origin},
	}
	req.CORS = claimed
	return claimed
}

// claimOf returns what claim made for the request, or nil.
func claimOf(req *guard.Request) *responseWriter {
	claimed, _ := req.CORS.(*responseWriter)
	return claimed
}

// serve passes r on. Where nothing was sent, because a handler refused r or wrote
// nothing, the fields are stamped now: Caddy's error routes go on with this
// header.
func (w *responseWriter) serve(r *http.Request, next caddyhttp.Handler) error {
	err := next.ServeHTTP(w, r)
	w.send()
	return err
}

func (w *responseWriter) send() {
	if !w.sent {
		w.sent = true
		w.stamp(w.Header())
	}
}

// WriteHeader stamps informational responses too, but they are not the last.
func (w *responseWriter) WriteHeader(status int) {
	if !w.sent {
		w.stamp(w.Header())
		w.sent = status >= 200
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.send()
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom; the embedded one would go past Write.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.send()
	return w.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError implements the interface of http.ResponseController, which would
// otherwise find the wrapped writer's, and send the header unstamped.
func (w *responseWriter) FlushError() error {
	w.send()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

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
	_ http.ResponseWriter         = (*responseWriter)(nil)
	_ io.ReaderFrom               = (*responseWriter)(nil)
	_ caddyhttp.MiddlewareHandler = errorRoute{}
)
