// Package guard is what every guard has in common: the one view of the request,
// the client's address, the matcher that is judged after both, the decision with
// its metric, and dry_run. A guard's Handler embeds Guard.
package guard

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// The modes of a guard.
const (
	ModeEnforce = "enforce"
	ModeDryRun  = "dry_run"
)

// Guard is embedded in a guard's Handler. Setup has to run before anything else;
// after that its methods are safe for concurrent use.
type Guard struct {
	// Mode is "enforce" or "dry_run": decide, count and log what would be
	// refused, and let it through. Default: enforce.
	Mode string `json:"mode,omitempty"`

	// MatchersRaw limits the guard to some requests. It is judged after the
	// canonical check, by the guard itself. Default: all requests.
	MatchersRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	name     string
	site     string
	matchers caddyhttp.MatcherSets
	suite    *suite.Config
	front    *front
	logger   *zap.Logger
	allowed  prometheus.Counter
}

// Setup prepares the guard called name, its directive. Call it first in
// Provision. It puts the canonical check in front of the server's routes and
// problem documents behind its error routes, and refuses a server on which
// callers choose their own address.
func (g *Guard) Setup(ctx caddy.Context, name string) error {
	if g.Mode != "" && g.Mode != ModeEnforce && g.Mode != ModeDryRun {
		return fmt.Errorf("mode %q is not %s or %s", g.Mode, ModeEnforce, ModeDryRun)
	}
	var err error
	if g.suite, err = suite.Of(ctx); err != nil {
		return err
	}
	if err := metric.Register(ctx, decisions); err != nil {
		return err
	}
	if g.MatchersRaw != nil {
		sets, err := ctx.LoadModule(g, "MatchersRaw")
		if err != nil {
			return fmt.Errorf("loading matchers: %w", err)
		}
		if err := g.matchers.FromInterface(sets); err != nil {
			return err
		}
	}
	around, err := edge.Of(ctx)
	if err != nil {
		return err
	}
	g.name, g.site, g.logger = name, SiteOf(around), ctx.Logger()
	g.allowed = decisions.WithLabelValues(g.site, name, verdictAllow, "")
	g.front, err = frontOf(around, g.suite, g.logger)
	return err
}

// SetMatcher limits the guard to the requests that m matches. order.Register
// calls it with the matcher token of a directive.
func (g *Guard) SetMatcher(m caddy.ModuleMap) {
	g.MatchersRaw = caddyhttp.RawMatcherSets{m}
}

// Option reads the options that every guard has. handled says whether o stands
// on one of them.
func Option(o *caddyfile.Dispenser, g *Guard) (handled bool, err error) {
	if o.Val() != "mode" {
		return false, nil
	}
	return true, read.Word(o, &g.Mode, ModeEnforce, ModeDryRun)
}

// Begin returns the one view of r. An error ends the request and is returned as
// it is: the request is ambiguous, its client is not established, a matcher
// failed. (nil, nil) means that the guard's matcher does not match: call next
// and nothing else.
func (g *Guard) Begin(w http.ResponseWriter, r *http.Request) (*Request, error) {
	req, err := g.front.check(r)
	if err != nil {
		return nil, err
	}
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		if err := g.Deny(w, r, reasonEarlyData, nil); err != nil {
			return nil, err
		}
	}
	if !req.Client.IsValid() {
		if err := g.Deny(w, r, reasonAddressUnknown, req.clientErr); err != nil {
			return nil, err
		}
	}
	// After the address: a matcher may ask for it, in Caddy's way.
	if len(g.matchers) > 0 {
		if matched, err := g.matches(r, req); err != nil || !matched {
			return nil, err
		}
	}
	return req, nil
}

// matches judges the guard's matcher. Where an allowed form gives the path two
// readings, the guard runs if either of them matches.
func (g *Guard) matches(r *http.Request, req *Request) (bool, error) {
	matched, err := g.matchers.AnyMatchWithError(r)
	if matched || err != nil || !req.ambiguous {
		return matched, err
	}
	path, refused := canonical.Path(r.URL.EscapedPath(), g.suite.Canonical)
	if refused != nil {
		return true, nil
	}
	read, url := *r, *r.URL
	read.URL, url.Path, url.RawPath = &url, path, ""
	return g.matchers.AnyMatchWithError(&read)
}

// Allow counts that the guard let a request pass.
func (g *Guard) Allow() { g.allowed.Inc() }

// Deny refuses r for reason and returns the error to end the request with. Set
// headers that belong to the refusal on w before. In dry_run it counts and logs
// that the request would have been refused and returns nil: go on as if allowed.
//
// cause is logged at debug level and shown to nobody; it must not contain a
// secret. It may be nil. A *decision.Detail is shown to the caller, too.
func (g *Guard) Deny(_ http.ResponseWriter, r *http.Request, reason *decision.Reason, cause error) error {
	return g.refuse(r, refusal{dryRun: g.DryRun(), reason: reason, cause: cause})
}

// DenyBy is Deny by the rule that has this name in the configuration: the log and
// the event say so, the caller is not told. An empty name is Deny.
func (g *Guard) DenyBy(rule string, r *http.Request, reason *decision.Reason, cause error) error {
	return g.refuse(r, refusal{dryRun: g.DryRun(), rule: rule, reason: reason, cause: cause})
}

// WouldDenyBy counts and logs that the rule, which is in dry_run, would have refused
// the request. If there is one, do not call Allow.
func (g *Guard) WouldDenyBy(rule string, r *http.Request, reason *decision.Reason, cause error) {
	_ = g.refuse(r, refusal{dryRun: true, rule: rule, reason: reason, cause: cause})
}

func (g *Guard) refuse(r *http.Request, f refusal) error {
	f.site, f.guard, f.logger, f.events = g.site, g.name, g.logger, g.suite.Events
	return refuse(r, f)
}

// DryRun reports whether the guard only records what it would refuse.
func (g *Guard) DryRun() bool { return g.Mode == ModeDryRun }

// Logger returns the logger of the guard's module.
func (g *Guard) Logger() *zap.Logger { return g.logger }

// Name returns the name of the guard, its directive.
func (g *Guard) Name() string { return g.name }

// Site returns the configured name of the site the guard stands in, as in the
// metrics: its first host, or its server's first address.
func (g *Guard) Site() string { return g.site }

// Suite returns what the modules of this configuration share.
func (g *Guard) Suite() *suite.Config { return g.suite }

// SiteOf names the site whose handlers are being provisioned: the first host of
// the route they stand in, or else the server.
func SiteOf(around *edge.Server) string {
	if route := currentRoute(around.Caddy()); route != nil {
		for _, set := range route.MatcherSets {
			for _, m := range set {
				if hosts, ok := m.(*caddyhttp.MatchHost); ok && len(*hosts) > 0 {
					return (*hosts)[0]
				}
			}
		}
	}
	return around.Name()
}

// currentRoute is the top-level route whose handlers are being provisioned, or
// nil while error routes and named routes are. Routes are provisioned in order,
// and Caddy drops a route's raw handlers when it has loaded them.
func currentRoute(server *caddyhttp.Server) *caddyhttp.Route {
	for i := range server.Routes {
		if len(server.Routes[i].HandlersRaw) > 0 {
			return &server.Routes[i]
		}
	}
	return nil
}
