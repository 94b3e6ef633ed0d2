package jsonscan

import (
	"fmt"
	"hash/maphash"
)

// Limits bound a text. Zero is no limit, but for Depth, where it lets only
// scalars pass, and for NumberLength, where it means MaxNumberLength.
type Limits struct {
	Depth         int  // objects and arrays inside each other
	Members       int  // of one object
	Items         int  // of one array
	StringLength  int  // in characters, also of names
	NumberLength  int  // in bytes
	DuplicateKeys bool // names may occur twice in an object
}

// MaxDepth and MaxNumberLength are the largest that Limits can ask for.
const (
	MaxDepth        = 1000
	MaxNumberLength = 400
)

// Kind is what is wrong with a text.
type Kind uint8

// The kinds of errors.
const (
	Syntax Kind = iota + 1
	Encoding
	Depth
	Duplicate
	Members
	Items
	StringLength
	Number
)

var kindNames = [...]string{
	Syntax:       "not JSON",
	Encoding:     "not UTF-8",
	Depth:        "nested too deeply",
	Duplicate:    "a name occurs twice in one object",
	Members:      "an object has too many members",
	Items:        "an array has too many items",
	StringLength: "a string is too long",
	Number:       "a number is too long or too large",
}

// Error is what is wrong with a text and where. It holds nothing of the text.
type Error struct {
	Kind   Kind
	Offset int64 // of the byte that decided it
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", kindNames[e.Kind], e.Offset) }

type state uint8

const (
	value       state = iota // a value has to begin
	arrayFirst               // a value, or the end of the array
	objectFirst              // a name, or the end of the object
	name                     // a name has to begin
	colon                    // behind a name
	after                    // behind a value: a comma, or the end of what it is in
	end                      // behind the text: nothing but whitespace
	text                     // in a string
	escape                   // behind a backslash
	hex                      // in the four digits of \u
	lowSlash                 // behind the first half of a surrogate pair
	lowU                     // behind the backslash of the second half
	utf                      // in a character of several bytes
	word                     // in true, false or null
	numMinus                 // behind a minus
	numZero                  // behind a leading zero
	numInt                   // in the digits in front of the point
	numPoint                 // behind the point
	numFrac                  // in the digits behind the point
	numE                     // behind e
	numSign                  // behind the sign of the exponent
	numExp                   // in the digits of the exponent
)

// Scanner checks one text after another. The zero value has no limits but that of
// Limits' zero value; use New. It is not safe for concurrent use.
type Scanner struct {
	limits Limits
	state  state
	err    *Error
	base   int64 // bytes in front of the part being scanned

	frames []frame

	isName  bool // the string is a name
	chars   int  // characters of the string
	word    string
	code    rune // of a \u escape
	digits  int
	high    rune // the first half of a surrogate pair
	need    int  // bytes that a character still has
	lo, hi  byte // the range of the next of them
	number  number
	scanned bool // something but whitespace came

	names names
}

// frame is an object or an array that is open.
type frame struct {
	object bool
	count  int
	names  int // the first of its names
	bytes  int // where their bytes begin
}

// New returns a scanner with limits.
func New(limits Limits) *Scanner {
	s := &Scanner{names: names{seed: maphash.MakeSeed()}}
	s.Reset(limits)
	return s
}

// Reset prepares the scanner for another text.
func (s *Scanner) Reset(limits Limits) {
	limits.Depth = min(limits.Depth, MaxDepth)
	if limits.NumberLength <= 0 || limits.NumberLength > MaxNumberLength {
		limits.NumberLength = MaxNumberLength
	}
	s.limits, s.state, s.err, s.base, s.scanned = limits, value, nil, 0, false
	s.frames = s.frames[:0]
	s.names.reset()
}

// Write scans a part. It returns an *Error as soon as the text is refused, and
// the same from then on.
func (s *Scanner) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n := s.scan(p)
	s.base += int64(n)
	if s.err != nil {
		return n, s.err
	}
	return n, nil
}

// Close takes the end of the text.
func (s *Scanner) Close() error {
	if s.err != nil {
		return s.err
	}
	if s.state >= numMinus && len(s.frames) == 0 {
		s.endNumber(0)
	}
	if s.err == nil && s.state != end {
		s.fail(Syntax, 0)
	}
	if s.err != nil {
		return s.err
	}
	return nil
}

