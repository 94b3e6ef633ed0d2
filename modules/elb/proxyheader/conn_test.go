package proxyheader

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a Gate that writes down what it is asked.
type recorder struct {
	refuse error

	mu       sync.Mutex
	admitted []*Addr
	left     int
	settled  []error
}

func (g *recorder) Admit(a *Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admitted = append(g.admitted, a)
	return g.refuse
}

func (g *recorder) Leave(*Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left++
}

func (g *recorder) Settled(_ *Addr, _ net.Addr, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settled = append(g.settled, why)
}

// outcome fails the test unless the connection had that one result, and was let
// in and left as often as it says.
func (g *recorder) outcome(t *testing.T, want error, admitted, left int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.settled) != 1 || g.settled[0] != want {
		t.Errorf("settled as %v, want %v", g.settled, want)
	}
	if len(g.admitted) != admitted || g.left != left {
		t.Errorf("admitted %d times and left %d times, want %d and %d", len(g.admitted), g.left, admitted, left)
	}
}

// script is a connection that delivers parts, one for each Read, and then ends.
type script struct {
	net.Conn
	parts   [][]byte
	written bytes.Buffer
	closed  int
	end     error
}

func (s *script) Read(p []byte) (int, error) {
	for len(s.parts) > 0 && len(s.parts[0]) == 0 {
		s.parts = s.parts[1:]
	}
	if len(s.parts) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, io.EOF
	}
	n := copy(p, s.parts[0])
	s.parts[0] = s.parts[0][n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error)     { return s.written.Write(p) }
func (s *script) Close() error                    { s.closed++; return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IP{10, 0, 0, 1}, Port: 9} }

// split cuts b into parts of n bytes.
func split(b []byte, n int) (parts [][]byte) {
	for len(b) > n {
		parts = append(parts, b[:n])
		b = b[n:]
	}
	return append(parts, b)
}

func TestTheStreamBehindAHeaderIsUntouchedAtAnySplit(t *testing.T) {
	line := []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
	for _, header := range [][]byte{line, proxied4(), proxied4(aws, tlv{0x04, make([]byte, 3000)})} {
		for _, rest := range []string{"", "G", "GET / HTTP/1.1\r\n", "P", "PROPFIND /", "PROXY", "\r\n\r\n", "\r\n\r\n\x00\r\nQUIT", "PRI * HTTP/2.0\r\n\r\n"} {
			whole := append(bytes.Clone(header), rest...)
			for _, n := range []int{1, 2, 7, 16, 100, len(header), len(header) + 1, len(whole)} {
				g := new(recorder)
				c := NewConn(&script{parts: split(whole, n)}, bothVersions, time.Time{}, g)
				if got := c.RemoteAddr().String(); got != "192.0.2.7:4711" {
					t.Fatalf("split by %d, RemoteAddr: %s", n, got)
				}
				got, err := io.ReadAll(c)
				if err != nil || string(got) != rest {
					t.Fatalf("split by %d: read %q, %v, want %q", n, got, err, rest)
				}
				_ = c.Close()
				_ = c.Close()
				g.outcome(t, nil, 1, 1)
			}
		}
	}
}

func TestASecondHeaderIsFoundAtAnySplit(t *testing.T) {
	line := []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
	for _, first := range [][]byte{line, proxied4(), v2(0x20, 0, nil)} {
		for _, second := range [][]byte{line, proxied4(), []byte("PROXY "), []byte("\r\n\r\n\x00\r\nQUIT\n")} {
			whole := append(bytes.Clone(first), second...)
			for n := 1; n <= len(whole); n++ {
				g, s := new(recorder), &script{parts: split(whole, n)}
				c := NewConn(s, bothVersions, time.Time{}, g)
				for range 2 {
					if read, err := c.Read(make([]byte, 4)); read != 0 || !errors.Is(err, ErrRepeated) {
						t.Fatalf("split by %d: read %d bytes, %v", n, read, err)
					}
				}
				if s.closed != 1 {
					t.Fatalf("closed %d times", s.closed)
				}
				g.outcome(t, ErrRepeated, 1, 1)
			}
		}
	}
}

