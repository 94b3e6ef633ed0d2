package tlspolicy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// What client_auth may be.
const (
	clientRequire = "require"
	clientIfGiven = "verify_if_given"
)

// RFC 9110 section 15.5.20: the client may ask again on a connection of its own.
var reasonMisdirected = decision.NewReason("tls_policy.misdirected", http.StatusMisdirectedRequest,
	"This connection is not for this site.")

// Handler sees to it that a site's TLS policy holds: the connection policies of
// its server are not weaker, whatever else configures them, and no request comes
// to it over a connection that was made for another site, with other settings.
//
// It configures no connection: the directive adds a connection policy beside it.
type Handler struct {
	guard.Guard

	// Level is "modern" (TLS 1.3) or "intermediate" (and TLS 1.2 with forward
	// secrecy and authenticated encryption). Required.
	Level string `json:"level,omitempty"`

	// ClientAuth is "require" or "verify_if_given": whether clients have to show a
	// certificate; one that is shown is verified either way. Default: clients are
	// not asked for one by this policy.
	ClientAuth string `json:"client_auth,omitempty"`

	level   *level
	clients clients
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.tls_policy",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	var errs []error
	if h.level = levelNamed(h.Level); h.level == nil {
		errs = append(errs, fmt.Errorf("level %q is not one of %s", h.Level, strings.Join(levelNames(), ", ")))
	}
	switch h.ClientAuth {
	case "", clientRequire, clientIfGiven:
	default:
		errs = append(errs, fmt.Errorf("client_auth %q is not %s or %s", h.ClientAuth, clientRequire, clientIfGiven))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("tls_policy works only in a server of the http app")
	}
	// Before Setup, which changes the routes that hostsOf reads.
	hosts := hostsOf(server)
	if err := h.Setup(ctx, "tls_policy"); err != nil {
		return err
	}
	return h.agree(server, hosts)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	if !h.holds(r.TLS) {
		if err := h.Deny(w, r, reasonMisdirected, nil); err != nil {
			return err
		}
		return next.ServeHTTP(w, r)
	}
	h.Allow()
	return next.ServeHTTP(w, r)
}

// holds reports whether a connection is as the policy wants it. Caddy chooses
// the connection policy by the name in the handshake, and the site by the Host of
// each request.
func (h *Handler) holds(c *tls.ConnectionState) bool {
	return c != nil && h.level.holds(c) && h.clients.hold(c)
}

// connectionPolicy is what the level is for Caddy.
func (l *level) connectionPolicy() *caddytls.ConnectionPolicy {
	p := &caddytls.ConnectionPolicy{
		ProtocolMin: caddytls.ProtocolName(l.minVersion),
		ProtocolMax: caddytls.ProtocolName(tls.VersionTLS13),
		ALPN:        alpn,
	}
	for _, id := range l.suites {
		p.CipherSuites = append(p.CipherSuites, tls.CipherSuiteName(id))
	}
	for _, id := range curves {
		p.Curves = append(p.Curves, curveName(id))
	}
	return p
}

// curveName is Caddy's name of a curve.
func curveName(id tls.CurveID) string {
	for name, known := range caddytls.SupportedCurves {
		if known == id {
			return name
		}
	}
	return id.String()
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
