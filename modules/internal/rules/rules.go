// Package rules is what directives with access rules share: how a rule is written
// in a Caddyfile, and in which readings of a request it has to hold.
package rules

import (
	"net/http"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// Judge decides by a policy. Where the configuration allows requests that backends
// read in several ways, a request has to be allowed in each of them. It is safe
// for concurrent use; make one with New.
type Judge struct {
	policy    *access.Policy
	overrides bool // X-HTTP-Method-Override can get here
	slashes   bool // an encoded slash can
}

// New returns the judge by policy in a configuration.
func New(policy *access.Policy, config *suite.Config) Judge {
	allowed, lenient := config.Canonical, config.CanonicalDryRun
	return Judge{
		policy:    policy,
		overrides: (allowed.MethodOverride || lenient) && policy.ByMethod(),
		slashes:   allowed.EncodedSlash || lenient,
	}
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
	if !j.overrides {
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

func isMethod(s string) bool {
	_, err := access.ParseMethod(s)
	return err == nil
}
