package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire is a network that can delay what a connection carries to the server.
type wire struct {
	addr     string
	mu       sync.Mutex
	upstream string
	conns    []*wireConn
}

type wireConn struct {
	mu             sync.Mutex
	client, server net.Conn
	held           bool
	late           bytes.Buffer
	answered       int // bytes of the server
}

func newWire(t *testing.T, upstream string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), upstream: upstream}
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range w.conns {
			p.client.Close()
			p.server.Close()
		}
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			server, err := net.Dial("tcp", w.upstream)
			if err != nil {
				client.Close()
				w.mu.Unlock()
				continue
			}
			p := &wireConn{client: client, server: server}
			w.conns = append(w.conns, p)
			w.mu.Unlock()
			go p.answers()
			go p.commands()
		}
	}()
	return w
}

func (p *wireConn) answers() {
	b := make([]byte, 1<<16)
	for {
		n, err := p.server.Read(b)
		if err != nil {
			p.client.Close()
			return
		}
		p.mu.Lock()
		p.answered += n
		p.mu.Unlock()
		p.client.Write(b[:n])
	}
}

func (p *wireConn) commands() {
	b := make([]byte, 1<<16)
	for {
		n, err := p.client.Read(b)
		p.mu.Lock()
		if p.held {
			p.late.Write(b[:n])
		} else {
			p.server.Write(b[:n])
			if err != nil {
				p.server.Close()
			}
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// breakDuring has the first attempt of what do sends delayed, and its connection
// broken. The result is called to let the attempt arrive.
func (w *wire) breakDuring(t *testing.T, do func() error) (arrive func(), err error) {
	t.Helper()
	w.mu.Lock()
	p := w.conns[len(w.conns)-1]
	w.mu.Unlock()
	p.mu.Lock()
	p.held = true
	p.mu.Unlock()
	done := make(chan error)
	go func() { done <- do() }()
	until(t, "the first attempt is on its way", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(strings.ToUpper(p.late.String()), "EVALSHA")
	})
	p.client.Close()
	return func() {
		t.Helper()
		p.mu.Lock()
		before := p.answered
		p.server.Write(p.late.Bytes())
		p.mu.Unlock()
		until(t, "the late attempt is answered", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.answered > before
		})
	}, <-done
}

func TestALateAttemptOfAnOlderStoreLeavesTheNewerValue(t *testing.T) {
	r := newServer(t)
	w := newWire(t, r.Addr)
	s := open(t, w.addr, `"wait":"10s"`)
	lock(t, s, "l")
	put(t, s, "d/key", "v0")
	arrive, err := w.breakDuring(t, func() error { return s.Store(t.Context(), "d/key", []byte("v1")) })
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "d/key", "v2")
	arrive()
	holds(t, s, "d/key", "v2")
	unlock(t, s, "l")
}

func TestALateAttemptOfAStoreLeavesWhatOtherGatewaysStored(t *testing.T) {
	r := newServer(t)
	w := newWire(t, r.Addr)
	s := open(t, w.addr, `"wait":"10s"`)
	other := newGateway(t, rolePuppet, r.Addr, "")
	put(t, s, "key", "v0")
	arrive, err := w.breakDuring(t, func() error { return s.Store(t.Context(), "key", []byte("v1")) })
	if err != nil {
		t.Fatal(err)
	}
	if got := other.do(t, "store key v2"); got != "done" {
		t.Fatal(got)
	}
	arrive()
	holds(t, s, "key", "v2")
}

func TestALateAttemptOfAStoreDoesNotBringBackWhatWasDeleted(t *testing.T) {
	for _, deleted := range []string{"d", "d/e", "d/e/key"} {
		t.Run(deleted, func(t *testing.T) {
			r := newServer(t)
			w := newWire(t, r.Addr)
			s := open(t, w.addr, `"wait":"10s"`)
			put(t, s, "d/e/key", "v0")
			arrive, err := w.breakDuring(t, func() error { return s.Store(t.Context(), "d/e/key", []byte("v1")) })
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), deleted); err != nil {
				t.Fatal(err)
			}
			arrive()
			absent(t, s, "d/e/key")
		})
	}
}

