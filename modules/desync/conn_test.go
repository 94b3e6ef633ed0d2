package desync

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/desync/framing"
)

// pieces is a connection that delivers its input in pieces of a size.
type pieces struct {
	net.Conn
	input string
	size  int
	err   error // instead of EOF, once
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.input == "" {
		if err := p.err; err != nil {
			p.err = nil
			return 0, err
		}
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.input)
	p.input = p.input[n:]
	return n, nil
}

func (p *pieces) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234} }

func wrapper(t testing.TB, mode string) *Wrapper {
	w := &Wrapper{Mode: mode, logger: zap.NewNop(), server: "test", usual: prometheus.NewCounter(prometheus.CounterOpts{})}
	if err := w.compile(); err != nil {
		t.Fatal(err)
	}
	return w
}

// readAll reads until an error, with a buffer of a size.
func readAll(c net.Conn, size int) (string, error) {
	var out strings.Builder
	buf := make([]byte, size)
	for {
		n, err := c.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			return out.String(), err
		}
	}
}

func TestWhatIsReadDoesNotDependOnHowItCame(t *testing.T) {
	for _, mode := range []string{modeMonitor, modeDefensive, modeStrictest} {
		for _, tt := range cases {
			input := tt.input + next
			want, wantErr := readAll(newConn(&pieces{input: input, size: len(input)}, wrapper(t, mode)), 4096)
			for _, size := range []int{1, 2, 3, 7, 1000} {
				for _, buffer := range []int{1, 2, 5, 4096} {
					got, err := readAll(newConn(&pieces{input: input, size: size}, wrapper(t, mode)), buffer)
					if got != want || !errors.Is(err, wantErr) {
						t.Fatalf("%s: %s: in pieces of %d into %d: %q %v, at once %q %v", mode, tt.name, size, buffer, got, err, want, wantErr)
					}
				}
			}
			if mode == modeMonitor && want != input {
				t.Errorf("monitor changes %s: %q", tt.name, want)
			}
		}
	}
}

func TestAnInterruptedReadLosesNothing(t *testing.T) {
	inner := &pieces{input: get + "\r", size: 1 << 20, err: os.ErrDeadlineExceeded}
	c := newConn(inner, wrapper(t, modeStrictest))
	first, err := readAll(c, 4096)
	if !errors.Is(err, os.ErrDeadlineExceeded) || first != get {
		t.Fatalf("%q %v", first, err)
	}
	inner.input = "\n"
	rest, err := readAll(c, 4096)
	if first+rest != get+"\r\n" || !errors.Is(err, io.EOF) {
		t.Errorf("%q and %q, %v", first, rest, err)
	}
}

func TestAHijackedConnectionIsReadAsItIs(t *testing.T) {
	inner := &pieces{input: get + "\r", size: 1 << 20, err: os.ErrDeadlineExceeded}
	c := newConn(inner, wrapper(t, modeStrictest))
	_, _ = readAll(c, 4096)
	follow(outer{c}, http.StateActive)
	if c.hijacked.Load() {
		t.Fatal("let go of an active connection")
	}
	follow(outer{c}, http.StateHijacked)
	inner.input = "\x00\xff GET\n\r"
	if got, _ := readAll(c, 3); got != "\r\x00\xff GET\n\r" {
		t.Errorf("%q", got)
	}
}

// outer is a connection around another, with an address of its own.
type outer struct{ net.Conn }

func (o outer) RemoteAddr() net.Addr { return outerAddr{o.Conn.RemoteAddr()} }

type outerAddr struct{ net.Addr }

func (a outerAddr) Unwrap() net.Addr { return a.Addr }

func TestTheAddressLeadsToTheOneBelow(t *testing.T) {
	c := newConn(&pieces{}, wrapper(t, ""))
	a := c.RemoteAddr()
	if a.Network() != "tcp" || a.String() != "192.0.2.1:1234" {
		t.Errorf("%s %s", a.Network(), a)
	}
	if _, ok := a.(interface{ Unwrap() net.Addr }).Unwrap().(*net.TCPAddr); !ok {
		t.Error("no *net.TCPAddr below")
	}
}

