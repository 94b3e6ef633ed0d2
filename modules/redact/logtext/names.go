package logtext

import (
	"errors"
	"fmt"
	"slices"
)

// kind says where a name is secret. Zero means nowhere.
type kind uint8

const (
	asParameter kind = 1 << iota // name=value: URLs, forms, cookies, logfmt
	asMember                     // a JSON member, and name: value
	wholeLine                    // in text, its value runs to the end of the line
	notObject                    // as a member, only while its value is no object
)

// maxName bounds how far a name is read backwards from its separator. Names
// that are secret as a whole are shorter; longer ones are known by their ending.
const maxName = 96

// maxWord is longer than the words of proseWords and challengeWords.
const maxWord = 32

// nameSet decides whether a name is secret. It is immutable once built.
type nameSet struct {
	exact     map[string]kind
	endings   [26][]ending    // by last letter
	prose     map[string]bool // proseWords
	challenge map[string]bool // challengeWords

	// maybe holds, for each name, its last three characters as fold maps them,
	// the last two in the index and the third as a bit: a cheap "no" for nearly
	// all names of an access log.
	maybe [1 << 10]uint32
}

type ending struct {
	text string
	kind kind
}

// newNameSet compiles the default names and the given ones.
func newNameSet(headers, query, keys []string) (*nameSet, error) {
	n := &nameSet{exact: make(map[string]kind), prose: make(map[string]bool), challenge: make(map[string]bool)}
	for _, w := range proseWords {
		n.prose[w] = true
	}
	for _, w := range challengeWords {
		n.challenge[w] = true
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

// CheckName reports why name cannot be the name of a header, a query parameter
// or a JSON member to mask: names are letters, digits, '_' and '-' of at most
// 64 bytes, with something beside '_' and '-'. Of a structured name such as
// user[pin] or user.pin, the last part is the name.
func CheckName(name string) error {
	if len(name) > 64 {
		return errors.New("longer than 64 bytes")
	}
	if normal(name) == "" {
		return errors.New("no letter or digit in it")
	}
	for i := range len(name) {
		if !isName(name[i]) {
			return fmt.Errorf("%q cannot stand in a name; a name is letters, digits, '_' and '-'", name[i])
		}
	}
	return nil
}

func (n *nameSet) add(name string, k kind) {
	key := normal(name)
	n.exact[key] |= k
	n.expect(key)
}

func (n *nameSet) addEndings(words []string, k kind) {
	for _, w := range words {
		w = normal(w)
		last := w[len(w)-1] - 'a'
		n.endings[last] = append(n.endings[last], ending{w, k})
		n.expect(w)
	}
}

// expect enters a normalised name into maybe, in each way in which '_' and '-'
// may stand between its last characters.
func (n *nameSet) expect(key string) {
	const any = ^uint32(0)
	c := func(back int) uint16 { return uint16(fold[key[len(key)-back]]) }
	last := c(1) << 5
	n.maybe[last|foldOther] |= any
	switch len(key) {
	case 1:
		for second := range uint16(1 << 5) {
			n.maybe[last|second] |= any
		}
	case 2:
		n.maybe[last|c(2)] |= any
	default:
		n.maybe[last|c(2)] |= 1<<c(3) | 1<<foldOther
	}
}

// mayEnd reports whether a secret name may end in front of b[i]. False is
// certain.
func (n *nameSet) mayEnd(b []byte, i int) bool {
	if i < 3 {
		return true
	}
	last := uint16(foldLast[b[i-1]])
	return last == foldOther || n.maybe[last<<5|uint16(fold[b[i-2]])]>>fold[b[i-3]]&1 == 1
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
	return n.lookup(b[wordStart(b, low, j):j]), quoted
}

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
	if len(name) == 0 {
		return 0
	}
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
	for j > low && isName(b[j-1]) {
		j--
	}
	return j
}

// normalise appends name in the form in which names are compared.
func normalise(dst, name []byte) []byte {
	for _, c := range name {
		switch {
		case c == '_' || c == '-':
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func normal(name string) string {
	return string(normalise(nil, []byte(name)))
}

// The classes of fold: letters are 1 to 26, what may stand in or between the
// parts of a name is foldOther, what ends a name is 0.
const foldOther = 31

var (
	fold     = foldTable(isName)
	foldLast = foldTable(func(c byte) bool { // of the character in front of the separator
		return isName(c) || isQuote(c) || isGap(c) || c == ']'
	})
)

func foldTable(other func(byte) bool) (t [256]uint8) {
	for c := range 256 {
		switch b := byte(c); {
		case 'a' <= b|0x20 && b|0x20 <= 'z':
			t[c] = b | 0x20 - 'a' + 1
		case other(b):
			t[c] = foldOther
		}
	}
	return t
}

func isName(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(c) || c == '_' || c == '-' || c >= 0x80
}

// isGap reports whether c may stand between a name and its separator: token =,
// token :=, token%00=.
func isGap(c byte) bool { return c <= ' ' || c == '+' || c == ':' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }
