package auth

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(errorRoute))
}

// heldVar is the key, among Caddy's variables of a request, of the identity
// headers that were taken out of it.
const heldVar = "sallyport.auth.held"

// heldHeaders are identity headers that no backend gets. One of them may be a
// credential, also of another auth handler further on.
type heldHeaders struct {
	header http.Header
}

// String keeps them out of whatever prints Caddy's variables.
func (*heldHeaders) String() string { return "" }

// takeFrom takes the identity headers out of r and returns all that were taken so
// far, or nil.
func (i *identityHeaders) takeFrom(r *http.Request) http.Header {
	before, _ := caddyhttp.GetVar(r.Context(), heldVar).(*heldHeaders)
	if before != nil {
		return i.take(r.Header, before.header)
	}
	held := i.take(r.Header, nil)
	if held != nil {
		caddyhttp.SetVar(r.Context(), heldVar, &heldHeaders{held})
	}
	return held
}

// errorRoute takes identity headers out of requests that were refused before they
// came to auth, by another guard or by the canonical check: error pages may come
// from a backend. It is no directive; auth puts it in front of its server's error
// routes.
type errorRoute struct {
	// IdentityHeaders are more headers, as in Handler.
	IdentityHeaders []string `json:"identity_headers,omitempty"`

	identity *identityHeaders
}

// CaddyModule returns the Caddy module information.
func (*errorRoute) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.auth_error_route",
		New: func() caddy.Module { return new(errorRoute) },
	}
}

// Provision implements caddy.Provisioner.
func (e *errorRoute) Provision(caddy.Context) error {
	e.identity = newIdentityHeaders(e.IdentityHeaders, nil)
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (e *errorRoute) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	e.identity.takeFrom(r)
	guard.Expose(r)
	return next.ServeHTTP(w, r)
}

// guardErrorRoutes puts an errorRoute in front of the server's error routes, which
// are provisioned after its routes. It is too late for that where no route has raw
// handlers left: error routes or named routes are being provisioned.
func (h *Handler) guardErrorRoutes(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil || !slices.ContainsFunc(server.Routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 }) {
		return nil
	}
	raw, err := json.Marshal(struct {
		Handler string `json:"handler"`
		errorRoute
	}{"auth_error_route", errorRoute{IdentityHeaders: h.removed()}})
	if err != nil {
		return err
	}
	h.Suite().Once([2]any{server, string(raw)}, func() any {
		server.Errors.Routes = slices.Insert(server.Errors.Routes, 0, caddyhttp.Route{HandlersRaw: []json.RawMessage{raw}})
		return nil
	})
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*errorRoute)(nil)
	_ caddyhttp.MiddlewareHandler = (*errorRoute)(nil)
)
