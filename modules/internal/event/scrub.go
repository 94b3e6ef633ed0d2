package event

import (
	"bytes"
	"io"
)

// Scrubber takes credentials out of a finished line: it writes the line to dst
// without them and reports true, or reports false if there are none.
type Scrubber func(dst io.Writer, line []byte) (changed bool)

// scrubber is what lines go through; without one they have no path.
var scrubber Scrubber

// ScrubWith makes every line go through s. Call it in init.
func ScrubWith(s Scrubber) { scrubber = s }

// lines makes lines in a buffer of its own. It is not safe for concurrent use.
type lines struct {
	scrub Scrubber
	made  []byte
	clean bytes.Buffer
}

// appendTo appends the line of e to b.
func (l *lines) appendTo(b []byte, e *Event) []byte {
	if l.scrub == nil {
		return e.appendLine(b, false)
	}
	l.made = e.appendLine(l.made[:0], true)
	l.clean.Reset()
	switch changed, ok := l.run(); {
	case !ok || changed && !isLine(l.clean.Bytes()):
		return e.appendLine(b, false)
	case changed:
		return append(b, l.clean.Bytes()...)
	}
	return append(b, l.made...)
}

// run runs the scrubber, and reports whether it came to an end.
func (l *lines) run() (changed, ok bool) {
	defer func() {
		if recover() != nil {
			changed, ok = false, false
		}
	}()
	return l.scrub(&l.clean, l.made), true
}

func isLine(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte(b, '\n') == len(b)-1
}
