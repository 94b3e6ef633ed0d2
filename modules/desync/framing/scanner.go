package framing

import "encoding/binary"

// Preface is what an HTTP/2 connection begins with (RFC 9113 §3.4). A connection
// that does is none for a Scanner. It has to match to the last byte: net/http
// serves "PRI * HTTP/2.0" with headers as an HTTP/1 request.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Event is why Scan returned.
type Event uint8

const (
	// More: all input is consumed.
	More Event = iota
	// Head: the next byte ends a head. Class and Reason are its verdict; go on
	// with the remaining input.
	Head
	// Refuse: the next byte may not be passed on. Class and Reason say why. The
	// Scanner cannot go on.
	Refuse
)

// Scanner judges the requests of one connection. Make one with [New]; a copy
// goes on independently. It is not safe for concurrent use.
type Scanner struct {
	state state
	limit Class // Refuse from here on

	class  Class
	reason Reason

	method  uint64 // up to eight bytes
	long    bool   // the method is longer
	version uint8  // minor version of HTTP/1, or beforeHTTP10
	matched uint8  // bytes of what has to come in a fixed order
	first   bool   // no field line came yet
	upgrade bool   // an Upgrade came

	name  name
	field field

	te       te
	cl       length
	hasTE    bool
	hasCL    bool
	size     uint64 // Content-Length
	left     uint64 // bytes of the body, or of the chunk, to come
	digits   uint8
	ext      uint16
	previous field // the field that a continuation line would continue
}

type field uint8

const (
	otherField field = iota
	clField
	teField
)

type state uint8

const (
	atStart state = iota
	atStartLF
	inMethod
	atTarget
	inTarget
	inScheme
	inSchemeSlashes
	afterAsterisk
	afterTarget
	afterTargetCR
	inVersion
	atRequestLineLF
	atFieldStart
	inName
	atValue
	inValue
	inLength
	inCodings
	atFieldLF
	atBlankLF
	afterHead
	inBody
	atChunk
	inChunkSize
	atChunkExtension
	inChunkExtension
	inQuoted
	inQuotedPair
	afterQuoted
	atChunkLF
	inChunkData
	atChunkDataCR
	atChunkDataLF
	atTrailer
	inTrailerName
	inTrailerValue
	atTrailerLF
	atEndLF
)

// beforeHTTP10 is the version of HTTP/0.x.
const beforeHTTP10 = 0xff

const maxLength = 1<<63 - 1

// maxExtension bounds the extensions of one chunk, in bytes. Nobody uses them but
// to hide something; RFC 9112 §7.1.1 asks for a limit.
const maxExtension = 256

// New returns a Scanner that refuses requests from class limit on, at the byte
// that puts them there. Severe ones are refused always.
func New(limit Class) Scanner { return Scanner{limit: min(limit, Severe)} }

// Class returns the class of the current request, as far as it came.
func (s *Scanner) Class() Class { return s.class }

// Reason returns what put the request into its class: the first of the worst.
func (s *Scanner) Reason() Reason { return s.reason }

// Upgrade reports whether the head has an Upgrade field, as far as it came. After
// Head, ask before the next Scan.
func (s *Scanner) Upgrade() bool { return s.upgrade }

// Body reports whether the head is over and the body is not.
func (s *Scanner) Body() bool { return s.state >= inBody }

// Between reports whether the last request is over and nothing of the next came.
func (s *Scanner) Between() bool { return s.state == atStart }

// Blank reports whether the last byte consumed was a CR at the start of a line of
// a head: what follows decides whether the head ends in front of that CR.
func (s *Scanner) Blank() bool { return s.state == atBlankLF }

// find notes a finding and reports whether the request is to be refused for it.
func (s *Scanner) find(r Reason) bool {
	if c := r.Class(); c > s.class {
		s.class, s.reason = c, r
	}
	return r.Class() >= s.limit
}

// next prepares for the next request.
func (s *Scanner) next() {
	*s = Scanner{limit: s.limit}
}

