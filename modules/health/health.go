package health

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("health", func() order.Directive { return new(Handler) })
}

// Handler answers /livez, /readyz and /startupz, and serves what other modules publish.
type Handler struct {
	suite  *suite.Config
	logger *zap.Logger

	mu     sync.Mutex
	reason string // why the last probe found the gateway not ready, "" if it was
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.health",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	var err error
	if h.suite, err = suite.Of(ctx); err != nil {
		return err
	}
	h.suite.Probed()
	_, err = edge.Of(ctx)
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	switch r.URL.Path {
	case "/livez":
		return answer(w, r, http.StatusOK, "live\n")
	case "/startupz":
		if h.suite.StartedUp() {
			return answer(w, r, http.StatusOK, "started\n")
		}
		return answer(w, r, http.StatusServiceUnavailable, "not started\n")
	case "/readyz":
		if h.ready() {
			return answer(w, r, http.StatusOK, "ready\n")
		}
		return answer(w, r, http.StatusServiceUnavailable, "not ready\n")
	}
	if document := h.suite.Published(r.URL.Path); document != nil {
		if err := onlyRead(w, r); err != nil {
			return err
		}
		document.ServeHTTP(w, r)
		return nil
	}
	return next.ServeHTTP(w, r)
}

// ready asks every condition and logs when the answer changes.
func (h *Handler) ready() bool {
	reason := ""
	if err := errors.Join(h.suite.NotReady()...); err != nil {
		reason = err.Error()
	}
	h.mu.Lock()
	changed := reason != h.reason
	h.reason = reason
	h.mu.Unlock()
	switch {
	case changed && reason != "":
		h.logger.Warn("not ready", zap.String("reason", reason))
	case changed:
		h.logger.Info("ready")
	}
	return reason == ""
}

func answer(w http.ResponseWriter, r *http.Request, status int, body string) error {
	if err := onlyRead(w, r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.WriteString(w, body)
	return err
}

func onlyRead(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	w.Header().Set("Allow", "GET, HEAD")
	return caddyhttp.HandlerError{StatusCode: http.StatusMethodNotAllowed}
}

// UnmarshalCaddyfile reads the directive, which has no arguments and no options.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		return o.Errf("health has no options, found %q", o.Val())
	})
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
