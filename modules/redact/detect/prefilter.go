package detect

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// The prefilter is a table of byte pairs that is read at every other byte. A
// pair's entry names the candidates that it may belong to, of which at least
// one of two neighbouring pairs is met at any alignment, and tells whether it
// belongs to a run of digits, of which a long one fills four entries in a row.
const (
	buckets   = 128
	idMask    = buckets - 1 // an entry's bucket; 0 is none
	idEmail   = buckets - 1
	shared    = 64   // of the buckets take more than one list of anchors if need be
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

// frame is what may stand around the pairs of a bucket.
type frame struct {
	before, after class
}

func (f *frame) admit(a anchor) {
	f.before.addAll(a.prefix, a.offset-1)
	f.after.addAll(a.prefix, a.offset+2)
}

// addAll adds what may stand at i of a prefix: anything, beyond its ends.
func (c *class) addAll(prefix []string, i int) {
	if i < 0 || i >= len(prefix) {
		for i := range c {
			c[i] = true
		}
		return
	}
	for j := range prefix[i] {
		c[prefix[i][j]] = true
	}
}

// literal spells a prefix of which every byte is given.
func literal(s string) []string {
	prefix := make([]string, len(s))
	for i := range s {
		prefix[i] = s[i : i+1]
	}
	return prefix
}

// entries collects anchors by pair while a Set is compiled.
type entries map[uint16][]anchor

// add enters a prefix of at least three bytes by its two rarest neighbouring
// pairs.
func (s *Set) add(prefix []string, judge func([]byte, int, int, bool) (Match, verdict)) {
	s.tails = append(s.tails, prefix)
	best, cost := 0, 0
	for k := range len(prefix) - 2 {
		c := frequency(prefix[k], prefix[k+1]) + frequency(prefix[k+1], prefix[k+2])
		if k == 0 || c < cost {
			best, cost = k, c
		}
	}
	for k := best; k < best+2; k++ {
		for i := range prefix[k] {
			for j := range prefix[k+1] {
				pair := pairOf(prefix[k][i], prefix[k+1][j])
				s.entries[pair] = append(s.entries[pair], anchor{prefix, k, judge})
			}
		}
	}
}

// fill makes buckets of the entries. Pairs with the same anchors share one. If
// there are too many for that, the rarest pairs share some.
func (s *Set) fill() {
	type group struct {
		pairs   []uint16
		anchors []anchor
		cost    int
	}
	groups := make(map[string]*group)
	for pair, anchors := range s.entries {
		key := ""
		for _, a := range anchors {
			key += fmt.Sprintf("%q %d ", a.prefix, a.offset)
		}
		g := groups[key]
		if g == nil {
			g = &group{anchors: anchors}
			groups[key] = g
		}
		g.pairs = append(g.pairs, pair)
		g.cost += frequency(string([]byte{byte(pair)}), string([]byte{byte(pair >> 8)}))
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.cost, a.cost), cmp.Compare(slices.Min(a.pairs), slices.Min(b.pairs)))
	})
	for i, g := range sorted {
		id := uint8(i + 1)
		if over := i + 1 - (idEmail - 1); over > 0 {
			id = uint8(idEmail - 1 - over%shared)
		}
		for _, pair := range g.pairs {
			s.pairs[pair] |= id
		}
		for _, a := range g.anchors {
			s.buckets[id] = append(s.buckets[id], a)
			s.frames[id].admit(a)
		}
	}
	s.entries = nil
}

func pairOf(first, second byte) uint16 { return uint16(first) | uint16(second)<<8 }

// commonPairs are the most frequent pairs in JSON and English prose about
// software, most frequent first.
const commonPairs = "er in th re on es te st at en co ar or le ti an nt et it he ng ou ge ta me se ce al om io -- li de ed am nd pe is " +
	"ur to ri lo ic id ll ra so tr ns ro ss tt la pr mp na ec ma us rg si go nc ca po ht rc tp ve // gi ol ne ct .c ac " +
	"yp il ea od 00 ty as /g ue ps ha ub ut rt ad ul ie ch m/ os ho :/ el ag rs fi un b. hu ex fo va be pa oc hi pl s. " +
	"s/ ts di e. lu em ke ot ry da wi og ck cl op oo sp /c pt bl ey sh of im do ap au ig vi t. ai ly if Th ls dd ef su " +
	"ow tu /s ni ci t/ rr sa fa Po /p ia ab gl no ld mo mi pu fu 10 ru Co rv 13 ev Na ep 1. eg ee xt cy qu pp 99 ip ba " +
	"20 .g cr Re yo ds up g. d. 01 gr ms lt eq bu fe Se e_ ud cc by rm 11 ov 12 r. ib um fl Pr 16 iv rk Cl De n. kl ui " +
	"v1 15 26 wh Ge ew ff 14 Ma Ke rn gs rd ay fr wa 19 n_ md we ys _n e/ Go _c _s _t d_ nf 64 Op 56 l/ /m dy tl ua .0 " +
	"sc du av nn r/ In mm B/ Cr bo 55 17 xa ok .v MB 25 Ac 32 ka wo /d 50 uc .. oa e- 33 .C 2. tc dg td pi /a sl sm iz " +
	"/t Li /b .1 .o 57 xp .i 03 gu 97 28 70 bi yt ze 0. 22 /o 27 cs y. 23 40 o. ym -3 -c 05 ob 04 o/ 53 rl 58 07 30 59 " +
	"-0 o- gh 24 St 9. 49 m. 65 zs sy /r 34 gn Ca 93 51 mu 29 Si 36 62 21 Bi 96 -s 68 79 cd wr eb 41 5. ws p. .s 42 80 " +
	"uf 66 45 ki sk _a AB ox nu ks lf cb y_ t_ r_ _i _p _f _m _r _b _u y- t- d- s- r- n- -a -b -p -d -t -f -r lk ft xi " +
	"ix zy aw oy uy sw tw dw kn mb mn gm ph rh nk nj ax ux "

