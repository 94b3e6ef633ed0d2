package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
	"github.com/sallyport-gateway/sallyport/modules/internal/rules"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

func init() {
	caddy.RegisterModule(new(Verifier))
	order.Register("verify_gateway", func() order.Directive { return new(Verifier) })
}

const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = 30 * time.Second

	// claimed begins the store's names of assertions that were used.
	claimed = "verify_gateway\x00"
)

// Verifier stands in front of a service and refuses what did not come through the
// gateway. It fails closed.
type Verifier struct {
	guard.Guard

	// Audience is the name of this service, as in the gateway's transport. Required.
	Audience string `json:"audience,omitempty"`

	// Issuer is the name of the gateway. Default: sallyport.
	Issuer string `json:"issuer,omitempty"`

	// JWKS is the URL of the gateway's public keys. Either this or JWKSFile is
	// required.
	JWKS string `json:"jwks,omitempty"`

	// JWKSFile is a file with them: a JWK set or PEM. It is reread when it changes.
	JWKSFile string `json:"jwks_file,omitempty"`

	// Header is the header that carries the assertion. Default: Sallyport-Assertion.
	Header string `json:"header,omitempty"`

	// Leeway is how far the gateway's clock may differ from ours, at most 30s.
	// Default: 5s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Rules over methods, paths, hosts and callers, as those of access_rules.
	// Default: none, and every request with a good assertion is let through.
	Rules []access.Rule `json:"rule,omitempty"`

	// Otherwise is "allow" or "deny": what happens to a request that no rule names.
	// Default: deny with rules.
	Otherwise string `json:"otherwise,omitempty"`

	header string
	verify assertion.Verifier
	judge  *rules.Judge
	held   []io.Closer
}

// CaddyModule returns the Caddy module information.
func (*Verifier) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.verify_gateway",
		New: func() caddy.Module { return new(Verifier) },
	}
}

// Provision implements caddy.Provisioner.
func (v *Verifier) Provision(ctx caddy.Context) error {
	policy, err := v.compile()
	if err != nil {
		return err
	}
	if err := v.Setup(ctx, "verify_gateway"); err != nil {
		return err
	}
	v.header = http.CanonicalHeaderKey(cmp.Or(v.Header, guard.AssertionHeader))
	guard.TakeAssertions(v.Suite(), v.header)
	if policy != nil {
		if v.judge, err = rules.New(ctx, policy, &v.Guard); err != nil {
			return err
		}
	}
	v.verify = assertion.Verifier{Issuer: cmp.Or(v.Issuer, defaultIssuer), Audience: v.Audience, Leeway: defaultLeeway}
	if v.Leeway != nil {
		v.verify.Leeway = time.Duration(*v.Leeway)
	}
	v.verify.Keys, err = v.openKeys(ctx)
	return err
}

func (v *Verifier) openKeys(ctx caddy.Context) (keys jwt.KeySource, err error) {
	var held io.Closer
	if v.JWKSFile != "" {
		keys, held, err = keysets.File(v.Suite(), v.Logger(), v.JWKSFile, []string{assertion.Algorithm})
	} else {
		// A service is inside, and so is its gateway.
		keys, held, err = keysets.Fetched(ctx, v.Suite(), "verify_gateway", jwks.Config{URL: v.JWKS, AllowPrivate: true})
	}
	if held != nil {
		v.held = append(v.held, held)
	}
	return keys, err
}

// Cleanup implements caddy.CleanerUpper.
func (v *Verifier) Cleanup() error {
	var errs []error
	for _, c := range v.held {
		errs = append(errs, c.Close())
	}
	v.held = nil
	return errors.Join(errs...)
}

// The values of Otherwise.
const (
	otherwiseAllow = "allow"
	otherwiseDeny  = "deny"
)

// compile checks the configuration as a whole. The policy is nil without rules.
func (v *Verifier) compile() (*access.Policy, error) {
	errs := v.faults()
	switch {
	case v.Audience == "":
		errs = append(errs, errors.New("audience is missing: an assertion for any other service would be accepted"))
	}
	switch {
	case v.JWKS == "" && v.JWKSFile == "":
		errs = append(errs, errors.New("jwks is missing: where the gateway's keys are"))
	case v.JWKS != "" && v.JWKSFile != "":
		errs = append(errs, errors.New("only one of jwks and jwks file can be given"))
	}
	if len(v.Rules) == 0 {
		if v.Otherwise != "" {
			errs = append(errs, errors.New("otherwise is for requests that no rule names, and there is no rule"))
		}
		return nil, errors.Join(errs...)
	}
	policy, err := access.Compile(v.Rules, v.Otherwise == otherwiseAllow)
	return policy, errors.Join(append(errs, err)...)
}

