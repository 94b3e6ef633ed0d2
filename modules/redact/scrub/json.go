package scrub

// run takes the input from i on, as far as it is decided, and returns how far
// that is. At the end of the input nothing is undecided.
func (s *Stream) run(i int, eof bool) (int, error) {
	for {
		var ok bool
		var err error
		if s.state >= atNext && s.depth > 0 && !s.mute && s.act < 0 && s.symbol == symMember && !s.counted {
			i = s.fast(i)
		}
		switch s.state {
		case inText:
			return s.text(i, eof), nil
		case inString:
			i, ok = s.stringRest(i, eof)
		case atTop:
			i, ok, err = s.top(i, eof)
		case atFirst, atNext:
			i, ok, err = s.next(i)
		case atColon:
			i, ok, err = s.colon(i)
		case atValue, atElement:
			i, ok, err = s.value(i, eof)
		}
		if err == ErrSyntax && s.fallBack(i) {
			continue
		}
		if err != nil {
			return i, err
		}
		if !ok {
			if eof && i < len(s.b) {
				return s.cutOff(i), nil
			}
			return i, nil
		}
	}
}

// fallBack reads the stream from i on as text, unless it is known to be JSON and
// has to be, so that members are found by their names.
func (s *Stream) fallBack(i int) bool {
	if s.policy.HasKeys() && !s.soft {
		return false
	}
	s.looseFrom(i)
	return true
}

