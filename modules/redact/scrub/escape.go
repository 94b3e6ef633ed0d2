package scrub

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// closing returns the index of the first quote or backslash in b[i:], len(b) if
// there is none. It takes eight bytes at a time.
func closing(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^('"'*ones), x^('\\'*ones)
		// The lowest bit set is exact; those above it may be borrows.
		if m := ((quote-ones)&^quote | (slash-ones)&^slash) & high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '"' || b[i] == '\\' {
			return i
		}
	}
	return i
}

// stringEnd returns the index of the quote that ends the string of which b[i:]
// is the rest, len(b) if it is not there, and whether an escape sequence stands
// in front of it.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for {
		i = closing(b, i)
		if i >= len(b) || b[i] == '"' {
			return min(i, len(b)), escaped
		}
		escaped = true
		i += 2
	}
}

// wholeUnits returns how much of b is not a backslash without what it escapes.
func wholeUnits(b []byte) int {
	n := len(b)
	for n > 0 && b[n-1] == '\\' {
		n--
	}
	return len(b) - (len(b)-n)%2
}

// unit reads what b begins with: one byte, or an escape sequence. It returns
// the length of it and what it stands for. A length of 0 means that the rest of
// an escape sequence is missing, which final rules out.
//
// Escape sequences that JSON does not have stand for their last character, as
// lenient parsers read them; a surrogate without its other half for U+FFFD.
func unit(b []byte, final bool, out *[utf8.UTFMax]byte) (n, decoded int) {
	if b[0] != '\\' {
		out[0] = b[0]
		return 1, 1
	}
	if len(b) < 2 {
		if final {
			out[0] = '\\'
			return 1, 1
		}
		return 0, 0
	}
	switch c := b[1]; c {
	case 'n':
		out[0] = '\n'
	case 'r':
		out[0] = '\r'
	case 't':
		out[0] = '\t'
	case 'b':
		out[0] = '\b'
	case 'f':
		out[0] = '\f'
	case 'u':
		return unicodeUnit(b, final, out)
	default:
		out[0] = c
	}
	return 2, 1
}

func unicodeUnit(b []byte, final bool, out *[utf8.UTFMax]byte) (n, decoded int) {
	r, ok, cut := hex4(b, final)
	switch {
	case cut:
		return 0, 0
	case !ok:
		out[0] = 'u'
		return 2, 1
	case !utf16.IsSurrogate(r):
		return 6, utf8.EncodeRune(out[:], r)
	}
	if low, ok, cut := hex4(b[6:], final); cut {
		return 0, 0
	} else if ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return 12, utf8.EncodeRune(out[:], pair)
		}
	}
	return 6, utf8.EncodeRune(out[:], utf8.RuneError)
}

// hex4 reads \uXXXX. cut reports that b ends in front of the decision.
func hex4(b []byte, final bool) (r rune, ok, cut bool) {
	for i := range 6 {
		if i >= len(b) {
			return 0, false, !final
		}
		c := b[i]
		switch {
		case i == 0:
			if c != '\\' {
				return 0, false, false
			}
			continue
		case i == 1:
			if c != 'u' {
				return 0, false, false
			}
			continue
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false, false
		}
		r = r<<4 | rune(c)
	}
	return r, true, false
}

// validEscapes reports whether the whole content of a string has only the escape
// sequences of RFC 8259 section 7.
func validEscapes(raw []byte) bool {
	for i := closing(raw, 0); i < len(raw); i = closing(raw, i) {
		if i+1 == len(raw) {
			return false
		}
		switch raw[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			if _, ok, _ := hex4(raw[i:], true); !ok {
				return false
			}
			i += 6
		default:
			return false
		}
	}
	return true
}

// unescape appends what the whole content of a string stands for.
func unescape(dst, raw []byte) []byte {
	var out [utf8.UTFMax]byte
	for len(raw) > 0 {
		if i := closing(raw, 0); i > 0 { // no quote is among it
			dst, raw = append(dst, raw[:i]...), raw[i:]
			continue
		}
		n, decoded := unit(raw, true, &out)
		dst, raw = append(dst, out[:decoded]...), raw[n:]
	}
	return dst
}

// rawLen returns how many bytes of raw stand for n decoded ones. Where an
// escape sequence stands for more than one, n must not cut it; if it does, the
// sequence is left out.
func rawLen(raw []byte, n int, final bool) int {
	var out [utf8.UTFMax]byte
	at := 0
	for n > 0 && at < len(raw) {
		if raw[at] != '\\' {
			at++
			n--
			continue
		}
		size, decoded := unit(raw[at:], final, &out)
		if size == 0 || decoded > n {
			break
		}
		at += size
		n -= decoded
	}
	return at
}