// Scan consumes input until it ends or something is to be decided, and returns
// how many bytes it consumed and why it returned.
func (s *Scanner) Scan(p []byte) (int, Event) {
	i := 0
	for i < len(p) {
		switch s.state {
		case inBody, inChunkData:
			n := min(s.left, uint64(len(p)-i))
			i += int(n)
			if s.left -= n; s.left > 0 {
				continue
			}
			if s.state == inChunkData {
				s.state = atChunkDataCR
				continue
			}
			s.next()
		case inTarget:
			i = skip(p, i, isTarget)
			if i < len(p) && !s.target(p[i]) {
				return i, Refuse
			}
			i++
		case inName:
			i += s.name.addTokens(p[i:])
			if i < len(p) && !s.nameEnd(p[i]) {
				return i, Refuse
			}
			i++
		case inValue:
			i = skip(p, skipVisible(p, i), isValue)
			if i < len(p) && !s.value(p[i]) {
				return i, Refuse
			}
			i++
		case atBlankLF:
			if p[i] != '\n' {
				s.find(BadHeader)
				return i, Refuse
			}
			return i, s.head()
		case atFieldStart:
			if p[i] != '\n' {
				if !s.fieldStart(p[i]) {
					return i, Refuse
				}
				i++
				continue
			}
			if s.find(NonCRLFLineTermination) {
				return i, Refuse
			}
			return i, s.head()
		case afterHead:
			s.body()
			i++
		default:
			if !s.step(p[i]) {
				return i, Refuse
			}
			i++
		}
	}
	return len(p), More
}

// skip returns the index of the first byte from i on that is not of class.
func skip(p []byte, i int, class uint8) int {
	for i < len(p) && table[p[i]]&class != 0 {
		i++
	}
	return i
}

// skipVisible skips words of eight bytes from 0x20 to 0x7e: the sum and the
// difference set the highest bit of a byte that is over or under that, if not of
// that byte, then of one above it.
func skipVisible(p []byte, i int) int {
	for ; i+8 <= len(p); i += 8 {
		word := binary.LittleEndian.Uint64(p[i:])
		if (word|(word+0x0101010101010101)|(word-0x2020202020202020))&0x8080808080808080 != 0 {
			break
		}
	}
	return i
}

// step takes a byte in the states without a loop of their own, and reports
// whether it may pass.
func (s *Scanner) step(b byte) bool {
	if s.state >= inBody {
		return s.chunkStep(b)
	}
	switch s.state {
	case atStart, atStartLF, inMethod:
		return s.start(b)
	case atTarget, inScheme, inSchemeSlashes, afterAsterisk, afterTarget, afterTargetCR:
		return s.targetStep(b)
	case inVersion:
		return s.versionByte(b)
	case atRequestLineLF:
		return s.lineFeed(b, BadVersion)
	case atFieldLF:
		return s.lineFeed(b, BadHeader)
	case atValue:
		return s.valueStart(b)
	case inLength:
		return s.lengthByte(b)
	case inCodings:
		return s.codingByte(b)
	}
	panic("framing: no such state")
}

// lineFeed takes the byte after a CR that ends a line.
func (s *Scanner) lineFeed(b byte, otherwise Reason) bool {
	if b != '\n' {
		s.find(otherwise)
		return false
	}
	s.state = atFieldStart
	return true
}

// head judges the head as a whole, at the LF of its empty line.
func (s *Scanner) head() Event {
	refuse := false
	find := func(r Reason) { refuse = s.find(r) || refuse }
	bodiless := s.is("GET") || s.is("HEAD")
	if s.hasTE {
		switch {
		case s.version == 0 || s.version == beforeHTTP10:
			find(UndefinedTransferEncodingSemantics) // RFC 9112 §6.1
		case !s.te.chunked:
			find(BadTransferEncoding) // RFC 9112 §6.3: no way to tell the length
		case bodiless:
			find(UndefinedTransferEncodingSemantics)
		}
		if s.hasCL {
			find(BothTeClPresent)
		}
	} else if s.hasCL {
		switch {
		case s.version == beforeHTTP10, bodiless && s.size > 0:
			find(UndefinedContentLengthSemantics)
		case bodiless:
			find(GetHeadZeroContentLength)
		}
	}
	if refuse {
		return Refuse
	}
	s.state = afterHead
	return Head
}

// body finds out what follows the head, in the way net/http does: a
// Transfer-Encoding counts only from HTTP/1.1 on, and then beats a Content-Length.
func (s *Scanner) body() {
	switch {
	case s.hasTE && s.version != 0 && s.version != beforeHTTP10:
		s.state = atChunk
	case s.hasCL && s.size > 0:
		s.state, s.left = inBody, s.size
	default:
		s.next()
	}
}
