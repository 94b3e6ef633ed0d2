package securityheaders

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/stamp"
)

// responseWriter stamps a policy on a response.
type responseWriter struct {
	stamp.Writer
	policy *Policy
	secure bool
	wrote  bool // the final status
	slots  []string
	few    [16]string // what slots are, unless there are more
}

// serve passes r on and stamps what comes back.
func serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, policy *Policy) error {
	stamped := &responseWriter{policy: policy, secure: isSecure(r)}
	stamped.ResponseWriter, stamped.Stamper = w, stamped
	if stamped.slots = stamped.few[:]; policy.Lines() > len(stamped.few) {
		stamped.slots = make([]string, policy.Lines())
	}
	return stamped.Serve(stamped, r, next)
}

// Stamp implements stamp.Stamper.
func (w *responseWriter) Stamp(header http.Header) { w.policy.Stamp(header, w.secure, w.slots) }

// WriteHeader gives a response that may have a body a Content-Type, before
// net/http guesses one from what the body begins with.
func (w *responseWriter) WriteHeader(status int) {
	header := w.Header()
	if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified && len(header["Content-Type"]) == 0 {
		if length := header["Content-Length"]; len(length) == 0 || length[0] != "0" {
			header["Content-Type"] = []string{"application/octet-stream"}
		}
	}
	w.wrote = w.wrote || status >= 200 || status == http.StatusSwitchingProtocols
	w.Writer.WriteHeader(status)
}

// begin writes the header for a handler that only writes a body.
func (w *responseWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.Writer.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	return w.Writer.ReadFrom(src)
}

// FlushError implements the interface of http.ResponseController.
func (w *responseWriter) FlushError() error {
	w.begin()
	return w.Writer.FlushError()
}

// isSecure reports whether the client's connection is https: the one to the trusted
// balancer, as it says, which may encrypt what came to it in the clear, or else
// ours. What a balancer does not establish was removed from the request, and others
// are not believed.
func isSecure(r *http.Request) bool {
	proto := r.Header["X-Forwarded-Proto"]
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted && len(proto) > 0 {
		return len(proto) == 1 && proto[0] == "https"
	}
	return r.TLS != nil
}

// errorRoute stands in front of a server's error routes. They write to the
// server's own ResponseWriter, and answer requests that ended before any handler
// of the site ran.
type errorRoute struct {
	policy *Policy // for requests that no handler has seen; nil for none
}

// errorRouteKey is the key under which a server's errorRoute is kept.
type errorRouteKey struct{}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (e *errorRoute) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	policy := e.policy
	if req := guard.From(r); req != nil && req.SecurityHeaders != nil {
		policy, _ = req.SecurityHeaders.(*Policy)
	}
	if policy == nil {
		return next.ServeHTTP(w, r)
	}
	return serve(w, r, next, policy)
}

// Interface guards
var (
	_ stamp.Stamper               = (*responseWriter)(nil)
	_ caddyhttp.MiddlewareHandler = (*errorRoute)(nil)
)
