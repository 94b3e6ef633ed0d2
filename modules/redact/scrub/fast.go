package scrub

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// fast takes what most JSON consists of, for as long as the input has it whole:
// members whose names no rule has, short numbers, strings without escape
// sequences and candidates. It stops in front of everything else, in a state
// from which the other methods go on. It decides nothing that they would not
// decide in the same way. The state has to be one of its own, inside an object
// or array.
func (s *Stream) fast(i int) int {
	b, first, final := s.b, &s.policy.first, &s.policy.last // of the names of rules
	last := len(b) - 32                                     // a token that begins in front has its beginning whole
	state := s.state
	object := s.inObject()
	clear := min(s.slash, s.clean)
	lowest, highest := 1, maxDepth // containers begin and end in between
	if s.at != nil {
		lowest, highest = s.pathless()
	}
loop:
	for i < last {
		if state == atNext || state == atFirst {
			quote := i
			switch c := b[i]; {
			case c == ',' && state == atNext:
				if !object {
					i++
					state = atValue
					continue
				}
				if !s.kept {
					break loop
				}
				for quote++; quote < last && b[quote] <= ' ' && isSpace(b[quote]); {
					quote++
				}
			case c == '}' && object, c == ']' && !object && state == atNext:
				if s.depth <= lowest {
					break loop
				}
				i++
				s.depth--
				s.kept = true
				object = s.inObject()
				state = atNext
				continue
			case c <= ' ' && isSpace(c):
				i++
				continue
			case state == atNext:
				break loop
			}
			if quote >= last || b[quote] != '"' || !object {
				break loop
			}
			end := quoteNear(b, quote+1)
			if end < 0 {
				end = index(b, quote+9, '"')
			}
			if end > clear {
				if clear = s.clearFrom(quote + 1); end > clear {
					break loop
				}
			}
			if end >= last || b[end+1] != ':' || first[b[quote+1]] && final[b[end-1]] && s.named(quote+1, end) {
				break loop
			}
			s.kept = true
			i = end + 2
			state = atValue
		}
		switch c := b[i]; {
		case c == '"':
			end := quoteNear(b, i+1)
			if end < 0 {
				end = index(b, i+9, '"')
			}
			if end > clear {
				if clear = s.clearFrom(i + 1); end > clear {
					break loop
				}
			}
			if end >= last {
				break loop
			}
			i = end + 1
			state = atNext
		case c >= '0' && c <= '9':
			n := shortNumber(b[i : i+16])
			if n == 0 {
				break loop
			}
			i += n
			state = atNext
		case c == '{' || c == '[':
			if s.depth >= highest {
				break loop
			}
			s.nest(c == '{')
			i++
			object, state = c == '{', s.state
		case c == ' ' || c == '\n':
			i++
		case c == 't' && binary.LittleEndian.Uint32(b[i:]) == 't'|'r'<<8|'u'<<16|'e'<<24,
			c == 'n' && binary.LittleEndian.Uint32(b[i:]) == 'n'|'u'<<8|'l'<<16|'l'<<24:
			i += 4
			state = atNext
		case c == 'f' && binary.LittleEndian.Uint32(b[i+1:]) == 'a'|'l'<<8|'s'<<16|'e'<<24:
			i += 5
			state = atNext
		default:
			break loop
		}
	}
	s.state = state
	if s.at != nil {
		for d := lowest; d < s.depth; d++ {
			s.at.states[d] = s.at.states[lowest-1]
		}
	}
	return i
}

// pathless returns between which depths containers may begin and end without a
// look at the paths: inside the container where the stream is, if what is in it is
// in the same place among them.
func (s *Stream) pathless() (lowest, highest int) {
	if s.policy.paths.loops[s.at.states[s.depth-1]] {
		return s.depth, maxDepth
	}
	return maxDepth, 0
}

// clearFrom returns up to where, from i on, neither an escape sequence nor a
// candidate of the detectors stands.
func (s *Stream) clearFrom(i int) int {
	if s.slash < i {
		s.slash = index(s.b, i, '\\')
	}
	if s.clean < i {
		s.clean = s.policy.candidate(s.b, i)
	}
	return min(s.slash, s.clean)
}

// quoteNear returns the index of the first quote among the eight bytes at
// b[i:], negative if there is none. Most names are that short.
func quoteNear(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	x := binary.LittleEndian.Uint64(b[i:]) ^ '"'*ones
	m := (x - ones) &^ x & high
	if m == 0 {
		return -1
	}
	return i + bits.TrailingZeros64(m)/8
}

// index returns the index of the first c in b[i:], len(b) if there is none.
func index(b []byte, i int, c byte) int {
	if n := bytes.IndexByte(b[i:], c); n >= 0 {
		return i + n
	}
	return len(b)
}

// named reports whether a rule has the name b[start:end].
func (s *Stream) named(start, end int) bool {
	name := s.b[start:end]
	if !s.policy.mayName(name) {
		return false
	}
	sel, symbol := s.policy.selectorOf(name)
	return sel >= 0 || symbol != symMember
}

// shortNumber returns the length of the number that b begins with, if it is one
// without a sign and an exponent, too short for a detector, and followed by what
// has to follow it; else 0.
func shortNumber(b []byte) int {
	n := 0
	for n < 12 && b[n]-'0' <= 9 {
		n++
	}
	if b[0] == '0' && n > 1 {
		return 0
	}
	if b[n] == '.' {
		point := n
		for n++; n < 12 && b[n]-'0' <= 9; {
			n++
		}
		if n == point+1 {
			return 0
		}
	}
	if c := b[n]; n < 12 && (c == ',' || c == '}' || c == ']') {
		return n
	}
	return 0
}
