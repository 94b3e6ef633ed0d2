package logtext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxObjects bounds how many places of a text are tried as the beginning of a
// JSON object. Console entries have one; the text around is scanned anyway.
const maxObjects = 8

// Frames of the walk's stack.
const (
	frameObject = 1 << iota
	frameSecret // every scalar inside is masked
)

// scanEntry masks a whole entry: JSON as its structure says, and everything
// else, such as the first half of zap's console format, as text.
func (s *scan) scanEntry() {
	b := s.entry
	if end, ok := s.walk(0); ok && (skipSpace(b, end) == len(b) || b[end-1] == '}') {
		s.rest(end, len(b))
		return
	}
	s.edits = s.edits[:0]
	from := 0
	for i, tries := 0, 0; i+1 < len(b) && tries < maxObjects; i++ {
		if b[i] != '{' || b[i+1] != '"' || i > 0 && b[i-1] != '\t' && b[i-1] != ' ' && b[i-1] != '>' {
			continue
		}
		tries++
		mark := len(s.edits)
		s.rest(from, i)
		end, ok := s.walk(i)
		if !ok {
			s.edits = s.edits[:mark]
			continue
		}
		from, i = end, end-1
	}
	s.rest(from, len(b))
}

// rest masks a part of the entry that is no JSON.
func (s *scan) rest(from, to int) {
	if from < to {
		s.text(view{text: s.entry[from:to], base: from})
	}
}

// walk masks the JSON value at i and returns where it ends. It reports false,
// and may have made edits, if there is no valid one. It is a loop with a stack of
// its own, because the depth of an entry is up to whoever wrote it.
func (s *scan) walk(i int) (end int, ok bool) {
	b := s.entry
	stack := s.stack[:0]
	defer func() { s.stack = stack }() // keep what it grew to
	secret := kind(0)                  // of the member's name in front of the value
	masked := false                    // all scalars here are
	for {
		i = skipSpace(b, i)
		if i == len(b) {
			return 0, false
		}
		switch b[i] {
		case '{', '[':
			frame := byte(0)
			if masked || secret != 0 && !(b[i] == '{' && secret&notObject != 0) {
				frame = frameSecret
			}
			masked = frame != 0
			if b[i] == '{' {
				frame |= frameObject
			}
			closing := b[i] + 2
			stack = append(stack, frame)
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == closing {
				break // to the end of an empty one, below
			}
			if secret = 0; frame&frameObject != 0 {
				if i, secret, ok = s.member(i); !ok {
					return 0, false
				}
			}
			continue
		case '"':
			if i, ok = s.str(i+1, masked || secret != 0); !ok {
				return 0, false
			}
		case 't', 'f', 'n':
			n := literal(b[i:])
			if n == 0 {
				return 0, false
			}
			i += n
		default:
			end := number(b, i)
			if end == i {
				return 0, false
			}
			if masked || secret != 0 || s.isCard(b[i:end]) {
				s.edits = append(s.edits, edit{i, end, formString})
			}
			i = end
		}
		// Behind a value: go on with the next one of its container, or close
		// as many containers as end here.
		for {
			if len(stack) == 0 {
				return i, true
			}
			i = skipSpace(b, i)
			if i == len(b) {
				return 0, false
			}
			top := stack[len(stack)-1]
			if b[i] == ',' {
				secret = 0
				if i++; top&frameObject != 0 {
					if i, secret, ok = s.member(skipSpace(b, i)); !ok {
						return 0, false
					}
				}
				break
			}
			if b[i] != ']' && b[i] != '}' || (b[i] == '}') != (top&frameObject != 0) {
				return 0, false
			}
			stack = stack[:len(stack)-1]
			masked = len(stack) > 0 && stack[len(stack)-1]&frameSecret != 0
			i++
		}
	}
}

// member reads the name at i and its colon. It returns where the value begins
// and whether the name makes it a secret. The name itself is masked only where
// it has something in it that is a secret under any name.
func (s *scan) member(i int) (next int, secret kind, ok bool) {
	b := s.entry
	if i >= len(b) || b[i] != '"' {
		return 0, 0, false
	}
	start := i + 1
	end, found := s.skim(start)
	if end < 0 {
		return 0, 0, false
	}
	name, at := b, end
	if found&skimEscape != 0 {
		v, ok := s.unquoted.unquote(b, start, end)
		if !ok {
			return 0, 0, false
		}
		name, at = v.text, len(v.text)
		start = 0
	}
	if s.names.mayEnd(name, at) {
		k, _ := s.names.find(name, start, at)
		if k&asMember != 0 {
			secret = k
		}
	}
	if found&skimLook != 0 || s.detects(b[i+1:end]) {
		if !s.content(i+1, end, found) {
			return 0, 0, false
		}
	}
	i = skipSpace(b, end+1)
	if i == len(b) || b[i] != ':' {
		return 0, 0, false
	}
	return i + 1, secret, true
}

