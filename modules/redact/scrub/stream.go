package scrub

import (
	"errors"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

// Kind is how a stream is read.
type Kind uint8

const (
	// JSON is read as JSON texts, one or more, as in NDJSON and RFC 7464.
	JSON Kind = iota
	// Text is searched by detectors, and for members in quotes.
	Text
	// Sniff is JSON if it begins with a bracket or a brace and for as long as it
	// goes on as JSON, else Text.
	Sniff
	// Events is text/event-stream: JSON or text in the data of each event.
	Events
)

// What cannot be inspected. The errors are the same values always, and say
// nothing about the stream.
var (
	ErrSyntax   = errors.New("not JSON")
	ErrDepth    = errors.New("nested too deeply")
	ErrLimit    = errors.New("a name or a number is too long")
	ErrEncoding = errors.New("not UTF-8")
)

const (
	// maxDepth bounds the nesting of JSON.
	maxDepth = 512

	// maxAtom bounds what has to be seen whole: a member's name with the comma
	// and the white space in front, a number.
	maxAtom = 16 << 10

	// window is the room for what is undecided, and for what is read behind it.
	window = 32 << 10

	// gather is from where on spans are written on their own.
	gather = 2 << 10

	// piece bounds the decoded part of a string that is searched at a time.
	piece = 4 << 10
)

// state is what a stream expects next.
type state uint8

const (
	atTop    state = iota // a value, outside of all others
	inString              // the rest of a string
	inText                // text until the end
	atColon               // the colon behind a name

	// Those of the fast path:
	atNext    // a comma, or the end of an object or array
	atFirst   // the first member of an object, or its end
	atValue   // a value
	atElement // the first element of an array, or its end
)

// Stream redacts one body. What is written to it comes out of the writer
// behind it as soon as it is certain; Close brings out the rest. An error of the
// writer or of the stream itself is final: nothing comes out any more, and what
// came out ends in front of what could not be inspected.
//
// A Stream takes less than 48 KiB, whatever the body. It is not safe for
// concurrent use.
type Stream struct {
	policy *Policy
	w      io.Writer
	counts []int
	err    error
	soft   bool // Sniff: what is not JSON is text
	read   int  // how many of the first four bytes were seen

	held []byte // context and undecided input
	from int    // where the undecided input begins in held
	out  []byte

	b     []byte // the input, while run is under way, and indices in it:
	floor int    // where text begins that belongs together
	done  int    // up to where the input is written or dropped
	clean int    // up to where no candidate of the detectors stands, from where it was looked for
	slash int    // the same for backslashes

	state state
	depth int
	kinds [maxDepth / 64]uint64 // a bit for each open object

	begun  bool // a value was seen
	guard  bool // )]}' was, which a comma may follow
	kept   bool // the object has a member that was not dropped
	act    int  // the selector of the member whose value comes, -1 if none
	mute   bool // inside a value that is dropped
	muteAt int  // the depth of that value
	muted  int  // the selector it is dropped for

	symbol  int    // in paths, of the member or element whose value comes
	counted bool   // in an array whose elements paths tell apart
	at      *place // nil if the policy has no paths

	mac   hash.Hash  // of the value or match that a token takes the place of, while inside it
	macOf *sync.Pool // where it comes from

	masked bool // the value is a string whose quotes stay
	keep   int  // characters of a masked string to leave, while inside it
	chars  int  // of it so far, without the last ones

	open    detect.Match // the match that goes on
	openSel int
	openLen int
	tail    []byte // the last bytes of it
	escaped bool   // an escape sequence stood in the string
	dec     []byte // context and pending text of the string, decoded
	decFrom int    // where the pending text begins in dec
	pending int    // its length in b

	loose  loose
	events *events
}

var streams = sync.Pool{New: func() any {
	return &Stream{held: make([]byte, 0, window), out: make([]byte, 0, 2*gather)}
}}

// NewStream makes a stream that writes to w. Release gives its memory back.
func (p *Policy) NewStream(w io.Writer, kind Kind) *Stream {
	s := streams.Get().(*Stream)
	*s = Stream{policy: p, w: w, held: s.held[:0], out: s.out[:0], tail: s.tail[:0], dec: s.dec[:0], counts: s.counts, at: s.at, act: -1}
	if p.paths == nil {
		s.at = nil
	} else if s.at == nil {
		s.at = new(place)
	}
	s.counts = slices.Grow(s.counts[:0], len(p.selectors))[:len(p.selectors)]
	clear(s.counts)
	switch kind {
	case Text:
		s.state = inText
	case Sniff:
		s.soft = true
	case Events:
		s.events = newEvents(s)
	}
	return s
}

// Release ends the use of a stream.
func (s *Stream) Release() {
	*s = Stream{held: s.held, out: s.out, tail: s.tail, dec: s.dec, counts: s.counts, at: s.at}
	streams.Put(s)
}

// Counts tells how often each selector of the policy has matched. It is valid
// until Release.
func (s *Stream) Counts() []int { return s.counts }

// Write takes a part of the body.
func (s *Stream) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.encoding(p)
	}
	if s.err != nil {
		return 0, s.err
	}
	var err error
	if s.events != nil {
		err = s.events.write(p)
	} else {
		err = s.feed(p)
	}
	if flushed := s.flush(); err == nil {
		err = flushed
	}
	if err != nil {
		s.err = err
		return 0, err
	}
	return len(p), nil
}

