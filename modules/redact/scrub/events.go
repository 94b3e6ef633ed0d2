package scrub

import (
	"bytes"
	"io"
)

// maxLine bounds the lines of an event that are not data, together.
const maxLine = 8 << 10

// events takes text/event-stream apart (WHATWG HTML §9.2.6): the data of an
// event, however many lines it has, is one text, JSON or not, that the stream
// reads. All of an event comes out when the event is complete at the latest, so
// nothing of it waits for the next one.
type events struct {
	s   *Stream
	out io.Writer // behind the stream, which writes to the events

	first  bool   // nothing was taken yet but what is in line
	line   []byte // a line that is not known to be data
	later  []byte // lines that came behind the data of the event
	prefix []byte // of the line of data: "data:", mostly with a space
	data   bool   // inside a line of data
	begun  bool   // the event has data
	end    string // how the last line of data ended
	cr     bool   // a carriage return ended the input, perhaps half of a line's end
}

func newEvents(s *Stream) *events {
	e := &events{s: s, out: s.w, first: true}
	s.w, s.soft = e, true
	return e
}

// Write takes what the stream brings out. A line feed there separates two lines
// of data.
func (e *events) Write(p []byte) (int, error) {
	for rest := p; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			_, err := e.out.Write(rest)
			return len(p), err
		}
		if _, err := e.out.Write(append(append(append([]byte(nil), rest[:i]...), e.end...), e.prefix...)); err != nil {
			return 0, err
		}
		rest = rest[i+1:]
	}
}

// direct brings out what does not go through the stream.
func (e *events) direct(p []byte) error {
	if err := e.s.flush(); err != nil {
		return err
	}
	_, err := e.out.Write(p)
	return err
}

func (e *events) write(p []byte) error {
	for len(p) > 0 {
		if e.cr {
			e.cr = false
			end := "\r"
			if p[0] == '\n' {
				end, p = "\r\n", p[1:]
			}
			if err := e.endLine(end); err != nil {
				return err
			}
			continue
		}
		n := bytes.IndexAny(p, "\r\n")
		if n < 0 {
			return e.take(p)
		}
		if err := e.take(p[:n]); err != nil {
			return err
		}
		if p[n] == '\r' {
			e.cr = true
		} else if err := e.endLine("\n"); err != nil {
			return err
		}
		p = p[n+1:]
	}
	return nil
}

var dataField = []byte("data:")

// take takes a part of a line.
func (e *events) take(p []byte) error {
	for !e.data && len(p) > 0 {
		e.line, p = append(e.line, p[0]), p[1:]
		switch {
		case e.first && string(e.line) == "\ufeff":
			e.first = false
			if err := e.direct(e.line); err != nil {
				return err
			}
			e.line = e.line[:0]
		case !bytes.HasPrefix(e.line, dataField) || len(e.line) == len(dataField):
			if len(e.line)+len(e.later) > maxLine {
				return ErrLimit
			}
		case e.line[len(dataField)] == ' ':
			if err := e.beginData(); err != nil {
				return err
			}
		default:
			first := e.line[len(dataField):]
			e.line = e.line[:len(dataField)]
			if err := e.beginData(); err != nil {
				return err
			}
			if err := e.s.feed(first); err != nil {
				return err
			}
		}
	}
	if len(p) == 0 {
		return nil
	}
	return e.s.feed(p)
}

// beginData begins the data of a line, whose prefix is in e.line.
func (e *events) beginData() error {
	if e.begun {
		// The stream decides whether the line goes on where it is.
		if err := e.s.feed([]byte("\n")); err != nil {
			return err
		}
	} else if err := e.direct(e.line); err != nil {
		return err
	}
	e.prefix = append(e.prefix[:0], e.line...)
	e.line = e.line[:0]
	e.data, e.begun = true, true
	return nil
}

// endLine takes the end of a line.
func (e *events) endLine(end string) error {
	if !e.data && bytes.HasPrefix(e.line, dataField) {
		if err := e.beginData(); err != nil { // empty data
			return err
		}
	}
	e.first = false
	if e.data {
		e.data, e.end = false, end
		return nil
	}
	if len(e.line) == 0 {
		if err := e.endEvent(); err != nil {
			return err
		}
		return e.direct([]byte(end))
	}
	line := e.s.searchLine(e.line)
	e.line = e.line[:0]
	if e.begun {
		// The stream may still hold the end of the data. The order of different
		// fields makes no difference to a client.
		e.later = append(append(e.later, line...), end...)
		return nil
	}
	return e.direct(append(line, end...))
}

// endEvent brings out the rest of an event.
func (e *events) endEvent() error {
	if !e.begun {
		return nil
	}
	if err := e.s.end(); err != nil {
		return err
	}
	if err := e.direct([]byte(e.end)); err != nil {
		return err
	}
	err := e.direct(e.later)
	e.later, e.begun, e.end = e.later[:0], false, ""
	e.s.again()
	return err
}

// finish takes the end of the body.
func (e *events) finish() error {
	if e.cr {
		e.cr = false
		if err := e.endLine("\r"); err != nil {
			return err
		}
	}
	if err := e.endEvent(); err != nil {
		return err
	}
	return e.direct(e.s.searchLine(e.line))
}

// again makes the stream ready for the next text.
func (s *Stream) again() {
	s.held, s.from, s.floor = s.held[:0], 0, 0
	s.state, s.depth, s.begun, s.kept, s.act = atTop, 0, false, false, -1
	s.mute, s.masked, s.keep = false, false, 0
	s.symbol, s.counted, s.mac, s.macOf = symMember, false, nil, nil
}

// searchLine returns a line that is no data, redacted as text.
func (s *Stream) searchLine(line []byte) []byte {
	var out bytes.Buffer
	t := s.policy.NewStream(&out, Text)
	defer t.Release()
	_, _ = t.Write(line) // text of any encoding that came so far
	_ = t.Close()
	for i, n := range t.Counts() {
		s.counts[i] += n
	}
	return out.Bytes()
}
