package cors

import (
	"net/http"
	"slices"
	"strings"
)

// fields are the CORS fields of one response that is not the answer to a
// preflight. They are stamped on the header when it is sent, over what handlers
// and the backend have added.
//
// The slices that go into the header are backed by the fields themselves. They
// are written anew each time, because whoever holds the header may edit them in
// place (Caddy's `header` directive does; so do others, see rs/cors#198).
type fields struct {
	policy *Policy
	// origin is the value of Access-Control-Allow-Origin, or "".
	origin string

	slots [3][1]string
	vary  [1]string
}

// stamp makes h carry the policy's CORS fields, each once, and no others. It
// can be repeated.
func (f *fields) stamp(h http.Header) {
	if !f.policy.anyOrigin {
		// Also on responses without CORS fields: a cache would otherwise give them
		// to a page that may read them (Fetch, "CORS protocol and HTTP caches").
		f.varyOnOrigin(h)
	}
	if f.origin == "" {
		removeFields(h)
		return
	}
	set(h, "Access-Control-Allow-Origin", f.origin, &f.slots[0])
	set(h, "Access-Control-Allow-Credentials", f.policy.allowCredentials, &f.slots[1])
	set(h, "Access-Control-Expose-Headers", f.policy.exposed, &f.slots[2])
	removePreflightFields(h)
}

// set replaces a field, or removes it if value is empty. slot backs the line.
func set(h http.Header, name, value string, slot *[1]string) {
	if value == "" {
		delete(h, name)
		return
	}
	slot[0] = value
	h[name] = slot[:]
}

// varyOnOrigin makes sure that Vary names Origin, once, and keeps whatever else
// it names.
func (f *fields) varyOnOrigin(h http.Header) {
	lines := h["Vary"]
	if len(lines) == 0 {
		f.vary[0] = "Origin"
		h["Vary"] = f.vary[:]
		return
	}
	own, named := -1, 0
	for i, line := range lines {
		if line == "Origin" {
			own = i
		}
		if namesOrigin(line) {
			named++
		}
	}
	switch {
	case named == 0:
		h["Vary"] = append(slices.Clip(lines), "Origin")
	case named > 1 && own >= 0:
		h["Vary"] = slices.Delete(slices.Clone(lines), own, own+1)
	}
}

// namesOrigin reports whether a line of Vary covers Origin.
func namesOrigin(line string) bool {
	for name := range strings.SplitSeq(line, ",") {
		name = trimOWS(name)
		if name == "*" || strings.EqualFold(name, "Origin") {
			return true
		}
	}
	return false
}

// varyOnPreflight is for caches that store answers to OPTIONS although RFC 9110
// section 9.3.7 tells them not to. slot backs the line if it is the only one.
func varyOnPreflight(h http.Header, slot *[1]string) {
	const names = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	if lines := h["Vary"]; len(lines) > 0 {
		h["Vary"] = append(slices.Clip(lines), names)
		return
	}
	slot[0] = names
	h["Vary"] = slot[:]
}

// removeFields removes every CORS field: two values of one of them are as good
// as none to a browser, and one of a backend's may allow what the policy does
// not. Names are canonical: net/http and Caddy make them so when they read a
// response. They are spelled out because going through a header costs more than
// asking it seven times.
func removeFields(h http.Header) {
	delete(h, "Access-Control-Allow-Origin")
	delete(h, "Access-Control-Allow-Credentials")
	delete(h, "Access-Control-Expose-Headers")
	removePreflightFields(h)
}

// removePreflightFields removes those that only answers to preflights have.
func removePreflightFields(h http.Header) {
	delete(h, "Access-Control-Allow-Methods")
	delete(h, "Access-Control-Allow-Headers")
	delete(h, "Access-Control-Max-Age")
	delete(h, "Access-Control-Allow-Private-Network") // withdrawn, but backends still send it
}
