package jsonscan

import (
	"math"
	"strconv"
)

// number is what is known of the number being read.
type number struct {
	text      [MaxNumberLength]byte
	length    int
	magnitude int // digits in front of the point, without leading zeros
	exponent  int // as written, without its sign
}

func (n *number) begin() { n.length, n.magnitude, n.exponent = 0, 0, 0 }

// maxExponent is beyond what any binary64 has. Libraries of decimal numbers write
// all the digits out when asked for an integer.
const maxExponent = 400

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// scanNumber takes bytes of a number until it ends, the part ends or it fails.
func (s *Scanner) scanNumber(p []byte, i int) int {
	begin := i
	for ; i < len(p); i++ {
		c := p[i]
		if isDigit(c) && (s.state == numInt || s.state == numFrac) {
			if s.state == numInt {
				s.number.magnitude++
			}
			continue
		}
		next, ends := numberStep(s.state, c)
		if ends {
			if s.keepNumber(p[begin:i], i) {
				s.endNumber(i)
			}
			return i
		}
		if next == value {
			s.keepNumber(p[begin:i], i) // which may fail first
			s.fail(Syntax, i)
			return i
		}
		switch next {
		case numInt:
			s.number.magnitude++
		case numExp:
			s.number.exponent = min(s.number.exponent*10+int(c-'0'), maxExponent+1)
		}
		s.state = next
	}
	s.keepNumber(p[begin:i], i)
	return i
}

// keepNumber adds a part to the text of the number, and reports whether that is
// short enough.
func (s *Scanner) keepNumber(p []byte, at int) bool {
	n := &s.number
	if over := n.length + len(p) - s.limits.NumberLength; over > 0 {
		s.fail(Number, at-over)
		return false
	}
	n.length += copy(n.text[n.length:], p)
	return true
}

// numberStep returns the state behind c; value if c may not stand there. ends
// says that the number was whole in front of c.
func numberStep(from state, c byte) (next state, ends bool) {
	switch from {
	case numMinus:
		switch {
		case c == '0':
			return numZero, false
		case isDigit(c):
			return numInt, false
		}
	case numZero, numInt:
		switch {
		case from == numInt && isDigit(c):
			return numInt, false
		case c == '.':
			return numPoint, false
		case c|0x20 == 'e':
			return numE, false
		}
		return value, !isDigit(c)
	case numPoint, numFrac:
		switch {
		case isDigit(c):
			return numFrac, false
		case from == numPoint:
		case c|0x20 == 'e':
			return numE, false
		default:
			return value, true
		}
	case numE, numSign, numExp:
		switch {
		case isDigit(c):
			return numExp, false
		case from == numE && (c == '+' || c == '-'):
			return numSign, false
		case from == numExp:
			return value, true
		}
	}
	return value, false
}

// endNumber judges a number that is whole, or cut short by the end of the text.
func (s *Scanner) endNumber(at int) {
	switch s.state {
	case numZero, numInt, numFrac, numExp:
	default:
		s.fail(Syntax, at)
		return
	}
	n := &s.number
	if n.exponent > maxExponent {
		s.fail(Number, at)
		return
	}
	// A number this small in both is far from the largest binary64, 1.8e308.
	if n.magnitude+n.exponent > 300 {
		if f, err := strconv.ParseFloat(string(n.text[:n.length]), 64); err != nil || math.IsInf(f, 0) {
			s.fail(Number, at)
			return
		}
	}
	s.valueDone()
}