func TestSendfileAndHalfCloseReachTheConnectionBelow(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	wrapped := wrapper(t, "").WrapListener(ln)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := wrapped.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, ok := server.(connectionStater); ok {
		t.Error("a plain connection says that it is TLS")
	}
	if _, err := server.(io.ReaderFrom).ReadFrom(strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if err := server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); string(got) != "hello" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	// A connection below that can do neither.
	var sink bytes.Buffer
	c := newConn(writeOnly{Writer: &sink}, wrapper(t, ""))
	if n, err := c.ReadFrom(strings.NewReader("hello")); n != 5 || err != nil || sink.String() != "hello" {
		t.Errorf("%d %v %q", n, err, sink.String())
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
}

type writeOnly struct {
	net.Conn
	io.Writer
}

func (w writeOnly) Write(p []byte) (int, error) { return w.Writer.Write(p) }

func TestAcceptFailsAfterClose(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wrapped := wrapper(t, "").WrapListener(ln)
	if err := wrapped.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := wrapped.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// FuzzNetHTTPServesWhatWasJudged reads a connection with net/http: it must not
// find a request that was not judged, nor another body, nor anything behind a
// request that was to be the last one.
func FuzzNetHTTPServesWhatWasJudged(f *testing.F) {
	for i, tt := range cases {
		f.Add(tt.input+next, uint16(i), i%2 == 0)
		f.Add(next[:len(next)-21]+"\r\n"+tt.input+next, uint16(i), i%2 == 1)
	}
	f.Fuzz(func(t *testing.T, input string, size uint16, strict bool) {
		mode, limit := modeDefensive, framing.Severe
		if strict {
			mode, limit = modeStrictest, framing.Acceptable
		}
		if strings.HasPrefix(input, framing.Preface) {
			return
		}
		classes := judged(input, limit)
		r := bufio.NewReader(newConn(&pieces{input: input, size: int(size)%5000 + 1}, wrapper(t, mode)))
		for i := 0; ; i++ {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if i >= len(classes) {
				t.Fatalf("net/http reads request %d of %q, judged were %v", i, input, classes)
			}
			if classes[i] == framing.Ambiguous && !request.Close {
				t.Fatalf("request %d of %q is ambiguous and not the last one", i, input)
			}
			if request.Close {
				return
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				return
			}
		}
	})
}

// FuzzABelievingServerSeesTheSameRequests lets a server that believes everything
// read what strictest passes: it must not find more requests than were judged.
func FuzzABelievingServerSeesTheSameRequests(f *testing.F) {
	for _, tt := range cases {
		f.Add(tt.input + next)
		f.Add(next + tt.input + next)
	}
	f.Fuzz(func(t *testing.T, input string) {
		passed, _ := readAll(newConn(&pieces{input: input, size: 4096}, wrapper(t, modeStrictest)), 4096)
		if strings.HasPrefix(passed, framing.Preface) {
			return
		}
		passed = strings.TrimSuffix(passed, poison)
		most := len(judged(input, framing.Acceptable))
		r := bufio.NewReader(strings.NewReader(passed))
		for i := range most + 1 {
			if _, _, err := lenient(r); err != nil {
				return
			}
			if i == most {
				t.Fatalf("more than %d requests in %q", most, passed)
			}
		}
	})
}

// judged are the classes of the requests whose heads end.
func judged(input string, limit framing.Class) (classes []framing.Class) {
	s := framing.New(limit)
	for p := []byte(input); len(p) > 0; {
		n, event := s.Scan(p)
		switch event {
		case framing.Refuse:
			return classes
		case framing.Head:
			classes = append(classes, s.Class())
		}
		p = p[n:]
	}
	return classes
}

// again is a connection on which one input comes over and over.
type again struct {
	net.Conn
	input []byte
	at    int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.input[a.at:])
	a.at = (a.at + n) % len(a.input)
	return n, nil
}

func BenchmarkRead(b *testing.B) {
	head := "GET /api/v1/orders?page=3&limit=50&sort=created_at HTTP/1.1\r\nHost: api.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: application/json, text/plain, */*\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://app.example.com/orders\r\n" +
		"Origin: https://app.example.com\r\nAuthorization: Bearer " + strings.Repeat("x", 180) + "\r\nConnection: keep-alive\r\n" +
		"X-Request-Id: 0123456789abcdef\r\n\r\n"
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"floor":  func(c net.Conn) net.Conn { return c },
		"desync": func(c net.Conn) net.Conn { return newConn(c, wrapper(b, modeStrictest)) },
	} {
		b.Run(name, func(b *testing.B) {
			c := wrap(&again{input: []byte(head)})
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if n, err := c.Read(buf); n != len(head) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
