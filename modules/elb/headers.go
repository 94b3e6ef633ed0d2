package elb

import (
	"net/http"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/elb/forwarded"
)

// claim is what a header says about where a request comes from.
type claim uint8

const (
	// claimNone is a header that says nothing about it.
	claimNone claim = iota
	// claimFor to claimOriginalHost are rewritten where the balancer wrote them.
	claimFor
	claimProto
	claimPort
	claimHost
	claimOriginalHost
	// claimTraceparent and claimTracestate are W3C Trace Context.
	claimTraceparent
	claimTracestate
	// claimAWS to claimCloudflare are headers of one vendor: kept from the balancer
	// whose profile owns them.
	claimAWS
	claimGoogle
	claimAppGateway
	claimFrontDoor
	claimCloudflare
	// claimFalse is never kept: no profile's balancer is known to write it, or it
	// repeats in another notation what is established.
	claimFalse
)

// claimOf classifies a canonical header name. Names that Caddy may be told to
// let through (expected_underscore_headers, expected_dot_headers) count as the
// name that CGI and WSGI backends make of them.
func claimOf(name string) claim {
	if c := claimByName(name); c != claimNone {
		return c
	}
	for i := range len(name) {
		if name[i] == '_' || name[i] == '.' {
			if claimByName(http.CanonicalHeaderKey(strings.Map(hyphen, name))) != claimNone {
				return claimFalse
			}
			break
		}
	}
	return claimNone
}

func hyphen(c rune) rune {
	if c == '_' || c == '.' {
		return '-'
	}
	return c
}

func claimByName(name string) claim {
	switch name {
	case "X-Forwarded-For":
		return claimFor
	case "X-Forwarded-Proto":
		return claimProto
	case "X-Forwarded-Port":
		return claimPort
	case "X-Forwarded-Host":
		return claimHost
	case "X-Original-Host":
		return claimOriginalHost
	case "Traceparent":
		return claimTraceparent
	case "Tracestate":
		return claimTracestate

	case "X-Amzn-Trace-Id":
		return claimAWS
	case "X-Cloud-Trace-Context":
		return claimGoogle
	case "X-Appgw-Trace-Id":
		return claimAppGateway
	case "X-Azure-Ref", "X-Azure-Requestchain", "X-Fd-Healthprobe":
		return claimFrontDoor
	case "Cf-Ray":
		return claimCloudflare

	case // Written only where a setting of the balancer says so; otherwise they may be the caller's.
		"X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite", "X-Azure-Ja4-Fingerprint", "Cf-Ipcountry",
		// Traces of other kinds than those that balancers write.
		"B3", "Uber-Trace-Id", "Request-Id", "Sentry-Trace", "Baggage", "X-Trace-Id", "X-Correlation-Id", "X-B3-Traceid":
		return claimFalse

	case "Forwarded", // RFC 7239: no profile's balancer writes it
		"X-Forwarded", "Forwarded-For", "Forwarded-For-Ip", "X-Forward-For",
		"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip", "True-Client-Ip", "Fastly-Client-Ip",
		"X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Host",
		"X-Original-Forwarded-For", "X-Original-For", "X-Original-Proto", "X-Original-Scheme", "X-Original-Remote-Addr", "Remote-Addr",
		"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Pseudo-Ipv4", "Cf-Visitor",
		"X-Azure-Clientip", "X-Azure-Socketip", "X-Azure-Fdid",
		"X-Envoy-External-Address", "X-Envoy-Internal",
		"X-Appengine-User-Ip", "X-Appengine-Remote-Addr", "X-Appengine-Https", "X-Proxyuser-Ip",
		"Wl-Proxy-Client-Ip", "Proxy-Client-Ip", "Wl-Proxy-Ssl",
		"Fly-Client-Ip", "Do-Connecting-Ip", "X-Nf-Client-Connection-Ip", "X-Vercel-Forwarded-For", "X-Vercel-Proxied-For",
		"X-Arr-Ssl", "X-Client-Port",
		"Cloudfront-Viewer-Address", "Cloudfront-Forwarded-Proto", "X-Amz-Cf-Id",
		"Front-End-Https", "X-Url-Scheme", "X-Scheme", "X-Proto",
		"Cdn-Src-Ip", "Ali-Cdn-Real-Ip", "Akamai-Origin-Hop", "Incap-Client-Ip", "X-Sucuri-Clientip":
		return claimFalse
	}
	// Prefix, Path, Scheme, Ssl, Server, By, User and what else is named so. A
	// certificate tells who rather than where from, and is auth's to judge. X-FD-*
	// is what Front Door tells itself.
	if strings.HasPrefix(name, "X-Fd-") || strings.HasPrefix(name, "X-B3-") || strings.HasPrefix(name, "X-Datadog-") || strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "X-Forwarded-Client-Cert") &&
		!strings.HasPrefix(name, "X-Forwarded-Tls-Client-Cert") {
		return claimFalse
	}
	return claimNone
}

// removeClaims deletes every header that names an address, a scheme, a host or a
// trace: none of them was written by a trusted balancer. h has canonical names,
// as net/http delivers them.
func removeClaims(h http.Header) {
	for name := range h {
		if claimOf(name) != claimNone {
			delete(h, name)
		}
	}
}

// keepClaims rewrites or removes every claim of h but X-Forwarded-For, so that
// only what this balancer is documented to write is left, and returns the
// balancer's identifier of the request.
func (p *profile) keepClaims(h http.Header) (trace string) {
	parent, state := false, false
	for name, lines := range h {
		c := claimOf(name)
		if c == claimNone || c == claimFor {
			continue
		}
		if len(lines) != 1 || !p.keeps(c, lines) {
			delete(h, name)
			continue
		}
		switch {
		case c == claimTraceparent:
			parent = true
		case c == claimTracestate:
			state = true
		}
		if name == p.trace && forwarded.Trace(lines[0]) {
			trace = lines[0]
		}
	}
	// A tracestate says nothing without its traceparent (W3C Trace Context section
	// 3.3).
	if state && !parent {
		delete(h, "Tracestate")
	}
	return trace
}

// keeps reports whether the one line of a claim is left to the backend, and
// writes it in its usual form.
func (p *profile) keeps(c claim, lines []string) bool {
	switch c {
	case claimProto:
		proto, ok := forwarded.Proto(lines[0])
		if ok && proto != lines[0] {
			lines[0] = proto
		}
		return ok
	case claimPort:
		return p.port && forwarded.Port(lines[0])
	case claimHost, claimOriginalHost:
		return c == p.host && forwarded.Host(lines[0])
	case claimTraceparent:
		return forwarded.Traceparent(lines[0])
	case claimTracestate:
		return forwarded.Tracestate(lines[0])
	}
	return c == p.owns && forwarded.Trace(lines[0])
}
