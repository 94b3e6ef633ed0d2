package redact

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

// observer reads along in dry_run: what passes is not touched.
type observer struct {
	*caddyhttp.ResponseWriterWrapper
	h      *Handler
	head   bool
	status int
	begun  bool // a byte of the body came
	inspection

	reason *decision.Reason
	cause  error
}

// observe counts what would be redacted or refused. refused says that the request
// was counted already.
func (h *Handler) observe(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, refused bool) error {
	o := &observer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, h: h, head: r.Method == http.MethodHead}
	defer o.inspection.release()
	err := next.ServeHTTP(o, r)
	if o.reason == nil {
		o.note(o.inspection.close())
	}
	h.count(o.stream)
	if o.reason != nil {
		_ = h.Deny(w, r, o.reason, o.cause)
	} else if err == nil && !refused {
		h.Allow()
	}
	return err
}

func (o *observer) note(err error) {
	if err != nil && o.reason == nil {
		o.reason, o.cause = reasonOf(err), err
	}
}

// WriteHeader implements http.ResponseWriter.
func (o *observer) WriteHeader(status int) {
	if o.status == 0 && status >= 200 {
		o.status = status
		o.inspection = inspect(o.Header(), o.h.policy.HasKeys())
		if isPart(status, o.Header()) {
			o.reason = reasonPartial
		}
	}
	o.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *observer) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
		o.inspection = inspect(o.Header(), o.h.policy.HasKeys())
	}
	if len(p) > 0 && o.opaque && !o.begun {
		o.unmask(p)
	}
	o.begun = o.begun || len(p) > 0
	if len(p) > 0 && !o.head && !o.opaque && o.reason == nil {
		if o.obstacle != nil {
			o.reason = o.obstacle
		} else {
			if o.stream == nil {
				o.inspection.open(o.h.policy, io.Discard)
			}
			o.note(o.inspection.write(p))
		}
	}
	return o.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom; the embedded one would go past Write.
func (o *observer) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{o}, src)
}
