package scrub

// In text, a member is a name in quotes with a colon behind it, as in JSON that
// is not quite JSON (NaN, a comment, a call around it) and in JSON inside a
// string, where the quotes have backslashes in front. What follows the colon is
// its value: a string, an object or array, or anything else up to a delimiter.
// drop and hash do what mask does here, and no characters are kept. A path is
// found by the last name in it, wherever that is.

const (
	// maxLooseName bounds a name as it is written, maxLooseGap the white space
	// between it and the colon, maxSlashes the backslashes in front of a quote.
	maxLooseName = 256
	maxLooseGap  = 16
	maxSlashes   = 15

	// looseContext is what has to be kept in front of text to see a name.
	looseContext = maxLooseName + maxLooseGap + 2*maxSlashes + 2
)

// loose is where the stream is in the value of a member of a text.
type loose struct {
	state   looseState
	slashes int  // in front of each quote
	run     int  // backslashes in front of the next byte
	quote   byte // that the string began with; 0 outside of strings
	nested  int  // open brackets and braces
}

type looseState uint8

const (
	looseOutside looseState = iota
	looseStart              // white space in front of the value
	looseString
	looseNested
	looseBare
)

// bareEnd ends a value without quotes and brackets.
var bareEnd = func() (set [256]bool) {
	for _, c := range ",;&<}])\r\n" {
		set[c] = true
	}
	return set
}()

// escapeEnd may end the escape sequence of a letter, or stand in front of a
// quote in a string.
var escapeEnd = func() (set [256]bool) {
	for _, c := range "0123456789abcdefABCDEF\\" {
		set[c] = true
	}
	return set
}()

// text takes the rest of a text body.
func (s *Stream) text(i int, eof bool) int {
	for {
		var more bool
		switch s.loose.state {
		case looseOutside:
			colon := s.looseMember(i)
			if colon < 0 {
				return s.search(i, len(s.b), eof)
			}
			i = s.search(i, colon+1, true)
			s.loose.state = looseStart
		case looseStart:
			i, more = s.looseValue(i, eof)
		default:
			i, more = s.looseRest(i)
		}
		if more {
			return i
		}
	}
}

// search takes text that no rule for names is about.
func (s *Stream) search(i, end int, final bool) int {
	if s.policy.set == nil {
		return end
	}
	return s.plain(s.floor, i, end, final)
}

// looseMember returns the index of the first colon from i on that stands behind
// a name of a rule, whose selector is then to act; -1 if there is none.
func (s *Stream) looseMember(i int) int {
	if !s.policy.HasKeys() {
		return -1
	}
	for colon := index(s.b, i, ':'); colon < len(s.b); colon = index(s.b, colon+1, ':') {
		if sel := s.looseName(colon); sel >= 0 {
			s.act = sel
			return colon
		}
	}
	return -1
}

// looseName returns the selector of the name in quotes in front of b[colon:].
func (s *Stream) looseName(colon int) int {
	b, end := s.b, colon
	for end > s.floor && colon-end < maxLooseGap && isSpace(b[end-1]) {
		end--
	}
	if end == s.floor || b[end-1] != '"' && b[end-1] != '\'' {
		return -1
	}
	end--
	if c := b[max(end-1, s.floor)]; !s.policy.last[c] && !escapeEnd[c] {
		return -1 // no rule's name ends so
	}
	quote, slashes := b[end], 0
	for end > s.floor && slashes < maxSlashes && b[end-1] == '\\' {
		end--
		slashes++
	}
	start := end
	for start > s.floor && end-start < maxLooseName && b[start-1] != quote {
		start--
	}
	if start == s.floor || b[start-1] != quote {
		return -1
	}
	s.loose = loose{slashes: slashes}
	name := b[start:end]
	if index(name, 0, '\\') < len(name) {
		s.dec = unescape(s.dec[:0], name)
		sel := s.policy.looseOf(s.dec)
		s.dec = s.dec[:0]
		return sel
	}
	if !s.policy.mayName(name) {
		return -1
	}
	return s.policy.looseOf(name)
}

// looseValue takes the beginning of a value.
func (s *Stream) looseValue(i int, eof bool) (next int, more bool) {
	i = s.skipSpace(i)
	at := i
	for at < len(s.b) && at-i < maxSlashes && s.b[at] == '\\' {
		at++
	}
	if at == len(s.b) {
		if eof {
			return at, true
		}
		return i, true
	}
	e, l := &s.policy.effects[s.act], &s.loose
	c := s.b[at]
	if bareEnd[c] {
		s.looseEnd(at) // no value
		return at, false
	}
	s.counts[s.act]++
	switch c {
	case '"', '\'':
		l.state, l.quote, l.slashes, l.run = looseString, c, at-i, 0
		at++
		s.keepTo(at)
		s.emit(e.text)
	case '{', '[':
		l.state, l.quote, l.nested, l.run = looseNested, 0, 1, 0
		s.keepTo(at)
		s.emit(e.quoted)
		at++
	default:
		l.state = looseBare
		s.keepTo(at)
		s.emit(e.plain)
	}
	s.skipTo(at)
	return at, false
}

// looseRest takes the rest of a value.
func (s *Stream) looseRest(i int) (next int, more bool) {
	l := &s.loose
	for ; i < len(s.b); i++ {
		c := s.b[i]
		switch {
		case l.state == looseBare:
			if bareEnd[c] {
				s.skipTo(i)
				s.looseEnd(i)
				return i, false
			}
		case c == '\\':
			l.run++
			continue
		case l.quote != 0:
			if c == l.quote && l.delimits() {
				l.quote = 0
			}
		case (c == '"' || c == '\'') && l.delimits():
			l.quote = c
		case c == '{' || c == '[':
			l.nested++
		case c == '}' || c == ']':
			l.nested--
		}
		l.run = 0
		if l.quote != 0 || l.state == looseBare || l.nested > 0 {
			continue
		}
		i++
		s.skipTo(i)
		if l.state == looseString {
			for range l.slashes {
				s.emit([]byte{'\\'})
			}
			s.emit([]byte{c})
		}
		s.looseEnd(i)
		return i, false
	}
	s.skipTo(i)
	return i, true
}

// delimits reports whether the quote behind l.run backslashes is not one inside
// a string.
func (l *loose) delimits() bool {
	if l.slashes == 0 {
		return l.run%2 == 0
	}
	return l.run == l.slashes
}

// looseEnd ends the value in front of i.
func (s *Stream) looseEnd(i int) {
	s.loose, s.act, s.floor = loose{}, -1, i
}

// looseFrom goes on with text at i, in the middle of JSON.
func (s *Stream) looseFrom(i int) {
	s.state, s.floor, s.loose = inText, i, loose{}
	switch {
	case s.mute && s.depth > s.muteAt:
		s.loose = loose{state: looseNested, nested: s.depth - s.muteAt}
	case s.mute:
		s.act = s.muted
		s.loose.state = looseStart
	case s.act >= 0:
		s.loose.state = looseStart
	}
	if s.mute {
		s.unmute(i)
	} else {
		s.keepTo(i)
	}
}