// str masks the string whose first character is at i, all of it if it is
// secret, and returns where it ends.
func (s *scan) str(i int, secret bool) (next int, ok bool) {
	end, found := s.skim(i)
	switch {
	case end < 0:
		return 0, false
	case secret:
		if found&skimEscape != 0 {
			if _, ok := s.unquoted.unquote(s.entry, i, end); !ok {
				return 0, false
			}
		}
		s.mask(view{text: s.entry[i:end], base: i}, 0, end-i, formMask)
	case found&skimLook != 0 || s.detects(s.entry[i:end]):
		if !s.content(i, end, found) {
			return 0, false
		}
	}
	return end + 1, true
}

// content masks what is secret in the string entry[start:end].
func (s *scan) content(start, end int, found skim) bool {
	v := view{text: s.entry[start:end], base: start}
	if found&skimEscape != 0 {
		var ok bool
		if v, ok = s.unquoted.unquote(s.entry, start, end); !ok {
			return false
		}
	}
	s.text(v)
	return true
}

const (
	minCard = 12 // the shortest card number
	minKey  = 16 // shorter than the shortest token or key that has a mark
)

// detects reports whether a detector finds something in a string that has no
// escapes but those of quotes, and no '@', which skim suspects. Most strings of
// an entry are shorter than a key, and have too few digits for a card.
func (s *scan) detects(b []byte) bool {
	if len(b) < minKey {
		i := 0
		for i <= len(b)-minCard && !isDigit(b[i]) {
			i++
		}
		if i > len(b)-minCard {
			return false
		}
	}
	_, ok := s.detectors.Next(b, 0)
	return ok
}

// isCard reports whether a JSON number is a card's.
func (s *scan) isCard(number []byte) bool {
	if len(number) < minCard || bytes.IndexByte(number[:minCard-1], '.') >= 0 && !bytes.ContainsAny(number, "eE") {
		return false // 1762164000.123456 is a time
	}
	_, ok := s.detectors.Number(number)
	return ok
}

// skim says what a first look at a string found.
type skim uint8

const (
	skimEscape skim = 1 << iota // it has escapes
	skimLook                    // something in it is worth a look
)

// skim returns where the string ends that begins at i, or -1 if it does not or
// has a control character in it. It is the loop that an ordinary entry spends
// its time in: it takes two characters at a time, and looks at nothing twice
// unless it may be secret.
func (s *scan) skim(i int) (end int, found skim) {
	b, start := s.entry, i
	for i >= 0 && i < len(b) { // i >= 0 spares bounds checks
		if i <= len(b)-8 {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		if b[i] == '"' {
			return i, found
		}
		switch skimClass[b[i]] {
		case skimBackslash:
			// An escaped quote is a quote for all that follows here. Whatever
			// else is escaped has to be read.
			found |= skimEscape
			if i++; i < len(b) && b[i] != '"' {
				found |= skimLook
			}
		case skimControl:
			return -1, 0
		case skimSuspect:
			found |= skimLook
		case skimPair:
			if found&skimLook == 0 && s.names.mayEnd(b, i) {
				if k, _ := s.names.find(b, start, i); k != 0 && (b[i] == '=' || k&asMember != 0) {
					found |= skimLook
				}
			}
		case skimSpace:
			if mayBeScheme(b, i) {
				found |= skimLook
			}
		}
		i++
	}
	return -1, 0
}

// special marks, with its high bit, each of eight characters that skim has to
// know of, and a few others: those below '&' and between ':' and '@', '+' and
// the backslash.
func special(x uint64) uint64 {
	const low, high = 0x0101010101010101, 0x8080808080808080
	c := x &^ high
	return (^(c + (0x80-'&')*low) |
		(c+(0x80-':')*low)&^(c+(0x7f-'@')*low) |
		^(c ^ '+'*low + 0x7f*low) |
		^(c ^ '\\'*low + 0x7f*low)) & high &^ x
}

const (
	skimBackslash = iota + 1
	skimControl
	skimSuspect
	skimPair
	skimSpace
)

var skimClass = func() (t [256]uint8) {
	for c := range byte(' ') {
		t[c] = skimControl
	}
	for class, chars := range map[uint8]string{
		skimBackslash: `\`, skimSuspect: "%@", skimPair: "=:", skimSpace: " +",
	} {
		for _, c := range []byte(chars) {
			t[c] = class
		}
	}
	return t
}()

func skipSpace(b []byte, i int) int {
	if i < len(b) && b[i] > ' ' {
		return i
	}
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// literal returns the length of the true, false or null that b begins with, or 0.
func literal(b []byte) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			return len(word)
		}
	}
	return 0
}

// number returns where the JSON number at i ends, or i if there is none.
func number(b []byte, i int) int {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == first || b[first] == '0' && i > first+1 {
		return start
	}
	if i+1 < len(b) && b[i] == '.' && isDigit(b[i+1]) {
		for i++; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	if i+1 < len(b) && b[i]|0x20 == 'e' {
		j := i + 1
		if j+1 < len(b) && (b[j] == '+' || b[j] == '-') {
			j++
		}
		if isDigit(b[j]) {
			for i = j; i < len(b) && isDigit(b[i]); i++ {
			}
		}
	}
	return i
}
