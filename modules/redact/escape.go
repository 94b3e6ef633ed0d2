package redact

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// escapeDecoder takes off the escape sequences of JSON and its lenient relatives, in
// parts, wherever they stand: what is JSON only to some backends (comments, NaN,
// single quotes), or is in the field of a form, has them too. What is no escape
// sequence stays.
type escapeDecoder struct {
	w    io.Writer
	rest []byte // a sequence that the part ended in
	out  []byte
}

// Write implements io.Writer.
func (d *escapeDecoder) Write(p []byte) (int, error) {
	if len(d.rest) == 0 && bytes.IndexByte(p, '\\') < 0 {
		return d.w.Write(p)
	}
	b := append(d.rest, p...)
	d.out = d.out[:0]
	i := 0
	for i < len(b) {
		if b[i] != '\\' {
			d.out = append(d.out, b[i])
			i++
			continue
		}
		n := sequence(b[i:])
		if i+n > len(b) {
			break
		}
		d.out = appendEscaped(d.out, b[i:i+n])
		i += n
	}
	d.rest = append([]byte(nil), b[i:]...)
	if _, err := d.w.Write(d.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end brings out what looked like the beginning of a sequence.
func (d *escapeDecoder) end() error {
	_, err := d.w.Write(d.rest)
	d.rest = nil
	return err
}

// sequence is how long the sequence is that b begins with. More than b has means
// that more of it has to come.
func sequence(b []byte) int {
	n := 2
	if len(b) < n {
		return n
	}
	switch b[1] {
	case 'u':
		n = 6
	case 'x':
		n = 4
	}
	for i := 2; i < min(n, len(b)); i++ {
		if unhex(b[i]) > 15 {
			return 2
		}
	}
	return n
}

func appendEscaped(dst, sequence []byte) []byte {
	if len(sequence) == 2 {
		switch c := sequence[1]; c {
		case 'b', 'f', 'n', 'r', 't':
			return append(dst, ' ')
		case '\n': // the text goes on in the next line
			return dst
		default:
			return append(dst, c)
		}
	}
	var r rune
	for _, c := range sequence[2:] {
		r = r<<4 | rune(unhex(c))
	}
	if r == 0 {
		r = ' ' // no sign of UTF-16
	}
	return utf8.AppendRune(dst, r)
}
