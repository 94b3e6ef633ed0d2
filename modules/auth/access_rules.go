package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/auth/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(AccessRules))
	order.Register("access_rules", func() order.Directive { return new(AccessRules) })
}

// Callers are not told what they lack, nor whether a rule exists.
const titleAccess = "This caller may not make this request."

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
// access.role, access.issuer, access.method, access.tier, access.claim. To the
// holder of a token that lacks a scope, WWW-Authenticate names the scopes of the
// rule (RFC 6750 section 3.1), as the standard has it, so that clients can ask
// for them.
type AccessRules struct {
	guard.Guard

	// Rules over methods, paths, hosts and callers. At least one.
	Rules []access.Rule `json:"rule,omitempty"`

	// Otherwise is "allow" or "deny": what happens to a request that no rule
	// names. Default: deny.
	Otherwise string `json:"otherwise,omitempty"`

	policy    *access.Policy
	overrides bool // X-HTTP-Method-Override can get here
	slashes   bool // an encoded slash can
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
	var err error
	if h.policy, err = h.compile(); err != nil {
		return err
	}
	if err := h.Setup(ctx, "access_rules"); err != nil {
		return err
	}
	allowed, lenient := h.Suite().Canonical, h.Suite().CanonicalDryRun
	h.overrides = (allowed.MethodOverride || lenient) && h.policy.ByMethod()
	h.slashes = allowed.EncodedSlash || lenient
	return nil
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
	d := h.decide(r, req)
	if d.Verdict == access.Allowed {
		h.Guard.Allow()
		return next.ServeHTTP(w, r)
	}
	if d.Verdict == access.MissingScope && req.Principal.Method == "jwt" && !h.DryRun() {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+d.Scope+`"`)
	}
	if err := h.Deny(w, r, accessReasons[d.Verdict], ruleName(d.Rule)); err != nil {
		return err
	}
	return next.ServeHTTP(w, r)
}

// decide judges the request, and where it can have other readings, those too.
func (h *AccessRules) decide(r *http.Request, req *guard.Request) access.Decision {
	q := access.Request{Method: req.Method, Host: req.Host, Path: req.Path}
	d := h.decideMethods(r, q, req)
	// Some servers decode %2F before they split the path, others never do.
	if h.slashes && d.Verdict == access.Allowed && strings.Contains(q.Path, "%2F") {
		q.Path = strings.ReplaceAll(q.Path, "%2F", "/")
		d = h.decideMethods(r, q, req)
	}
	return d
}

// methodOverrides are the headers with which frameworks let a caller name
// another method than that of the request line.
var methodOverrides = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

func (h *AccessRules) decideMethods(r *http.Request, q access.Request, req *guard.Request) access.Decision {
	d := h.policy.Decide(q, req.Principal)
	if !h.overrides {
		return d
	}
	for _, name := range methodOverrides {
		for _, value := range r.Header[name] {
			if d.Verdict != access.Allowed {
				return d
			}
			// What is no method may be one to somebody: "DELETE, GET".
			if q.Method = strings.ToUpper(strings.TrimSpace(value)); !isMethod(q.Method) {
				return access.Decision{Verdict: access.NotAllowed}
			}
			d = h.policy.Decide(q, req.Principal)
		}
	}
	return d
}

func isMethod(s string) bool {
	_, err := access.ParseMethod(s)
	return err == nil
}

// ruleName is the rule that refused, as the cause in the debug log.
type ruleName string

func (n ruleName) Error() string {
	if n == "" {
		return "no rule names the request"
	}
	return "rule " + string(n)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*AccessRules)(nil)
	_ caddyhttp.MiddlewareHandler = (*AccessRules)(nil)
)
