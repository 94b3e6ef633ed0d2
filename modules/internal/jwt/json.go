package jwt

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest. Real tokens need four.
const maxDepth = 32

// decodeObject reads text as exactly one JSON object (RFC 8259): no repeated
// member at any level, nothing around it but white space, valid UTF-8, no
// escaped half of a surrogate pair. Numbers stay as they are written.
//
// encoding/json would let the last of several equal members win, repair bad
// UTF-8 and find "Exp" when asked for "exp"; it also costs five times as much.
// Strings without escapes share the memory of text. size is about how many bytes
// the object takes beside text, and not less.
func decodeObject(text string) (object map[string]any, size int, err error) {
	plain := isPlain(text)
	if !plain && !utf8.ValidString(text) {
		return nil, 0, errUTF8
	}
	d := decoder{text: text, plain: plain, members: strings.Count(text, ",") + 1}
	d.space()
	if d.peek() != '{' {
		return nil, 0, errJSON
	}
	object, err = d.object(1)
	if err != nil {
		return nil, 0, err
	}
	d.space()
	if d.pos != len(text) {
		return nil, 0, errTrailing
	}
	return object, d.size, nil
}

// decoder reads one JSON text of valid UTF-8 from left to right.
type decoder struct {
	text string
	pos  int
	// loose lets the last of equal members win. Only used to find the end of a
	// value that was refused.
	loose bool
	// plain says that text has neither escapes nor control characters.
	plain bool
	// members is how many members the outermost object may have, at most.
	members int
	// size is about how many bytes the values take that were read.
	size int
}

// What values take beside the text they were read from: a string or a number in an
// interface; a slice in one and each element it has room for; a map, its first eight
// members, what it costs to have more, and each of those, with room to grow.
const (
	sizeBoxed   = 16
	sizeSlice   = 24
	sizeElement = 16
	sizeMap     = 48
	sizeMembers = 288
	sizeTable   = 512
	sizeMember  = 96
)

// allocated is what the memory of n bytes takes: there are not blocks of every size.
func allocated(n int) int { return n + n/8 + 16 }

