package logtext

import (
	"bytes"
	"strings"
)

// pair masks the value behind the separator at i, '=' or ':', if the name in
// front of it is secret, and returns where to go on.
func (s *scan) pair(v view, i int, w *word) int {
	t, next := v.text, i+1
	if !s.names.mayEnd(t, i) {
		return next
	}
	k, quoted := s.names.find(t, 0, i)
	colon := t[i] == ':'
	if k == 0 || colon && k&asMember == 0 {
		return next
	}
	if colon && (inAuthority(t, i, w) || next < len(t) && t[next] == '=') {
		return next // the '@' or the '=' decides
	}
	if w.url && !colon {
		end := urlValue(t, next, w.query)
		s.mask(v, next, end, formMask)
		return end
	}
	start := valueStart(t, i)
	if colon && !quoted && (s.isProse(t, start) || k&notObject != 0 && isPort(t, next)) {
		return next
	}
	from, to, f := s.textValue(t, start, k, colon, quoted, w)
	to = s.within(v, w, from, to)
	if !colon && notValue(t[from:to], k, w) {
		return next
	}
	s.mask(v, from, to, f)
	return goOn(t, next, to)
}

// goOn returns where the look goes on behind what it masked: at to, or at the
// separator in front of it, because "pass: token: S" names a token as well.
func goOn(t []byte, next, to int) int {
	if to > next && (t[to-1] == ':' || t[to-1] == '=') {
		return to - 1
	}
	return max(to, next)
}

// inAuthority reports whether the colon at i stands in front of a URL's port or
// of the password of its userinfo, which is masked when its '@' is reached.
func inAuthority(t []byte, i int, w *word) bool {
	if w.authority < 0 || w.host >= 0 {
		return false
	}
	rest := t[i+1 : min(len(t), i+128)]
	for n, c := range rest {
		if c == '@' {
			return true
		}
		if c <= ' ' || strings.IndexByte("/?#\"'<>`", c) >= 0 {
			rest = rest[:n]
			break
		}
	}
	return len(rest) > 0 && allDigits(rest)
}

// urlValue returns where a parameter's value ends in a URL. In a query that is
// '&' alone: a server that splits at ';' sees less than is masked here, one
// that does not sees all of it. A raw '#' belongs to the value as well, since
// servers do not cut a request's target there.
func urlValue(t []byte, start int, query bool) int {
	end := "/;?#&"
	if query {
		end = "&"
	}
	if n := bytes.IndexAny(t[start:], end); n >= 0 {
		return start + n
	}
	return len(t)
}

// valueStart returns where the value begins behind the separator at i: behind
// "name: ", "name = ", "name := ", "name => ", but not behind "name= other=…".
func valueStart(t []byte, i int) int {
	start := i + 1
	spaced := t[i] == ':' || isGap(t[i-1])
	if t[i] == '=' && start < len(t) && t[start] == '>' {
		start++
		spaced = true
	}
	for spaced && start < len(t) && (t[start] == ' ' || t[start] == '\t') {
		start++
	}
	return start
}

// textValue returns the value that begins at start in free text, without its
// quotes, and what to write for it.
func (s *scan) textValue(t []byte, start int, k kind, colon, quoted bool, w *word) (from, to int, f form) {
	if colon && !quoted && k&wholeLine != 0 && t[start-1] <= ' ' { // a header as HTTP writes it
		return start, lineEnd(t, start), formMask
	}
	if n, level, ok := openQuote(t, start); ok {
		from = start + n
		return from, closeQuote(t, from, t[from-1], level), formMask
	}
	if open := compound(t, start); open > 0 {
		from = start + open
		to = closeBracket(t, from)
		return trimQuotes(t, from, to)
	}
	if colon && quoted {
		if to, f, ok := jsonScalar(t, start); ok {
			return start, to, f
		}
	}
	if colon && k&wholeLine != 0 {
		return start, lineEnd(t, start), formMask
	}
	to = wordValue(t, start, w)
	if !w.url && to < len(t) && t[to] == ' ' && s.names.schemes[string(bytes.ToLower(t[start:min(to, start+maxWord)]))] && !s.isChallenge(t, to+1) {
		to = wordValue(t, to+1, w) // authorization=Token abc
	}
	return start, to, formMask
}

func lineEnd(t []byte, i int) int {
	if n := bytes.IndexAny(t[i:], "\r\n"); n >= 0 {
		return i + n
	}
	return len(t)
}

// isPort reports whether a port stands at i. A host may be called auth.
func isPort(t []byte, i int) bool {
	n := i
	for n < len(t) && n-i < 6 && isDigit(t[n]) {
		n++
	}
	return n-i >= 2 && n-i <= 5 && (n == len(t) || !isName(t[n]))
}

// notValue reports whether what stands behind name= is none after all: "code ==
// nil" compares, and "code=404" is the code of an error unless it is in a URL.
func notValue(value []byte, k kind, w *word) bool {
	digits := 0
	for _, c := range value {
		if isDigit(c) {
			digits++
		}
	}
	number := digits == len(value) && digits <= 3
	return len(value) == 1 && value[0] == '=' || number && k == asParameter && !w.query
}

// openQuote returns the length of the quote at i, backslashes included, and how
// deep in strings inside strings it stands, told by them: ", \", \\\", … Where
// there is no quote, n is the number of backslashes.
func openQuote(t []byte, i int) (n, level int, ok bool) {
	j := i
	for j < len(t) && t[j] == '\\' {
		j++
	}
	if j == len(t) || !isQuote(t[j]) {
		return j - i, 0, false
	}
	for slashes := j - i; slashes > 0; slashes /= 2 {
		level++
	}
	return j - i + 1, level, true
}

