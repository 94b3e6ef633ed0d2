package redact

import (
	"bytes"
	"io"
	"strings"
)

// dropPairs returns a query without the pairs whose names are given, as fold
// makes them, and how often each was there. What is left is as it was sent, in its
// order. Where ";" may stand in a query, backends read it as "&", so it separates
// pairs too.
func dropPairs(raw string, names []string, count func(i int)) string {
	var kept strings.Builder
	whole, first := true, true
	for at := 0; at <= len(raw); {
		end := len(raw)
		if n := strings.IndexAny(raw[at:], "&;"); n >= 0 {
			end = at + n
		}
		i := dropped(raw[at:end], names)
		switch {
		case i >= 0:
			count(i)
			if whole {
				whole = false
				kept.Grow(len(raw))
				kept.WriteString(raw[:max(at-1, 0)])
				first = at == 0
			}
		case !whole && first:
			kept.WriteString(raw[at:end])
			first = false
		case !whole:
			kept.WriteString(raw[at-1 : end])
		}
		at = end + 1
	}
	if whole {
		return raw
	}
	return kept.String()
}

// dropped returns which of the names a pair has, -1 if none: that in front of a
// bracket counts too, user of user[pin].
func dropped(pair string, names []string) int {
	name, _, _ := strings.Cut(pair, "=")
	name = foldParameter(name)
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// foldParameter returns the form in which the names of parameters are compared:
// backends differ in case, in what they make of separators, and in brackets.
func foldParameter(name string) string {
	folded := make([]byte, 0, 64)
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if high, low := unhex(name[i+1]), unhex(name[i+2]); high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		switch {
		case c == '[':
			if len(folded) > 0 {
				return string(folded)
			}
		case c == '_' || c == '-' || c == '.' || c == '+' || c <= ' ':
		case c >= 'A' && c <= 'Z':
			folded = append(folded, c-'A'+'a')
		default:
			folded = append(folded, c)
		}
	}
	return string(folded)
}

func sameParameter(a, b string) bool { return foldParameter(a) == foldParameter(b) }

// unhex returns the value of a hexadecimal digit, 16 if it is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// formDecoder takes off the encoding of forms and queries, in parts, for text that
// is searched. What is no encoding stays.
type formDecoder struct {
	w    io.Writer
	rest []byte // an encoding that the part ended in
	out  []byte
}

// Write implements io.Writer.
func (d *formDecoder) Write(p []byte) (int, error) {
	if len(d.rest) == 0 && bytes.IndexByte(p, '%') < 0 && bytes.IndexByte(p, '+') < 0 {
		return d.w.Write(p)
	}
	b := append(d.rest, p...)
	d.out = d.out[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 >= len(b):
			d.rest = append([]byte(nil), b[i:]...)
			return d.flush(len(p))
		case c == '%':
			if high, low := unhex(b[i+1]), unhex(b[i+2]); high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		d.out = append(d.out, c)
	}
	d.rest = nil
	return d.flush(len(p))
}

func (d *formDecoder) flush(n int) (int, error) {
	if _, err := d.w.Write(d.out); err != nil {
		return 0, err
	}
	return n, nil
}

// end brings out what looked like the beginning of an encoding.
func (d *formDecoder) end() error {
	_, err := d.w.Write(d.rest)
	d.rest = nil
	return err
}
