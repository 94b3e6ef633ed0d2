package ratelimiter

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// responseWriter makes the RateLimit fields of a response the gateway's alone.
// They are set early, so that a later refusal has them, and once more before the
// header is sent: reverse_proxy adds a backend's fields to those that are there,
// and one line in the syntax of an older draft makes the whole list unreadable.
//
// One request has one responseWriter; further guards add their items to it.
// Hijacking and deadlines reach the wrapped writer through Unwrap.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper

	// The values are arrays because the header refers to them. They are not
	// shared between responses: Caddy's header directive replaces in place.
	policy, limit [1]string
	sent          bool
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
	return &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}, true
}

// serve passes r on, behind the guard that put w in place.
func (w *responseWriter) serve(r *http.Request, next caddyhttp.Handler) error {
	err := next.ServeHTTP(w, r)
	// Handlers that write nothing, or end in an error, may have set fields too.
	if !w.sent {
		w.stamp()
	}
	return err
}

func (w *responseWriter) set(policy, limit string) {
	w.policy[0], w.limit[0] = policy, limit
	w.stamp()
}

func (w *responseWriter) stamp() {
	h := w.Header()
	h[fieldPolicy] = w.policy[:]
	h[fieldLimit] = w.limit[:]
}

// send stamps the fields for the last time.
func (w *responseWriter) send() {
	if !w.sent {
		w.sent = true
		w.stamp()
	}
}

// WriteHeader stamps informational responses too, but they are not the last: of
// the statuses below 200 only 101 is.
func (w *responseWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.send()
	} else if !w.sent {
		w.stamp()
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
// otherwise flush the wrapped writer, and a header without the last stamp.
func (w *responseWriter) FlushError() error {
	w.send()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*responseWriter)(nil)
	_ io.ReaderFrom       = (*responseWriter)(nil)
)
