package canonical

import (
	"net/http"
	"strings"
)

// singletons are headers that guards or backends decide on and that have one
// value by definition; with two, each reader picks its own.
var singletons = []string{
	"Authorization", "Proxy-Authorization", "Content-Type", "Content-Length", "Host", "Origin",
	"Access-Control-Request-Method", "Sec-Fetch-Site",
}

// methodOverrides let a caller name another method than that of the request
// line, in frameworks that support tunnelling.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// pathOverrides replace the path in IIS's URL rewriting and in frameworks that
// imitate it. Balancers write them too, so they are removed and not refused.
var pathOverrides = []string{"X-Original-Url", "X-Rewrite-Url"}

// addressHeaders are what balancers and proxies call the client's address beside
// X-Forwarded-For, which the proxy rewrites. Backends take them from whoever
// wrote them.
var addressHeaders = []string{
	"Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr",
	"True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Azure-Clientip",
}

func checkHeader(h http.Header, o Options) *Refusal {
	for _, name := range singletons {
		if len(h[name]) > 1 {
			return ErrHeaderRepeated
		}
	}
	if !o.MethodOverride {
		for _, name := range methodOverrides {
			if len(h[name]) > 0 {
				return ErrMethodOverride
			}
		}
	}
	if !ConnectionOnly(h) {
		return ErrConnection
	}
	return nil
}

// ConnectionOnly reports whether the Connection header names nothing but what
// belongs to the connection.
func ConnectionOnly(h http.Header) bool {
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if !hopByHop(strings.Trim(token, " \t")) {
				return false
			}
		}
	}
	return true
}

// hopByHop reports whether a Connection header may name token. The proxy removes
// every header named there after the guards have set it (RFC 9110 section
// 7.6.1), so a caller could otherwise strip Authorization, or the identity that
// this gate vouches for.
func hopByHop(token string) bool {
	switch {
	case token == "",
		strings.EqualFold(token, "close"),
		strings.EqualFold(token, "keep-alive"),
		strings.EqualFold(token, "upgrade"),
		strings.EqualFold(token, "http2-settings"),
		strings.EqualFold(token, "te"):
		return true
	}
	return false
}
