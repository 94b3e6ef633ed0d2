package desync

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	up       = get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	upPost   = post + "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 5\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	answer   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

	// frame is bad HTTP wherever it comes, and does not begin as poison does.
	frame = "\x81\x00 GET\r"
)

// dialogue is a connection that also takes what is written, and does something
// in the middle of a read.
type dialogue struct {
	pieces
	sink   bytes.Buffer
	during func()
}

func (d *dialogue) Write(p []byte) (int, error) { return d.sink.Write(p) }

func (d *dialogue) Read(p []byte) (int, error) {
	n, err := d.pieces.Read(p)
	if d.during != nil && n > 0 {
		d.during()
		d.during = nil
	}
	return n, err
}

func TestAConnectionIsLetGoInFrontOfThe101AndOfNothingElse(t *testing.T) {
	type step func(c *conn)
	came := func(s string) step {
		return func(c *conn) {
			c.Conn.(*dialogue).input = s
			if got, _ := readAll(c, 4096); got != s {
				t.Errorf("%q is read as %q", s, got)
			}
		}
	}
	sent := func(s string) step { return func(c *conn) { _, _ = io.WriteString(c, s) } }
	sentFile := func(c *conn) { _, _ = c.ReadFrom(strings.NewReader("ok")) }
	state := func(s http.ConnState) step { return func(c *conn) { follow(outer{c}, s) } }
	idle := state(http.StateIdle)

	for _, tt := range []struct {
		name   string
		steps  []step
		passes bool
	}{
		{"a 101", []step{came(up), sent(switched)}, true},
		{"a 101 to a request in pieces", []step{came(up[:20]), came(up[20:]), sent(switched)}, true},
		{"a 101 to the second request of a connection", []step{came(get + "\r\n"), sent(answer), idle, came(up), sent(switched)}, true},
		{"a 101 to a request with a body", []step{came(upPost + "hello"), sent(switched)}, true},
		{"a 101 to a request whose body came later", []step{came(upPost), came("he"), came("llo"), sent(switched)}, true},
		{"a 101 in two writes", []step{came(up), sent(switched[:20]), sent(switched[20:])}, true},
		{"an interim answer, until net/http reports", []step{came(up), sent("HTTP/1.1 103 Early Hints\r\n\r\n"), sent(switched), state(http.StateHijacked)}, true},

		{"an interim answer, before net/http reports", []step{came(up), sent("HTTP/1.1 103 Early Hints\r\n\r\n"), sent(switched)}, false},
		{"no answer yet", []step{came(up)}, false},
		{"another answer", []step{came(up), sent(answer)}, false},
		{"another answer, which ends with a 101", []step{came(up), sent(answer + switched)}, false},
		{"another answer, and a 101 as its body", []step{came(up), sent(answer), sent(switched)}, false},
		{"another answer, and a 101 as its body behind a file", []step{came(up), sentFile, sent(switched)}, false},
		{"a 101 as the body of the answer to an ordinary request", []step{came(get + "\r\n"), sent(switched)}, false},
		{"a 101 before all of the body came", []step{came(upPost + "hel"), sent(switched), came("lo")}, false},
		{"a 101 as the body of an answer that began before all of the request came", []step{came(upPost), sent(answer), came("hello"), sent(switched)}, false},
		{"a 101 as the body of an answer to a request in front", []step{came(get + "\r\n" + up), sent(switched)}, false},
		{"a 101 as the body of an answer that began in front", []step{came(post + "Content-Length: 5\r\n\r\n"), sent(answer), came("hello" + up), sent(switched)}, false},
		{"a 101 as the body of an answer to one of three requests", []step{came(get + "\r\n" + post + "Content-Length: 5\r\n\r\n"), sent(answer), idle, came("hello" + up), sent(switched)}, false},
		{"a 101 with a request behind", []step{came(up + get + "\r\n"), sent(switched)}, false},
		{"a 101 with a request behind that comes later", []step{came(up), came(get + "\r\n"), sent(switched)}, false},
		{"a 101 with half a request behind", []step{came(up + "GET /"), sent(switched)}, false},
		{"a 101 with half a request behind that comes later", []step{came(up), came("GET /"), sent(switched)}, false},
		{"a 101 to the upgrade before last", []step{came(up), sent(answer), idle, came(get + "\r\n"), sent(switched)}, false},
		{"a 101 of another version", []step{came(up), sent("HTTP/1.0 101 Switching Protocols\r\n\r\n")}, false},
		{"a 101 and its report, of an active connection", []step{came(get + "\r\n"), sent(switched), state(http.StateActive)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner := &dialogue{pieces: pieces{size: 4096}}
			c := newConn(inner, wrapper(t, modeDefensive))
			for _, do := range tt.steps {
				do(c)
			}
			inner.input = frame
			if got, _ := readAll(c, 4096); (got == frame) != tt.passes {
				t.Errorf("what follows is read as %q", got)
			}
		})
	}
}