func TestARefusedConnectionIsClosedAndNothingIsWritten(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  error
	}{
		{"closed before a byte", "", ErrProbe},
		{"a request without header", "GET / HTTP/1.1\r\n\r\n", ErrMissing},
		{"a header cut off", string(proxied4()[:20]), ErrMalformed},
		{"a line cut off", "PROXY TCP4 192.0.2.7", ErrMalformed},
		{"a header of another family", string(v2(0x21, 0x31, make([]byte, 216))), ErrMalformed},
		{"an oversized header", string(v2(0x21, 0x11, make([]byte, 5000))), ErrOversized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, s := new(recorder), &script{parts: [][]byte{[]byte(tt.bytes)}}
			c := NewConn(s, bothVersions, time.Time{}, g)
			if n, err := c.Write([]byte("HTTP/1.1 400 Bad Request\r\n")); n != 0 || !errors.Is(err, tt.want) {
				t.Errorf("Write: %d, %v", n, err)
			}
			if n, err := c.ReadFrom(bytes.NewReader([]byte("x"))); n != 0 || !errors.Is(err, tt.want) {
				t.Errorf("ReadFrom: %d, %v", n, err)
			}
			n, err := c.Read(make([]byte, 10))
			if n != 0 || !errors.Is(err, tt.want) {
				t.Errorf("Read: %d, %v", n, err)
			}
			// net/http answers 400 to any other error.
			if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "read" {
				t.Errorf("net/http would answer to %#v", err)
			}
			if got := c.RemoteAddr().String(); got != "10.0.0.1:9" {
				t.Errorf("RemoteAddr: %s", got)
			}
			if s.written.Len() > 0 || s.closed != 1 {
				t.Errorf("wrote %q, closed %d times", s.written.String(), s.closed)
			}
			_ = c.Close()
			g.outcome(t, tt.want, 0, 0)
		})
	}
}

func TestWhomTheGateRefusesDoesNotLeave(t *testing.T) {
	refused := errors.New("refused")
	g := &recorder{refuse: refused}
	c := NewConn(&script{parts: [][]byte{append(proxied4(), "GET /"...)}}, bothVersions, time.Time{}, g)
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if got := c.RemoteAddr().String(); got != "10.0.0.1:9" {
		t.Errorf("RemoteAddr: %s", got)
	}
	_ = c.Close()
	g.outcome(t, refused, 1, 0)
}

func TestAHealthCheckHasTheBalancersAddress(t *testing.T) {
	g := new(recorder)
	c := NewConn(&script{parts: [][]byte{v2(0x20, 0, nil)}}, bothVersions, time.Time{}, g)
	a := Find(c.RemoteAddr())
	if a == nil || !a.Local || a.Client.IsValid() || a.String() != "10.0.0.1:9" {
		t.Errorf("got %+v", a)
	}
}

// wrapped is the address of somebody else's wrapper.
type wrapped struct{ net.Addr }

func (w wrapped) Unwrap() net.Addr { return w.Addr }

func TestFindLooksThroughOtherWrappers(t *testing.T) {
	a := newAddr(client("192.0.2.7:4711"), new(net.TCPAddr))
	if Find(wrapped{wrapped{a}}) != a || Find(a) != a {
		t.Error("not found")
	}
	if Find(nil) != nil || Find(new(net.TCPAddr)) != nil || Find(wrapped{new(net.TCPAddr)}) != nil || Find(wrapped{}) != nil {
		t.Error("found where there is none")
	}
}

// inBubble runs test with both ends of a connection whose header has 3 seconds.
func inBubble(t *testing.T, test func(t *testing.T, balancer net.Conn, c *Conn, g *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		balancer, server := net.Pipe()
		g := new(recorder)
		c := NewConn(server, bothVersions, time.Now().Add(3*time.Second), g)
		defer balancer.Close()
		defer c.Close()
		test(t, balancer, c, g)
	})
}

func TestASilentConnectionIsClosedWhenItsTimeIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T, _ net.Conn, c *Conn, g *recorder) {
		start := time.Now()
		c.RemoteAddr()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("after %s", took)
		}
		g.outcome(t, ErrTimeout, 0, 0)
	})
}

func TestATricklingHeaderHasOneTimeoutForAllOfIt(t *testing.T) {
	inBubble(t, func(t *testing.T, balancer net.Conn, c *Conn, g *recorder) {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for _, b := range proxied4() {
				time.Sleep(time.Second / 2)
				if _, err := balancer.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("after %s", took)
		}
		<-stopped
		g.outcome(t, ErrTimeout, 0, 0)
	})
}

