// Package canonical reads a request once, into the one form that every guard
// judges, and refuses a request that has two readings: a guard that sees
// /public while the backend sees /admin guards nothing.
//
// It imports no Caddy package. Refusals name what is wrong with the request,
// never its content.
package canonical

import (
	"net/http"
	"slices"
	"strings"
)

// Request is the canonical view of a request. Its strings may share memory with
// the request they were read from.
type Request struct {
	// Method is the method as sent; methods are case-sensitive and in capitals.
	Method string
	// Host is the authority in lower case, without port and trailing dot.
	Host string
	// Path is decoded, begins with '/', and has no dot segments. With
	// Options.PathParameters its segments are without their parameters; with
	// Options.EncodedSlash an encoded slash stays in it as "%2F", so that it does
	// not separate segments.
	Path string
	// RawPath is the path as sent.
	RawPath string
	// RawQuery is the query as sent, without '?': well-formed percent-encoding,
	// valid UTF-8 when decoded, no NUL.
	RawQuery string
}

// Options name the ambiguous forms that are legitimate somewhere. The zero
// value allows none of them.
type Options struct {
	// PathParameters allows ';' in path segments (matrix parameters, RFC 3986
	// section 3.3). Guards judge the path without them.
	PathParameters bool
	// EncodedSlash allows %2F in a path segment.
	EncodedSlash bool
	// EmptySegments allows "//" in a path. Guards judge the path with one slash.
	EmptySegments bool
	// QuerySemicolon allows ';' in a query, which some backends read as '&'.
	QuerySemicolon bool
	// MethodOverride allows X-HTTP-Method-Override and its relatives, and the query
	// parameter _method of a POST, with which a backend may see another method than
	// the guards did.
	MethodOverride bool
}

// Refusal says why a request has no single reading. The values are the package
// variables below; compare by identity.
type Refusal struct {
	// Code is the machine-readable reason, such as "request.path_encoding".
	Code string
	// Title is a sentence for the caller.
	Title string
}

func (r *Refusal) Error() string { return r.Code }

// maxQueryPairs bounds the pairs of a query. Go's url.Query gives up above
// 10,000 pairs and returns none of them, which turns off whatever relies on it.
const maxQueryPairs = 1000

// Parse returns the canonical view of r, read from its request target, host and
// header, or the Refusal that says why there is none. r is not changed. It
// allocates only for paths with percent-encoding or allowed special forms.
func Parse(r *http.Request, o Options) (Request, *Refusal) {
	target, rawQuery, hasQuery := strings.Cut(r.RequestURI, "?")
	if refusal := checkMethod(r.Method); refusal != nil {
		return Request{}, refusal
	}
	if refusal := checkHeader(r.Header, o); refusal != nil {
		return Request{}, refusal
	}
	host, ok := canonicalHost(r.Host)
	if !ok {
		return Request{}, ErrHost
	}
	path, refusal := canonicalPath(target, o)
	if refusal != nil {
		return Request{}, refusal
	}
	if hasQuery {
		if refusal := checkQuery(rawQuery, o); refusal != nil {
			return Request{}, refusal
		}
		if r.Method == http.MethodPost && !o.MethodOverride && overridesMethod(rawQuery) {
			return Request{}, ErrMethodOverride
		}
	}
	return Request{Method: r.Method, Host: host, Path: path, RawPath: target, RawQuery: rawQuery}, nil
}

// Path returns the canonical form of an encoded path, as Parse does for that of
// a request: for a path that was rewritten since.
func Path(encoded string, o Options) (string, *Refusal) {
	return canonicalPath(encoded, o)
}

// Lenient returns a view of a request that Parse refused, for use where the
// refusal is only recorded (dry run). It is what Go read.
func Lenient(r *http.Request) Request {
	rawPath, _, _ := strings.Cut(r.RequestURI, "?")
	return Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, RawPath: rawPath, RawQuery: r.URL.RawQuery}
}

// Clean removes from r what could give a backend a second reading and has no
// legitimate use behind a gate: headers with which some frameworks replace the
// path of a request; trailers, which some servers merge into the header after the
// guards have judged it; upgrades other than to WebSocket, of which that to h2c
// opens a tunnel for requests that no guard sees (a server may ignore any, RFC
// 9110 section 7.8); and other names for the client's address than those in
// clientHeaders, from which it was read.
func Clean(r *http.Request, clientHeaders []string) {
	for _, name := range pathOverrides {
		delete(r.Header, name)
	}
	for _, name := range addressHeaders {
		if len(r.Header[name]) > 0 && !slices.ContainsFunc(clientHeaders, func(read string) bool { return strings.EqualFold(read, name) }) {
			delete(r.Header, name)
		}
	}
	if upgrade := r.Header["Upgrade"]; len(upgrade) > 0 {
		delete(r.Header, "Http2-Settings")
		if len(upgrade) > 1 || !strings.EqualFold(strings.Trim(upgrade[0], " \t"), "websocket") {
			delete(r.Header, "Upgrade")
		}
	}
	r.Trailer = nil
}

// checkMethod refuses methods that are not tokens in capitals ("get" is another
// method than GET to us and the same to some backends), CONNECT, which asks for
// a tunnel, and TRACE, which echoes credentials (RFC 9110 section 9.3.8).
func checkMethod(method string) *Refusal {
	if method == "CONNECT" || method == "TRACE" || method == "" || len(method) > 32 {
		return ErrMethod
	}
	for i := range len(method) {
		c := method[i]
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return ErrMethod
		}
	}
	return nil
}

// canonicalHost checks the authority (RFC 3986 section 3.2.2, without userinfo)
// and returns its host in lower case.
func canonicalHost(authority string) (string, bool) {
	host := authority
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || !validPort(host[end+1:]) || !validBytes(host[1:end], isIPv6Byte) {
			return "", false
		}
		return strings.ToLower(host[:end+1]), true
	}
	if colon := strings.IndexByte(host, ':'); colon >= 0 {
		if !validPort(host[colon:]) {
			return "", false
		}
		host = host[:colon]
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || host[0] == '.' || strings.Contains(host, "..") || !validBytes(host, isHostByte) {
		return "", false
	}
	return strings.ToLower(host), true
}

func validPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	return validBytes(s[1:], func(c byte) bool { return '0' <= c && c <= '9' })
}

func validBytes(s string, valid func(byte) bool) bool {
	for i := range len(s) {
		if !valid(s[i]) {
			return false
		}
	}
	return true
}

func isHostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
}

func isIPv6Byte(c byte) bool {
	return isHex(c) || c == ':' || c == '.'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}
