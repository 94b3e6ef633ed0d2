package redact

import (
	"net/http"
	"strings"
)

// neverMatches is an entity tag that no representation has.
const neverMatches = `"sallyport-no-match"`

// prepare changes what the backend is asked for to what can be redacted: the
// whole representation, in a coding that can be decoded, and validated only by
// tags of the policy in force. A validator from in front of the policy, or of
// another one, would let a client go on with a copy that was not redacted by
// this one.
func prepare(r *http.Request, stamp string) {
	h := r.Header
	for _, name := range []string{"Range", "If-Range", "A-Im"} { // RFC 3229 has ranges of its own
		h.Del(name)
	}
	if values, asked := h["Accept-Encoding"]; asked {
		coding := "identity"
		if acceptsGzip(values) {
			coding = "gzip"
		}
		h.Set("Accept-Encoding", coding)
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if safe {
		h.Del("If-Modified-Since")
		h.Del("If-Unmodified-Since")
	}
	if values := h["If-None-Match"]; len(values) > 0 {
		setList(h, "If-None-Match", ownTags(values, stamp, !safe))
	}
	if values := h["If-Match"]; len(values) > 0 && strings.Join(values, ",") != "*" {
		tags := ownTags(values, stamp, false)
		if len(tags) == 0 {
			// Without the field the request would be unconditional.
			tags = []string{neverMatches}
		}
		setList(h, "If-Match", tags)
	}
}

func setList(h http.Header, name string, values []string) {
	if len(values) == 0 {
		h.Del(name)
		return
	}
	h.Set(name, strings.Join(values, ", "))
}

// ownTags returns the tags of a list that carry the stamp, without it, and all
// others as they are if foreign is set: on a request that changes something they
// can only make it fail, and * is how a client says create.
func ownTags(values []string, stamp string, foreign bool) []string {
	var own []string
	for rest := strings.Join(values, ","); rest != ""; {
		rest = strings.TrimLeft(rest, ", \t")
		tag, n := entityTag(rest)
		if n == 0 {
			if item, _, _ := strings.Cut(rest, ","); foreign && strings.TrimSpace(item) == "*" {
				own = append(own, "*")
			}
			_, rest, _ = strings.Cut(rest, ",")
			continue
		}
		rest = rest[n:]
		if original, stamped := strings.CutSuffix(tag, stamp+`"`); stamped {
			own = append(own, original+`"`)
		} else if foreign {
			own = append(own, tag)
		}
	}
	return own
}

// entityTag returns the tag that s begins with, RFC 9110 section 8.8.3, and its
// length; 0 if it begins with none.
func entityTag(s string) (tag string, n int) {
	opaque := strings.TrimPrefix(s, "W/")
	if opaque == "" || opaque[0] != '"' {
		return "", 0
	}
	end := strings.IndexByte(opaque[1:], '"')
	if end < 0 {
		return "", 0
	}
	n = len(s) - len(opaque) + end + 2
	return s[:n], n
}

// stampTag marks the tag of a response as one of the policy's.
func stampTag(h http.Header, stamp string) {
	values := h["Etag"]
	if len(values) == 0 {
		return
	}
	tag, n := entityTag(values[0])
	if len(values) > 1 || n == 0 || n != len(values[0]) {
		h.Del("Etag")
		return
	}
	h.Set("Etag", tag[:n-1]+stamp+`"`)
}

// acceptsGzip reads Accept-Encoding, RFC 9110 section 12.5.3.
func acceptsGzip(values []string) bool {
	any, gzip, named := false, false, false
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(item, ";")
		wanted := true
		if name, q, _ := strings.Cut(strings.TrimSpace(params), "="); strings.EqualFold(strings.TrimSpace(name), "q") {
			wanted = strings.Trim(q, "0. \t") != ""
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named, gzip = true, gzip || wanted
		case "*":
			any = wanted
		}
	}
	return gzip || any && !named
}

// upgrades reports whether the request asks for a connection that is no longer
// HTTP, or is one. Offers of h2c, which Java's client makes always, are none:
// the guards' frame took them away, and servers may ignore them.
func upgrades(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true
	}
	for _, value := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(protocol)) {
			case "", "h2c":
			default:
				return true
			}
		}
	}
	return false
}