// faults returns what is wrong with single values.
func (v *Verifier) faults() []error {
	var errs []error
	fault := func(option string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", option, err))
		}
	}
	for option, text := range map[string]string{"audience": v.Audience, "issuer": v.Issuer} {
		if text != "" {
			_, err := parseText(text)
			fault(option, err)
		}
	}
	if v.JWKS != "" {
		fault("jwks", jwks.CheckURL(v.JWKS))
	}
	if v.Header != "" {
		fault("header", guard.CheckAssertionHeader(v.Header))
	}
	if v.Leeway != nil && (*v.Leeway < 0 || time.Duration(*v.Leeway) > maxLeeway) {
		fault("leeway", fmt.Errorf("not between 0s and %s", maxLeeway))
	}
	if v.Otherwise != "" && v.Otherwise != otherwiseAllow && v.Otherwise != otherwiseDeny {
		fault("otherwise", fmt.Errorf("%q is not %s or %s", v.Otherwise, otherwiseAllow, otherwiseDeny))
	}
	return errs
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (v *Verifier) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	guard.Expose(r)
	req, err := v.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	lines := req.Assertions(v.header)
	if v.DryRun() && lines != nil {
		r.Header[v.header] = lines
	}
	reason, cause := v.decide(r, req, lines)
	if reason == nil {
		v.allow(r, req)
		return next.ServeHTTP(w, r)
	}
	if !v.DryRun() {
		challenge(w.Header(), reason)
	}
	rule, _ := cause.(ruleName)
	if err := v.DenyBy(string(rule), r, reason, cause); err != nil {
		return err
	}
	return next.ServeHTTP(w, r)
}

// allow counts that the request may pass, or that a rule in dry_run is against it.
func (v *Verifier) allow(r *http.Request, req *guard.Request) {
	var against []access.Decision
	if v.judge != nil {
		against = v.judge.WouldRefuse(r.Header, req)
	}
	for _, d := range against {
		v.WouldDenyBy(d.Rule, r, ruleReasons[d.Verdict], ruleName(d.Rule))
	}
	if against == nil {
		v.Allow()
	}
}

// decide judges the assertion and sets the principal. The reason is nil if the
// request may pass.
func (v *Verifier) decide(r *http.Request, req *guard.Request, lines []string) (*decision.Reason, error) {
	switch len(lines) {
	case 0:
		return reasonMissing, nil
	case 1:
	default:
		return reasons[assertion.Malformed], errSeveral
	}
	now := time.Now()
	arrived := assertion.Target{Method: req.Method, Path: req.RawPath, Query: req.RawQuery}
	accepted, err := v.verify.Verify(r.Context(), lines[0], arrived, now)
	if err != nil {
		return reasonOf(err), err
	}
	// Last, so that nothing is remembered of what was not good.
	first, err := v.Suite().Store().Claim(r.Context(), claimed+v.Audience+"\x00"+accepted.ID, accepted.Remember)
	switch {
	case err != nil:
		return reasonUsesUnknown, err
	case !first:
		return reasonReplay, nil
	}
	req.Principal = accepted.Caller
	if v.judge == nil {
		return nil, nil
	}
	d := v.judge.Decide(r.Header, req)
	if d.Verdict == access.Allowed {
		return nil, nil
	}
	return ruleReasons[d.Verdict], ruleName(d.Rule)
}

// challenge sets what belongs to a refusal beside its document.
func challenge(h http.Header, reason *decision.Reason) {
	switch reason.Status {
	case http.StatusUnauthorized:
		// RFC 9110 section 15.5.2 demands one. No client can answer it.
		h.Set("Www-Authenticate", "Sallyport-Assertion")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Verifier)(nil)
	_ caddy.CleanerUpper          = (*Verifier)(nil)
	_ caddyhttp.MiddlewareHandler = (*Verifier)(nil)
)
