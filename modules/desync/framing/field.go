package framing

// length reads the value of a Content-Length.
type length struct {
	value  uint64
	digits int
	zero   bool // the first digit
	ended  bool // white space came after the digits
	odd    bool // a tab, white space at the end, or a leading zero
}

// te reads the values of all Transfer-Encodings.
type te struct {
	coding  [10]byte
	n       int
	ended   bool // white space came after the coding
	upper   bool
	odd     bool
	other   bool // a coding came that is not chunked
	chunked bool // chunked came, and last
}

// fieldStart takes the first byte of a field line.
func (s *Scanner) fieldStart(b byte) bool {
	switch b {
	case '\r':
		s.state = atBlankLF
		return true
	case ' ', '\t':
		return s.continuation()
	}
	s.first = false
	s.name.reset()
	s.state = inName
	if is(b, isToken) {
		s.name.add(b)
		return true
	}
	return s.nameEnd(b)
}

// continuation takes the white space at the start of a line. In front of any
// field RFC 9112 §2.2 wants it refused; after one it is obs-fold (§5.2), which
// nothing that frames the message may have.
func (s *Scanner) continuation() bool {
	s.state = inValue
	switch {
	case s.first:
		s.find(BadHeader)
		return false
	case s.previous == clField:
		s.find(BadContentLength)
		return false
	case s.previous == teField:
		s.find(BadTransferEncoding)
		return false
	}
	return !s.find(MultilineHeader)
}

// nameEnd takes a byte that is not of a token, in or after a field name.
func (s *Scanner) nameEnd(b byte) bool {
	switch b {
	case 0:
		s.find(BadHeader)
		return false
	case '\r':
		s.state, s.previous = atFieldLF, otherField
		return !s.find(MissingHeaderColon)
	case '\n':
		s.state, s.previous = atFieldStart, otherField
		return !s.find(MissingHeaderColon)
	case ':':
		s.state = atValue
		return s.named()
	}
	s.name.add(b)
	return true
}

// named judges a whole field name.
func (s *Scanner) named() bool {
	s.field = otherField
	switch {
	case s.name.n == 0 && s.name.length == 0:
		return !s.find(EmptyHeader)
	case s.name.isContentLength():
		s.field, s.cl = clField, length{}
	case s.name.isTransferEncoding():
		s.field = teField
		s.te.next()
	case s.name.isFraming() || s.name.framed:
		return !s.find(SuspiciousHeader)
	case s.name.odd && s.name.n == 0:
		return !s.find(EmptyHeader)
	case s.name.odd:
		return !s.find(NonCompliantHeader)
	case s.name.isUpgrade():
		s.upgrade = true
	}
	return true
}

// valueStart takes a byte between the colon and the value.
func (s *Scanner) valueStart(b byte) bool {
	if b == ' ' {
		return true
	}
	if b == '\t' {
		s.cl.odd, s.te.odd = true, true
		return true
	}
	switch s.field {
	case clField:
		s.state = inLength
		return s.lengthByte(b)
	case teField:
		s.state = inCodings
		return s.codingByte(b)
	}
	s.state = inValue
	return is(b, isValue) || s.value(b)
}

// value takes a byte that is not of a plain field value.
func (s *Scanner) value(b byte) bool {
	switch b {
	case 0:
		s.find(BadHeader)
		return false
	case '\r', '\n':
		return s.endField(b)
	}
	return !s.find(NonCompliantHeader)
}

// endField ends a field line at its CR, or at an LF without one.
func (s *Scanner) endField(b byte) bool {
	s.previous = s.field
	s.field = otherField
	if b == '\r' {
		s.state = atFieldLF
		return true
	}
	s.state = atFieldStart
	return !s.find(NonCRLFLineTermination)
}

// lengthByte takes a byte of a Content-Length.
func (s *Scanner) lengthByte(b byte) bool {
	c := &s.cl
	switch {
	case is(b, isDigit) && !c.ended:
		d := uint64(b - '0')
		if c.value > (maxLength-d)/10 {
			s.find(BadContentLength)
			return false
		}
		c.odd = c.odd || c.digits == 1 && c.zero
		c.zero = c.digits == 0 && d == 0
		c.value = c.value*10 + d
		c.digits = min(c.digits+1, 2)
		return true
	case (b == ' ' || b == '\t') && c.digits > 0:
		c.ended, c.odd = true, true
		return true
	case b == '\r' || b == '\n':
		return s.lengthEnd() && s.endField(b)
	}
	s.find(BadContentLength)
	return false
}

// lengthEnd judges a whole Content-Length.
func (s *Scanner) lengthEnd() bool {
	switch {
	case s.cl.digits == 0:
		s.find(BadContentLength)
		return false
	case s.hasCL && s.size != s.cl.value:
		s.find(MultipleContentLength)
		return false
	case s.hasCL && s.find(DuplicateContentLength):
		return false
	case s.cl.odd && s.find(AmbiguousContentLength):
		return false
	}
	s.hasCL, s.size = true, s.cl.value
	return true
}

// codingByte takes a byte of a Transfer-Encoding.
func (s *Scanner) codingByte(b byte) bool {
	c := &s.te
	switch {
	case is(b, isToken) && !c.ended && c.n < len(c.coding):
		c.upper = c.upper || b >= 'A' && b <= 'Z'
		if is(b, isLetter) {
			b |= 0x20
		}
		c.coding[c.n] = b
		c.n++
		return true
	case b == ' ' || b == '\t':
		c.ended = c.n > 0
		c.odd = true
		return true
	case b == ',':
		return s.codingEnd()
	case b == '\r' || b == '\n':
		if !s.codingEnd() {
			return false
		}
		if (s.hasTE || c.other && c.chunked) && s.find(AmbiguousTransferEncoding) {
			return false
		}
		s.hasTE = true
		return s.endField(b)
	}
	s.find(BadTransferEncoding)
	return false
}

// codingEnd judges one coding of a list. Names are case-insensitive
// (RFC 9112 §7), but not every server knows that.
func (s *Scanner) codingEnd() bool {
	c := &s.te
	known := true
	switch string(c.coding[:c.n]) {
	case "chunked":
		if c.chunked {
			s.find(MultipleTransferEncodingChunked)
			return false
		}
		if (c.upper || c.odd) && s.find(AmbiguousTransferEncoding) {
			return false
		}
		c.chunked = true
	case "gzip", "x-gzip", "deflate", "compress", "x-compress", "identity":
		if c.chunked {
			s.find(BadTransferEncoding) // chunked has to be last
			return false
		}
		c.other = true
	default:
		known = false
		s.find(BadTransferEncoding)
	}
	c.next()
	return known
}

// next prepares for the next coding of the list, or the next line.
func (c *te) next() { *c = te{chunked: c.chunked, other: c.other} }
