package scrub

import (
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

// plain searches b[i:end], which stands for itself, as the text that begins at
// floor. final says that the text ends at end. It returns up to where the text
// is decided.
func (s *Stream) plain(floor, i, end int, final bool) int {
	for {
		if s.open.Detector != "" {
			n := s.open.Rest(s.b[i:end])
			s.drop(s.b[i : i+n])
			i += n
			s.skipTo(i)
			if i == end && !final {
				return i
			}
			s.closeMatch()
		}
		m, hold, status := s.policy.set.Scan(s.b[floor:end], i-floor, final)
		if status == detect.None {
			return floor + hold
		}
		s.keepTo(floor + m.Start)
		i = floor + m.End
		s.skipTo(i)
		s.match(m, s.b[floor+m.Start:i], status == detect.Open)
	}
}

// unescaped searches b[i:end], a part of a string with escape sequences, by what
// it stands for. s.dec is what of it was decoded and not decided before, with
// its context.
func (s *Stream) unescaped(i, end int, final bool) int {
	for {
		if s.open.Detector != "" {
			var more bool
			if i, more = s.dropUnits(i, end, final); more {
				return i
			}
		}
		whole := s.decode(i, end, final)
		m, hold, status := s.policy.set.Scan(s.dec, s.decFrom, final && whole)
		if status == detect.None {
			n := s.decided(i, hold, final)
			if i += n; whole {
				return i
			}
			continue
		}
		i += s.decided(i, m.Start, final)
		s.keepTo(i)
		matched := s.dec[m.Start:m.End]
		n := rawLen(s.b[i:], m.End-m.Start, final)
		s.match(m, matched, status == detect.Open)
		s.decFrom = m.End
		s.pending -= n
		i += n
		s.skipTo(i)
	}
}

// decode appends to s.dec what the input behind the pending text stands for, up
// to a bound. It reports whether all of it is there.
func (s *Stream) decode(i, end int, final bool) bool {
	if drop := s.decFrom - detect.Lookbehind; drop > 0 {
		s.dec = s.dec[:copy(s.dec, s.dec[drop:])]
		s.decFrom -= drop
	}
	var out [utf8.UTFMax]byte
	at := i + s.pending
	for at < end && len(s.dec) < piece {
		if n := min(closing(s.b[:end], at), at+piece-len(s.dec)) - at; n > 0 {
			s.dec = append(s.dec, s.b[at:at+n]...)
			at += n
			continue
		}
		n, decoded := unit(s.b[at:end], final, &out)
		if n == 0 {
			s.pending = at - i
			return true // until more of the input is there
		}
		s.dec = append(s.dec, out[:decoded]...)
		at += n
	}
	s.pending = at - i
	return at == end
}

// decided moves the context up to s.dec[to], and returns the length of that in
// the input.
func (s *Stream) decided(i, to int, final bool) int {
	n := rawLen(s.b[i:i+s.pending], to-s.decFrom, final)
	s.decFrom = to
	s.pending -= n
	return n
}

// dropUnits leaves out what belongs to the open match. It reports whether the
// match may go on behind end.
func (s *Stream) dropUnits(i, end int, final bool) (int, bool) {
	var out [utf8.UTFMax]byte
	for i < end {
		n, decoded := unit(s.b[i:end], final, &out)
		if n == 0 {
			return i, true
		}
		if s.open.Rest(out[:decoded]) < decoded {
			s.closeMatch()
			return i, false
		}
		s.drop(out[:decoded])
		s.dec = append(s.dec, out[:decoded]...)
		if over := len(s.dec) - piece; over > 0 {
			s.dec = s.dec[:copy(s.dec, s.dec[len(s.dec)-detect.Lookbehind:])]
		}
		s.decFrom = len(s.dec)
		i += n
		s.skipTo(i)
	}
	if !final {
		return i, true
	}
	s.closeMatch()
	return i, false
}

// match brings out what stands in place of a match.
func (s *Stream) match(m detect.Match, text []byte, open bool) {
	sel := s.policy.detectors[m.Detector]
	s.counts[sel]++
	e := &s.policy.effects[sel]
	if e.action == Hash {
		s.beginToken(e)
		s.open, s.openSel, s.openLen, s.tail = m, sel, 0, s.tail[:0]
		s.drop(text)
		if !open {
			s.closeMatch()
		}
		return
	}
	if s.state == inText {
		s.emit(e.plain)
	} else {
		s.emit(e.text)
	}
	if open {
		s.open, s.openSel, s.openLen, s.tail = m, sel, 0, s.tail[:0]
		s.drop(text)
		return
	}
	s.emit(lastOf(text, e.keep))
}

// drop takes a part of the open match.
func (s *Stream) drop(text []byte) {
	if s.mac != nil {
		s.hashFound(s.open.Detector, text)
		return
	}
	s.openLen += len(text)
	keep := s.policy.effects[s.openSel].keep
	text = text[max(0, len(text)-keep):]
	s.tail = append(s.tail, text...)
	if over := len(s.tail) - keep; over > 0 {
		s.tail = s.tail[:copy(s.tail, s.tail[over:])]
	}
}

// closeMatch ends the open match. Its alphabet is ASCII.
func (s *Stream) closeMatch() {
	if s.mac != nil {
		s.endToken()
	} else if keep := s.policy.effects[s.openSel].keep; s.openLen >= 2*keep {
		s.emit(s.tail)
	}
	s.open = detect.Match{}
}

// lastOf returns the last n characters of a text that has at least twice as
// many, and nothing of others.
func lastOf(text []byte, n int) []byte {
	if n == 0 || utf8.RuneCount(text) < 2*n {
		return nil
	}
	i := len(text)
	for range n {
		_, size := utf8.DecodeLastRune(text[:i])
		i -= size
	}
	return text[i:]
}