func TestALateAttemptOfADeleteLeavesWhatWasStoredAfterwards(t *testing.T) {
	for _, deleted := range []string{"d", "d/key"} {
		t.Run(deleted, func(t *testing.T) {
			r := newServer(t)
			w := newWire(t, r.Addr)
			s := open(t, w.addr, `"wait":"10s"`)
			if err := s.Delete(t.Context(), "none"); err != nil { // the script is known
				t.Fatal(err)
			}
			put(t, s, "d/key", "v1")
			arrive, err := w.breakDuring(t, func() error { return s.Delete(t.Context(), deleted) })
			if err != nil {
				t.Fatal(err)
			}
			absent(t, s, "d/key")
			put(t, s, "d/key", "v2")
			arrive()
			holds(t, s, "d/key", "v2")
		})
	}
}

// The calls run at once: the newer one is done first.
func TestAnOlderDeleteRemovesWhatNoNewerCallStored(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	for i := range 1200 { // more than are looked at together
		put(t, s, fmt.Sprintf("d/%d", i), "old")
	}
	older := nextCall()
	put(t, s, "d/1000", "new")
	if err := s.change(t.Context(), deleteScript, older, "d", ""); err != nil {
		t.Fatal(err)
	}
	lists(t, s, "", true, "d", "d/1000")
	holds(t, s, "d/1000", "new")
}

