package securityheaders

import (
	"cmp"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler writes the response headers that tell browsers and caches to be careful
// and removes those that give the service away, when the header of a response is
// sent: also on refusals and errors. It refuses nothing.
//
// Of several handlers that a request meets, the first whose matcher matches
// decides. In dry_run responses are left alone.
type Handler struct {
	guard.Guard

	// Preset is api, html or none: what is done before the options. Default: api.
	Preset string `json:"preset,omitempty"`

	// Set are headers that replace the backend's and the preset's. Default: none.
	Set []Field `json:"set,omitempty"`

	// Default are headers for responses that have none of the name. They replace
	// the preset's. Default: none.
	Default []Field `json:"default,omitempty"`

	// Remove are names of headers that do not leave, also those of the preset. A *
	// at the end stands for any. Default: none beside the preset's.
	Remove []string `json:"remove,omitempty"`

	policy *Policy
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.security_headers",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "security_headers"); err != nil {
		return err
	}
	var err error
	if h.policy, err = Compile(h.config()); err != nil {
		return err
	}
	refused := new(errorRoute)
	route, err := h.FrontErrorRoutes(ctx, errorRouteKey{}, refused)
	if err != nil {
		return err
	}
	if first := route.(*errorRoute); first.policy == nil && len(h.MatchersRaw) == 0 && !h.DryRun() {
		first.policy = h.policy
	}
	return nil
}

func (h *Handler) config() Config {
	return Config{Preset: cmp.Or(h.Preset, presetAPI), Set: h.Set, Default: h.Default, Remove: h.Remove}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil || req.SecurityHeaders != nil || h.DryRun() {
		return next.ServeHTTP(w, r)
	}
	req.SecurityHeaders = h.policy
	h.Allow()
	return serve(w, r, next, h.policy)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
