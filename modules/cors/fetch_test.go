package cors

import (
	"net/http"
	"slices"
	"strings"
)

// browser does what the Fetch Standard tells a browser to do with CORS. It knows
// nothing of policies, only of messages, so that what it concludes from ours can
// be compared with what a policy declares.
type browser struct {
	origin      string
	credentials bool // credentials mode "include"
}

// check is the "CORS check".
func (b browser) check(h http.Header) bool {
	allowed, ok := combined(h, "Access-Control-Allow-Origin")
	if !ok {
		return false
	}
	if !b.credentials && allowed == "*" {
		return true
	}
	if allowed != b.origin {
		return false
	}
	if !b.credentials {
		return true
	}
	credentials, _ := combined(h, "Access-Control-Allow-Credentials")
	return credentials == "true"
}

// preflight is the "CORS-preflight fetch" for a request with this method and
// these headers, from its response on.
func (b browser) preflight(status int, h http.Header, method string, unsafeHeaders []string) bool {
	if !b.check(h) || status < 200 || status > 299 {
		return false
	}
	methods, methodsOK := extract(h, "Access-Control-Allow-Methods")
	names, namesOK := extract(h, "Access-Control-Allow-Headers")
	if !methodsOK || !namesOK {
		return false
	}
	star := func(list []string) bool { return !b.credentials && slices.Contains(list, "*") }
	if !slices.Contains(methods, method) && !slices.Contains([]string{"GET", "HEAD", "POST"}, method) && !star(methods) {
		return false
	}
	for _, name := range unsafeHeaders {
		listed := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		if strings.EqualFold(name, "authorization") && !listed {
			return false
		}
		if !listed && !star(names) {
			return false
		}
	}
	return true
}

// exposes reports whether the "CORS filtered response" shows a header.
func (b browser) exposes(h http.Header, name string) bool {
	safelisted := []string{"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
	if slices.Contains(safelisted, strings.ToLower(name)) {
		return true
	}
	if strings.EqualFold(name, "set-cookie") {
		return false
	}
	list, _ := extract(h, "Access-Control-Expose-Headers")
	return !b.credentials && slices.Contains(list, "*") ||
		slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

// combined is the "get" of a header list: the values of all lines, joined.
func combined(h http.Header, name string) (string, bool) {
	lines, ok := h[name]
	if !ok {
		return "", false
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, "\t\n\r ")
	}
	return strings.Join(trimmed, ", "), true
}

// extract is "extract header list values" for a list of tokens.
func extract(h http.Header, name string) ([]string, bool) {
	var values []string
	for _, line := range h[name] {
		for value := range strings.SplitSeq(line, ",") {
			value = strings.Trim(value, " \t")
			if value == "" {
				continue
			}
			if strings.ContainsAny(value, " \t\"(),/:;<=>?@[\\]{}\r\n\x00") {
				return nil, false
			}
			values = append(values, value)
		}
	}
	return values, true
}