func TestAReadDuringWhichAConnectionIsLetGoIsNotJudged(t *testing.T) {
	for _, size := range []int{1, 3, 4096} {
		inner := &dialogue{pieces: pieces{size: 4096, input: up}}
		c := newConn(inner, wrapper(t, modeStrictest))
		_, _ = readAll(c, 4096)
		inner.input = frame
		inner.during = func() { _, _ = io.WriteString(c, switched) }
		if got, _ := readAll(c, size); got != frame || inner.sink.String() != switched {
			t.Errorf("into %d: %q, written was %q", size, got, inner.sink.String())
		}

		inner = &dialogue{pieces: pieces{size: 4096, input: get + "\r"}}
		c = newConn(inner, wrapper(t, modeStrictest))
		_, _ = readAll(c, 4096)
		inner.input = frame
		inner.during = func() { follow(outer{c}, http.StateHijacked) }
		if got, _ := readAll(c, size); got != "\r"+frame {
			t.Errorf("into %d, behind a CR that was held back: %q", size, got)
		}
	}
}

// hasty makes every client speak before the write of a 101 returns to net/http.
type hasty struct{ net.Listener }

func init() { caddy.RegisterModule(hasty{}) }

func (hasty) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.hasty", New: func() caddy.Module { return new(hasty) }}
}

func (*hasty) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*hasty) WrapListener(ln net.Listener) net.Listener { return hasty{ln} }

func (h hasty) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return &hastyConn{Conn: c, spoken: make(chan struct{})}, err
}

type hastyConn struct {
	net.Conn
	switched atomic.Bool
	once     sync.Once
	spoken   chan struct{}
}

func (c *hastyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.switched.Load() {
		c.once.Do(func() { close(c.spoken) })
	}
	return n, err
}

func (c *hastyConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, switching) {
		return c.Conn.Write(p)
	}
	c.switched.Store(true)
	n, err := c.Conn.Write(p)
	<-c.spoken
	return n, err
}

func TestAWebSocketsClientMaySpeakAtOnce(t *testing.T) {
	for _, mode := range []string{modeMonitor, modeDefensive, modeStrictest} {
		t.Run(mode, func(t *testing.T) {
			b := newBackend(t)
			g := gatetest.Run(t, globals(mode, "", "hasty")+"http://:{$PORT} {\n\treverse_proxy "+b.ln.Addr().String()+"\n}\n")
			for _, before := range []int{0, 1, 3} {
				c := dial(t, g)
				defer c.Close()
				converse(t, c, before)
			}
		})
	}
}

// converse sends some requests, one after the other, then switches protocols, and
// speaks.
func converse(t *testing.T, c net.Conn, before int) {
	t.Helper()
	ask := func(request, end string) {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for one := make([]byte, 1); !bytes.HasSuffix(got, []byte(end)); got = append(got, one[0]) {
			if _, err := c.Read(one); err != nil {
				t.Fatalf("%q %v", got, err)
			}
		}
	}
	for range before {
		ask(get+"\r\n", "\r\n\r\nok")
	}
	ask(up, "\r\n\r\n")
	if _, err := io.WriteString(c, frame); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, len(frame))
	if _, err := io.ReadFull(c, echo); err != nil || string(echo) != frame {
		t.Errorf("after %d requests: got %q, %v", before, echo, err)
	}
}

func TestBehindA101ThatSwitchesNothingComesNothing(t *testing.T) {
	g := gatetest.Run(t, globals(modeStrictest, "", "")+"http://:{$PORT} {\n\thandle /first {\n\t\trespond 101\n\t}\n\trespond served\n}\n")
	for _, behind := range []string{next, get + "A: b\n\r\n" + next} {
		c := dial(t, g)
		defer c.Close()
		if _, err := io.WriteString(c, up); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len(switching))
		if _, err := io.ReadFull(c, head); err != nil || !bytes.Equal(head, switching) {
			t.Fatalf("%q %v", head, err)
		}
		_, _ = io.WriteString(c, behind) // may find the connection closed
		if rest, _ := io.ReadAll(c); strings.Contains(string(rest), "HTTP/1.1") {
			t.Errorf("%q is answered: %q", behind, rest)
		}
	}
}
