package cors

import (
	"net/http"
	"strings"
)

// Policy is a compiled Config. It does not change and is safe for concurrent
// use; its methods allocate nothing, except Answer.
type Policy struct {
	origins originSet
	methods methodSet
	headers nameSet
	// The values of Access-Control-Allow-Credentials, Access-Control-Expose-Headers
	// and Access-Control-Max-Age; "" if one is not sent.
	allowCredentials, exposed, maxAge string

	anyOrigin bool
}

// Verdict is what a Policy says to a preflight.
type Verdict uint8

// The verdicts, in the order in which they are reached: the first thing that is
// not allowed is the one that is named.
const (
	Allowed Verdict = iota
	OriginNotAllowed
	MethodNotAllowed
	HeadersNotAllowed
)

// IsPreflight reports whether r is a preflight (Fetch, "CORS-preflight
// request"). An OPTIONS without Access-Control-Request-Method is a request like
// any other.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 &&
		len(r.Header["Access-Control-Request-Method"]) > 0
}

// AllowedOrigin returns the value that Access-Control-Allow-Origin has on the
// response to a request with header h: "*", or the request's origin, or "" if
// its pages may not read the response. It does not ask for an Origin where every
// origin is allowed: a response that has been stored without the field would
// fail a page that gets it later (whatwg/fetch#1601).
func (p *Policy) AllowedOrigin(h http.Header) string {
	if p.anyOrigin {
		return "*"
	}
	// Browsers send one origin. Which of two a reader means is its own choice.
	if lines := h["Origin"]; len(lines) == 1 && p.origins.contains(lines[0]) {
		return lines[0]
	}
	return ""
}

// Preflight judges a preflight with header h.
func (p *Policy) Preflight(h http.Header) Verdict {
	if len(h["Origin"]) != 1 || p.AllowedOrigin(h) == "" {
		return OriginNotAllowed
	}
	if method := h["Access-Control-Request-Method"]; len(method) != 1 || !p.methods.admits(method[0]) {
		return MethodNotAllowed
	}
	if !p.headers.admits(h["Access-Control-Request-Headers"]) {
		return HeadersNotAllowed
	}
	return Allowed
}

// Answer writes the header of the response to an allowed preflight. It names
// the method and the headers that were asked for, not all that are allowed:
// nothing is learned about the rest of the policy. The request's slices are not
// handed on; what changes one header later must not change the other.
func (p *Policy) Answer(response, request http.Header) {
	v := new(struct{ vary, origin, credentials, methods, headers, maxAge [1]string }) // one allocation
	var methods, headers string
	if method := request["Access-Control-Request-Method"][0]; !isSafelistedMethod(method) {
		methods = method
	}
	if lines := request["Access-Control-Request-Headers"]; len(lines) > 0 {
		headers = strings.Join(lines, ",")
	}
	varyOnPreflight(response, &v.vary)
	set(response, "Access-Control-Allow-Origin", p.AllowedOrigin(request), &v.origin)
	set(response, "Access-Control-Allow-Credentials", p.allowCredentials, &v.credentials)
	set(response, "Access-Control-Allow-Methods", methods, &v.methods)
	set(response, "Access-Control-Allow-Headers", headers, &v.headers)
	set(response, "Access-Control-Max-Age", p.maxAge, &v.maxAge)
	set(response, "Access-Control-Expose-Headers", "", nil)
	set(response, "Access-Control-Allow-Private-Network", "", nil)
}