// Empty reports whether nothing but whitespace came.
func (s *Scanner) Empty() bool { return !s.scanned }

func (s *Scanner) fail(kind Kind, at int) {
	if s.err == nil {
		s.err = &Error{Kind: kind, Offset: s.base + int64(at)}
	}
}

// scan returns how many bytes it took, which are all of them unless it fails.
func (s *Scanner) scan(p []byte) int {
	i := 0
	for i < len(p) && s.err == nil {
		switch s.state {
		case text, escape, hex, lowSlash, lowU, utf:
			i = s.scanString(p, i)
		case word:
			i = s.scanWord(p, i)
		case value, arrayFirst, objectFirst, name, colon, after, end:
			c := p[i]
			if c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
				i++
				continue
			}
			s.scanned = true
			i = s.scanToken(p, i, c)
		default:
			i = s.scanNumber(p, i)
		}
	}
	return i
}

// scanToken takes a byte between strings and numbers.
func (s *Scanner) scanToken(p []byte, i int, c byte) int {
	switch s.state {
	case after:
		s.scanAfter(c, i)
		return i + 1
	case colon:
		if c != ':' {
			s.fail(Syntax, i)
		}
		s.state = value
		return i + 1
	case name, objectFirst:
		switch {
		case c == '"':
			return s.openString(p, true, i)
		case c == '}' && s.state == objectFirst:
			s.pop()
		default:
			s.fail(Syntax, i)
		}
		return i + 1
	case end:
		s.fail(Syntax, i)
		return i
	}
	if c == ']' && s.state == arrayFirst {
		s.pop()
		return i + 1
	}
	if n := len(s.frames); n > 0 && !s.frames[n-1].object {
		top := &s.frames[n-1]
		if top.count++; s.limits.Items > 0 && top.count > s.limits.Items {
			s.fail(Items, i)
			return i
		}
	}
	return s.beginValue(p, i, c)
}

func (s *Scanner) beginValue(p []byte, i int, c byte) int {
	switch c {
	case '"':
		return s.openString(p, false, i)
	case '{':
		s.push(true, i)
	case '[':
		s.push(false, i)
	case 't':
		return s.beginWord(p, i, "rue")
	case 'f':
		return s.beginWord(p, i, "alse")
	case 'n':
		return s.beginWord(p, i, "ull")
	case '-':
		s.number.begin()
		s.number.text[0], s.number.length = '-', 1
		s.state = numMinus
		return s.scanNumber(p, i+1)
	default:
		if c < '0' || c > '9' {
			s.fail(Syntax, i)
			return i
		}
		s.number.begin()
		s.state = numMinus
		return s.scanNumber(p, i)
	}
	return i + 1
}

func (s *Scanner) scanAfter(c byte, i int) {
	if len(s.frames) == 0 {
		s.fail(Syntax, i)
		return
	}
	object := s.frames[len(s.frames)-1].object
	switch {
	case c == ',' && object:
		s.state = name
	case c == ',':
		s.state = value
	case c == '}' && object, c == ']' && !object:
		s.pop()
	default:
		s.fail(Syntax, i)
	}
}

func (s *Scanner) push(object bool, i int) {
	if len(s.frames) >= s.limits.Depth {
		s.fail(Depth, i)
		return
	}
	s.frames = append(s.frames, frame{object: object, names: len(s.names.list), bytes: len(s.names.bytes)})
	s.state = arrayFirst
	if object {
		s.state = objectFirst
	}
}

func (s *Scanner) pop() {
	top := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	s.names.forget(top.names, top.bytes)
	s.valueDone()
}

func (s *Scanner) valueDone() {
	s.state = after
	if len(s.frames) == 0 {
		s.state = end
	}
}

func (s *Scanner) beginWord(p []byte, i int, rest string) int {
	s.state, s.word = word, rest
	return s.scanWord(p, i+1)
}

func (s *Scanner) scanWord(p []byte, i int) int {
	for i < len(p) && len(s.word) > 0 {
		if p[i] != s.word[0] {
			s.fail(Syntax, i)
			return i
		}
		s.word = s.word[1:]
		i++
	}
	if len(s.word) == 0 {
		s.valueDone()
	}
	return i
}
