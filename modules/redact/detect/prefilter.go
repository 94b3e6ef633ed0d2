package detect

import (
	"encoding/binary"
	"slices"
)

// The prefilter is a table of byte pairs that is read at every other byte. A
// pair's entry names the candidates that it may belong to, of which at least
// one of two neighbouring pairs is met at any alignment, and tells whether it
// belongs to a run of digits, of which a long one fills four entries in a row.
const (
	buckets   = 128
	idMask    = buckets - 1 // an entry's bucket; 0 is none
	idEmail   = buckets - 1
	digitPair = 0x80 // two digits, or a digit beside a separator
)

// verdict is what a candidate turns out to be.
type verdict uint8

const (
	no   verdict = iota
	yes          // it is a match
	more         // it depends on bytes behind the part
)

// anchor is a candidate of a bucket.
type anchor struct {
	prefix []string // each entry the bytes that may stand there
	offset int      // of the pair within prefix
	// judge measures and validates the candidate whose prefix stands at
	// b[at:]. Without a match, m.End is how far it read.
	judge func(b []byte, from, at int, final bool) (m Match, v verdict)
}

// fits reports whether b, which is not shorter, begins with the prefix.
func fits(prefix []string, b []byte) bool {
	for i, set := range prefix {
		if c := b[i]; len(set) == 1 && set[0] != c || len(set) > 1 && !contains(set, c) {
			return false
		}
	}
	return true
}

func contains(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// literal spells a prefix of which every byte is given.
func literal(s string) []string {
	prefix := make([]string, len(s))
	for i := range s {
		prefix[i] = s[i : i+1]
	}
	return prefix
}

// add enters a prefix of at least three bytes by its two rarest neighbouring
// pairs.
func (s *Set) add(prefix []string, judge func([]byte, int, int, bool) (Match, verdict)) {
	s.tails = append(s.tails, prefix)
	best, cost := 0, 0
	for k := range len(prefix) - 2 {
		c := frequency(prefix[k])*frequency(prefix[k+1]) + frequency(prefix[k+1])*frequency(prefix[k+2])
		if k == 0 || c < cost {
			best, cost = k, c
		}
	}
	for k := best; k < best+2; k++ {
		for i := range prefix[k] {
			for j := range prefix[k+1] {
				s.enter(prefix[k][i], prefix[k+1][j], anchor{prefix, k, judge})
			}
		}
	}
}

func (s *Set) enter(first, second byte, a anchor) {
	pair := &s.pairs[pairOf(first, second)]
	id := *pair & idMask
	if id == 0 {
		// Pairs that share a bucket only cost a comparison.
		id = 1 + uint8((uint(first)*31+uint(second))%(idEmail-1))
		*pair |= id
	}
	have := slices.ContainsFunc(s.buckets[id], func(b anchor) bool {
		return b.offset == a.offset && slices.Equal(b.prefix, a.prefix)
	})
	if !have {
		s.buckets[id] = append(s.buckets[id], a)
	}
}

func pairOf(first, second byte) uint16 { return uint16(first) | uint16(second)<<8 }

// frequency estimates how often one of the bytes stands in JSON and prose, in
// thousandths.
func frequency(set string) int {
	sum := 0
	for i := range len(set) {
		switch c := set[i]; {
		case contains("etaonirs", c):
			sum += 50
		case c >= 'a' && c <= 'z':
			sum += 15
		case c >= '0' && c <= '9', c == '-', c == '_':
			sum += 12
		case c == '.', c == '/':
			sum += 8
		default:
			sum += 3
		}
	}
	return sum
}

// window is what seek saw in eight bytes.
type window struct {
	ids    [4]uint8
	digits int   // where four entries of digits begin; negative if nowhere
	run    uint8 // whether the second half is digits, for the window behind
}

// seek returns the first i, in steps of eight, at which the eight bytes of
// b[i:] hold an entry. run is the window's in front.
func (s *Set) seek(b []byte, i int, run uint8) (int, window) {
	t := s.pairs
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		a, b, c, d := t[uint16(x)], t[uint16(x>>16)], t[uint16(x>>32)], t[uint16(x>>48)]
		lo, hi := a&b, c&d
		if (a|b|c|d)&idMask|lo&(hi|run)&digitPair != 0 {
			return i, newWindow(i, a, b, c, d, run)
		}
		run = hi
	}
	if i < len(b) {
		var last [8]byte
		copy(last[:], b[i:])
		x := binary.LittleEndian.Uint64(last[:])
		a, b, c, d := t[uint16(x)], t[uint16(x>>16)], t[uint16(x>>32)], t[uint16(x>>48)]
		if (a|b|c|d)&idMask|a&b&(c&d|run)&digitPair != 0 {
			return i, newWindow(i, a, b, c, d, run)
		}
	}
	return len(b), window{}
}

func newWindow(i int, a, b, c, d, run uint8) window {
	w := window{ids: [4]uint8{a, b, c, d}, digits: -1, run: c & d}
	switch {
	case run&a&b&digitPair != 0:
		w.digits = i - 4
	case a&b&c&d&digitPair != 0:
		w.digits = i
	}
	return w
}

// Candidate returns the first position at or behind from at which the anchor
// of a match may stand, len(b) if there is none: text that ends in front of it,
// and was searched from from, holds no match. It is much cheaper than Next for
// a caller that has many short texts side by side in b.
func (s *Set) Candidate(b []byte, from int) int {
	if s.pairs == nil {
		return len(b)
	}
	i, w := s.seek(b, from, 0)
	if i >= len(b) {
		return len(b)
	}
	for k, id := range w.ids {
		if id&idMask != 0 {
			i += 2 * k
			break
		}
	}
	if w.digits >= 0 {
		return w.digits
	}
	return i
}