// No attempt of the store was answered, and it was given up.
func TestAStoreThatArrivesOnlyAfterADeleteChangesNothing(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	for _, deleted := range []string{"d", "d/e", "d/e/key"} {
		older := nextCall()
		if err := s.Delete(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
		if err := s.change(t.Context(), storeScript, older, "d/e/key", "v"); err != nil {
			t.Fatal(err)
		}
		absent(t, s, "d/e/key")
		put(t, s, "d/e/key", "v")
	}
}

func TestWhatAWriterChangedIsForgotten(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	put(t, s, "a", "v")
	put(t, s, "b", "v")
	if left, err := strconv.ParseInt(r.Command(t, "PTTL", s.names.writer), 10, 64); err != nil || left <= 0 || left > remembered.Milliseconds() {
		t.Errorf("all is forgotten in %d ms, %v", left, err)
	}
	later := nextCall() + remembered.Microseconds()
	if err := s.change(t.Context(), storeScript, later, "c", "v"); err != nil {
		t.Fatal(err)
	}
	if got := r.Command(t, "ZRANGE", s.names.writer, "0", "-1"); got != "c" {
		t.Errorf("it remembers %q", got)
	}
}

// The wait was an hour before a reload: a call of then may still be tried.
func TestAShorterWaitForgetsNothingOfALongerOne(t *testing.T) {
	r := newServer(t)
	long, short := open(t, r.Addr, `"wait":"1h"`), open(t, r.Addr)
	older := nextCall()
	put(t, short, "key", "new")
	meanwhile := older + (lateness + time.Minute).Microseconds()
	if err := short.change(t.Context(), storeScript, meanwhile, "another", "v"); err != nil {
		t.Fatal(err)
	}
	if err := long.change(t.Context(), storeScript, older, "key", "old"); err != nil {
		t.Fatal(err)
	}
	holds(t, short, "key", "new")
}

func TestALateAttemptToLockLeavesALockThatWasReleased(t *testing.T) {
	r := newServer(t)
	w := newWire(t, r.Addr)
	s := open(t, w.addr, `"wait":"10s","lock_lease":"10m"`)
	lock(t, s, "l")
	unlock(t, s, "l")
	arrive, err := w.breakDuring(t, func() error { return s.Lock(t.Context(), "l") })
	if err != nil {
		t.Fatal(err)
	}
	unlock(t, s, "l")
	arrive()
	free(t, r.Addr, "l")
}

func TestALateAttemptToLockLeavesALockThatWasNotWaitedFor(t *testing.T) {
	for name, give := range map[string]func(*Storage) error{
		"nobody may wait": func(s *Storage) error {
			ok, err := s.TryLock(context.Background(), "l")
			if ok {
				err = errors.New("it was taken")
			}
			return err
		},
		"the context ends": func(s *Storage) error {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := s.Lock(ctx, "l"); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("got %w", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newServer(t)
			w := newWire(t, r.Addr)
			s, other := open(t, w.addr, `"wait":"10s","lock_lease":"10m"`), open(t, r.Addr)
			lock(t, s, "x")
			unlock(t, s, "x")
			lock(t, other, "l")
			ends := len(keysOf(t, r, s.names.ended))
			arrive, err := w.breakDuring(t, func() error { return give(s) })
			if err != nil {
				t.Fatal(err)
			}
			until(t, "the store knows that it was given up", func() bool { return len(keysOf(t, r, s.names.ended)) > ends })
			unlock(t, other, "l")
			arrive()
			free(t, r.Addr, "l")
		})
	}
}

// The late attempt takes the lock for a process that had lost it to another.
func TestALateAttemptToLockDoesNotHideThatTheLockWasLost(t *testing.T) {
	r := newServer(t)
	w := newWire(t, r.Addr)
	s, other := open(t, w.addr, `"wait":"10s","lock_lease":"10m"`), open(t, r.Addr)
	lock(t, s, "x")
	unlock(t, s, "x")
	arrive, err := w.breakDuring(t, func() error { return s.Lock(t.Context(), "l") })
	if err != nil {
		t.Fatal(err)
	}
	r.Command(t, "DEL", "{caddy}:lock:l") // its lease ran out
	lock(t, other, "l")
	unlock(t, other, "l")
	arrive()
	if err := s.Store(t.Context(), "a", nil); !errors.Is(err, errLockLost) {
		t.Errorf("storing: %v", err)
	}
	if err := s.Unlock(t.Context(), "l"); !errors.Is(err, errLockLost) {
		t.Errorf("unlocking: %v", err)
	}
	free(t, r.Addr, "l")
}

// Its renewal is not due for minutes, and what follows the store is under the lock.
func TestAStoreTakesTheLockAgainThatRanOut(t *testing.T) {
	r := newServer(t)
	s, other := open(t, r.Addr, `"lock_lease":"10m"`), open(t, r.Addr)
	lock(t, s, "l")
	r.Command(t, "DEL", "{caddy}:lock:l") // its lease ran out
	put(t, s, "a", "v")
	if ok, err := other.TryLock(t.Context(), "l"); ok || err != nil {
		t.Errorf("a second owner: %v, %v", ok, err)
	}
	unlock(t, s, "l")
	free(t, r.Addr, "l")
}

func TestARepeatedUnlockSaysWhatTheFirstFound(t *testing.T) {
	for name, lost := range map[string]bool{"it was lost": true, "it was held": false} {
		t.Run(name, func(t *testing.T) {
			r := newServer(t)
			w := newWire(t, r.Addr)
			s, other := open(t, w.addr, `"wait":"10s","lock_lease":"10m"`), open(t, r.Addr)
			lock(t, s, "x")
			unlock(t, s, "x")
			lock(t, s, "l")
			if lost {
				r.Command(t, "DEL", "{caddy}:lock:l") // its lease ran out
				lock(t, other, "l")
			}
			h := s.locks()[0]
			arrive, err := w.breakDuring(t, func() error { return s.Unlock(t.Context(), "l") })
			if errors.Is(err, errLockLost) != lost || !lost && err != nil {
				t.Errorf("another attempt: %v", err)
			}
			arrive()
			if had, err := s.unlock(t.Context(), h); had == lost || err != nil {
				t.Errorf("one more: %v, %v", had, err)
			}
			if lost {
				unlock(t, other, "l")
			}
			free(t, r.Addr, "l")
		})
	}
}
