package scrub

import (
	"bytes"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

// value takes the beginning of a value, and all of it unless it is long.
func (s *Stream) value(i int, eof bool) (int, bool, error) {
	i = s.skipSpace(i)
	if i == len(s.b) {
		return i, false, nil
	}
	c := s.b[i]
	switch {
	case c == ']' && s.state == atElement:
		s.close(i + 1)
		return i + 1, true, nil
	case s.state == atElement && s.counted && !s.mute:
		return s.element(i, i), true, nil
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i, eof)
	case c == 't':
		return s.literal(i, "true", eof)
	case c == 'f':
		return s.literal(i, "false", eof)
	case c == 'n':
		return s.literal(i, "null", eof)
	case c != '"' && c != '{' && c != '[':
		return i, false, ErrSyntax
	}
	if (c == '{' || c == '[') && s.depth == maxDepth {
		return i, false, ErrDepth
	}
	if s.act >= 0 {
		s.begin(i, c)
	}
	if c != '"' {
		s.push(c == '{')
		return i + 1, true, nil
	}
	end, escaped := stringEnd(s.b, i+1)
	if end == len(s.b) || s.mute {
		s.state, s.chars = inString, 0
		s.beginText(i + 1)
		return i + 1, true, nil
	}
	s.content(i+1, end, escaped)
	s.ended(end + 1)
	return end + 1, true, nil
}

// begin brings out what stands in place of the value at i, which begins with c
// and is no number, and leaves the value out.
func (s *Stream) begin(i int, c byte) {
	s.keepTo(i)
	s.counts[s.act]++
	e := &s.policy.effects[s.act]
	s.mute, s.muteAt, s.muted = true, s.depth, s.act
	s.act = -1
	if e.action == Hash && c == '"' {
		s.emit([]byte(`"`))
		s.beginToken(e)
		s.masked = true
		return
	}
	if e.action == Mask && c == '"' {
		s.emit([]byte(`"`))
		s.emit(e.text)
		s.keep = e.keep
		s.masked = true
		return
	}
	s.emit(e.quoted)
}

// unmute ends the value that was left out, at i.
func (s *Stream) unmute(i int) {
	if s.mac != nil {
		s.endToken()
	}
	if s.masked {
		s.emit([]byte(`"`))
	}
	s.mute, s.masked, s.keep = false, false, 0
	s.skipTo(i)
}

func (s *Stream) push(object bool) {
	if s.at != nil && !s.mute {
		s.descend(object)
	}
	s.nest(object)
}

// nest is push where there are no paths.
func (s *Stream) nest(object bool) {
	bit := uint64(1) << (s.depth % 64)
	if object {
		s.kinds[s.depth/64] |= bit
		s.state = atFirst
	} else {
		s.kinds[s.depth/64] &^= bit
		s.state = atElement
	}
	s.depth++
	if !s.mute {
		s.kept = false
	}
}

// descend finds the place among the paths of a container that begins.
func (s *Stream) descend(object bool) {
	state := uint16(start)
	if d := s.depth - 1; d >= 0 {
		if s.symbol == symMember && !s.inObject() {
			s.symbol = symElement
		}
		state = s.policy.paths.edge(s.at.states[d], s.symbol).state
	}
	s.symbol = symMember
	s.at.states[s.depth], s.at.indices[s.depth] = state, 0
	s.counted = !object && s.policy.paths.counts[state]
}

// resume is called where a container ended, in the one around it.
func (s *Stream) resume() {
	s.counted = s.depth > 0 && !s.inObject() && s.policy.paths.counts[s.at.states[s.depth-1]]
}

// close ends an object or array, at i. It was a member or an element itself that
// was not dropped.
func (s *Stream) close(i int) {
	s.depth--
	if !s.mute {
		s.kept = true
		if s.at != nil {
			s.resume()
		}
	}
	s.ended(i)
}

// ended is called behind each value.
func (s *Stream) ended(i int) {
	if s.mute && s.depth == s.muteAt {
		s.unmute(i)
	}
	s.state, s.symbol = atNext, symMember
	if s.depth == 0 {
		s.state = atTop
	}
}

func (s *Stream) literal(i int, want string, eof bool) (int, bool, error) {
	n, whole := prefix(s.b[i:], want)
	if !whole && !eof {
		return i, false, nil
	}
	if n == 0 {
		return i, false, ErrSyntax
	}
	switch {
	case s.act >= 0 && s.policy.effects[s.act].action == Hash:
		s.hashScalar(i, i+n)
	case s.act >= 0:
		s.begin(i, want[0])
	}
	s.ended(i + n)
	return i + n, true, nil
}

// hashScalar puts a token in place of b[i:end], a number or a literal.
func (s *Stream) hashScalar(i, end int) {
	s.keepTo(i)
	s.counts[s.act]++
	s.token(&s.policy.effects[s.act], s.b[i:end])
	s.act = -1
	s.skipTo(end)
}

// hashUnits hashes b[i:end], a part of a string, as what it stands for.
func (s *Stream) hashUnits(i, end int, final bool) int {
	var out [utf8.UTFMax]byte
	for i < end {
		if n := closing(s.b[:end], i); n > i {
			s.mac.Write(s.b[i:n])
			i = n
			continue
		}
		n, decoded := unit(s.b[i:end], final, &out)
		if n == 0 {
			break
		}
		s.mac.Write(out[:decoded])
		i += n
	}
	return i
}

