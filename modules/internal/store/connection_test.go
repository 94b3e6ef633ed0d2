package store

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/valkey-io/valkey-go"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

func TestMoreCommandsThanTheRingHoldsEndWithTheirContexts(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	l := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(5 * time.Second)})
	defer l.Release()
	c := l.Value()
	if err := set(t.Context(), c, "v"); err != nil {
		t.Fatal(err)
	}
	r.Pause()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	const all = 2<<ring + 100
	for range all {
		go func() { _, err := get(ctx, c); ended <- err }()
	}
	until(t, "every slot is taken", func() bool { return len(taken(c)) == slots })
	cancel()
	for range all {
		select {
		case err := <-ended:
			if err != context.Canceled {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Fatal("a command goes on although its context has ended")
		}
	}
	if len(taken(c)) == 0 {
		t.Error("the slots were given back although the server did not answer one command")
	}
	r.Resume()
	until(t, "the server answered all", func() bool { return len(taken(c)) == 0 })
}

func TestACommandWhoseCallerGaveUpIsNotSent(t *testing.T) {
	r := storetest.Start(t)
	c := open(t, Config{Address: []string{r.Addr}}).Value()
	if err := set(t.Context(), c, "v"); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	asked, cancel := context.WithCancel(t.Context())
	cancel()
	late := lasting{inner.life, asked}
	if err := inner.send(late, inner.B().Set().Key("k").Value("late").Build()).Error(); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	select {
	case <-late.Done():
		t.Error("what was sent does not keep its slot")
	default:
	}
	if got := r.Command(t, "GET", "k"); got != "v" {
		t.Errorf("the server has %q", got)
	}
}

func taken(c *Client) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		return nil
	}
	return c.inner.slots
}

func TestAConnectionThatAnswersNothingIsGivenUpWithWhatIsUnderWay(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	l := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(50 * time.Millisecond)})
	defer l.Release()
	if err := set(t.Context(), l.Value(), "v"); err != nil {
		t.Fatal(err)
	}
	old := taken(l.Value())
	r.Pause()
	defer r.Resume()
	var callers sync.WaitGroup
	for range 2 << ring {
		callers.Go(func() {
			if _, err := get(t.Context(), l.Value()); err == nil {
				t.Error("a stopped server answered")
			}
		})
	}
	callers.Wait()
	until(t, "the slots are free", func() bool { return len(old) == 0 })
	if taken(l.Value()) != nil {
		t.Error("the connection is still there")
	}
}

// crossing is one address behind which servers change.
type crossing struct {
	addr string
	mu   sync.Mutex
	to   string
}

func newCrossing(t *testing.T, to string) *crossing {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &crossing{addr: l.Addr().String(), to: to}
	var relays sync.WaitGroup
	t.Cleanup(func() { l.Close(); relays.Wait() })
	relays.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			x.mu.Lock()
			out, err := net.Dial("tcp", x.to)
			x.mu.Unlock()
			if err != nil {
				in.Close()
				continue
			}
			relays.Go(func() { io.Copy(out, in); out.Close() })
			relays.Go(func() { io.Copy(in, out); in.Close() })
		}
	})
	return x
}

func TestAMasterThatWasDemotedIsLeft(t *testing.T) {
	old, next := storetest.Start(t), storetest.Start(t)
	x := newCrossing(t, old.Addr)
	c := open(t, Config{Address: []string{x.addr}}).Value()
	if err := set(t.Context(), c, "v"); err != nil {
		t.Fatal(err)
	}
	old.Command(t, "REPLICAOF", "127.0.0.1", next.Port)
	if err := set(t.Context(), c, "v2"); !isReason(err, ReasonBusy) {
		t.Errorf("a replica: got %v", err)
	}
	until(t, "it is down while only a replica is there", func() bool { return c.Reachable() != nil && gauge(t, x.addr) == 0 })
	if _, err := get(t.Context(), c); !isReason(err, ReasonBusy) {
		t.Errorf("while it is down: got %v", err)
	}
	x.mu.Lock()
	x.to = next.Addr
	x.mu.Unlock()
	until(t, "the new master is written to", func() bool { return set(t.Context(), c, "v3") == nil })
	if err := c.Reachable(); err != nil || next.Command(t, "GET", "k") != "v3" {
		t.Errorf("got %v", err)
	}
}

func TestADemotedMasterIsLeftByAUserWhoMayNotAskForItsRole(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_PASSWORD", "right")
	old, next := storetest.Start(t), storetest.Start(t)
	for _, r := range []*storetest.Server{old, next} {
		r.Command(t, "ACL", "SETUSER", "me", "on", ">right", "~*", "+@all", "-role")
	}
	x := newCrossing(t, old.Addr)
	c := open(t, Config{Address: []string{"redis://me:{env.SALLYPORT_TEST_PASSWORD}@" + x.addr}}).Value()
	if err := set(t.Context(), c, "v"); err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	x.to = next.Addr
	x.mu.Unlock()
	old.Command(t, "REPLICAOF", "127.0.0.1", next.Port)
	until(t, "the new master is written to", func() bool { return set(t.Context(), c, "v2") == nil })
}

