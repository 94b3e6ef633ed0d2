// Package exposure finds servers whose TLS does not fit what stands in front of
// them. Its findings are warnings, for `caddy validate` and at start: each is right
// in some network.
package exposure

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
)

// Plain returns the addresses of a server at which credentials arrive unencrypted
// from anywhere: it has no TLS there, trusts no balancer that could have ended it,
// and the address is not of this machine alone. Of a server with TLS, those are
// addresses with Caddy's default HTTP port: another http_port is not known yet. Ask while its routes are provisioned,
// and say whether a balancer in front of it is known.
func Plain(server *caddyhttp.Server, balanced bool) []string {
	if balanced || trusts(server) {
		return nil
	}
	var open []string
	for _, text := range server.Listen {
		if !isLocal(text) && (len(server.TLSConnPolicies) == 0 || isHTTPPort(text)) {
			open = append(open, text)
		}
	}
	return open
}

// trusts reports whether the server has trusted_proxies of any kind. They were
// loaded before the routes; there is no exported way to ask.
func trusts(server *caddyhttp.Server) bool {
	sources := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	return server.TrustedProxiesRaw != nil || sources.IsValid() && !sources.IsNil()
}

// isHTTPPort reports whether Caddy serves without TLS at an address in any case.
func isHTTPPort(text string) bool {
	address, err := caddy.ParseNetworkAddress(text)
	return err == nil && address.StartPort <= caddyhttp.DefaultHTTPPort && caddyhttp.DefaultHTTPPort <= address.EndPort
}

// isLocal reports whether only this machine can reach an address.
func isLocal(text string) bool {
	address, err := caddy.ParseNetworkAddress(text)
	if err != nil {
		return false
	}
	if address.IsUnixNetwork() {
		return true
	}
	host := address.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Challenged returns the names of a server whose certificates Caddy obtains by
// challenges that come in from the internet: HTTP and TLS-ALPN, not DNS. Behind an
// HTTPS balancer they do not arrive. tls has to be provisioned.
func Challenged(server *caddyhttp.Server, tls *caddytls.TLS) []string {
	auto := server.AutoHTTPS
	if len(server.TLSConnPolicies) == 0 || auto != nil && (auto.Disabled || auto.DisableCerts) {
		return nil
	}
	var names []string
	for _, route := range server.Routes {
		for _, set := range route.MatcherSets {
			for _, m := range set {
				hosts, ok := m.(*caddyhttp.MatchHost)
				if !ok {
					continue
				}
				for _, host := range *hosts {
					skipped := auto != nil && (slices.Contains(auto.Skip, host) || slices.Contains(auto.SkipCerts, host))
					if !skipped && !slices.Contains(names, host) && isChallenged(host, tls) {
						names = append(names, host)
					}
				}
			}
		}
	}
	return names
}

// Redirects reports whether Caddy answers HTTP for the server's names with a
// redirect to HTTPS, which loops behind a balancer that speaks HTTP to it.
func Redirects(server *caddyhttp.Server) bool {
	auto := server.AutoHTTPS
	return len(server.TLSConnPolicies) > 0 && (auto == nil || !auto.Disabled && !auto.DisableRedir)
}

func isChallenged(name string, tls *caddytls.TLS) bool {
	if !certmagic.SubjectQualifiesForPublicCert(name) || tls.HasCertificateForSubject(name) {
		return false
	}
	if tls.Automation == nil {
		return true
	}
	for _, policy := range tls.Automation.Policies {
		if covered := policy.Subjects(); len(covered) > 0 &&
			!slices.ContainsFunc(covered, func(pattern string) bool { return certmagic.MatchWildcard(name, pattern) }) {
			continue
		}
		return len(policy.Managers) == 0 && ChallengesFromOutside(policy.Issuers)
	}
	return true
}

// ChallengesFromOutside reports whether an issuer verifies names by connecting to
// them. No issuers are Caddy's own, which do.
func ChallengesFromOutside(issuers []certmagic.Issuer) bool {
	return len(issuers) == 0 || slices.ContainsFunc(issuers, func(issuer certmagic.Issuer) bool {
		if acme, ok := issuer.(interface{ GetACMEIssuer() *caddytls.ACMEIssuer }); ok {
			challenges := acme.GetACMEIssuer().Challenges
			return challenges == nil || challenges.DNS == nil
		}
		_, ok := issuer.(*caddytls.ZeroSSLIssuer)
		return ok
	})
}