// cutOff takes what a stream ends with in the middle of something that has to be
// seen whole.
func (s *Stream) cutOff(i int) int {
	if s.mute {
		s.skipTo(len(s.b))
		return len(s.b)
	}
	s.state = inText
	if s.policy.set == nil {
		return len(s.b)
	}
	return s.plain(i, i, len(s.b), true)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func (s *Stream) skipSpace(i int) int {
	b := s.b
	for i < len(b) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

// top takes what stands around the values of a stream: white space, the record
// separators of RFC 7464, a byte order mark, and the line that keeps JSON from
// being run as a script.
func (s *Stream) top(i int, eof bool) (int, bool, error) {
	for {
		i = s.skipSpace(i)
		if i == len(s.b) {
			return i, false, nil
		}
		rest := s.b[i:]
		switch c := rest[0]; {
		case c == 0x1e:
			i++
		case c == 0xef && !s.begun:
			n, whole := prefix(rest, "\ufeff")
			if !whole && !eof {
				return i, false, nil
			}
			if n == 0 {
				return i, false, ErrSyntax
			}
			i += n
		case c == ')' && !s.begun:
			n, whole := prefix(rest, ")]}'")
			if !whole && !eof {
				return i, false, nil
			}
			if n == 0 {
				return i, false, ErrSyntax
			}
			i += n
			s.guard = true
		case c == ',' && s.guard:
			i++
			s.guard = false
		default:
			if s.soft && !s.begun && c != '{' && c != '[' {
				return i, false, ErrSyntax
			}
			s.begun = true
			s.state = atValue
			return i, true, nil
		}
	}
}

// prefix returns the length of want if b begins with it, and whether b is long
// enough to tell.
func prefix(b []byte, want string) (n int, whole bool) {
	for i := range len(want) {
		if i == len(b) {
			return 0, false
		}
		if b[i] != want[i] {
			return 0, true
		}
	}
	return len(want), true
}

func (s *Stream) inObject() bool {
	d := s.depth - 1
	return s.kinds[d/64]>>(d%64)&1 != 0
}

// next takes what may stand behind a value, or at the beginning of an object:
// the end, or a comma and the name of a member.
func (s *Stream) next(i int) (int, bool, error) {
	i = s.skipSpace(i)
	if i == len(s.b) {
		return i, false, nil
	}
	object := s.inObject()
	switch c := s.b[i]; {
	case c == '}' && object, c == ']' && !object:
		s.close(i + 1)
		return i + 1, true, nil
	case s.state == atFirst:
		return s.name(i, i)
	case c != ',':
		return i, false, ErrSyntax
	case !object && s.counted && !s.mute:
		element := s.skipSpace(i + 1)
		if element == len(s.b) {
			return i, false, s.limit(i, element)
		}
		return s.element(i, element), true, nil
	case !object:
		s.state = atValue
		return i + 1, true, nil
	}
	quote := s.skipSpace(i + 1)
	if quote == len(s.b) {
		return i, false, s.limit(i, quote)
	}
	return s.name(i, quote)
}

// limit reports an error if what lies between start and end has to be seen
// whole and is too long.
func (s *Stream) limit(start, end int) error {
	if end-start > maxAtom {
		return ErrLimit
	}
	return nil
}

// name takes the name of a member, whose comma stands at start unless the name
// itself does.
func (s *Stream) name(start, quote int) (int, bool, error) {
	if s.b[quote] != '"' {
		return start, false, ErrSyntax
	}
	end, escaped := stringEnd(s.b, quote+1)
	if err := s.limit(start, end); err != nil {
		return start, false, err
	}
	if end == len(s.b) {
		return start, false, nil
	}
	if s.mute {
		s.state = atColon
		return end + 1, true, nil
	}
	raw := s.b[quote+1 : end]
	if escaped && s.policy.HasKeys() && !validEscapes(raw) {
		// Readers differ in what name that is.
		return start, false, ErrSyntax
	}
	s.state = atColon
	sel, symbol := s.selectorOf(raw, escaped)
	if s.at != nil {
		if e := s.policy.paths.edge(s.at.states[s.depth-1], symbol); sel < 0 {
			sel = int(e.sel)
		}
	}
	if s.enter(sel, start, quote) {
		s.symbol = symbol
		s.content(quote+1, end, escaped)
	}
	return end + 1, true, nil
}

// enter begins a member or element, whose comma stands at start unless it begins
// there itself. It reports false if the whole of it is dropped.
func (s *Stream) enter(sel, start, begin int) bool {
	if sel >= 0 && s.policy.effects[sel].action == Drop {
		s.keepTo(start)
		s.counts[sel]++
		s.mute, s.muteAt, s.muted = true, s.depth, sel
		return false
	}
	if !s.kept && start != begin {
		s.keepTo(start) // all in front were dropped, and its comma goes too
		s.skipTo(start + 1)
	}
	s.kept, s.act = true, sel
	return true
}

// element begins an element of an array of which some may be selected.
func (s *Stream) element(start, begin int) int {
	d := s.depth - 1
	symbol := s.policy.paths.element(s.at.indices[d])
	s.at.indices[d]++
	s.state = atValue
	if s.enter(int(s.policy.paths.edge(s.at.states[d], symbol).sel), start, begin) {
		s.symbol = symbol
	}
	return begin
}

func (s *Stream) selectorOf(raw []byte, escaped bool) (sel, symbol int) {
	p := s.policy
	switch {
	case !p.HasKeys():
		return -1, symMember
	case escaped:
		s.dec = unescape(s.dec[:0], raw)
		sel, symbol = p.selectorOf(s.dec)
		s.dec = s.dec[:0]
		return sel, symbol
	case !p.mayName(raw):
		return -1, symMember
	}
	return p.selectorOf(raw)
}

// content searches the content of a whole string, b[start:end].
func (s *Stream) content(start, end int, escaped bool) {
	set := s.policy.set
	if set == nil {
		return
	}
	if escaped {
		s.beginText(start)
		s.unescaped(start, end, true)
		return
	}
	if s.clean < start {
		s.clean = set.Candidate(s.b, start)
	}
	if s.clean < end {
		s.plain(start, start, end, true)
	}
}

// beginText makes ready for a string whose content begins at start.
func (s *Stream) beginText(start int) {
	s.floor, s.escaped, s.dec, s.decFrom, s.pending = start, false, s.dec[:0], 0, 0
}

func (s *Stream) colon(i int) (int, bool, error) {
	i = s.skipSpace(i)
	if i == len(s.b) {
		return i, false, nil
	}
	if s.b[i] != ':' {
		return i, false, ErrSyntax
	}
	s.state = atValue
	return i + 1, true, nil
}
