package event

import (
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

var (
	written = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "events_total",
		Help:      "Security events that were written, by verdict (deny, would_deny).",
	}, []string{"verdict"})
	dropped = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "events_dropped_total",
		Help:      "Security events that were not written: the queue was full, or writing failed.",
	})

	// Collectors are the metrics of the package.
	Collectors = []prometheus.Collector{written, dropped}
)

const (
	// queued is how many events wait for the writer; what comes beyond them is
	// dropped. As many again may be with it.
	queued = 4096
	// batch is about how much is written at a time.
	batch = 64 << 10
	// lastWrite is how long an output may take for what is left at the end.
	lastWrite = 2 * time.Second
)

// Sink writes events to one output, in the order in which they came. It is safe
// for concurrent use. A nil Sink takes none.
type Sink struct {
	out   io.Writer
	lines lines
	torn  bool // the last line was not written to its end
	fails bool // so does the output, and that was logged

	mu      sync.Mutex
	pending []Event
	closed  bool

	wake  chan struct{} // has room for one
	ended chan struct{} // closed by the writer
}

// newSink returns a Sink that writes to out, and closes it in the end if it can be.
func newSink(out io.Writer) *Sink {
	s := &Sink{out: out, lines: lines{scrub: scrubber}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

// Emit takes an event. It does not wait: an event that has no room is dropped, and
// counted.
func (s *Sink) Emit(e Event) {
	if s == nil {
		return
	}
	if !s.put(&e) {
		dropped.Inc()
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Sink) put(e *Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.pending) >= queued {
		return false
	}
	e.cut()
	s.pending = append(s.pending, *e)
	return true
}

// Close writes what is queued and closes the output. An output that takes too long
// for it is left alone.
func (s *Sink) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	timeout := time.NewTimer(lastWrite)
	defer timeout.Stop()
	select {
	case <-s.ended:
	case <-timeout.C:
		caddy.Log().Named("events").Error("security events may be lost: the output takes none")
	}
	return nil
}

// run is the writer.
func (s *Sink) run() {
	defer close(s.ended)
	if c, ok := s.out.(io.Closer); ok {
		defer c.Close()
	}
	var events []Event
	var buf []byte
	for {
		var closed bool
		if events, closed = s.take(events); len(events) == 0 {
			if closed {
				return
			}
			<-s.wake
			continue
		}
		buf = s.write(buf, events)
	}
}

// take swaps the pending events for an empty list.
func (s *Sink) take(empty []Event) (events []Event, closed bool) {
	clear(empty)
	s.mu.Lock()
	defer s.mu.Unlock()
	events, s.pending = s.pending, empty[:0]
	return events, s.closed
}

// write writes events, and returns buf to be used again.
func (s *Sink) write(buf []byte, events []Event) []byte {
	buf = buf[:0]
	first := 0
	for i := range events {
		buf = s.lines.appendTo(buf, &events[i])
		if len(buf) >= batch || i == len(events)-1 {
			s.flush(buf, events[first:i+1])
			buf, first = buf[:0], i+1
		}
	}
	return buf
}

// flush writes the lines of events. One that fails half way leaves a part of a
// line, which the next one must not continue.
func (s *Sink) flush(buf []byte, events []Event) {
	if s.torn {
		if _, err := s.out.Write([]byte{'\n'}); err != nil {
			s.failed(err, len(events))
			return
		}
		s.torn = false
	}
	n, err := s.out.Write(buf)
	whole := len(events)
	if err != nil {
		whole = 0
		for _, c := range buf[:n] {
			if c == '\n' {
				whole++
			}
		}
		s.torn = n > 0 && buf[n-1] != '\n'
		s.failed(err, len(events)-whole)
	} else if s.fails {
		s.fails = false
		caddy.Log().Named("events").Info("security events are written again")
	}
	for i := range events[:whole] {
		written.WithLabelValues(events[i].Verdict).Inc()
	}
}

// failed counts events that were not written, and logs the first failure of a row.
func (s *Sink) failed(err error, events int) {
	dropped.Add(float64(events))
	if !s.fails {
		s.fails = true
		caddy.Log().Named("events").Error("security events are lost: writing them failed", zap.Error(err))
	}
}
