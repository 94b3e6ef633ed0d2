package auth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/rules"
)

func init() {
	caddy.RegisterModule(new(AccessRules))
	order.Register("access_rules", func() order.Directive { return new(AccessRules) })
}

// Callers are not told what they lack, nor whether a rule exists.
const titleAccess = "This caller may not make this request."

var reasonExpression = decision.NewReason("access.expression", http.StatusForbidden, titleAccess)

// accessReasons are the refusals, by verdict.
var accessReasons = [...]*decision.Reason{
	access.NotAllowed:    decision.NewReason("access.not_allowed", http.StatusForbidden, titleAccess),
	access.Denied:        decision.NewReason("access.denied", http.StatusForbidden, titleAccess),
	access.NoPrincipal:   decision.NewReason("access.no_principal", http.StatusForbidden, titleAccess),
	access.MissingScope:  decision.NewReason("access.scope", http.StatusForbidden, titleAccess),
	access.MissingRole:   decision.NewReason("access.role", http.StatusForbidden, titleAccess),
	access.MissingIssuer: decision.NewReason("access.issuer", http.StatusForbidden, titleAccess),
	access.MissingMethod: decision.NewReason("access.method", http.StatusForbidden, titleAccess),
	access.MissingTier:   decision.NewReason("access.tier", http.StatusForbidden, titleAccess),
	access.MissingClaim:  decision.NewReason("access.claim", http.StatusForbidden, titleAccess),

	access.UnmetExpression:  reasonExpression,
	access.FailedExpression: reasonExpression,
}

// The values of AccessRules.Otherwise.
const (
	otherwiseAllow = "allow"
	otherwiseDeny  = "deny"
)

// AccessRules decides what the caller that `auth` found may call. It fails
// closed: a request that no rule names is refused unless Otherwise says "allow",
// and so is a caller nobody knows wherever a rule requires something, as when
// `auth` is missing or in dry_run.
//
// If a deny rule names a request, it is refused. Every other rule that names it
// has to be satisfied; the order of rules plays no part. What a rule can name,
// how paths are compared and how methods are is told by the package access.
//
// Rules judge the request as the client sent it, in its canonical form, before
// any rewrite. There is no matcher in front of them, which could miss what they
// would have refused. Where the `sallyport` option allows encoded slashes or
// method overrides, a request has to be allowed in each of its readings. A
// method that a body names (`_method` of some frameworks) is not seen: turn that
// off in the backend.
//
// Refusals are 403 with one title; the reason is for metrics and logs only:
// access.denied, access.not_allowed, access.no_principal, access.scope,
// access.role, access.issuer, access.method, access.tier, access.claim,
// access.expression. To the holder of a token that lacks a scope, WWW-Authenticate names the scopes of the
// rule (RFC 6750 section 3.1), as the standard has it, so that clients can ask
// for them.
type AccessRules struct {
	guard.Guard

	// Rules over methods, paths, hosts and callers. At least one.
	Rules []access.Rule `json:"rule,omitempty"`

	// Otherwise is "allow" or "deny": what happens to a request that no rule
	// names. Default: deny.
	Otherwise string `json:"otherwise,omitempty"`

	judge *rules.Judge
}

// CaddyModule returns the Caddy module information.
func (*AccessRules) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.access_rules",
		New: func() caddy.Module { return new(AccessRules) },
	}
}

// Provision implements caddy.Provisioner.
func (h *AccessRules) Provision(ctx caddy.Context) error {
	policy, err := h.compile()
	if err != nil {
		return err
	}
	if err := h.Setup(ctx, "access_rules"); err != nil {
		return err
	}
	h.judge, err = rules.New(ctx, policy, &h.Guard)
	return err
}

var errMatcher = errors.New("access_rules takes no matcher: write methods, path and host into its rules, which are judged on the canonical request")

// compile checks the configuration as a whole.
func (h *AccessRules) compile() (*access.Policy, error) {
	var errs []error
	if h.MatchersRaw != nil {
		errs = append(errs, errMatcher)
	}
	if h.Otherwise != "" && h.Otherwise != otherwiseAllow && h.Otherwise != otherwiseDeny {
		errs = append(errs, fmt.Errorf("otherwise %q is not %s or %s", h.Otherwise, otherwiseAllow, otherwiseDeny))
	}
	policy, err := access.Compile(h.Rules, h.Otherwise == otherwiseAllow)
	return policy, errors.Join(append(errs, err)...)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *AccessRules) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	d := h.judge.Decide(r.Header, req)
	if d.Verdict == access.Allowed {
		h.allow(r, req)
		return next.ServeHTTP(w, r)
	}
	if d.Verdict == access.MissingScope && req.Principal.Method == "jwt" && !h.DryRun() {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+d.Scope+`"`)
	}
	if err := h.DenyBy(d.Rule, r, accessReasons[d.Verdict], refused(d)); err != nil {
		return err
	}
	return next.ServeHTTP(w, r)
}

// allow counts that the request may pass, or that a rule in dry_run is against it.
func (h *AccessRules) allow(r *http.Request, req *guard.Request) {
	against := h.judge.WouldRefuse(r.Header, req)
	for _, d := range against {
		h.WouldDenyBy(d.Rule, r, accessReasons[d.Verdict], refused(d))
	}
	if against == nil {
		h.Guard.Allow()
	}
}

// refused is the rule that refused, as the cause in the debug log. What CEL says
// about an expression may have a claim's value in it.
type refused access.Decision

func (d refused) Error() string {
	switch {
	case d.Rule == "":
		return "no rule names the request"
	case d.Verdict == access.FailedExpression:
		return "rule " + d.Rule + ": its expression cannot be evaluated for this caller, as when a claim is missing or of another type"
	}
	return "rule " + d.Rule
}

// Interface guards
var (
	_ caddy.Provisioner           = (*AccessRules)(nil)
	_ caddyhttp.MiddlewareHandler = (*AccessRules)(nil)
)
