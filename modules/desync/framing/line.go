package framing

// is reports whether the request's method is m, of up to eight bytes.
func (s *Scanner) is(m string) bool {
	var packed uint64
	for i := range len(m) {
		packed = packed<<8 | uint64(m[i])
	}
	return !s.long && s.method == packed
}

// start takes a byte in front of the request line or of the method.
func (s *Scanner) start(b byte) bool {
	if s.state == atStartLF {
		s.state = atStart
		if b != '\n' {
			s.find(BadMethod)
		}
		return b == '\n'
	}
	switch {
	case is(b, isToken):
		s.state = inMethod
		s.long = s.long || s.method>>56 != 0
		s.method = s.method<<8 | uint64(b)
	case s.state == atStart && b == '\r':
		// RFC 9112 §2.2: an empty line, which old clients send after a body.
		s.state = atStartLF
		return !s.find(LeadingEmptyLine)
	case s.state == atStart && b == '\n':
		return !s.find(NonCRLFLineTermination)
	case s.state == inMethod && b == ' ':
		// PRI is HTTP/2's (RFC 9113 §3.4), and net/http lets it do without a Host.
		if s.is("PRI") {
			s.find(BadMethod)
			return false
		}
		s.state = atTarget
		if s.is("CONNECT") {
			return !s.find(ConnectMethod)
		}
	case s.state == inMethod && (b == '\r' || b == '\n'):
		s.find(MissingURI)
		return false
	default:
		s.find(BadMethod)
		return false
	}
	return true
}

// target takes a byte of the request target that is none of the usual.
func (s *Scanner) target(b byte) bool {
	switch {
	case b == ' ':
		s.state, s.matched = afterTarget, 0
	case b == '\r':
		s.state = afterTargetCR
	case b == 0, b == '\n':
		s.find(BadURI)
		return false
	default:
		return !s.find(AmbiguousURI)
	}
	return true
}

// targetStart takes the first byte of the target, which says its form
// (RFC 9112 §3.2).
func (s *Scanner) targetStart(b byte) bool {
	switch {
	case b == ' ' || b == '\r' || b == '\n':
		s.find(MissingURI)
		return false
	case b == '/':
		s.state = inTarget
	case s.is("CONNECT"):
		s.state = inTarget
		return is(b, isTarget) || s.target(b)
	case b == '*' && s.is("OPTIONS"):
		s.state = afterAsterisk
	case is(b, isLetter):
		s.state, s.matched = inScheme, 0
	default:
		s.find(BadURI)
		return false
	}
	return true
}

// targetStep takes a byte of a scheme, or after the target.
func (s *Scanner) targetStep(b byte) bool {
	switch s.state {
	case atTarget:
		return s.targetStart(b)
	case inScheme, inSchemeSlashes:
		return s.schemeByte(b)
	case afterAsterisk:
		if b != ' ' {
			s.find(BadURI)
			return false
		}
		s.state, s.matched = afterTarget, 0
		return true
	case afterTargetCR:
		// A CR inside the target, or a request line without a version.
		if b == '\n' {
			s.find(BadVersion)
		} else {
			s.find(BadURI)
		}
		return false
	}
	// After a space: the version, or a target with a space in it.
	const name = "HTTP/"
	if b == name[s.matched] {
		if s.matched++; int(s.matched) == len(name) {
			s.state, s.matched = inVersion, 0
		}
		return true
	}
	if s.find(SpaceInURI) {
		return false
	}
	s.state = inTarget
	return is(b, isTarget) || s.target(b)
}

// schemeByte takes a byte of an absolute-form target's scheme. What has no "://"
// is an authority, which only CONNECT may have.
func (s *Scanner) schemeByte(b byte) bool {
	if s.state == inScheme {
		switch {
		case is(b, isAlnum) || b == '+' || b == '-' || b == '.':
			return true
		case b == ':':
			s.state = inSchemeSlashes
			return true
		}
		s.find(BadURI)
		return false
	}
	if b != '/' {
		s.find(BadURI)
		return false
	}
	if s.matched++; s.matched == 2 {
		s.state = inTarget
		return !s.find(AbsoluteFormURI)
	}
	return true
}

// versionByte takes a byte after "HTTP/": a digit, a dot, a digit, CR.
func (s *Scanner) versionByte(b byte) bool {
	at := s.matched
	s.matched++
	switch {
	case at == 0 && (b == '0' || b == '1'):
		s.version = 0
		if b == '0' {
			s.version = beforeHTTP10
		}
		return true
	case at == 1 && b == '.':
		return true
	case at == 2 && is(b, isDigit):
		if s.version == beforeHTTP10 || b > '1' {
			if s.find(NonCompliantVersion) {
				return false
			}
		}
		if s.version != beforeHTTP10 {
			s.version = b - '0'
		}
		return true
	case at == 3 && b == '\r':
		s.state, s.first = atRequestLineLF, true
		return true
	case at == 3 && b == '\n':
		s.state, s.first = atFieldStart, true
		return !s.find(NonCRLFLineTermination)
	}
	s.find(BadVersion)
	return false
}
