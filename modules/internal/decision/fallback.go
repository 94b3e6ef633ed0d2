package decision

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(Fallback{})
}

// fallbackRoute is the error route in front of a server's own.
const fallbackRoute = `{"handler":"problem_fallback"}`

// fallenBack is the key under which a configuration remembers the servers that have
// a Fallback.
type fallenBack struct{ server *caddyhttp.Server }

// FallBack puts a Fallback in front of the error routes of a server whose handlers
// are being provisioned, once. Error routes are provisioned after them.
func FallBack(config *suite.Config, server *caddyhttp.Server) {
	config.Once(fallenBack{server}, func() any {
		if server.Errors == nil {
			server.Errors = new(caddyhttp.HTTPErrorConfig)
		}
		route := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(fallbackRoute)}}
		server.Errors.Routes = slices.Insert(server.Errors.Routes, 0, route)
		return nil
	})
}

// Fallback answers errors with a problem document where the site's handle_errors
// write nothing: Caddy would send an empty body. It is no directive;
// FallBack puts it in front of a server's error routes.
//
// It knows an unanswered error by its response: no body and no Content-Type.
type Fallback struct {
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Fallback) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.problem_fallback",
		New: func() caddy.Module { return new(Fallback) },
	}
}

// Provision implements caddy.Provisioner.
func (f *Fallback) Provision(ctx caddy.Context) error {
	f.logger = ctx.Logger()
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (f *Fallback) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	sayWhen(w.Header(), refusalOf(r))
	held := &heldWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	err := next.ServeHTTP(held, r)
	if err != nil && !held.passed {
		// The error route failed itself, or has a guard that refuses.
		r = new(caddyhttp.HTTPErrorConfig).WithError(r, err)
		held.status = ErrorStatus(r)
		err = nil
	}
	status := held.status
	if status == 0 {
		status = ErrorStatus(r)
	}
	f.logServerError(r, status)
	switch {
	case err != nil || held.passed:
		return err
	case held.Header().Get("Content-Type") != "":
		w.WriteHeader(status)
	default:
		WriteProblem(w, r, status)
	}
	return nil
}

// logServerError makes up for Caddy, which logs errors at DEBUG only once a
// server has error routes: a failing backend has to stay visible.
func (f *Fallback) logServerError(r *http.Request, status int) {
	if status < 500 {
		return
	}
	if c := f.logger.Check(zap.ErrorLevel, "request failed"); c != nil {
		err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
		c.Write(zap.Int("status", status), zap.String("method", r.Method), zap.String("host", r.Host),
			zap.String("request_id", RequestID(r)), zap.Error(err))
	}
}

// ErrorStatus is the status of the error that ended r: 500 unless a handler
// chose another.
func ErrorStatus(r *http.Request) int {
	if err, ok := r.Context().Value(caddyhttp.ErrorCtxKey).(caddyhttp.HandlerError); ok && err.StatusCode >= 400 {
		return err.StatusCode
	}
	return http.StatusInternalServerError
}

// heldWriter holds a final status back until a body follows, so that a response
// without one can still become a problem document.
type heldWriter struct {
	*caddyhttp.ResponseWriterWrapper
	status int
	passed bool // the header went to the wrapped writer
}

func (h *heldWriter) WriteHeader(status int) {
	switch {
	case h.passed || h.status != 0:
	case status >= 100 && status < 200:
		h.ResponseWriterWrapper.WriteHeader(status)
	case status < 400:
		h.passed = true
		h.ResponseWriterWrapper.WriteHeader(status)
	default:
		h.status = status
	}
}

func (h *heldWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h.pass()
	return h.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom; the embedded one would go past Write.
func (h *heldWriter) ReadFrom(src io.Reader) (int64, error) {
	h.pass()
	return h.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError implements the interface of http.ResponseController.
func (h *heldWriter) FlushError() error {
	h.pass()
	return http.NewResponseController(h.ResponseWriterWrapper.ResponseWriter).Flush()
}

func (h *heldWriter) pass() {
	if h.passed {
		return
	}
	h.passed = true
	if h.status == 0 {
		h.status = http.StatusOK
	}
	h.ResponseWriterWrapper.WriteHeader(h.status)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Fallback)(nil)
	_ caddyhttp.MiddlewareHandler = (*Fallback)(nil)
)
