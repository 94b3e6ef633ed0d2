package ratelimiter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/stamp"
)

// responseWriter makes the RateLimit fields of a response the gateway's alone.
// They are set early, so that a later refusal has them, and once more before the
// header is sent: reverse_proxy adds a backend's fields to those that are there,
// and one line in the syntax of an older draft makes the whole list unreadable.
//
// One request has one responseWriter; further guards add their items to it.
type responseWriter struct {
	stamp.Writer

	// The values are arrays because the header refers to them. They are not
	// shared between responses: Caddy's header directive replaces in place.
	policy, limit [1]string
}

// claimed returns the responseWriter that a guard further out put in place.
func claimed(w http.ResponseWriter) *responseWriter {
	for range 16 {
		if found, ok := w.(*responseWriter); ok {
			return found
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wrapper.Unwrap()
	}
	return nil
}

// claim returns the responseWriter of w, and whether it is a new one.
func claim(w http.ResponseWriter) (claimant *responseWriter, first bool) {
	if outer := claimed(w); outer != nil {
		return outer, false
	}
	claimant = new(responseWriter)
	claimant.ResponseWriter, claimant.Stamper = w, claimant
	return claimant, true
}

// serve passes r on, behind the guard that put w in place.
func (w *responseWriter) serve(r *http.Request, next caddyhttp.Handler) error {
	return w.Writer.Serve(w, r, next)
}

func (w *responseWriter) set(policy, limit string) {
	w.policy[0], w.limit[0] = policy, limit
	w.Stamp(w.Header())
}

// Stamp implements stamp.Stamper.
func (w *responseWriter) Stamp(header http.Header) {
	header[fieldPolicy] = w.policy[:]
	header[fieldLimit] = w.limit[:]
}

// Interface guards
var _ stamp.Stamper = (*responseWriter)(nil)
