package detect

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

const (
	// Lookbehind is how many bytes in front of from a Set looks at: what a
	// caller of Scan has to keep of a text it has already dealt with.
	Lookbehind = 64

	// MaxHold bounds the bytes that Scan leaves undecided.
	MaxHold = 2048
)

// The detectors' names.
const (
	Card       = "card"
	CloudKeys  = "cloud_keys"
	Email      = "email"
	IBAN       = "iban"
	JWT        = "jwt"
	PrivateKey = "private_key"
)

// Names lists the detectors there are, sorted.
func Names() []string { return []string{Card, CloudKeys, Email, IBAN, JWT, PrivateKey} }

// Match is one find: b[Start:End] of the slice that was searched.
type Match struct {
	Start, End int
	Detector   string

	more  *class // what may follow in an open-ended match; nil if it is complete
	block block  // where a private key is
}

// Rest returns how many bytes at the beginning of b still belong to the match:
// the rest of a match that Scan reported as Open. It has to be given every byte
// behind the match once, in order, until it returns less than it was given.
func (m *Match) Rest(b []byte) (n int) {
	if m.more == nil {
		return 0
	}
	if m.block != noBlock {
		n, m.block = m.block.rest(b)
		return n
	}
	return m.more.run(b, 0, len(b))
}

// Status says what Scan found out.
type Status uint8

const (
	// None: there is no match in front of the undecided bytes.
	None Status = iota
	// Found: the match is complete.
	Found
	// Open: the match reaches the end of the part. It goes on in the next
	// part as far as Match.Rest says, however long that is.
	Open
)

// Set is a compiled choice of detectors. It is immutable, and safe for
// concurrent use. Compile makes it; the zero value finds nothing.
type Set struct {
	pairs   *[1 << 16]uint8 // nil in the zero value
	buckets [buckets][]anchor
	frames  *[buckets]frame
	entries entries
	cards   bool
	emails  bool
	tails   [][]string // the prefixes of which a part may end in a piece

	work func(n int) // tests count the bytes that candidates are read by
}

// Compile prepares the named detectors. Unknown and repeated names are errors,
// all reported together; so is an empty choice.
func Compile(names ...string) (*Set, error) {
	s := &Set{pairs: new([1 << 16]uint8), frames: new([buckets]frame), entries: make(entries)}
	var errs []error
	if len(names) == 0 {
		errs = append(errs, errors.New("no detector named"))
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			errs = append(errs, fmt.Errorf("unknown detector %q (there are %v)", name, Names()))
			continue
		}
		if seen[name] {
			errs = append(errs, fmt.Errorf("detector %q is named twice", name))
			continue
		}
		seen[name] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if seen[Card] {
		s.addCards()
	}
	if seen[Email] {
		s.addEmails()
	}
	if seen[JWT] {
		s.addJWTs()
	}
	if seen[CloudKeys] {
		s.addCloudKeys()
	}
	if seen[IBAN] {
		s.addIBANs()
	}
	if seen[PrivateKey] {
		s.addPrivateKeys()
	}
	s.fill()
	return s, nil
}

// Next finds the first match in b[from:]. What stands in front of from is
// looked at, as part of the same text, to tell where words begin. The end of b
// is the end of the text.
func (s *Set) Next(b []byte, from int) (Match, bool) {
	m, _, status := s.Scan(b, from, true)
	return m, status != None
}

// Scan finds the first match in b[from:], where b is a part of a text: from
// its beginning, or from at least [Lookbehind] bytes in front of from. If final
// is false, the text goes on behind b.
//
// With None, no match begins in front of hold, and the caller goes on with
// from = hold when more of the text is there; hold is len(b) if final is set.
// With Found and Open the match is m, and the caller goes on at m.End, after
// the m.Rest of what follows if it is Open; hold means nothing then. What a text
// yields does not depend on how it was cut.
func (s *Set) Scan(b []byte, from int, final bool) (m Match, hold int, status Status) {
	if s.pairs == nil {
		return Match{}, len(b), None
	}
	i, run := from, uint8(0)
	number := from // no card begins in front of it
	for i < len(b) {
		var w window
		i, w = s.seek(b, i, run)
		if i >= len(b) {
			break
		}
		m, v := s.judge(b, from, &number, i, w, final)
		switch v {
		case yes:
			if s.emails && m.Detector != Email && m.more == nil {
				if wider, v := s.widen(b, from, m, final); v == more {
					return Match{}, s.tail(b, from, min(m.Start, wider.Start)), None
				} else if v == yes {
					m = wider
				}
			}
			if m.more != nil && m.End == len(b) && !final {
				return m, m.Start, Open
			}
			return m, m.Start, Found
		case more:
			return Match{}, s.tail(b, from, m.Start), None
		}
		if number > i+8 {
			i, run = number, 0
		} else {
			i, run = i+8, w.run
		}
	}
	if final {
		return Match{}, len(b), None
	}
	return Match{}, s.tail(b, from, len(b)), None
}

// judge decides the candidates of the eight bytes at b[i:] in which seek
// stopped, from left to right. It moves number behind the digits it dealt with.
func (s *Set) judge(b []byte, from int, number *int, i int, w window, final bool) (m Match, v verdict) {
	if w.digits >= 0 {
		// A run of digits in front comes before the words behind it.
		m, v = card(b, *number, w.digits, final)
		s.count(m.End - w.digits)
		if v != no {
			return m, v
		}
		*number = m.End
	}
	for rest := w.ids; rest != 0; {
		k := bits.TrailingZeros32(rest) &^ 7
		id := uint8(rest >> k)
		rest &^= 0xff << k
		for _, a := range s.buckets[id] {
			start := i + k/4 - a.offset
			if start < from || len(b)-start < len(a.prefix) || !fits(a.prefix, b[start:]) {
				continue
			}
			m, v = a.judge(b, from, start, final)
			s.count(m.End - start)
			if v != no {
				return m, v
			}
		}
	}
	return m, no
}

// tail returns where the undecided end of b begins, given that it does not
// begin behind hold: in front of anything that may become a match.
func (s *Set) tail(b []byte, from, hold int) int {
	for _, prefix := range s.tails {
		for n := min(len(prefix)-1, len(b)-from); n > 0; n-- {
			if fits(prefix[:n], b[len(b)-n:]) {
				hold = min(hold, len(b)-n)
				break
			}
		}
	}
	if s.cards {
		hold = min(hold, cardTail(b, from))
	}
	if s.emails {
		hold = min(hold, emailTail(b, from))
	}
	return hold
}

func (s *Set) count(n int) {
	if s.work != nil {
		s.work(n)
	}
}
