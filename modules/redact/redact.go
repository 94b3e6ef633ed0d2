package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/redact/scrub"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("redact", func() order.Directive { return new(Handler) })
}

// The values of OnError.
const (
	onErrorBlock    = "block"
	onErrorTruncate = "truncate"
)

// revision is part of the stamp on entity tags. It changes when the same rules
// make something else of a body.
const revision = "1"

// matches counts what rules have found. All labels are configured words.
var matches = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "redact_matches_total",
	Help:      "What the rules of redact have found in responses, by site, mode, action and selector (keys:NAME or detect:DETECTOR).",
}, []string{"site", "mode", "action", "selector"})

// Handler takes secrets and personal data out of what backends answer, by the
// names of JSON members and by what detectors find in text. It fails closed: what
// cannot be inspected does not pass.
type Handler struct {
	guard.Guard

	// Response are the rules for the bodies of responses. Default: none, which is
	// refused.
	Response []Rule `json:"response,omitempty"`

	// OnError is what happens to a response of which something was sent before it
	// turned out that the rest cannot be inspected: "block" aborts the connection,
	// so that the client sees that the response is incomplete, "truncate" ends the
	// response. In front of that both refuse it with 502. Default: block.
	OnError string `json:"on_error,omitempty"`

	policy   *scrub.Policy
	stamp    string // on entity tags
	counters []prometheus.Counter
}

// Rule is an action and what it applies to.
type Rule struct {
	// Action is "drop": the member is removed; "mask": eight asterisks take the
	// place of a text, 0 that of a number, null that of anything else; "replace":
	// the text takes its place. Required.
	Action string `json:"action,omitempty"`

	// Keys are names of JSON members, at any depth. Case and the separators "_",
	// "-", "." and space make no difference. Default: none.
	Keys []string `json:"keys,omitempty"`

	// Detect are detectors: card, cloud_keys, email, jwt. Not with drop. Default:
	// none.
	Detect []string `json:"detect,omitempty"`

	// KeepLast is how many characters mask leaves at the end, never more than half
	// of them. 0 to 32. Default: 0.
	KeepLast int `json:"keep_last,omitempty"`

	// Text is what replace puts in place of the value. Default: nothing.
	Text string `json:"text,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.redact",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "redact"); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	if err := metric.Register(ctx, matches); err != nil {
		return err
	}
	mode := guard.ModeEnforce
	if h.DryRun() {
		mode = guard.ModeDryRun
	}
	for _, s := range h.policy.Selectors() {
		h.counters = append(h.counters, matches.WithLabelValues(h.Site(), mode, string(s.Action), s.Kind+":"+s.Name))
	}
	return nil
}

// check refuses rules that are wrong, and compiles them.
func (h *Handler) check() error {
	var errs []error
	if h.OnError != "" && h.OnError != onErrorBlock && h.OnError != onErrorTruncate {
		errs = append(errs, fmt.Errorf("on_error %q is not %s or %s", h.OnError, onErrorBlock, onErrorTruncate))
	}
	rules := make([]scrub.Rule, len(h.Response))
	for i, r := range h.Response {
		rules[i] = r.rule()
	}
	policy, err := scrub.Compile(rules)
	if err != nil {
		errs = append(errs, fmt.Errorf("response: %w", err))
	}
	h.policy, h.stamp = policy, stampOf(h.Response)
	return errors.Join(errs...)
}

func (r Rule) rule() scrub.Rule {
	return scrub.Rule{Action: scrub.Action(r.Action), Keys: r.Keys, Detectors: r.Detect, KeepLast: r.KeepLast, Text: r.Text}
}

// stampOf tells policies apart in entity tags.
func stampOf(rules []Rule) string {
	encoded, _ := json.Marshal(rules) // strings and numbers only
	sum := sha256.Sum256(append([]byte(revision), encoded...))
	return "-r" + hex.EncodeToString(sum[:4])
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
	if upgrades(r) {
		if err := h.Deny(w, r, reasonUpgrade, nil); err != nil {
			return err
		}
		return next.ServeHTTP(w, r)
	}
	if h.DryRun() {
		return h.observe(w, r, next)
	}
	prepare(r, h.stamp)
	rw := newWriter(h, w, r)
	defer rw.release()
	return rw.serve(next)
}

// count adds what was found to the metrics.
func (h *Handler) count(s *scrub.Stream) {
	if s == nil {
		return
	}
	for i, n := range s.Counts() {
		if n > 0 {
			h.counters[i].Add(float64(n))
		}
	}
}

// isEventStream reports whether a client waits for the header alone.
func isEventStream(header http.Header) bool {
	value := header.Get("Content-Type")
	const media = "text/event-stream"
	return len(value) >= len(media) && strings.EqualFold(value[:len(media)], media)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
