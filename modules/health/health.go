package health

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/clientip"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("health", func() order.Directive { return new(Handler) })
}

// Handler answers /livez, /readyz and /startupz, and serves what other modules publish.
type Handler struct {
	// Details are addresses and prefixes of probers that are shown which policy is in
	// force, as the address of the connection has it; also that of the client where a
	// balancer forwards the request. Default: nobody.
	Details []string `json:"details,omitempty"`

	suite   *suite.Config
	edge    *edge.Server
	logger  *zap.Logger
	details []netip.Prefix

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
	h.details = nil
	var errs []error
	for i, text := range h.Details {
		prefix, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("details[%d]: %q %w", i, text, err))
			continue
		}
		h.details = append(h.details, prefix)
	}
	h.edge, err = edge.Of(ctx)
	return errors.Join(append(errs, err)...)
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
		if digest := h.suite.Policy(); digest != "" && h.isPrivileged(r) {
			w.Header().Set("Sallyport-Policy", digest)
		}
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

// isPrivileged reports whether details are for the caller. It goes by the address
// of the connection (behind a TCP balancer, of the one that it vouches for): what a
// header says is no privilege. It takes one away: a balancer or proxy that is named
// and forwards a request must forward it for somebody who is named as well.
func (h *Handler) isPrivileged(r *http.Request) bool {
	if len(h.details) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false // a Unix socket
	}
	if !h.isNamed(peer.Addr().Unmap().WithZone("")) {
		return false
	}
	client, err := clientip.FromRequest(r, h.edge)
	if err != nil {
		return h.edge.Balancer() == nil && !isForwarded(r, h.edge.Caddy().ClientIPHeaders)
	}
	return h.isNamed(client)
}

func (h *Handler) isNamed(addr netip.Addr) bool {
	return slices.ContainsFunc(h.details, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isForwarded reports whether r has one of the headers that name a client.
func isForwarded(r *http.Request, headers []string) bool {
	return slices.ContainsFunc(headers, func(name string) bool { return len(r.Header.Values(name)) > 0 })
}

// parsePrefix reads an address or a prefix without bits behind its length.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("is not an address or prefix")
	}
	return prefix, nil
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

// UnmarshalCaddyfile reads the directive:
//
//	health {
//		details <cidrs...>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "details":
			return read.Values(o, func(text string) (string, error) {
				_, err := parsePrefix(text)
				return text, err
			}, &h.Details)
		default:
			return read.Unknown(o, "details")
		}
	})
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
