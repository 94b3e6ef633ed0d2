package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
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
const revision = "2"

// matches counts what rules have found. All labels are configured words.
var matches = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "redact_matches_total",
	Help: "What the rules of redact have found in responses and requests, by site, mode, action and selector " +
		"(keys:NAME, path:PATH, detect:DETECTOR, header:NAME or query:NAME).",
}, []string{"site", "mode", "action", "selector"})

// Handler takes secrets and personal data out of what backends answer, by the
// names and paths of JSON members and by what detectors find in text, and keeps
// requests from taking them there. It fails closed: what cannot be inspected does
// not pass.
type Handler struct {
	guard.Guard

	// Response are the rules for the bodies of responses. Default: none, which is
	// refused without a Request.
	Response []Rule `json:"response,omitempty"`

	// Request is what may not reach the backend. Default: nothing is kept back.
	Request *Request `json:"request,omitempty"`

	// Reveal is who sees responses as the backend made them. Default: nobody.
	Reveal *Reveal `json:"reveal,omitempty"`

	// OnError is what happens to a response of which something was sent before it
	// turned out that the rest cannot be inspected: "block" aborts the connection,
	// so that the client sees that the response is incomplete, "truncate" ends the
	// response. In front of that both refuse it with 502. Default: block.
	OnError string `json:"on_error,omitempty"`

	policy   *scrub.Policy // nil without rules for responses
	stamp    string        // on entity tags
	counters []prometheus.Counter
	revealed prometheus.Counter
}

// Rule is an action and what it applies to.
type Rule struct {
	// Action is "drop": the member is removed; "mask": eight asterisks take the
	// place of a text, 0 that of a number, null that of anything else; "replace":
	// the text takes its place; "hash": a token that only the same value has, null
	// for an object or array. Required.
	Action string `json:"action,omitempty"`

	// Keys are names of JSON members, at any depth. Case and the separators "_",
	// "-", "." and space make no difference. Default: none.
	Keys []string `json:"keys,omitempty"`

	// Path are places in JSON, in a part of JSONPath: .name, ..name, [3] and [*]
	// behind $. Names are compared as those of Keys. Default: none.
	Path []string `json:"path,omitempty"`

	// Detect are detectors: card, cloud_keys, email, iban, jwt, private_key. Not
	// with drop. Default: none.
	Detect []string `json:"detect,omitempty"`

	// KeepLast is how many characters mask leaves at the end, never more than half
	// of them. 0 to 32. Default: 0.
	KeepLast int `json:"keep_last,omitempty"`

	// Text is what replace puts in place of the value. Default: nothing.
	Text string `json:"text,omitempty"`

	// Key is the secret of hash, as {env.NAME} or {file.PATH}: 16 bytes or more.
	// Required with hash.
	Key string `json:"key,omitempty"`
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
	if err := h.compile(); err != nil {
		return err
	}
	if err := metric.Register(ctx, matches); err != nil {
		return err
	}
	if err := metric.Register(ctx, reveals); err != nil {
		return err
	}
	mode := guard.ModeEnforce
	if h.DryRun() {
		mode = guard.ModeDryRun
	}
	counter := func(action, selector string) prometheus.Counter {
		return matches.WithLabelValues(h.Site(), mode, action, selector)
	}
	if h.policy != nil {
		for _, s := range h.policy.Selectors() {
			h.counters = append(h.counters, counter(string(s.Action), s.Kind+":"+s.Name))
		}
	}
	if h.Request != nil {
		h.Request.provision(counter)
	}
	h.revealed = reveals.WithLabelValues(h.Site())
	return nil
}

