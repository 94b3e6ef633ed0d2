package logtext

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// kind says where a name is secret. Zero means nowhere.
type kind uint8

const (
	asParameter kind = 1 << iota // name=value: URLs, forms, cookies, logfmt
	asMember                     // a JSON member, and name: value
	wholeLine                    // in text, its value runs to the end of the line
	notObject                    // as a member, only while its value is no object; in text, no port
)

// maxName bounds how far a name is read backwards from its separator. Names
// that are secret as a whole are shorter; longer ones are known by their ending.
const maxName = 96

// maxWord is longer than the words of proseWords and challengeWords.
const maxWord = 32

// nameSet decides whether a name is secret. It is immutable once built.
type nameSet struct {
	exact   map[string]kind
	endings [26][]ending // by last letter

	prose, nouns, schemes, challenge map[string]bool // the lists of these names

	// Two filters that are a cheap "no" for nearly all names of an access log:
	// the last three characters of all names as fold maps them, the third from
	// the end as a bit, and hashes of their last letters, up to six.
	ends [1 << 10]uint32
	last [1 << (filterBits - 6)]uint64
}

const (
	filterBits    = 16
	filterLetters = 6
)

type ending struct {
	text string
	kind kind
}

// newNameSet compiles the default names and the given ones.
func newNameSet(headers, query, keys []string) (*nameSet, error) {
	n := &nameSet{
		exact: make(map[string]kind),
		prose: setOf(proseWords), nouns: setOf(nouns), schemes: setOf(schemes), challenge: setOf(challengeWords),
	}
	for class := foldDigit << 5; class < len(n.ends); class++ {
		n.ends[class] = ^uint32(0) // mayEnd looks closer
	}
	n.addEndings(secretEndings, asParameter|asMember)
	n.addEndings(queryEndings, asParameter)
	for _, name := range harmlessNames {
		n.exact[normal(name)] = 0
	}
	for _, name := range secretHeaders {
		n.add(name, asParameter|asMember|wholeLine)
	}
	for _, name := range secretKeys {
		k := asParameter | asMember
		if slices.Contains(containerNames, name) {
			k |= notObject
		}
		n.add(name, k)
	}
	for _, name := range secretQuery {
		n.add(name, asParameter)
	}
	var errs []error
	custom := func(list string, names []string, k kind) {
		for i, name := range names {
			if err := CheckName(name); err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %q: %w", list, i, name, err))
				continue
			}
			n.add(name, k)
		}
	}
	custom("headers", headers, asParameter|asMember|wholeLine)
	custom("query", query, asParameter)
	custom("keys", keys, asParameter|asMember)
	return n, errors.Join(errs...)
}

