package event

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// count returns the sum of a counter's series.
func count(t *testing.T, c prometheus.Collector) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// output is what a sink writes to; block makes it wait.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	block  chan struct{}
	limit  int // of bytes, after which writing fails; 0 is none
	closed bool
}

func (o *output) Write(p []byte) (int, error) {
	if o.block != nil {
		<-o.block
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.limit > 0 && o.text.Len()+len(p) > o.limit {
		n, _ := o.text.Write(p[:o.limit-o.text.Len()])
		return n, errors.New("disk full")
	}
	return o.text.Write(p)
}

func (o *output) Close() error {
	o.closed = true
	return nil
}

func TestEventsAreWrittenInOrderAndTheRestInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		s := newSink(out)
		before := count(t, written)
		for i := range 3000 {
			s.Emit(Event{Verdict: "deny", RequestID: fmt.Sprint("r", i)})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.text.String(), "\n"), "\n")
		for i, line := range lines {
			if !strings.Contains(line, fmt.Sprintf(`"request_id":"r%d"`, i)) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		if len(lines) != 3000 || !out.closed || count(t, written)-before != 3000 {
			t.Errorf("%d lines, closed %v", len(lines), out.closed)
		}
	})
}

func TestABlockedOutputDropsAndCountsAndBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{block: make(chan struct{})}
		s := newSink(out)
		before := count(t, dropped)
		s.Emit(Event{RequestID: "first"})
		synctest.Wait() // the writer has it, and waits for the output
		for range queued + 100 {
			s.Emit(Event{RequestID: "more"})
		}
		if got := count(t, dropped) - before; got != 100 {
			t.Errorf("%v dropped, want 100", got)
		}
		close(out.block)
		_ = s.Close()
		if got := strings.Count(out.text.String(), "\n"); got != queued+1 {
			t.Errorf("%d lines, want %d", got, queued+1)
		}
	})
}

func TestClosingDoesNotWaitForEverForABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{block: make(chan struct{})}
		s := newSink(out)
		s.Emit(Event{})
		began := time.Now()
		_ = s.Close()
		if took := time.Since(began); took != lastWrite {
			t.Errorf("waited %s, want %s", took, lastWrite)
		}
		close(out.block)
	})
}

func TestAnEventAfterTheEndIsDroppedAndCounted(t *testing.T) {
	out := new(output)
	s := newSink(out)
	_ = s.Close()
	before := count(t, dropped)
	s.Emit(Event{})
	if count(t, dropped)-before != 1 || out.text.Len() != 0 {
		t.Error("it was not dropped")
	}
	var none *Sink
	none.Emit(Event{}) // events are off
}

func TestALineThatWasCutDoesNotSpoilTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := Event{Verdict: "deny", RequestID: "first"}
		line := len(e.appendLine(nil, false))
		out := &output{limit: line + 10}
		s := newSink(out)
		beforeDropped, beforeWritten := count(t, dropped), count(t, written)
		s.Emit(e)
		s.Emit(e)
		synctest.Wait()
		out.mu.Lock()
		out.limit = 0
		out.mu.Unlock()
		e.RequestID = "third"
		s.Emit(e)
		_ = s.Close()
		lines := strings.Split(out.text.String(), "\n")
		if len(lines) != 4 || len(lines[1]) != 10 || !strings.Contains(lines[2], "third") || lines[2][0] != '{' {
			t.Errorf("got %q", lines)
		}
		if d, w := count(t, dropped)-beforeDropped, count(t, written)-beforeWritten; d != 1 || w != 2 {
			t.Errorf("%v dropped and %v written, want 1 and 2", d, w)
		}
	})
}

func open(t *testing.T, c Config) *Sink {
	t.Helper()
	l, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release() })
	return l.Value()
}

func TestConfigurationsWithOneOutputShareItsSink(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	a := open(t, Config{Output: File, Path: filepath.Join(dir, "x", "..", "events.json")})
	b := open(t, Config{Output: File, Path: "events.json"})
	if a != b {
		t.Error("two sinks for one file")
	}
	if c := open(t, Config{Output: File, Path: "other.json"}); c == a {
		t.Error("one sink for two files")
	}
	first, second := open(t, Config{Output: Stdout}), open(t, Config{Output: Stdout})
	if first != second {
		t.Error("two sinks for standard output")
	}
	for _, off := range []Config{{}, {Output: Off}} {
		if l, err := off.Open(); l != nil || err != nil {
			t.Errorf("%v: %v, %v", off, l, err)
		}
	}
}

func TestALineDoesNotGrowWithWhatACallerSends(t *testing.T) {
	out := new(output)
	s := newSink(out)
	s.Emit(Event{Trace: strings.Repeat("t", 60000)})
	_ = s.Close()
	if got := out.text.Len(); got > 1000 {
		t.Errorf("%d bytes", got)
	}
}

func TestAnOutputThatCannotBeOpenedIsAnError(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{
		{Output: "syslog"}, {Output: File}, {Output: Stdout, Path: "x"}, {Path: "x"},
		{Output: File, Path: filepath.Join(t.TempDir(), "none", "events.json")}, {Output: File, Path: t.TempDir()},
		{Output: File, Path: pipe}, // nobody reads it
	} {
		if _, err := c.Open(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestAFileIsAppendedToAndItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	for range 2 {
		f, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte("line\n"))
		_ = f.Close()
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if content, _ := os.ReadFile(path); string(content) != "line\nline\n" {
		t.Errorf("got %q", content)
	}
}

func TestAFileThatWasRotatedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events.json")
		f, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		put := func(text string) {
			t.Helper()
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(path, want string) {
			t.Helper()
			if content, _ := os.ReadFile(path); string(content) != want {
				t.Errorf("%s has %q, want %q", filepath.Base(path), content, want)
			}
		}
		put("a")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		put("b") // not looked at yet: in the old file, and not lost
		expect(path+".1", "ab")
		time.Sleep(lookAfter)
		put("c")
		expect(path, "c")
		expect(path+".1", "ab")

		// Another file has the name, then none can.
		if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookAfter)
		put("d")
		expect(path, "d")
		dir := filepath.Dir(path)
		if err := os.Rename(dir, dir+".gone"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookAfter)
		put("e")
		expect(filepath.Join(dir+".gone", "events.json"), "de")
	})
}

func BenchmarkEmit(b *testing.B) {
	s := newSink(new(output))
	defer func() { _ = s.Close() }()
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		s.Emit(e)
	}
}
