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

// advertise passes r on, with items added to the fields of its response.
func advertise(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, policy, limit string) error {
	if outer := claimed(w); outer != nil {
		outer.set(join(outer.policy[0], policy), join(outer.limit[0], limit))
		return next.ServeHTTP(w, r)
	}
	own := &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	own.set(policy, limit)
	err := next.ServeHTTP(own, r)
	// Handlers that write nothing, or end in an error, may have set fields too.
	if !own.sent {
		own.stamp()
	}
	return err
}

// advertiseRefusal sets the fields of a refusal. The limits are those that are
// used up, and only those: Retry-After must not come before the end of an
// effective window (section 6), and the ends of others mean nothing here.
func advertiseRefusal(w http.ResponseWriter, policy, limit string) {
	outer := claimed(w)
	if outer == nil {
		outer = &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	}
	outer.set(join(outer.policy[0], policy), limit)
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
