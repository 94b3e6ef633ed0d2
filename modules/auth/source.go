package auth

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// kind is where in a request a credential can be.
type kind uint8

const (
	inAuthorization kind = iota // Authorization: Bearer …
	inHeader
	inCookie
	inQuery
)

// source is one place for a credential. A header's name is canonical, those of
// cookies and query parameters are compared exactly.
type source struct {
	kind kind
	name string
}

// key tells sources apart.
func (s source) key() string { return fmt.Sprint(s.kind, " ", s.name) }

// find returns the credential at s and how many there are. More than one, or a
// list in place of one, is for the caller to refuse: whoever reads it next might
// pick another one. held are the headers that were taken out of r because they
// carry identity; a credential may be one of them.
func (s source) find(r *http.Request, held http.Header) (credential string, n int) {
	switch s.kind {
	case inAuthorization:
		return findHeader(r.Header[s.name], bearer)
	case inHeader:
		lines := r.Header[s.name]
		if lines == nil {
			lines = held[s.name]
		}
		return findHeader(lines, func(value string) (string, bool) { return value, true })
	case inCookie:
		for _, line := range r.Header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				if value, same := s.cookie(pair); same > 0 {
					credential, n = value, n+same
				}
			}
		}
	case inQuery:
		for raw := r.URL.RawQuery; raw != ""; {
			var pair string
			pair, raw = cutPair(raw)
			if value, same := s.parameter(pair); same > 0 {
				credential, n = value, n+same
			}
		}
	}
	return credential, n
}

// findHeader reads lines of one header. A comma makes a list of a line (RFC 9110
// section 5.3), as a space does; no credential contains either.
func findHeader(lines []string, read func(string) (string, bool)) (credential string, n int) {
	for _, line := range lines {
		value, ok := read(line)
		if !ok {
			continue
		}
		credential, n = value, n+1
		if strings.ContainsAny(value, ", \t") {
			n++
		}
	}
	return credential, n
}

// bearer reads the credentials of an Authorization header (RFC 6750 section
// 2.1). Other schemes are somebody else's. What only looks like "Bearer" to a
// lenient reader is taken for it, and will not be a valid token.
func bearer(value string) (token string, ok bool) {
	const scheme = "bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", false
	}
	rest := value[len(scheme):]
	if rest != "" && isTokenByte(rest[0]) {
		return "", false // BearerX is another scheme
	}
	return strings.Trim(rest, " \t"), true
}

// cookie returns the value of a cookie pair (RFC 6265 section 4.2.1) and whether
// it is s: 1 if it is, 2 if only some readers take it for s.
func (s source) cookie(pair string) (value string, same int) {
	name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
	switch {
	case name == s.name:
		return value, 1
	case sameLoosely(name, s.name):
		return value, 2
	}
	return "", 0
}

// parameter returns the raw value of a query pair and whether its decoded name is
// s: 1 if it is, 2 if only some readers take it for s. A value with
// percent-encoding is not decoded: no token needs it.
func (s source) parameter(pair string) (value string, same int) {
	name, value, _ := strings.Cut(pair, "=")
	if name == s.name {
		return value, 1
	}
	if !strings.ContainsAny(name, "%+. [") {
		return "", 0
	}
	var buf [maxName + 1]byte
	switch decoded := decodeName(buf[:0], name); {
	case string(decoded) == s.name:
		return value, 1
	case sameLoosely(string(decoded), s.name):
		return value, 2
	}
	return "", 0
}

// sameLoosely reports whether some readers take name for want: those that trim
// more white space than RFC 6265 does, and PHP, for which '.', ' ' and '_' are the
// same and "name[0]" belongs to "name".
func sameLoosely(name, want string) bool {
	name = strings.TrimFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || unicode.IsSpace(r) })
	name, _, _ = strings.Cut(name, "[")
	if len(name) != len(want) {
		return false
	}
	for i := range len(name) {
		if foldName(name[i]) != foldName(want[i]) {
			return false
		}
	}
	return true
}

func foldName(c byte) byte {
	if c == '.' || c == ' ' {
		return '_'
	}
	return c
}

// cutPair takes the first pair off a raw query. A semicolon separates too, where
// the canonical check lets one pass: some backends read it so.
func cutPair(raw string) (pair, rest string) {
	at := strings.IndexAny(raw, "&;")
	if at < 0 {
		return raw, ""
	}
	return raw[:at], raw[at+1:]
}

// decodeName decodes as much of a query parameter's name as dst has room for.
// Unlike url.QueryUnescape it allocates nothing; what is no percent-encoding stands
// for itself. White space in front counts once, or there would be no room for the name
// behind it.
func decodeName(dst []byte, encoded string) []byte {
	for i := 0; i < len(encoded) && len(dst) < cap(dst); i++ {
		c := encoded[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(encoded):
			if high, low := unhex(encoded[i+1]), unhex(encoded[i+2]); high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		if len(dst) == 1 && c <= ' ' && dst[0] <= ' ' {
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// strip takes the credential out of the header or the query, and nothing else.
// It returns the query, which the caller has to put in place.
func (s source) strip(h http.Header, rawQuery string) string {
	switch s.kind {
	case inAuthorization, inHeader:
		delete(h, s.name)
	case inCookie:
		s.stripCookie(h)
	case inQuery:
		return s.stripQuery(rawQuery)
	}
	return rawQuery
}

// restore puts a credential back that was taken out of h because its header
// carries identity: now it is known to be good.
func (s source) restore(h, held http.Header) {
	if s.kind != inHeader {
		return
	}
	if lines, ok := held[s.name]; ok {
		h[s.name] = lines
	}
}

func (s source) stripCookie(h http.Header) {
	var kept []string
	for _, line := range h["Cookie"] {
		var rest strings.Builder
		for pair := range strings.SplitSeq(line, ";") {
			if _, same := s.cookie(pair); same > 0 {
				continue
			}
			if rest.Len() > 0 {
				rest.WriteByte(';')
			} else {
				pair = strings.TrimLeft(pair, " \t")
			}
			rest.WriteString(pair)
		}
		if rest.Len() > 0 {
			kept = append(kept, rest.String())
		}
	}
	if kept == nil {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// stripQuery removes the parameter with one separator and leaves every other
// byte as it is.
func (s source) stripQuery(raw string) string {
	var kept strings.Builder
	for start := 0; start < len(raw); {
		pair, _ := cutPair(raw[start:])
		end := start + len(pair)
		if _, same := s.parameter(pair); same > 0 {
			end = min(end+1, len(raw)) // the separator behind it goes too
			start = end
			continue
		}
		end = min(end+1, len(raw))
		kept.WriteString(raw[start:end])
		start = end
	}
	result := kept.String()
	// If it was the last pair, the separator in front of it is left over.
	if len(result) < len(raw) && !endsWithSeparator(raw) && endsWithSeparator(result) {
		result = result[:len(result)-1]
	}
	return result
}

func endsWithSeparator(query string) bool {
	return strings.HasSuffix(query, "&") || strings.HasSuffix(query, ";")
}

// isTokenByte reports whether c may be part of a header's name or of a scheme
// (tchar, RFC 9110 section 5.6.2).
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