func setOf(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

// CheckName reports why name cannot be the name of a header, a query parameter
// or a JSON member to mask: names are letters, digits, '_' and '-' of at most
// 64 bytes, one of them a letter. Of a structured name such as user[pin] or
// user.pin, the last part is the name.
func CheckName(name string) error {
	if len(name) > 64 {
		return errors.New("longer than 64 bytes")
	}
	letters := 0
	for i := range len(name) {
		c := name[i]
		if !isName(c) {
			return fmt.Errorf("%q cannot stand in a name; a name is letters, digits, '_' and '-'", c)
		}
		if isLetter(c) || c >= 0x80 {
			letters++
		}
	}
	if letters == 0 {
		return errors.New("no letter in it")
	}
	return nil
}

func (n *nameSet) add(name string, k kind) {
	key := normal(name)
	n.exact[key] |= k
	n.expect(key)
	if len(key) < filterLetters { // CGI's names of headers
		n.expect("http" + key)
	}
}

func (n *nameSet) addEndings(words []string, k kind) {
	for _, w := range words {
		w = normal(w)
		last := w[len(w)-1] - 'a'
		n.endings[last] = append(n.endings[last], ending{w, k})
		n.expect(w)
	}
}

// expect enters the end of a normalised name into the filters.
func (n *nameSet) expect(key string) {
	letters := uint32(0)
	for back := 1; back <= min(len(key), filterLetters); back++ {
		letters = letters<<5 | uint32(fold[key[len(key)-back]])
	}
	h := hashLetters(letters)
	n.last[h>>6] |= 1 << (h & 63)
	c := func(back int) uint32 { return uint32(fold[key[len(key)-back]]) }
	last := c(1) << 5
	n.ends[last|foldDash] = ^uint32(0)
	switch len(key) {
	case 1:
		for second := range uint32(32) {
			n.ends[last|second] = ^uint32(0)
		}
	case 2:
		n.ends[last|c(2)] = ^uint32(0)
	default:
		n.ends[last|c(2)] |= 1<<c(3) | 1<<foldDash
	}
}

func hashLetters(letters uint32) uint32 { return letters * 0x9e3779b1 >> (32 - filterBits) }

// mayEnd reports whether a secret name may end in front of b[i]. False is
// certain.
func (n *nameSet) mayEnd(b []byte, i int) bool {
	if i < 3 {
		return i > 0
	}
	if n.ends[uint32(foldLast[b[i-1]])<<5|uint32(fold[b[i-2]])]>>fold[b[i-3]]&1 == 0 {
		return false
	}
	if foldLast[b[i-1]] >= foldDigit {
		return !isNumber(b, i)
	}
	letters := uint32(0)
	for j, back := i-1, 0; j >= 0 && back < filterLetters && i-j <= 16; j-- {
		c := fold[b[j]]
		if c == 0 {
			break
		}
		if c == foldDash {
			continue
		}
		if b[j] >= utf8.RuneSelf {
			return true // in the other case, it may have another length
		}
		letters = letters<<5 | uint32(c)
		h := hashLetters(letters)
		if n.last[h>>6]>>(h&63)&1 == 1 {
			return true
		}
		back++
	}
	return false
}

// isNumber reports whether a number ends in front of b[i], and not a name with
// a number behind it: names have a letter.
func isNumber(b []byte, i int) bool {
	j := i
	for j > 0 && isDigit(b[j-1]) {
		if j--; i-j > 16 {
			return false
		}
	}
	return j < i && (j == 0 || !isName(b[j-1]))
}

// find returns where the name is secret that ends in front of the separator at
// b[i], and whether it is quoted. Nothing in front of b[low] belongs to it.
func (n *nameSet) find(b []byte, low, i int) (k kind, quoted bool) {
	j := i
	for j > low && isGap(b[j-1]) {
		j--
		if i-j > 8 {
			return 0, false
		}
	}
	low = max(low, j-maxName)
	if j > low && isQuote(b[j-1]) {
		quoted = true
		for j--; j > low && b[j-1] == '\\'; j-- {
		}
	}
	if j > low && b[j-1] == ']' { // user[token], token[], token[0]
		return n.bracketed(b[low:j]), quoted
	}
	start := wordStart(b, low, j)
	k = n.lookup(b[start:j])
	if start > low && start < j && b[start-1] == '\\' && isEscape(b[start]) { // \ncode=, in a string in a string
		k |= n.lookup(b[start+1 : j])
	}
	return k, quoted
}

// isEscape reports whether a backslash in front of c is an escape of one
// character.
func isEscape(c byte) bool { return bytes.IndexByte([]byte("nrtbfv0"), c) >= 0 }

// bracketed returns where a name with brackets at its end is secret: it is if
// one of its parts is.
func (n *nameSet) bracketed(b []byte) (k kind) {
	for j := len(b); j > 0 && (isName(b[j-1]) || b[j-1] == '[' || b[j-1] == ']' || isQuote(b[j-1])); {
		start := wordStart(b, 0, j)
		k |= n.lookup(b[start:j])
		j = min(start, j-1)
	}
	return k
}

// lookup returns where name, as a whole, is secret.
func (n *nameSet) lookup(name []byte) kind {
	var buf [maxName]byte
	key := normalise(buf[:0], name[max(0, len(name)-maxName):])
	if k, ok := n.exact[string(key)]; ok {
		return k
	}
	// HTTP_X_API_KEY is how CGI and FastCGI name the header X-Api-Key.
	if len(key) > 4 && string(key[:4]) == "http" {
		if k, ok := n.exact[string(key[4:])]; ok {
			return k
		}
	}
	end := len(key)
	for end > 0 && isDigit(key[end-1]) { // token2, X-Hub-Signature-256
		end--
	}
	if end == 0 || key[end-1] < 'a' || key[end-1] > 'z' {
		return 0
	}
	if end < len(key) {
		if k, ok := n.exact[string(key[:end])]; ok {
			return k
		}
	}
	for _, e := range n.endings[key[end-1]-'a'] {
		if len(e.text) <= end && string(key[end-len(e.text):end]) == e.text {
			return e.kind
		}
	}
	return 0
}

// wordStart returns where the name begins that ends at b[:j].
func wordStart(b []byte, low, j int) int {
	for j > low && fold[b[j-1]] != 0 {
		j--
	}
	return j
}

// normalise appends name in the form in which names are compared.
func normalise(dst, name []byte) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch f := fold[c]; {
		case f == foldDash:
		case isLetter(c):
			dst = append(dst, c|0x20)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(name[i:])
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
			i += n - 1
		}
	}
	return dst
}

func normal(name string) string {
	return string(normalise(nil, []byte(name)))
}

// The classes of fold, by what a character is in a name: letters are 1 to 26,
// characters that are no part of one are 0.
const (
	foldDigit = 27 // and whatever is not ASCII
	foldDash  = 28 // also '_'
	foldGap   = 29 // only at the end, see foldLast
)

var (
	fold     = foldTable()
	foldLast = func() [256]uint8 { // of the character in front of the separator
		t := foldTable()
		for c := range 256 {
			if b := byte(c); isQuote(b) || isGap(b) || b == ']' {
				t[c] = foldGap
			}
		}
		return t
	}()
)

func foldTable() (t [256]uint8) {
	for c := range 256 {
		switch b := byte(c); {
		case b == '_' || b == '-':
			t[c] = foldDash
		case isLetter(b):
			t[c] = b | 0x20 - 'a' + 1
		case isName(b):
			t[c] = foldDigit
		}
	}
	return t
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isName(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '_' || c == '-' || c >= 0x80
}

// isGap reports whether c may stand between a name and its separator: token =,
// token :=, token%00=.
func isGap(c byte) bool { return c <= ' ' || c == '+' || c == ':' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }
