package elb

import (
	"net/http"
	"strings"
)

// claim is what a header says about where a request comes from.
type claim uint8

const (
	// claimNone is a header that says nothing about it.
	claimNone claim = iota
	// claimFor to claimHost are rewritten where the balancer wrote them.
	claimFor
	claimProto
	claimPort
	claimHost
	// claimTraceparent and claimTracestate are W3C Trace Context.
	claimTraceparent
	claimTracestate
	// claimVendor is kept from the balancer whose profile owns it.
	claimVendor
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
	if strings.IndexByte(name, '_') >= 0 || strings.IndexByte(name, '.') >= 0 {
		if claimByName(http.CanonicalHeaderKey(strings.Map(hyphen, name))) != claimNone {
			return claimFalse
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
	case "Traceparent":
		return claimTraceparent
	case "Tracestate":
		return claimTracestate

	case "X-Amzn-Trace-Id", "X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite", // AWS ALB
		"X-Cloud-Trace-Context", // Google Cloud
		// Azure Application Gateway and Front Door
		"X-Appgw-Trace-Id", "X-Azure-Ref", "X-Azure-Requestchain", "X-Azure-Ja4-Fingerprint", "X-Fd-Healthprobe",
		"Cf-Ray", "Cf-Visitor", "Cf-Ipcountry": // Cloudflare
		return claimVendor

	case "Forwarded", // RFC 7239: no profile's balancer writes it
		"X-Forwarded", "Forwarded-For", "Forwarded-For-Ip", "X-Forward-For",
		"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip", "True-Client-Ip", "Fastly-Client-Ip",
		"X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Host", "X-Original-Host",
		"X-Original-Forwarded-For", "X-Original-Proto", "X-Original-Remote-Addr",
		"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Pseudo-Ipv4",
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
	// certificate tells who rather than where from, and is auth's to judge.
	if strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "X-Forwarded-Client-Cert") &&
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
