package cors

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// What a refused preflight is answered with. A page cannot read it; the titles
// are for the developer who looks at the network panel.
var (
	reasonOrigin  = decision.NewReason("cors.origin_not_allowed", http.StatusForbidden, "This origin may not call this API from a browser.")
	reasonMethod  = decision.NewReason("cors.method_not_allowed", http.StatusForbidden, "This method may not be used across origins.")
	reasonHeaders = decision.NewReason("cors.headers_not_allowed", http.StatusForbidden, "These request headers may not be used across origins.")

	reasons = [...]*decision.Reason{OriginNotAllowed: reasonOrigin, MethodNotAllowed: reasonMethod, HeadersNotAllowed: reasonHeaders}
)

// Handler tells browsers which pages of other origins may call the API and read
// its responses (CORS, as the Fetch Standard defines it).
//
// It answers preflights itself: 204, or 403 where the origin, the method or a
// header is not allowed. Other requests pass, whatever their origin: CORS keeps
// pages from reading responses, it does not keep requests away, and is no
// defence against cross-site request forgery. Their responses carry the CORS
// fields of this policy and no others, also refusals and errors; a backend's
// own Access-Control-* fields are removed.
//
// Of several handlers that a request meets, the first whose matcher matches
// decides; the others leave it alone.
//
// In dry_run responses are not touched: no preflight is answered, no field is
// written or removed. Preflights that would be refused are counted and logged.
type Handler struct {
	guard.Guard

	// The origins whose pages may read responses, as browsers send them:
	// `https://app.example.com`, `http://localhost:5173`. With `*.` in front of
	// the host, the names below it at any depth, but not the host itself. `*`
	// alone allows all origins. Required.
	AllowOrigins []string `json:"allow_origins,omitempty"`

	// The methods that pages may use. GET, HEAD and POST are always allowed,
	// because browsers send them without asking. `*` alone allows all.
	// Default: none but these.
	AllowMethods []string `json:"allow_methods,omitempty"`

	// The request headers that pages may set. `*` allows all but Authorization,
	// which can be named beside it. Default: those that need no permission.
	AllowHeaders []string `json:"allow_headers,omitempty"`

	// The response headers that pages may read, beside the seven that need no
	// permission. `*` alone shows all. Default: none.
	ExposeHeaders []string `json:"expose_headers,omitempty"`

	// Pages may send cookies, client certificates and HTTP authentication, and
	// read the response. The origins then have to be https or loopback, and
	// neither `*` nor wildcards below a public suffix. Default: false.
	AllowCredentials bool `json:"allow_credentials,omitempty"`

	// How long browsers may keep the answer to a preflight, from 1s to 24h.
	// Chromium keeps it for 2h at most. Default: left to the browser (5s).
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	policy *Policy
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.cors",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "cors"); err != nil {
		return err
	}
	var err error
	if h.policy, err = Compile(h.config()); err != nil {
		return err
	}
	_, err = h.FrontErrorRoutes(ctx, errorRouteKey{}, errorRoute{})
	return err
}

func (h *Handler) config() Config {
	return Config{
		AllowOrigins:     h.AllowOrigins,
		AllowMethods:     h.AllowMethods,
		AllowHeaders:     h.AllowHeaders,
		ExposeHeaders:    h.ExposeHeaders,
		AllowCredentials: h.AllowCredentials,
		MaxAge:           time.Duration(h.MaxAge),
	}
}

// errorRouteKey is the key under which a server's errorRoute is kept.
type errorRouteKey struct{}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil || claimOf(req) != nil {
		return next.ServeHTTP(w, r)
	}
	// In an error route the request was refused, and stays so.
	preflight := IsPreflight(r) && r.Context().Value(caddyhttp.ErrorCtxKey) == nil
	if preflight {
		if verdict := h.policy.Preflight(r.Header); verdict != Allowed {
			return h.refuse(w, r, next, req, reasons[verdict])
		}
	}
	h.Allow()
	switch {
	case h.DryRun():
		return next.ServeHTTP(w, r)
	case preflight:
		h.policy.Answer(w.Header(), r.Header)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return claim(w, req, h.policy, h.policy.AllowedOrigin(r.Header)).serve(r, next)
}

// refuse ends a preflight without CORS fields, on which browsers give up.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, req *guard.Request, reason *decision.Reason) error {
	err := h.Deny(w, r, reason, nil)
	if err == nil { // dry_run
		return next.ServeHTTP(w, r)
	}
	varyOnPreflight(w.Header(), new([1]string))
	claim(w, req, h.policy, "").Stamp(w.Header())
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