func TestWhatAServerRefusesForTheMomentIsBusy(t *testing.T) {
	t.Run("its memory is full", func(t *testing.T) {
		r := storetest.Start(t)
		c := open(t, Config{Address: []string{r.Addr}}).Value()
		r.Command(t, "CONFIG", "SET", "maxmemory", "1")
		if err := set(t.Context(), c, "v"); !isReason(err, ReasonBusy) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("it cannot save", func(t *testing.T) {
		r := storetest.Start(t)
		c := open(t, Config{Address: []string{r.Addr}}).Value()
		if err := os.Mkdir(filepath.Join(r.Dir, "dump.rdb"), 0o700); err != nil {
			t.Fatal(err)
		}
		r.Command(t, "CONFIG", "SET", "save", "3600 1000")
		r.Command(t, "BGSAVE")
		until(t, "it says so", func() bool { return isReason(set(t.Context(), c, "v"), ReasonBusy) })
	})
	t.Run("it has too many clients", func(t *testing.T) {
		r := storetest.Start(t, "--maxclients", "1")
		other, err := net.Dial("tcp", r.Addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(other, "PING\r\n")
		other.Read(make([]byte, 16))
		c := open(t, Config{Address: []string{r.Addr}}).Value()
		for range 20 {
			var e *Error
			if err := set(t.Context(), c, "v"); !asError(err, &e) || !e.Transient() {
				t.Errorf("got %v", err)
			}
		}
		other.Close()
		until(t, "it has room", func() bool { return set(t.Context(), c, "v") == nil })
	})
	t.Run("it refuses the login for a reason of its own", func(t *testing.T) {
		c := open(t, Config{Address: []string{rogue(t, "-ERR not today\r\n")}, Timeout: caddy.Duration(5 * time.Second)}).Value()
		if err := set(t.Context(), c, "v"); !isReason(err, ReasonBusy) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("but not that the login is wrong", func(t *testing.T) {
		t.Setenv("SALLYPORT_TEST_PASSWORD", "wrong")
		r := storetest.Start(t)
		r.Command(t, "CONFIG", "SET", "requirepass", "right")
		c := open(t, Config{Address: []string{"redis://:{env.SALLYPORT_TEST_PASSWORD}@" + r.Addr}}).Value()
		if err := set(t.Context(), c, "v"); !isReason(err, ReasonRefused) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCodesOfReplies(t *testing.T) {
	c := &Client{}
	for text, want := range map[string]string{
		"OOM command not allowed": "OOM",
		"Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write": "READONLY",
		"value: -OOM": "value:",
		"":            "",
	} {
		if got := code(text); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
	if err := c.whyDown(errReplica); !isReason(err, ReasonBusy) {
		t.Errorf("got %v", err)
	}
}

func asError(err error, e **Error) (ok bool) {
	*e, ok = err.(*Error)
	return ok
}

// rogue is a server that says what it is told to, to the login and to what follows.
func rogue(t *testing.T, answers ...string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { l.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				for _, answer := range answers {
					if _, err := conn.Read(make([]byte, 4096)); err != nil {
						return
					}
					io.WriteString(conn, answer)
				}
				io.Copy(io.Discard, conn)
			})
		}
	})
	return l.Addr().String()
}

// TestAnAnswerDoesNotEndTheProcess fails by a panic of the whole test.
func TestAnAnswerDoesNotEndTheProcess(t *testing.T) {
	const hello = "%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"
	for name, answers := range map[string][]string{
		"more answers than commands":      {hello + "+OK\r\n+OK\r\n+OK\r\n"},
		"more answers afterwards":         {hello, "+PONG\r\n+OK\r\n+OK\r\n"},
		"a huge string":                   {hello, "$4611686018427387904\r\n"},
		"a negative string":               {hello, "$-5\r\n"},
		"a huge array":                    {hello, "*4611686018427387904\r\n"},
		"a negative map":                  {hello, "%-1\r\n"},
		"a huge array in the login":       {"*4611686018427387904\r\n"},
		"a login that is no map":          {"*3\r\n+a\r\n+b\r\n+c\r\n"},
		"a subscription nobody asked for": {hello, ">3\r\n+subscribe\r\n+x\r\n:1\r\n"},
		"an empty push":                   {hello, ">0\r\n"},
		"null for a PING":                 {hello, "_\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			l := open(t, Config{Address: []string{rogue(t, answers...)}, Timeout: caddy.Duration(200 * time.Millisecond)})
			for range 3 {
				var e *Error
				if _, err := get(t.Context(), l.Value()); !asError(err, &e) || !e.Transient() {
					t.Errorf("got %v", err)
				}
			}
			l.Release()
		})
	}
}

var _ valkey.Client = (*connection)(nil)