// stringRest takes a part of a string that may go on behind the input.
func (s *Stream) stringRest(i int, eof bool) (int, bool) {
	end, escaped := stringEnd(s.b, i)
	whole := end < len(s.b)
	final := whole || eof
	switch {
	case s.mute && s.mac != nil:
		i = s.hashUnits(i, end, final)
	case s.mute && s.keep > 0:
		i = s.keepLast(i, end, final)
	case s.mute || s.policy.set == nil:
		if !final {
			end = i + wholeUnits(s.b[i:end])
		}
		i = end
	case escaped && !s.escaped:
		// What was read without an escape sequence stands for itself.
		s.dec = append(s.dec[:0], s.b[s.floor:i]...)
		s.decFrom, s.pending, s.escaped = len(s.dec), 0, true
		i = s.unescaped(i, end, final)
	case s.escaped:
		i = s.unescaped(i, end, final)
	default:
		i = s.plain(s.floor, i, end, final)
	}
	if whole {
		s.ended(end + 1)
		return end + 1, true
	}
	return i, false
}

// keepLast leaves out b[i:end], a part of a masked string, but for the last
// characters, which are brought out when the string ends there.
func (s *Stream) keepLast(i, end int, final bool) int {
	var out [utf8.UTFMax]byte
	count, known := 0, i // characters, and where those that are there end
	for known < end {
		n := character(s.b[known:end], final, &out)
		if n == 0 {
			break
		}
		count++
		known += n
	}
	if final && s.chars+count < 2*s.keep {
		return end
	}
	for ; count > s.keep; count-- {
		i += character(s.b[i:end], final, &out)
		s.chars++
	}
	if final {
		s.emit(s.b[i:known])
		return end
	}
	return i
}

// character returns the length of the character that b, the content of a string,
// begins with, however it is written; 0 if the end of an escape sequence is
// missing. Of a character that is cut, there is a part.
func character(b []byte, final bool, out *[utf8.UTFMax]byte) int {
	if b[0] == '\\' {
		n, _ := unit(b, final, out)
		return n
	}
	_, n := utf8.DecodeRune(b)
	return n
}

// number takes a number, with what follows it: only that tells a number from
// text that begins with digits.
func (s *Stream) number(i int, eof bool) (int, bool, error) {
	end := i
	for end < len(s.b) && inNumber[s.b[end]] {
		end++
	}
	next := s.skipSpace(end)
	if err := s.limit(i, end); err != nil {
		return i, false, err
	}
	if next == len(s.b) && !eof && next-end <= maxGap {
		return i, false, nil
	}
	literal := s.b[i:end]
	if !isNumber(literal) || next < len(s.b) && next-end <= maxGap && !s.endsNumber(end, next) {
		return i, false, ErrSyntax
	}
	switch {
	case s.act >= 0 && s.policy.effects[s.act].action == Hash:
		s.hashScalar(i, end)
	case s.act >= 0:
		s.keepTo(i)
		s.counts[s.act]++
		e := &s.policy.effects[s.act]
		s.act = -1
		if e.action == Mask {
			s.emit(maskedNumber(literal, e.keep))
		} else {
			s.emit(e.quoted)
		}
		s.skipTo(end)
	case !s.mute && s.policy.set != nil && len(literal) >= 12:
		s.searchNumber(i, end)
	}
	s.ended(end)
	return end, true, nil
}

// maxGap is how much white space may stand behind a number without the end of
// the number being in doubt.
const maxGap = 64

// endsNumber reports whether what stands at next, behind a number that ends at
// end and white space, may follow a number.
func (s *Stream) endsNumber(end, next int) bool {
	switch c := s.b[next]; {
	case s.depth > 0:
		return c == ',' || c == ']' || c == '}'
	case c == '{', c == '[', c == '"', c == 0x1e:
		return true
	}
	// Numbers of a sequence stand on lines of their own: 4111 1111 1111 1111 is
	// text.
	return bytes.ContainsAny(s.b[end:next], "\r\n")
}

// searchNumber replaces b[i:end] if a detector finds it.
func (s *Stream) searchNumber(i, end int) {
	digits, ok := s.policy.set.Number(s.b[i:end])
	if !ok {
		return
	}
	sel := s.policy.detectors[detect.Card]
	s.counts[sel]++
	s.keepTo(i)
	switch e := &s.policy.effects[sel]; e.action {
	case Hash:
		s.token(e, []byte(digits))
	case Mask:
		s.emit(maskedNumber([]byte(digits), e.keep))
	default:
		s.emit(e.number)
	}
	s.skipTo(end)
}

// maskedNumber returns what is left of a number: its last digits, as a number,
// and 0 if none are to be left.
func maskedNumber(literal []byte, keep int) []byte {
	for _, c := range literal {
		if c < '0' || c > '9' {
			keep = 0
		}
	}
	if len(literal) < 2*keep {
		keep = 0
	}
	kept := bytes.TrimLeft(literal[len(literal)-keep:], "0")
	if len(kept) == 0 {
		return []byte("0")
	}
	return kept
}

var inNumber = func() (set [256]bool) {
	for _, c := range "0123456789+-.eE" {
		set[c] = true
	}
	return set
}()

// isNumber checks the grammar of RFC 8259 §6.
func isNumber(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && b[n] >= '0' && b[n] <= '9' {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 1 && b[0] == '0' && b[1] >= '0' && b[1] <= '9' || !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		return digits() && len(b) == 0
	}
	return len(b) == 0
}
