package logtext

import (
	"bytes"
	"cmp"
	"slices"
)

// mask is what takes a secret's place. It is what Caddy writes for the headers
// it hides itself, and stands unescaped in JSON, URLs and text alike.
const mask = "REDACTED"

// layers is how many layers of escapes are undone one by one. The last round
// undoes what is left of repeated percent encoding at once: each layer of a
// nested URL adds 25 to its escapes, and no reader undoes five.
const layers = 4

// form is what an edit writes.
type form uint8

const (
	formMask   form = iota // REDACTED
	formString             // "REDACTED", for a bare JSON value
	formZero               // 0, for a number in JSON inside a string
)

// edit replaces entry[start:end].
type edit struct {
	start, end int
	form       form
}

// scan is the work on one entry. It is reused for the next.
type scan struct {
	*Cleaner
	entry []byte
	edits []edit // ordered, not overlapping, once a string is done
	stack []byte // open objects and arrays, see walk

	unquoted viewBuf
	peeled   [2]viewBuf
}

// text masks what it finds in a string and under the string's escapes.
func (s *scan) text(v view) {
	mark := len(s.edits)
	url := isURL(v.text)
	more := s.look(v, url)
	for round := 1; more && round <= layers; round++ {
		peeled, ok := s.peeled[round&1].peel(v, round == layers)
		if !ok {
			break
		}
		v = peeled
		more = s.look(v, url)
	}
	s.merge(mark)
}

// word is what the look at a text knows of the run of characters it is in that
// has no space or quote: mostly, of the URL.
type word struct {
	start     int
	path      bool // it is a URL or begins with a slash
	query     bool // the look is behind its first ? or #
	authority int  // where its authority begins; -1: it has none
	host      int  // where its authority ends; -1: the look is in it
	slashes   bool // its userinfo may have slashes in it
	url       bool // not only the word, the whole string is one URL
}

func newWord(t []byte, start int, url bool) word {
	w := word{start: start, authority: -1, host: -1, url: url}
	if start < len(t) && t[start] == '/' {
		w.path = true
		if start+1 < len(t) && t[start+1] == '/' {
			w.authority = start + 2
		}
	}
	return w
}

// look masks what one reading of a text shows, and reports whether it has
// characters that may be escapes. Its work is linear: all looks ahead and back
// are bounded, or the look goes on where they end.
func (s *scan) look(v view, url bool) (escapes bool) {
	t := v.text
	s.detect(v)
	w := newWord(t, 0, url)
	for i := 0; i < len(t); i++ {
		switch textClass[t[i]] {
		case textSpace:
			if end := s.scheme(v, &w, i); end > i {
				i = end - 1
			} else if t[i] != '+' {
				w.end(t, i)
			}
		case textQuote:
			w.end(t, i)
		case textEscape:
			escapes = true
		case textSlash:
			w.endHost(i)
		case textQuery:
			w.endHost(i)
			w.query = true
		case textAt:
			s.atSign(v, &w, i)
		case textPair:
			if bytes.HasPrefix(t[i:], []byte("://")) {
				w.path, w.authority, w.host, w.slashes = true, i+3, -1, !isWeb(t[:i])
				i += 2
				continue
			}
			i = s.pair(v, i, &w) - 1
		}
	}
	return escapes
}

// isWeb reports whether a scheme that ends with b is one of the web's, whose
// clients take no slash for a part of a password.
func isWeb(b []byte) bool {
	for _, scheme := range []string{"http", "https", "ws", "wss"} {
		if n := len(b) - len(scheme); n >= 0 && bytes.EqualFold(b[n:], []byte(scheme)) {
			return true
		}
	}
	return false
}

// end begins a new word behind the space or quote at i. In a URL, where that
// was an escape, only its authority ends.
func (w *word) end(t []byte, i int) {
	if w.url {
		w.endHost(i)
		return
	}
	*w = newWord(t, i+1, false)
}

// endHost notes that the authority ends at i, if the look is in one.
func (w *word) endHost(i int) {
	if w.authority >= 0 && w.host < 0 && i >= w.authority {
		w.host = i
	}
}

// detect masks what the detectors find.
func (s *scan) detect(v view) {
	for from := 0; from < len(v.text); {
		m, ok := s.detectors.Next(v.text, from)
		if !ok {
			return
		}
		s.mask(v, m.Start, m.End, formMask)
		from = max(m.End, from+1)
	}
}

// within returns where a value ends that was found to end at to: at the latest
// where the URL's own syntax ends it, if the text is a URL, so that nobody can
// hide the rest of a request with an open quote. A separator that was an escape
// is a part of the value.
func (s *scan) within(v view, w *word, from, to int) int {
	for i := from; w.url && i < to; i++ {
		switch c := v.text[i]; c {
		case '&', '/', ';', '?', '#':
			if (c == '&' || !w.query) && s.stands(c, v.at(i)) {
				return i
			}
		}
	}
	return to
}

// stands reports whether the entry has c at i, be it as a character of JSON, and
// not as an escape of the text in the entry.
func (s *scan) stands(c byte, i int) bool {
	b := s.entry[i:]
	if b[0] == c || bytes.HasPrefix(b, []byte{'\\', c}) {
		return true
	}
	r, ok := hex4(b, 2)
	return ok && bytes.HasPrefix(b, []byte(`\u`)) && r == rune(c)
}

// mask enters the edit for a span of a view.
func (s *scan) mask(v view, start, end int, f form) {
	if start >= end || string(v.text[start:end]) == mask {
		return
	}
	s.edits = append(s.edits, edit{v.at(start), v.at(end), f})
}

// merge orders the edits from mark on and joins those that touch.
func (s *scan) merge(mark int) {
	edits := s.edits[mark:]
	if len(edits) < 2 {
		return
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(a.start-b.start, int(b.form)-int(a.form)) })
	last := 0
	for _, e := range edits[1:] {
		if e.start > edits[last].end {
			last++
			edits[last] = e
			continue
		}
		edits[last].end = max(edits[last].end, e.end)
	}
	s.edits = s.edits[:mark+last+1]
}

// isURL reports whether a string is one URL or path and nothing else, so that
// only the syntax of URLs ends a value in it.
func isURL(t []byte) bool {
	if !bytes.HasPrefix(t, []byte("/")) {
		n := 0
		for n < len(t) && n < 32 && (isName(t[n]) || t[n] == '+' || t[n] == '.') {
			n++
		}
		if !bytes.HasPrefix(t[n:], []byte("://")) {
			return false
		}
	}
	for _, c := range t {
		if c <= ' ' {
			return false
		}
	}
	return true
}

const (
	textSpace  = iota + 1 // ends a word, or the name of an authentication scheme
	textQuote             // ends a word
	textEscape            // of percent encoding or JSON
	textSlash             // ends a URL's authority
	textQuery             // begins a query or a fragment
	textAt                // ends userinfo
	textPair              // stands between a name and its value
)

var textClass = func() (t [256]uint8) {
	for c := range byte(' ' + 1) {
		t[c] = textSpace
	}
	for class, chars := range map[uint8]string{
		textSpace: "+", textQuote: "\"'`<>", textEscape: `%\`, textSlash: "/", textQuery: "?#", textAt: "@", textPair: "=:",
	} {
		for _, c := range []byte(chars) {
			t[c] = class
		}
	}
	return t
}()