// check refuses what is wrong. No secret is read.
func (h *Handler) check() error {
	var errs []error
	if h.OnError != "" && h.OnError != onErrorBlock && h.OnError != onErrorTruncate {
		errs = append(errs, fmt.Errorf("on_error %q is not %s or %s", h.OnError, onErrorBlock, onErrorTruncate))
	}
	var checker scrub.Checker
	for _, r := range h.Response {
		if err := errors.Join(checker.Check(r.rule()), r.checkKey()); err != nil {
			errs = append(errs, fmt.Errorf("response: %w", err))
		}
	}
	if len(h.Response) == 0 && h.Request == nil {
		errs = append(errs, errors.New("no rule: nothing would be redacted"))
	}
	if h.Request != nil {
		if err := h.Request.check(); err != nil {
			errs = append(errs, fmt.Errorf("request: %w", err))
		}
	}
	if h.Reveal != nil {
		errs = append(errs, h.Reveal.check())
		if len(h.Response) == 0 {
			errs = append(errs, errors.New("reveal: there is no rule for responses that would hide anything"))
		}
	}
	return errors.Join(errs...)
}

// checkKey refuses a hash without a key, and a key that is written out.
func (r Rule) checkKey() error {
	switch {
	case r.Action != string(scrub.Hash) && r.Key != "":
		return fmt.Errorf("%s takes no key", r.Action)
	case r.Action == string(scrub.Hash) && r.Key == "":
		return errors.New("hash needs a key: {env.NAME} or {file.PATH}")
	case r.Key != "":
		if err := secret.Check(r.Key); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	}
	return nil
}

// compile reads the secrets and prepares the rules for responses.
func (h *Handler) compile() error {
	if len(h.Response) == 0 {
		return nil
	}
	var errs []error
	rules := make([]scrub.Rule, len(h.Response))
	for i, r := range h.Response {
		rules[i] = r.rule()
		if r.Key == "" {
			continue
		}
		key, err := secret.Resolve(r.Key)
		if err != nil {
			errs = append(errs, fmt.Errorf("response[%d]: key: %w", i, err))
		}
		rules[i].Key = []byte(key)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	if h.policy, err = scrub.Compile(rules); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	h.stamp = stampOf(rules)
	return nil
}

func (r Rule) rule() scrub.Rule {
	return scrub.Rule{Action: scrub.Action(r.Action), Keys: r.Keys, Paths: r.Path, Detectors: r.Detect, KeepLast: r.KeepLast, Text: r.Text}
}

// stampOf tells policies apart in entity tags. Another key makes other bodies: what
// stands for it here says nothing about it.
func stampOf(rules []scrub.Rule) string {
	stamped := slices.Clone(rules)
	for i := range stamped {
		if key := stamped[i].Key; key != nil {
			mac := hmac.New(sha256.New, key)
			_, _ = io.WriteString(mac, "sallyport entity tag")
			stamped[i].Key = mac.Sum(nil)
		}
	}
	encoded, _ := json.Marshal(stamped) // strings and numbers only
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
	refused := false // in dry_run
	if h.Request != nil {
		if refused, err = h.receive(w, r); err != nil {
			return err
		}
	}
	shown := h.policy == nil || h.Reveal.to(req.Principal)
	if upgrades(r) && (!shown || h.blocks()) {
		if err := h.Deny(w, r, reasonUpgrade, nil); err != nil {
			return err
		}
		return next.ServeHTTP(w, r)
	}
	switch {
	case shown:
		if !refused {
			h.Allow()
		}
		if h.policy == nil {
			return next.ServeHTTP(w, r)
		}
		return h.reveal(w, r, next)
	case h.DryRun():
		return h.observe(w, r, next, refused)
	}
	prepare(r, h.stamp)
	rw := newWriter(h, w, r)
	defer rw.release()
	return rw.serve(next)
}

// receive deals with the request on its way to the backend. refused says that it
// would not have gone on, in dry_run.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (refused bool, err error) {
	h.Request.drop(r, h.DryRun())
	if !h.blocks() {
		return false, nil
	}
	reason, cause := h.Request.judge(r)
	switch {
	case reason != nil:
		return true, h.Deny(w, r, reason, cause)
	case cause != nil && !h.DryRun():
		return true, cause
	}
	return false, nil
}

// blocks reports whether requests are looked into.
func (h *Handler) blocks() bool { return h.Request != nil && h.Request.block != nil }

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