// peek returns the next byte, or 0 at the end: a NUL is nowhere allowed.
func (d *decoder) peek() byte {
	if d.pos < len(d.text) {
		return d.text[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// take consumes c, after white space, if it is next.
func (d *decoder) take(c byte) bool {
	d.space()
	if d.peek() != c {
		return false
	}
	d.pos++
	return true
}

func (d *decoder) value(depth int) (any, error) {
	d.space()
	switch c := d.peek(); {
	case c == '"':
		d.size += sizeBoxed
		return d.string()
	case c == '{':
		return d.object(depth + 1)
	case c == '[':
		return d.array(depth + 1)
	case c == '-' || isDigit(c):
		d.size += sizeBoxed
		return d.number()
	}
	rest := d.text[d.pos:]
	switch {
	case strings.HasPrefix(rest, "true"):
		d.pos += len("true")
		return true, nil
	case strings.HasPrefix(rest, "false"):
		d.pos += len("false")
		return false, nil
	case strings.HasPrefix(rest, "null"):
		d.pos += len("null")
		return nil, nil
	}
	return nil, errJSON
}

// object reads an object whose brace is next.
func (d *decoder) object(depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	d.pos++
	d.size += sizeMap
	if d.take('}') {
		return make(map[string]any), nil
	}
	hint := 0
	if depth == 1 {
		// Few tokens have more than fit in a map of the next size.
		hint = min(d.members, 14)
	}
	object := make(map[string]any, hint)
	for {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		value, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		before := len(object)
		if object[name] = value; len(object) == before && !d.loose {
			return nil, errDuplicate
		}
		switch {
		case before == 0:
			d.size += sizeMembers
		case before == 8:
			d.size += sizeTable
		case before > 8:
			d.size += sizeMember
		}
		if d.take('}') {
			return object, nil
		}
		if !d.take(',') {
			return nil, errJSON
		}
	}
}

// isPlain reports whether text is ASCII without control characters and backslashes,
// as the claims of most tokens are: then a string ends at the next quote.
func isPlain(text string) bool {
	const ones = 0x0101010101010101
	for ; len(text) >= 8; text = text[8:] {
		w := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		backslash := w ^ ones*'\\'
		if (w|(w-ones*0x20)|(backslash-ones))&(ones*0x80) != 0 {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x80 || c == '\\' {
			return false
		}
	}
	return true
}

// skip passes over one value without keeping it or judging it.
func (d *decoder) skip() {
	for depth := 0; d.pos < len(d.text); {
		switch d.text[d.pos] {
		case '"':
			d.skipString()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return
			}
			if depth--; depth == 0 {
				d.pos++
				return
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return
			}
		}
		d.pos++
	}
}

// skipString passes over a string whose quote is next.
func (d *decoder) skipString() {
	if n := strings.IndexByte(d.text[d.pos+1:], '"'); n >= 0 && strings.IndexByte(d.text[d.pos+1:d.pos+1+n], '\\') < 0 {
		d.pos += n + 2
		return
	}
	for d.pos++; d.pos < len(d.text); d.pos++ {
		switch d.text[d.pos] {
		case '\\':
			d.pos++
		case '"':
			d.pos++
			return
		}
	}
	d.pos = min(d.pos, len(d.text))
}

// name reads a member's name and the colon behind it.
func (d *decoder) name() (string, error) {
	d.space()
	if d.peek() != '"' {
		return "", errJSON
	}
	name, err := d.string()
	if err != nil {
		return "", err
	}
	if !d.take(':') {
		return "", errJSON
	}
	return name, nil
}

// array reads an array whose bracket is next.
func (d *decoder) array(depth int) ([]any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	d.pos++
	d.size += sizeSlice
	if d.take(']') {
		return []any{}, nil
	}
	array := make([]any, 0, 4)
	for {
		value, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
		if d.take(']') {
			d.size += cap(array) * sizeElement
			return array, nil
		}
		if !d.take(',') {
			return nil, errJSON
		}
	}
}

// string reads a string whose quote is next.
func (d *decoder) string() (string, error) {
	d.pos++
	start := d.pos
	if d.plain {
		n := strings.IndexByte(d.text[start:], '"')
		if n < 0 {
			return "", errJSON
		}
		d.pos = start + n + 1
		return d.text[start : start+n], nil
	}
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case c == '"':
			s := d.text[start:d.pos]
			d.pos++
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", errJSON
		}
		d.pos++
	}
	return "", errJSON
}

// escaped reads the rest of a string that began at start, from its first
// backslash on.
func (d *decoder) escaped(start int) (string, error) {
	end := decoder{text: d.text, pos: start - 1}
	end.skipString()
	var b strings.Builder
	b.Grow(end.pos - start) // it gets no longer
	b.WriteString(d.text[start:d.pos])
	for d.pos < len(d.text) {
		c := d.text[d.pos]
		d.pos++
		switch {
		case c == '"':
			d.size += allocated(b.Cap())
			return b.String(), nil
		case c == '\\':
			r, ok := d.escape()
			if !ok {
				return "", errJSON
			}
			b.WriteRune(r)
		case c < 0x20:
			return "", errJSON
		default:
			b.WriteByte(c)
		}
	}
	return "", errJSON
}

// escape reads what follows a backslash.
func (d *decoder) escape() (rune, bool) {
	c := d.peek()
	d.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return d.unicode()
	}
	return 0, false
}

// unicode reads the four digits behind \u, and a second escape where they are
// the first half of a pair. A lone half has no meaning (RFC 8259 section 8.2).
func (d *decoder) unicode() (rune, bool) {
	r, ok := d.hex4()
	if !ok || r < 0xd800 || r > 0xdfff {
		return r, ok
	}
	if r > 0xdbff || !strings.HasPrefix(d.text[d.pos:], `\u`) {
		return 0, false
	}
	d.pos += len(`\u`)
	low, ok := d.hex4()
	if !ok || low < 0xdc00 || low > 0xdfff {
		return 0, false
	}
	return ((r-0xd800)<<10 | (low - 0xdc00)) + 0x10000, true
}

func (d *decoder) hex4() (rune, bool) {
	var r rune
	for range 4 {
		c := d.peek()
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
		d.pos++
	}
	return r, true
}

// number reads a number and returns it as written: a float64 would make one of
// the identifiers 9007199254740993 and 9007199254740992.
func (d *decoder) number() (json.Number, error) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	if d.peek() == '0' {
		d.pos++
	} else if !d.digits() {
		return "", errJSON
	}
	if d.peek() == '.' {
		d.pos++
		if !d.digits() {
			return "", errJSON
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if !d.digits() {
			return "", errJSON
		}
	}
	return json.Number(d.text[start:d.pos]), nil
}

func (d *decoder) digits() bool {
	start := d.pos
	for isDigit(d.peek()) {
		d.pos++
	}
	return d.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
