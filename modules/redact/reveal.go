package redact

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// reveals counts responses that were shown as they are.
var reveals = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "redact_revealed_total",
	Help:      "Responses that redact showed to privileged callers as the backend made them, by site.",
}, []string{"site"})

// Reveal is who sees the original response: whoever has one of what is listed.
// Anonymous callers never do.
type Reveal struct {
	// Roles of the principal. Default: none.
	Roles []string `json:"role,omitempty"`

	// Scopes of the principal. Default: none.
	Scopes []string `json:"scope,omitempty"`

	// Principals are ids. An id is unique within its issuer only: with several
	// issuers, use roles that only one of them gives. Default: none.
	Principals []string `json:"principal,omitempty"`
}

func (v *Reveal) check() error {
	all := slices.Concat(v.Roles, v.Scopes, v.Principals)
	if len(all) == 0 || slices.Contains(all, "") {
		return errors.New("reveal names nobody, or has an empty name")
	}
	return nil
}

// to reports whether p sees the original.
func (v *Reveal) to(p *principal.Principal) bool {
	if v == nil || p == nil {
		return false
	}
	return slices.ContainsFunc(v.Roles, p.HasRole) || slices.ContainsFunc(v.Scopes, p.HasScope) || slices.Contains(v.Principals, p.ID)
}

// reveal shows a response as it is, to its caller alone.
func (h *Handler) reveal(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.revealed.Inc()
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("redact", "revealed"))
	}
	if !h.DryRun() {
		w = &original{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	}
	return next.ServeHTTP(w, r)
}

// original is the writer for a response that is not redacted: no cache may hold
// it, which could show it to somebody else.
type original struct {
	*caddyhttp.ResponseWriterWrapper
	begun bool
}

func (o *original) begin() {
	if o.begun {
		return
	}
	o.begun = true
	h := o.Header()
	for name := range h {
		// RFC 9213 has headers for caches of one kind each.
		if strings.HasSuffix(name, "Cdn-Cache-Control") || name == "Surrogate-Control" || name == "Expires" {
			delete(h, name)
		}
	}
	h.Set("Cache-Control", "private, no-store")
}

// WriteHeader implements http.ResponseWriter.
func (o *original) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		o.begin()
	}
	o.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *original) Write(p []byte) (int, error) {
	o.begin()
	return o.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom; the embedded one would go past Write.
func (o *original) ReadFrom(src io.Reader) (int64, error) {
	o.begin()
	return o.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError implements the interface of http.ResponseController: a flush in front
// of everything else sends the header.
func (o *original) FlushError() error {
	o.begin()
	return http.NewResponseController(o.ResponseWriter).Flush() //nolint:bodyclose
}

// Flush implements http.Flusher.
func (o *original) Flush() { _ = o.FlushError() }
