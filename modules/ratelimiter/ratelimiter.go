package ratelimiter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Quota))
	order.Register(rateLimiterName, func() order.Directive { return new(Handler) })
	order.Register(quotaName, func() order.Directive { return new(Quota) })
}

const (
	rateLimiterName = "rate_limiter"
	quotaName       = "quota"
)

var (
	reasonLimited   = decision.NewReason("rate.limited", http.StatusTooManyRequests, "Too many requests.")
	reasonExhausted = decision.NewReason("quota.exhausted", http.StatusTooManyRequests, "The quota is used up.")
)

// Handler limits how often a client may call, before authentication. It fails
// closed: a request whose key cannot be told apart shares a bucket with others
// of its kind.
type Handler struct {
	guard.Guard

	// Zones are limits of how often. All of them have to admit a request, and one
	// that is refused counts in none. At most 8; there is at least one, or a
	// Concurrency.
	Zones []Zone `json:"zones,omitempty"`

	// Concurrency are limits of how many at a time. At most 8.
	Concurrency []Concurrency `json:"concurrency,omitempty"`

	limiter limiter
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers." + rateLimiterName,
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, rateLimiterName); err != nil {
		return err
	}
	return h.limiter.provision(ctx, &h.Guard, rateLimiterName, reasonLimited, h.Zones, h.Concurrency)
}

// Cleanup implements caddy.CleanerUpper.
func (h *Handler) Cleanup() error { return h.limiter.cleanup() }

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.limiter.serve(&h.Guard, w, r, next)
}

// Quota limits how often a consumer may call, after authentication. It fails
// closed: a request without a principal is charged to its client's address.
type Quota struct {
	guard.Guard

	// Zones are limits of how often. All of them have to admit a request, and one
	// that is refused counts in none. At most 8; there is at least one, or a
	// Concurrency.
	Zones []Zone `json:"zones,omitempty"`

	// Concurrency are limits of how many at a time. At most 8.
	Concurrency []Concurrency `json:"concurrency,omitempty"`

	limiter limiter
}

// CaddyModule returns the Caddy module information.
func (*Quota) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers." + quotaName,
		New: func() caddy.Module { return new(Quota) },
	}
}

// Provision implements caddy.Provisioner.
func (q *Quota) Provision(ctx caddy.Context) error {
	if err := q.Setup(ctx, quotaName); err != nil {
		return err
	}
	return q.limiter.provision(ctx, &q.Guard, quotaName, reasonExhausted, q.Zones, q.Concurrency)
}

// Cleanup implements caddy.CleanerUpper.
func (q *Quota) Cleanup() error { return q.limiter.cleanup() }

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (q *Quota) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return q.limiter.serve(&q.Guard, w, r, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Quota)(nil)
	_ caddy.CleanerUpper          = (*Quota)(nil)
	_ caddyhttp.MiddlewareHandler = (*Quota)(nil)
)
