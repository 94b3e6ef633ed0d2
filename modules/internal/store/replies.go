package store

import (
	"errors"
	"math"
	"net"
	"sync/atomic"
)

// What a server may answer. valkey-go allocates what a length announces, follows
// every nesting, and panics in goroutines of its own at what it does not expect.
const (
	longestLine   = 1 << 16 // of a status, an error, a number
	largestReply  = 1 << 26 // bytes of strings in one reply
	mostElements  = 1 << 20 // of all arrays in one reply
	deepestNested = 16
	longestLength = 18 // digits that always fit
)

var errMalformed = errors.New("the server's answer is malformed")

// checkedConn ends at an answer that would make valkey-go panic: the gateway would
// end with it.
type checkedConn struct {
	net.Conn
	commands atomic.Int64 // begun, or complete
	sent     scanner
	received scanner
	pushes   bool // the server may send what nobody asked for
}

// checked returns conn with its answers checked.
func checked(conn net.Conn, pushes bool) net.Conn {
	return &checkedConn{
		Conn: conn, pushes: pushes,
		sent:     scanner{bytes: math.MaxInt64, elements: math.MaxInt64},
		received: scanner{bytes: largestReply, elements: mostElements, pushes: pushes},
	}
}

// Write implements net.Conn.
func (c *checkedConn) Write(p []byte) (int, error) {
	if err := c.sent.scan(p); err != nil {
		return 0, err
	}
	c.commands.Store(c.sent.complete) // before the server can answer
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *checkedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	wrong := c.received.scan(p[:n])
	if wrong == nil && !c.pushes && c.received.complete > c.commands.Load() {
		wrong = errMalformed
	}
	if wrong != nil {
		c.Close()
		return 0, wrong
	}
	return n, err
}

// scanner follows messages of RESP, as valkey-go divides them, and keeps none of
// their bytes.
type scanner struct {
	bytes, elements int64 // limits of one message
	pushes          bool
	complete        int64 // messages

	stack  [deepestNested]int64 // elements that are missing, at each level
	depth  int
	skip   int64 // bytes of a string that are missing
	kind   byte  // of the line; 0 before it
	length int   // of the line
	last   byte
	minus  bool
	number int64

	usedBytes, usedElements int64
}

// scan goes on with p.
func (s *scanner) scan(p []byte) error {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, int64(len(p)))
			p = p[n:]
			if s.skip -= n; s.skip == 0 {
				s.finish()
			}
			continue
		}
		b := p[0]
		p = p[1:]
		var ok bool
		switch {
		case s.kind == 0:
			ok = s.begin(b)
		case b == '\n':
			ok = s.last == '\r' && s.end()
		default:
			ok = s.next(b)
		}
		if !ok {
			return errMalformed
		}
	}
	return nil
}

// begin takes the first byte of a line. Attributes and strings of unknown length
// are no servers'.
func (s *scanner) begin(b byte) bool {
	s.kind, s.length, s.last, s.minus, s.number = b, 0, 0, false, 0
	switch b {
	case '+', '-', ':', ',', '(', '#', '_', '$', '!', '=', '*', '%', '~':
		return true
	case '>':
		return s.pushes && s.depth == 0
	}
	return false
}

// next takes a byte within a line.
func (s *scanner) next(b byte) bool {
	if s.last == '\r' {
		return false
	}
	if s.last = b; b == '\r' {
		return true
	}
	if s.length++; s.length > longestLine {
		return false
	}
	switch s.kind {
	case '#':
		return s.length == 1
	case '_':
		return false
	case '$', '!', '=', '*', '%', '~', '>':
		if b == '-' && s.length == 1 {
			s.minus = true
			return true
		}
		s.number = s.number*10 + int64(b-'0')
		return '0' <= b && b <= '9' && s.length <= longestLength
	}
	return true
}

// end takes the end of a line.
func (s *scanner) end() bool {
	kind := s.kind
	s.kind = 0
	switch kind {
	case '#':
		if s.length != 1 {
			return false
		}
		s.finish()
		return true
	case '$', '!', '=', '*', '%', '~', '>':
	default:
		s.finish()
		return true
	}
	if s.length == 0 {
		return false
	}
	if s.minus { // null
		s.finish()
		return s.length == 2 && s.number == 1 && kind != '%' && kind != '>'
	}
	if kind == '$' || kind == '!' || kind == '=' {
		s.usedBytes += s.number
		s.skip = s.number + 2
		return s.usedBytes <= s.bytes
	}
	n := s.number
	if kind == '%' {
		n *= 2
	}
	if s.usedElements += n; s.usedElements > s.elements || s.depth == deepestNested {
		return false
	}
	if n == 0 {
		s.finish()
		return kind != '>'
	}
	if kind == '>' {
		s.complete-- // is no answer
	}
	s.stack[s.depth] = n
	s.depth++
	return true
}

// finish ends an element, and those that end with it.
func (s *scanner) finish() {
	for s.depth > 0 {
		if s.stack[s.depth-1]--; s.stack[s.depth-1] > 0 {
			return
		}
		s.depth--
	}
	s.complete++
	s.usedBytes, s.usedElements = 0, 0
}
