package framing

// chunkStep takes a byte of a chunked body's framing. Nothing but the grammar of
// RFC 9112 §7.1 passes, in any mode: the body is on its way to the backend
// already, and what net/http would make of it is too late.
func (s *Scanner) chunkStep(b byte) bool {
	switch s.state {
	case atChunk, inChunkSize:
		return s.chunkSize(b)
	case atChunkExtension, inChunkExtension, inQuoted, inQuotedPair, afterQuoted:
		return s.chunkExtension(b)
	case atChunkLF:
		if b != '\n' {
			return s.bad(BadChunkSize)
		}
		s.state = inChunkData
		if s.left == 0 {
			s.state = atTrailer
		}
	case atChunkDataCR:
		if b != '\r' {
			return s.bad(BadChunkData)
		}
		s.state = atChunkDataLF
	case atChunkDataLF:
		if b != '\n' {
			return s.bad(BadChunkData)
		}
		s.state = atChunk
	default:
		return s.trailer(b)
	}
	return true
}

func (s *Scanner) bad(r Reason) bool {
	s.find(r)
	return false
}

// chunkSize takes a byte of a chunk's size.
func (s *Scanner) chunkSize(b byte) bool {
	if s.state == atChunk {
		s.state, s.left, s.digits, s.ext, s.matched = inChunkSize, 0, 0, 0, 0
	}
	switch {
	case is(b, isHex):
		// Sixteen digits are net/http's limit too, leading zeros included.
		if s.digits == 16 || s.left > maxLength>>4 {
			return s.bad(BadChunkSize)
		}
		s.digits++
		s.left = s.left<<4 | uint64(hexValue(b))
		return true
	case s.digits == 0:
	case b == '\r':
		s.state = atChunkLF
		return true
	case b == ';':
		s.state = atChunkExtension
		return true
	}
	return s.bad(BadChunkSize)
}

func hexValue(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b&^0x20 - 'A' + 10
}

// chunkExtension takes a byte after a chunk's first semicolon: ;name,
// ;name=token or ;name="quoted". They are read strictly and without white space,
// because proxies that looked for their end in another way than servers let
// requests through.
func (s *Scanner) chunkExtension(b byte) bool {
	if s.ext++; s.ext > maxExtension {
		return s.bad(BadChunkExtension)
	}
	switch s.state {
	case inQuoted:
		switch {
		case is(b, isQuoted):
			return true
		case b == '\\':
			s.state = inQuotedPair
			return true
		case b == '"':
			s.state = afterQuoted
			return true
		}
		return s.bad(BadChunkExtension)
	case inQuotedPair:
		s.state = inQuoted
		if is(b, isQuoted) || b == '"' || b == '\\' {
			return true
		}
		return s.bad(BadChunkExtension)
	case atChunkExtension:
		// matched: 0 in front of the name, 1 in front of the value.
		switch {
		case is(b, isToken):
			s.state = inChunkExtension
			return true
		case b == '"' && s.matched == 1:
			s.state = inQuoted
			return true
		}
		return s.bad(BadChunkExtension)
	}
	switch {
	case s.state == inChunkExtension && is(b, isToken):
	case s.state == inChunkExtension && b == '=' && s.matched == 0:
		s.state, s.matched = atChunkExtension, 1
	case b == ';':
		s.state, s.matched = atChunkExtension, 0
	case b == '\r':
		s.state, s.matched = atChunkLF, 0
	default:
		return s.bad(BadChunkExtension)
	}
	return true
}

// trailer takes a byte after the last chunk.
func (s *Scanner) trailer(b byte) bool {
	switch s.state {
	case atTrailer:
		if b == '\r' {
			s.state = atEndLF
			return true
		}
		s.name.reset()
		s.state = inTrailerName
		fallthrough
	case inTrailerName:
		switch {
		case is(b, isToken):
			s.name.add(b)
			return true
		case b != ':' || s.name.length == 0 || s.name.forbidden():
			return s.bad(BadTrailer)
		}
		s.state = inTrailerValue
		return true
	case inTrailerValue:
		switch {
		case is(b, isValue):
			return true
		case b == '\r':
			s.state = atTrailerLF
			return true
		}
		return s.bad(BadTrailer)
	}
	// After a CR.
	if b != '\n' {
		return s.bad(BadTrailer)
	}
	if s.state == atEndLF {
		s.next()
		return true
	}
	s.state = atTrailer
	return true
}