// frequency estimates how often one of the bytes of each set stands beside one
// of the other, in arbitrary units.
func frequency(first, second string) int {
	sum := 0
	for i := range first {
		for j := range second {
			pair := string([]byte{first[i], second[j]})
			if rank := strings.Index(commonPairs, pair+" "); rank >= 0 {
				sum += 1000 / (5 + rank/3)
			}
			sum++
		}
	}
	return sum
}

// window is what seek saw in eight bytes.
type window struct {
	ids    uint32 // the buckets of the four pairs, one in each byte
	digits int    // where four entries of digits begin; negative if nowhere
	run    uint8  // whether the second half is digits, for the window behind
}

// seek returns the first i, in steps of eight, at which the eight bytes of
// b[i:] hold a candidate. run is the window's in front.
func (s *Set) seek(b []byte, i int, run uint8) (int, window) {
	t := s.pairs
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		p, q, r, u := t[uint16(x)], t[uint16(x>>16)], t[uint16(x>>32)], t[uint16(x>>48)]
		lo, hi := p&q, r&u
		if (p|q|r|u)&idMask|lo&(hi|run)&digitPair != 0 {
			entries := uint32(p) | uint32(q)<<8 | uint32(r)<<16 | uint32(u)<<24
			ids, digits := s.look(b, i, entries, run)
			if ids != 0 || digits >= 0 {
				return i, window{ids, digits, hi}
			}
		}
		run = hi
	}
	if i < len(b) {
		var last [8]byte
		copy(last[:], b[i:])
		x := binary.LittleEndian.Uint64(last[:])
		entries := uint32(t[uint16(x)]) | uint32(t[uint16(x>>16)])<<8 | uint32(t[uint16(x>>32)])<<16 | uint32(t[uint16(x>>48)])<<24
		ids, digits := s.look(b, i, entries, run)
		if ids != 0 || digits >= 0 {
			return i, window{ids, digits, 0}
		}
	}
	return len(b), window{digits: -1}
}

// look looks closer at the eight bytes at b[i:], whose entries are given.
func (s *Set) look(b []byte, i int, entries uint32, run uint8) (ids uint32, digits int) {
	digits = -1
	if entries>>8&entries&digitPair != 0 {
		if run&digitPair != 0 && grouped(b[i-4:]) && long(b, i-4) {
			digits = i - 4
		} else if entries>>24&(entries>>16)&digitPair != 0 && grouped(b[i:]) && long(b, i) {
			digits = i
		}
	}
	for rest := entries & (idMask * 0x01010101); rest != 0; {
		k := bits.TrailingZeros32(rest) &^ 7
		mask := uint32(0xff) << k
		f, at := &s.frames[uint8(entries>>k)&idMask], i+k/4
		if (at == 0 || f.before[b[at-1]]) && (at+2 >= len(b) || f.after[b[at+2]]) {
			ids |= rest & mask
		}
		rest &^= mask
	}
	return ids, digits
}

// grouped reports whether the separators among eight digits are as far apart
// as on a card. In a date they are not.
func grouped(b []byte) bool {
	const zeros, high = 0x3030303030303030, 0x1010101010101010
	x := (binary.LittleEndian.Uint64(b) ^ zeros) & high
	return x&(x>>8|x>>16|x>>24|x>>32) == 0
}

// long reports whether the eight bytes of b[i:], digits and separators, may be
// part of twelve.
func long(b []byte, i int) bool {
	more := 0
	for j := i - 1; more < 4 && j >= 0 && inGroups[b[j]]; j-- {
		more++
	}
	for j := i + 8; more < 4 && j < len(b) && inGroups[b[j]]; j++ {
		more++
	}
	return more == 4 || i+8+4 > len(b)
}

var inGroups = newClass(digits + " -")

// Candidate returns the first position at or behind from at which the anchor
// of a match may stand, len(b) if there is none: text that ends in front of it,
// and was searched from from, holds no match. It is much cheaper than Next for
// a caller that has many short texts side by side in b.
func (s *Set) Candidate(b []byte, from int) int {
	if s.pairs == nil {
		return len(b)
	}
	i, w := s.seek(b, from, 0)
	if w.digits >= 0 && i < len(b) {
		return w.digits
	}
	if w.ids != 0 {
		return i + bits.TrailingZeros32(w.ids)/8*2
	}
	return i
}