// Close takes the end of the body.
func (s *Stream) Close() error {
	if s.err != nil {
		return s.err
	}
	var err error
	if s.events != nil {
		err = s.events.finish()
	} else {
		err = s.end()
	}
	if flushed := s.flush(); err == nil {
		err = flushed
	}
	if s.err = err; err == nil {
		s.err = io.ErrClosedPipe
	}
	return err
}

// encoding looks at the beginning of the body for the encodings that are not
// supersets of ASCII.
func (s *Stream) encoding(p []byte) error {
	for _, c := range p {
		if s.read >= 4 {
			return nil
		}
		if c == 0 || s.read == 0 && c >= 0xfe {
			return ErrEncoding
		}
		s.read++
	}
	return nil
}

func (s *Stream) feed(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), window-len(s.held))
		s.held = append(s.held, p[:n]...)
		p = p[n:]
		if err := s.advance(false); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) end() error { return s.advance(true) }

// advance runs over what is held, and keeps what is undecided and the context
// in front of it.
func (s *Stream) advance(eof bool) error {
	s.b, s.done, s.clean, s.slash = s.held, s.from, -1, -1
	i, err := s.run(s.from, eof)
	if !s.mute {
		s.keepTo(i)
	}
	context := detect.Lookbehind
	if s.state == inText && s.policy.HasKeys() {
		context = looseContext
	}
	keep := max(s.floor, i-context)
	s.floor -= min(s.floor, keep)
	s.from = i - keep
	s.held = s.held[:copy(s.held, s.held[keep:])]
	s.b = nil
	return err
}

// emit brings out bytes that are certain.
func (s *Stream) emit(p []byte) {
	if len(p) >= gather {
		if err := s.flush(); err != nil {
			s.err = err
			return
		}
		_, s.err = s.w.Write(p)
		return
	}
	if len(s.out)+len(p) > cap(s.out) {
		if err := s.flush(); err != nil {
			s.err = err
			return
		}
	}
	s.out = append(s.out, p...)
}

func (s *Stream) flush() error {
	if s.err == nil && len(s.out) > 0 {
		_, s.err = s.w.Write(s.out)
	}
	s.out = s.out[:0]
	return s.err
}

// keepTo brings out the input up to i, and skipTo leaves it out.
func (s *Stream) keepTo(i int) {
	if i > s.done {
		s.emit(s.b[s.done:i])
		s.done = i
	}
}

func (s *Stream) skipTo(i int) { s.done = i }