func TestTheServersDeadlineDoesNotGiveAHeaderMoreTime(t *testing.T) {
	inBubble(t, func(t *testing.T, _ net.Conn, c *Conn, _ *recorder) {
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			_ = c.SetReadDeadline(start.Add(time.Hour))
			_ = c.SetDeadline(time.Time{})
		}()
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestTheServersDeadlineHoldsAfterTheHeader(t *testing.T) {
	inBubble(t, func(t *testing.T, balancer net.Conn, c *Conn, _ *recorder) {
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(time.Minute))
		go func() { _, _ = balancer.Write(append(proxied4(), "PRO"...)) }()
		// Held back: it may become a second header.
		if n, err := c.Read(make([]byte, 10)); n != 0 || err == nil || time.Since(start) != time.Minute {
			t.Errorf("got %d bytes, %v after %s", n, err, time.Since(start))
		}
		// And is not lost when the server reads on.
		_ = c.SetReadDeadline(time.Time{})
		go func() { _, _ = balancer.Write([]byte("PFIND /")) }()
		got := make([]byte, 10)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "PROPFIND /" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestAClientThatIsSilentBehindItsHeaderIsNotTimedOut(t *testing.T) {
	inBubble(t, func(t *testing.T, balancer net.Conn, c *Conn, g *recorder) {
		go func() {
			_, _ = balancer.Write(proxied4())
			time.Sleep(time.Hour)
			_, _ = balancer.Write([]byte("GET /"))
		}()
		got := make([]byte, 5)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "GET /" {
			t.Errorf("read %q, %v", got, err)
		}
		_ = c.Close()
		g.outcome(t, nil, 1, 1)
	})
}

func TestClosingWhileTheHeaderIsReadLeavesOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, _ net.Conn, c *Conn, g *recorder) {
		go c.RemoteAddr()
		synctest.Wait()
		_ = c.Close()
		synctest.Wait()
		g.outcome(t, ErrProbe, 0, 0)
	})
}

func TestAConnectionThatNobodyUsedIsNotCounted(t *testing.T) {
	g := new(recorder)
	_ = NewConn(new(script), bothVersions, time.Time{}, g).Close()
	if len(g.settled) != 0 {
		t.Errorf("settled as %v", g.settled)
	}
}

// FuzzConn: what the connection says of its client is what the oracle reads in
// the same bytes, and what is read from it are the bytes behind the header, at
// any split. Whatever the oracle does not take for a header is refused.
func FuzzConn(f *testing.F) {
	line := []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
	for _, b := range [][]byte{
		line, proxied4(), sealed(proxied4(aws, crc)), proxied4(azure), proxied4(gcp, aws), v2(0x20, 0, nil), v2(0x20, 0x11, nil),
		[]byte("PROXY UNKNOWN\r\n"), append(proxied4(), line...), append(bytes.Clone(line), "PROXY"...), proxied4(aws, aws),
		v2(0x21, 0x21, addresses("::ffff:192.0.2.7", "2001:db8::1", 4711, 443), tlv{0x04, make([]byte, 9)}),
		[]byte("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n\r\n\r\n\x00\r\nQUIT\n"), []byte("GET / HTTP/1.1\r\n\r\n"), {},
	} {
		f.Add(b, uint8(1))
		f.Add(b, uint8(200))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		g, s := new(recorder), &script{parts: split(bytes.Clone(b), int(size)+1)}
		c := NewConn(s, bothVersions, time.Time{}, g)
		a := Find(c.RemoteAddr())
		got, err := io.ReadAll(c)
		_ = c.Close()
		d, ok := decode(b)
		if !ok {
			if a != nil || err == nil || len(got) > 0 || len(g.admitted) > 0 {
				t.Fatalf("%q is not a header: %+v, read %q, %v", b, a, got, err)
			}
			return
		}
		if a == nil || a.Header != d.header {
			t.Fatalf("%q: got %+v, want %+v", b, a, d.header)
		}
		rest := b[d.length:]
		if bytes.HasPrefix(rest, []byte("PROXY ")) || bytes.HasPrefix(rest, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
			if !errors.Is(err, ErrRepeated) || len(got) > 0 {
				t.Fatalf("%q: a second header, read %q, %v", b, got, err)
			}
		} else if err != nil || !bytes.Equal(got, rest) {
			t.Fatalf("%q: read %q, %v, want %q", b, got, err, rest)
		}
		if g.left != 1 || len(g.settled) != 1 {
			t.Fatalf("left %d times, settled %v", g.left, g.settled)
		}
	})
}

// BenchmarkConn is a connection with a header and a first read; compare it with
// the same without a header.
func BenchmarkConn(b *testing.B) {
	whole := append(proxied4(aws), "GET / HTTP/1.1\r\n\r\n"...)
	p := make([]byte, 4096)
	g := silent{}
	b.Run("header", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := NewConn(&script{parts: [][]byte{whole}}, bothVersions, time.Time{}, g)
			c.RemoteAddr()
			if _, err := c.Read(p); err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := &script{parts: [][]byte{whole}}
			c.RemoteAddr()
			if _, err := c.Read(p); err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
	})
}

type silent struct{}

func (silent) Admit(*Addr) error              { return nil }
func (silent) Leave(*Addr)                    {}
func (silent) Settled(*Addr, net.Addr, error) {}
