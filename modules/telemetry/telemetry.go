package telemetry

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("telemetry", func() order.Directive { return new(Handler) })
}

// Handler measures the requests of a site. It refuses nothing.
type Handler struct {
	// LogPrincipal adds the id of the authenticated caller to the access log,
	// unless it has an "@": an email address is personal. Default: false.
	LogPrincipal bool `json:"log_principal,omitempty"`

	meter *siteMeter
	logs  bool // the server has an access log
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.telemetry",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := metric.Register(ctx, collectors...); err != nil {
		return err
	}
	around, err := edge.Of(ctx)
	if err != nil {
		return err
	}
	h.meter = newSiteMeter(guard.SiteOf(around))
	h.logs = around.Caddy().Logs != nil
	around.MeterBy(newSiteMeter(around.Name()))
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if seen := edge.From(r); seen != nil && seen.Measured != nil {
		if seen.Measured.Claim(r, h.meter) {
			h.log(r, seen.Measured)
		}
		return next.ServeHTTP(w, r)
	}
	if timing.From(r.Context()) != nil {
		return next.ServeHTTP(w, r)
	}
	w, measured := edge.Measure(w, r, h.meter)
	measured.Claim(r, h.meter)
	h.log(r, measured)
	status := 0
	defer func() { measured.End(status) }() // also of what panics
	err := next.ServeHTTP(w, r)
	status = statusOf(err)
	return err
}

// statusOf is what a request will be answered with that a handler ended, as far
// as can be known before the error routes have run.
func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if refused := (caddyhttp.HandlerError{}); errors.As(err, &refused) && refused.StatusCode != 0 {
		return refused.StatusCode
	}
	return http.StatusInternalServerError
}

// log adds to the entry of the access log, if there will be one. The fields are
// read when it is written.
func (h *Handler) log(r *http.Request, measured *edge.Measurement) {
	if !h.logs {
		return
	}
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	extra.Add(zap.Object("timing", (*timings)(measured)))
	if h.LogPrincipal {
		extra.Add(zap.Inline((*caller)(measured)))
	}
}

// timings is a measurement as the access log shows it, in seconds.
type timings edge.Measurement

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (t *timings) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	measured := (*edge.Measurement)(t)
	if own, known := measured.Own(); known {
		enc.AddFloat64("gateway", own.Seconds())
	}
	for p := range timing.Phases {
		if spent := measured.Spent(p); spent > 0 {
			enc.AddFloat64(p.String(), spent.Seconds())
		}
	}
	if n := measured.Attempts(); n > 0 {
		enc.AddInt("attempts", n)
	}
	return nil
}

// caller is who made the request, as the access log shows it.
type caller edge.Measurement

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (c *caller) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if req := guard.From(c.Request); req != nil && req.Principal != nil && !strings.Contains(req.Principal.ID, "@") {
		enc.AddString("principal", req.Principal.ID)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ zapcore.ObjectMarshaler     = (*timings)(nil)
	_ zapcore.ObjectMarshaler     = (*caller)(nil)
)
