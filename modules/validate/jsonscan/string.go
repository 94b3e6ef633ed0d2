package jsonscan

import "unicode/utf8"

// plain are the bytes that stand for themselves in a string and are a character
// each.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func (s *Scanner) openString(p []byte, isName bool, i int) int {
	s.state, s.isName, s.chars = text, isName, 0
	if isName {
		top := &s.frames[len(s.frames)-1]
		if top.count++; s.limits.Members > 0 && top.count > s.limits.Members {
			s.fail(Members, i)
			return i
		}
		s.names.begin()
	}
	return s.scanString(p, i+1)
}

// scanString takes bytes of a string until it ends, the part ends or it fails.
func (s *Scanner) scanString(p []byte, i int) int {
	for i < len(p) && s.err == nil {
		switch s.state {
		case text:
			begin := i
			for i < len(p) && plain[p[i]] {
				i++
			}
			s.chars += i - begin
			s.keep(p[begin:i])
			if s.limits.StringLength > 0 && s.chars > s.limits.StringLength {
				s.fail(StringLength, i)
				return i
			}
			if i == len(p) {
				return i
			}
			if i = s.special(p, i); s.state < text {
				return i
			}
		case utf:
			c := p[i]
			if c < s.lo || c > s.hi {
				s.fail(Encoding, i)
				return i
			}
			s.keep(p[i : i+1])
			s.lo, s.hi = 0x80, 0xbf
			if s.need--; s.need == 0 {
				s.state = text
			}
			i++
		default:
			s.escaped(p[i], i)
			i++
		}
	}
	return i
}

// special takes a byte of a string that does not stand for itself.
func (s *Scanner) special(p []byte, i int) int {
	c := p[i]
	switch {
	case c == '"':
		s.closeString(i)
	case c == '\\':
		s.state = escape
	case c < 0x20:
		s.fail(Syntax, i)
		return i
	default:
		s.lead(c, i)
		s.keep(p[i : i+1])
	}
	return i + 1
}

// lead takes the first byte of a character of several bytes (RFC 3629 section 4).
func (s *Scanner) lead(c byte, at int) {
	s.chars++
	s.state, s.lo, s.hi = utf, 0x80, 0xbf
	switch {
	case 0xc2 <= c && c <= 0xdf:
		s.need = 1
	case c == 0xe0:
		s.need, s.lo = 2, 0xa0
	case c == 0xed:
		s.need, s.hi = 2, 0x9f // no surrogates
	case 0xe1 <= c && c <= 0xef:
		s.need = 2
	case c == 0xf0:
		s.need, s.lo = 3, 0x90
	case 0xf1 <= c && c <= 0xf3:
		s.need = 3
	case c == 0xf4:
		s.need, s.hi = 3, 0x8f
	default:
		s.fail(Encoding, at)
	}
}

// unescaped is what the letter behind a backslash stands for.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped takes a byte of an escape.
func (s *Scanner) escaped(c byte, at int) {
	switch s.state {
	case escape:
		switch {
		case c == 'u':
			s.state, s.code, s.digits, s.high = hex, 0, 0, 0
		case unescaped[c] != 0:
			s.keepByte(unescaped[c])
			s.chars++
			s.state = text
		default:
			s.fail(Syntax, at)
		}
	case lowSlash:
		if c != '\\' {
			s.fail(Encoding, at)
		}
		s.state = lowU
	case lowU:
		if c != 'u' {
			s.fail(Encoding, at)
		}
		s.state, s.code, s.digits = hex, 0, 0
	case hex:
		digit, ok := unhex(c)
		if !ok {
			s.fail(Syntax, at)
			return
		}
		s.code = s.code<<4 | digit
		if s.digits++; s.digits == 4 {
			s.codeDone(at)
		}
	}
}

func unhex(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}

// codeDone takes the four digits of an escape: a character, or a half of one.
func (s *Scanner) codeDone(at int) {
	isHigh, isLow := 0xd800 <= s.code && s.code <= 0xdbff, 0xdc00 <= s.code && s.code <= 0xdfff
	switch {
	case s.high != 0 && !isLow, s.high == 0 && isLow:
		s.fail(Encoding, at)
		return
	case isHigh:
		s.high, s.state = s.code, lowSlash
		return
	case isLow:
		s.code = 0x10000 + (s.high-0xd800)<<10 + (s.code - 0xdc00)
	}
	if s.isName {
		s.names.bytes = utf8.AppendRune(s.names.bytes, s.code)
	}
	s.chars++
	s.state = text
}

func (s *Scanner) keep(p []byte) {
	if s.isName {
		s.names.bytes = append(s.names.bytes, p...)
	}
}

func (s *Scanner) keepByte(c byte) {
	if s.isName {
		s.names.bytes = append(s.names.bytes, c)
	}
}

func (s *Scanner) closeString(at int) {
	if s.limits.StringLength > 0 && s.chars > s.limits.StringLength {
		s.fail(StringLength, at)
		return
	}
	if !s.isName {
		s.valueDone()
		return
	}
	s.state = colon
	if s.limits.DuplicateKeys {
		s.names.bytes = s.names.bytes[:s.names.start]
		return
	}
	if !s.names.add(s.frames[len(s.frames)-1].names) {
		s.fail(Duplicate, at)
	}
}
