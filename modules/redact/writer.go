package redact

import (
	"bufio"
	"errors"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

// buffered is how much of a redacted body is held back before the header is
// sent: what is complete by then has a Content-Length, and what turns out not to
// be inspectable by then is answered with a problem document.
const buffered = 16 << 10

var errRefused = errors.New("the response is not passed on")

// writer is what the handlers behind redact write to. It has no Unwrap, and
// Hijack refuses: nothing goes past it.
type writer struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	before  http.Header // what was set in front
	status  int         // 0 until WriteHeader
	written bool        // a byte of the body came
	sent    bool        // the header went to w

	inspection
	trailers []string // the names that were announced

	body   *[]byte // redacted, not sent yet
	reason *decision.Reason
	cause  error
}

var bodies = sync.Pool{New: func() any {
	b := make([]byte, 0, buffered)
	return &b
}}

func newWriter(h *Handler, w http.ResponseWriter, r *http.Request) *writer {
	return &writer{h: h, w: w, r: r, before: maps.Clone(w.Header())}
}

func (w *writer) release() {
	w.inspection.release()
	if w.body != nil {
		*w.body = (*w.body)[:0]
		bodies.Put(w.body)
		w.body = nil
	}
}

// serve runs the handlers behind redact and ends the response.
func (w *writer) serve(next caddyhttp.Handler) error {
	err := w.run(next)
	if err == nil && w.reason == nil {
		w.finish()
	}
	if w.reason != nil {
		return w.refused()
	}
	if w.stream != nil {
		w.h.count(w.stream)
	}
	switch {
	case err == nil:
		w.h.Allow()
	case w.sent:
		// An error route would add its body to what is there, and the client
		// would take both for complete.
		w.h.Logger().Warn("response aborted", zap.Error(err))
		panic(http.ErrAbortHandler)
	case w.status != 0:
		w.restore()
	}
	return err
}

// run runs the handlers. Where writing fails, reverse_proxy panics: a refusal
// of ours is told apart from a backend that went away.
func (w *writer) run(next caddyhttp.Handler) (err error) {
	defer func() {
		if w.reason == nil {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the panic value itself
			panic(p)
		}
	}()
	return next.ServeHTTP(w, w.r)
}

// finish takes the end of the body.
func (w *writer) finish() {
	if err := w.inspection.close(); err != nil {
		_ = w.fail(err)
		return
	}
	w.dropTrailers()
	switch {
	case w.sent:
		_ = w.flushBody()
	case w.status != 0:
		w.send(true)
	default:
		w.amend(true) // net/http will send the header
	}
}

// dropTrailers takes back what came behind the body, which nobody inspected: by
// now it would be sent as a trailer, or with the header if that is still here.
func (w *writer) dropTrailers() {
	h := w.w.Header()
	for _, names := range w.trailers {
		for name := range strings.SplitSeq(names, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
}

// refused ends a response that cannot be inspected.
func (w *writer) refused() error {
	if w.stream != nil {
		w.h.count(w.stream)
	}
	if !w.sent {
		w.restore()
	}
	err := w.h.Deny(w.w, w.r, w.reason, w.cause)
	switch {
	case !w.sent:
		return err
	case w.h.OnError == onErrorTruncate:
		return nil
	}
	panic(http.ErrAbortHandler)
}

// restore takes back the header of a response that is not sent.
func (w *writer) restore() {
	h := w.w.Header()
	clear(h)
	maps.Copy(h, w.before)
}

// block makes the response end in front of what comes.
func (w *writer) block(reason *decision.Reason, cause error) error {
	if w.reason == nil {
		w.reason, w.cause = reason, cause
	}
	return errRefused
}

// fail takes an error of the inspection or of the connection.
func (w *writer) fail(err error) error {
	if reason := reasonOf(err); reason != nil {
		// What came out in front of it is certain.
		if w.sent {
			_ = w.flushBody()
		}
		return w.block(reason, err)
	}
	return err
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.w.Header() }

// WriteHeader implements http.ResponseWriter. The header is sent when it is
// known that the body can be.
func (w *writer) WriteHeader(status int) {
	switch {
	case w.status != 0 || w.reason != nil:
		return
	case status == http.StatusSwitchingProtocols:
		_ = w.block(reasonUpgrade, nil)
		return
	case status < 200:
		w.w.WriteHeader(status)
		return
	}
	w.status = status
	w.inspection = inspect(w.w.Header(), w.h.policy.HasKeys())
	w.trailers = w.w.Header()["Trailer"]
	switch {
	case isPart(status, w.w.Header()):
		// It was not asked for, and a part hides what it is a part of.
		_ = w.block(reasonPartial, nil)
	case w.obstacle != nil && w.r.Method == http.MethodHead && !w.hasNoBody() && w.w.Header().Get("Content-Length") != "0":
		_ = w.block(w.obstacle, nil) // as GET is
	}
}

// isPart reports whether a response is a part of a representation, or a
// difference to one (RFC 3229).
func isPart(status int, h http.Header) bool {
	return status == http.StatusPartialContent || status == http.StatusIMUsed ||
		status != http.StatusRequestedRangeNotSatisfiable && len(h["Content-Range"]) > 0
}

// hasNoBody reports whether the status allows no body.
func (w *writer) hasNoBody() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.reason != nil:
		return 0, errRefused
	case len(p) == 0:
		return 0, nil
	case w.r.Method == http.MethodHead:
		return len(p), nil
	case w.hasNoBody():
		return 0, http.ErrBodyNotAllowed
	case w.obstacle != nil:
		return 0, w.block(w.obstacle, nil)
	}
	if w.opaque && !w.written {
		if w.unmask(p); w.obstacle != nil {
			return 0, w.block(w.obstacle, nil)
		}
	}
	w.written = true
	if w.opaque {
		if !w.sent {
			w.send(false)
		}
		return w.w.Write(p)
	}
	if w.stream == nil {
		w.inspection.open(w.h.policy, (*output)(w))
	}
	if err := w.inspection.write(p); err != nil {
		return 0, w.fail(err)
	}
	return len(p), nil
}

