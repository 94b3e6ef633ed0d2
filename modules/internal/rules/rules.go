// Package rules is what directives with access rules share: how a rule is written
// in a Caddyfile, and in which readings of a request it has to hold.
package rules

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// wouldDeny counts what rules in dry_run would refuse. Its labels are configured
// names.
var wouldDeny = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "access_rule_would_deny_total",
	Help:      "Requests that were allowed and that a rule in dry_run would have refused, by site, guard and rule.",
}, []string{"site", "guard", "rule"})

// Judge decides by a policy. Where the configuration allows requests that backends
// read in several ways, a request has to be allowed in each of them. It is safe
// for concurrent use; make one with New.
type Judge struct {
	policy    *access.Policy
	overrides bool // X-HTTP-Method-Override can get here
	slashes   bool // an encoded slash can
	// wouldDeny counts for the rules in dry_run, by name; nil if there are none.
	wouldDeny map[string]prometheus.Counter
}

// New returns the judge by policy for a guard that is set up.
func New(ctx caddy.Context, policy *access.Policy, g *guard.Guard) (*Judge, error) {
	allowed, lenient := g.Suite().Canonical, g.Suite().CanonicalDryRun
	j := &Judge{
		policy:    policy,
		overrides: allowed.MethodOverride || lenient,
		slashes:   allowed.EncodedSlash || lenient,
	}
	names := policy.DryRuns()
	if names == nil {
		return j, nil
	}
	j.wouldDeny = make(map[string]prometheus.Counter, len(names))
	for _, name := range names {
		j.wouldDeny[name] = wouldDeny.WithLabelValues(g.Site(), g.Name(), name)
	}
	return j, metric.Register(ctx, wouldDeny)
}

// Decide judges the request, and where it can have other readings, those too. h is
// its header.
func (j *Judge) Decide(h http.Header, req *guard.Request) access.Decision {
	q := access.Request{Method: req.Method, Host: req.Host, Path: req.Path, Client: req.Client}
	d := j.decideMethods(h, q, req)
	// Some servers decode %2F before they split the path, others never do.
	if j.slashes && d.Verdict == access.Allowed && strings.Contains(q.Path, "%2F") {
		q.Path = strings.ReplaceAll(q.Path, "%2F", "/")
		d = j.decideMethods(h, q, req)
	}
	return d
}

// methodOverrides are the headers with which frameworks let a caller name
// another method than that of the request line.
var methodOverrides = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

func (j *Judge) decideMethods(h http.Header, q access.Request, req *guard.Request) access.Decision {
	d := j.policy.Decide(q, req.Principal)
	if !j.overrides || !j.policy.ByMethod() {
		return d
	}
	for _, name := range methodOverrides {
		for _, value := range h[name] {
			if d.Verdict != access.Allowed {
				return d
			}
			// What is no method may be one to somebody: "DELETE, GET".
			if q.Method = strings.ToUpper(strings.TrimSpace(value)); !isMethod(q.Method) {
				return access.Decision{Verdict: access.NotAllowed}
			}
			d = j.policy.Decide(q, req.Principal)
		}
	}
	return d
}

// WouldRefuse returns what the rules in dry_run would have refused of a request that
// Decide allows, in whichever of its readings, and counts it.
func (j *Judge) WouldRefuse(h http.Header, req *guard.Request) []access.Decision {
	if j.wouldDeny == nil {
		return nil
	}
	q := access.Request{Method: req.Method, Host: req.Host, Path: req.Path, Client: req.Client}
	found := j.wouldRefuseMethods(h, q, req, nil)
	if j.slashes && strings.Contains(q.Path, "%2F") {
		q.Path = strings.ReplaceAll(q.Path, "%2F", "/")
		found = j.wouldRefuseMethods(h, q, req, found)
	}
	for _, d := range found {
		j.wouldDeny[d.Rule].Inc()
	}
	return found
}

func (j *Judge) wouldRefuseMethods(h http.Header, q access.Request, req *guard.Request, found []access.Decision) []access.Decision {
	found = j.policy.WouldRefuse(q, req.Principal, found)
	if !j.overrides {
		return found
	}
	for _, name := range methodOverrides {
		for _, value := range h[name] {
			// What is no method has no rule that it could be told of.
			if q.Method = strings.ToUpper(strings.TrimSpace(value)); isMethod(q.Method) {
				found = j.policy.WouldRefuse(q, req.Principal, found)
			}
		}
	}
	return found
}

func isMethod(s string) bool {
	_, err := access.ParseMethod(s)
	return err == nil
}
