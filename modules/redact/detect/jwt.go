package detect

import "encoding/base64"

// maxHeader is how much of a token's header is judged. Longer ones carry
// certificates, which JOSE libraries write behind the algorithm.
const maxHeader = 1024

// token is what the parts of a compact serialisation are written in.
var token = newClass(digits + lower + upper + "_-.")

func (s *Set) addJWTs() {
	// {"… in base64url: what follows the quote only decides the last two bits
	// of the third character, and letters have them in common.
	s.add([]string{"e", "y", "J", digits + lower + upper + "_-"}, jwt)
	s.add(literal("eyAi"), jwt) // { "…
	s.add(literal("ewog"), jwt) // {, a line feed and indentation
	s.add(literal("ew0K"), jwt) // {, carriage return and line feed
}

// jwt decides the token whose header begins at b[at:]. A header that is
// followed by a dot is enough: tokens in logs are often cut.
func jwt(b []byte, from, at int, final bool) (m Match, v verdict) {
	m = Match{Start: at, End: at, Detector: JWT}
	if wordBefore(b, at) {
		return m, no
	}
	h := header{}
	i := at
	for ; i < len(b) && i-at < maxHeader; i += 4 {
		m.End = i
		n := wordDash.run(b, i, 4)
		if n == 4 {
			if !h.quad(b[i : i+4]) {
				return m, no
			}
			continue
		}
		i += n
		break
	}
	m.End = min(i, len(b))
	switch {
	case m.End-at >= maxHeader:
		if !h.algorithm {
			return m, no
		}
	case m.End == len(b):
		if final {
			return m, no
		}
		return m, more
	case b[m.End] != '.' || !h.end(b[m.End-(m.End-at)%4:m.End]):
		return m, no
	}
	m.more = token
	m.End += token.run(b, m.End, len(b))
	return m, yes
}

// header reads the JSON of a JOSE header as it is decoded, and gives up at the
// first byte that cannot be right: a candidate costs little unless it is one.
type header struct {
	state     byte // what is expected, see next
	depth     int
	name      [4]byte // the beginning of the member's name
	length    int     // of the name
	algorithm bool    // "alg" or "enc" was a member
}

const (
	wantOpen  = iota // {
	wantName         // the quote of a name, or }
	inName           // the rest of a name
	wantColon        // the colon behind it
	wantValue        // a value
	inString         // the rest of a string
	inEscape         // the character behind a backslash
	inScalar         // the rest of a value up to a comma or }
	closed           // white space only
)

// quad takes four characters of base64url.
func (h *header) quad(b []byte) bool {
	var out [3]byte
	n, err := base64.RawURLEncoding.Decode(out[:], b)
	if err != nil {
		return false
	}
	for _, c := range out[:n] {
		if !h.next(c) {
			return false
		}
	}
	return true
}

// end takes the last characters, fewer than four, and judges the whole.
func (h *header) end(b []byte) bool {
	return h.quad(b) && h.state == closed && h.algorithm
}

// next takes one byte of the header. Objects and arrays inside it, such as a
// key, are followed by their depth only.
func (h *header) next(c byte) bool {
	if h.state == inString {
		switch {
		case c == '\\':
			h.state = inEscape
		case c == '"':
			h.state = inScalar
		}
		return c >= ' '
	}
	if h.state == inEscape {
		h.state = inString
		return c >= ' '
	}
	if h.state != inName && (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
		return true
	}
	switch h.state {
	case wantOpen:
		h.state = wantName
		return c == '{'
	case wantName:
		if h.length = 0; c == '}' {
			h.state = closed
			return true
		}
		h.state = inName
		return c == '"'
	case inName:
		if c == '"' {
			h.state = wantColon
			name := string(h.name[:min(h.length, len(h.name))])
			h.algorithm = h.algorithm || name == "alg" || name == "enc"
			return true
		}
		if h.length < len(h.name) {
			h.name[h.length] = c
		}
		h.length++
		// Names are letters, digits and what URIs are made of (RFC 7515 §4.2).
		return c > ' ' && c != '\\' && c < 0x7f
	case wantColon:
		h.state = wantValue
		return c == ':'
	case wantValue, inScalar:
		return h.value(c)
	}
	return false
}

func (h *header) value(c byte) bool {
	first := h.state == wantValue
	h.state = inScalar
	switch c {
	case '"':
		h.state = inString
		return first || h.depth > 0
	case '{', '[':
		h.depth++
		return first || h.depth > 1
	case '}', ']':
		if h.depth--; h.depth < 0 {
			h.state = closed
			return c == '}' && !first
		}
		return !first
	case ',':
		if h.depth == 0 {
			h.state = wantName
		}
		return !first
	case ':':
		return h.depth > 0
	default:
		// true, false, null and numbers
		return alnum[c] || c == '-' || c == '+' || c == '.'
	}
}