// output is where the redacted body comes out.
type output writer

func (o *output) Write(p []byte) (int, error) {
	w := (*writer)(o)
	if w.body == nil {
		w.body, _ = bodies.Get().(*[]byte)
	}
	if len(*w.body)+len(p) <= buffered {
		*w.body = append(*w.body, p...)
		return len(p), nil
	}
	if !w.sent {
		w.send(false)
	}
	if err := w.flushBody(); err != nil {
		return 0, err
	}
	if len(p) < buffered/4 {
		*w.body = append(*w.body, p...)
		return len(p), nil
	}
	return w.w.Write(p)
}

// flushBody writes what is held back.
func (w *writer) flushBody() error {
	if w.body == nil || len(*w.body) == 0 {
		return nil
	}
	_, err := w.w.Write(*w.body)
	*w.body = (*w.body)[:0]
	return err
}

// send sends the header, and the body so far. whole says that there is no more.
func (w *writer) send(whole bool) {
	w.amend(whole)
	if whole && w.written && !w.opaque {
		n := 0
		if w.body != nil {
			n = len(*w.body)
		}
		w.w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	w.sent = true
	w.w.WriteHeader(w.status)
	_ = w.flushBody()
}

// amend makes the header say what is true of the redacted response.
func (w *writer) amend(whole bool) {
	h := w.w.Header()
	stampTag(h, w.h.stamp)
	for _, name := range []string{"Last-Modified", "Accept-Ranges", "Trailer"} {
		h.Del(name)
	}
	if w.opaque {
		return
	}
	// Digests of another body, and signatures that cover them.
	for _, name := range []string{"Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Signature", "Signature-Input"} {
		h.Del(name)
	}
	if w.written || !whole || w.hasNoBody() || w.r.Method == http.MethodHead {
		h.Del("Content-Length")
		if w.codings > 0 {
			h.Del("Content-Encoding")
		}
	}
}

// FlushError implements the interface of http.ResponseController. A flush in
// front of the body is for clients of event streams, which wait for the header;
// for others the header waits for the body, which may have to be refused.
func (w *writer) FlushError() error {
	if w.reason != nil || w.status == 0 {
		return nil
	}
	if !w.sent {
		if !w.written && !isEventStream(w.w.Header()) || w.obstacle != nil {
			return nil
		}
		w.send(false)
	}
	if err := w.flushBody(); err != nil {
		return err
	}
	return http.NewResponseController(w.w).Flush() //nolint:bodyclose
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// Hijack implements http.Hijacker, and refuses: nobody would read what goes
// over the connection then.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, w.block(reasonUpgrade, nil)
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex implement the
// interfaces of http.ResponseController, which finds no Unwrap.
func (w *writer) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(w.w).SetReadDeadline(t)
}

// SetWriteDeadline: see SetReadDeadline.
func (w *writer) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.w).SetWriteDeadline(t)
}

// EnableFullDuplex: see SetReadDeadline.
func (w *writer) EnableFullDuplex() error {
	return http.NewResponseController(w.w).EnableFullDuplex()
}