// closeQuote returns where the string from i on ends, without the backslashes
// of its closing quote: at the first quote that is no escaped one at its level
// or at one further out, or with the text.
func closeQuote(t []byte, i int, quote byte, level int) int {
	slashes := 0
	for ; i < len(t); i++ {
		if t[i] == '\\' {
			slashes++
			continue
		}
		if t[i] == quote {
			// Each level inwards doubles backslashes and adds one to the quote.
			n, own := slashes, 0
			for l := 0; l < level && n%2 == 1; l++ {
				n, own = n/2, 2*own+1
			}
			if n%2 == 0 {
				return i - own
			}
		}
		slashes = 0
	}
	return len(t)
}

// compound returns the length of what opens a list, an object, or one of Go's
// renderings of them, at i. Zero: nothing does.
func compound(t []byte, i int) int {
	for _, open := range []string{"[]string{", "map[", "&{", "[", "{", "("} {
		if len(t)-i >= len(open) && string(t[i:i+len(open)]) == open {
			return len(open)
		}
	}
	return 0
}

// closeBracket returns where the bracket closes that opens in front of i, the
// strings and brackets inside it skipped, or the end of the text.
func closeBracket(t []byte, i int) int {
	opening, closing := t[i-1], t[i-1]+2 // [ ], { }
	if opening == '(' {
		closing = ')'
	}
	for depth := 1; i < len(t); i++ {
		switch c := t[i]; c {
		case opening:
			depth++
		case closing:
			if depth > 1 {
				depth--
			} else if closes(t, i) {
				return i
			}
		case '\\', '"':
			n, level, ok := openQuote(t, i)
			i += n - 1
			if ok {
				for i = closeQuote(t, i+1, t[i], level); i < len(t) && t[i] == '\\'; i++ {
				}
			}
		}
	}
	return len(t)
}

// closes reports whether the bracket at i closes something, and is not a
// character of a value, by what follows.
func closes(t []byte, i int) bool {
	return i+1 == len(t) || strings.IndexByte(" \t\r\n,;:]})\\\"'`<", t[i+1]) >= 0
}

// trimQuotes leaves the outer quotes of a list of strings standing, so that
// ["a","b"] becomes ["REDACTED"].
func trimQuotes(t []byte, from, to int) (int, int, form) {
	n, _, ok := openQuote(t, from)
	if !ok || to-from < 2*n || !bytes.Equal(t[from:from+n], t[to-n:to]) {
		return from, to, formMask
	}
	return from + n, to - n, formMask
}

// jsonScalar returns the end of a number, true, false or null at i, and what
// to write for it: nothing for the latter three.
func jsonScalar(t []byte, i int) (end int, f form, ok bool) {
	end = i
	for end < len(t) && (isName(t[end]) || t[end] == '.' || t[end] == '+') {
		end++
	}
	switch word := t[i:end]; {
	case string(word) == "true", string(word) == "false", string(word) == "null":
		return i, formMask, true
	case number(word, 0) == len(word) && len(word) > 0:
		return end, formZero, true
	}
	return 0, 0, false
}

// wordValue returns where an unquoted value ends in free text.
func wordValue(t []byte, i int, w *word) int {
	for ; i < len(t); i++ {
		switch c := t[i]; c {
		case '"', '<', '>', '`':
			return i
		case '\\':
			if i+1 < len(t) && isQuote(t[i+1]) {
				return i
			}
		case '&':
			if w.path || w.query || separates(t, i) {
				return i
			}
		case ';':
			if !w.query && (w.path || separates(t, i)) {
				return i
			}
		case ',':
			if separates(t, i) {
				return i
			}
		case '/', '?', '#':
			if w.path && !w.query {
				return i
			}
		case ']', '}', ')':
			if closes(t, i) {
				return i
			}
		default:
			if c <= ' ' {
				return i
			}
		}
	}
	return len(t)
}

// separates reports whether the character at i ends a value: it does in front
// of a space, a quote or another pair. Passwords have commas too.
func separates(t []byte, i int) bool {
	j := i + 1
	for j < len(t) && j-i < 64 && (isName(t[j]) || t[j] == '[' || t[j] == ']' || t[j] == '.' || t[j] == '%') {
		j++
	}
	if j == i+1 {
		return j == len(t) || t[j] <= ' ' || isQuote(t[j])
	}
	return j < len(t) && (t[j] == '=' || t[j] == ':')
}

// isProse reports whether an error message goes on at i, not a value: "checking
// token: not signed".
func (s *scan) isProse(t []byte, i int) bool {
	for {
		for i < len(t) && t[i] == ' ' {
			i++
		}
		var buf [maxWord]byte
		word := lowerWord(buf[:0], t[i:])
		i += len(word)
		if !endsProse(t, i) || !s.names.prose[string(word)] {
			return false
		}
		if i == len(t) || t[i] != ' ' || !s.names.nouns[string(word)] {
			return true
		}
	}
}

// lowerWord appends the letters and underscores that t begins with to dst, in
// lower case, as far as there is room.
func lowerWord(dst, t []byte) []byte {
	for _, c := range t {
		if !isLetter(c) && c != '_' || len(dst) == cap(dst) {
			break
		}
		if c != '_' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// endsProse reports whether a word of prose can end in front of i.
func endsProse(t []byte, i int) bool {
	if i < len(t) && strings.IndexByte(".,:;)", t[i]) >= 0 {
		i++
	}
	return i == len(t) || t[i] <= ' ' || t[i] == '\\' || isQuote(t[i])
}
