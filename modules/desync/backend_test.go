package desync

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// backend is a server that believes everything: it takes bare LFs, white space
// around names, a Content-Length of which any digits are left, and "chunked"
// anywhere. It keeps connections and records what it got.
type backend struct {
	ln net.Listener

	mu       sync.Mutex
	raw      []byte
	complete []string // request lines, and bodies behind a tab
	open     map[net.Conn]bool
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{ln: ln, open: make(map[net.Conn]bool)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { b.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		b.mu.Lock()
		for c := range b.open {
			c.Close() // Caddy keeps idle ones for two minutes
		}
		b.mu.Unlock()
		serving.Wait()
	})
	return b
}

func (b *backend) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.raw = append(b.raw, p...)
	return len(p), nil
}

// take returns what came since the last time.
func (b *backend) take() (raw string, complete []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, complete = string(b.raw), b.complete
	b.raw, b.complete = nil, nil
	return raw, complete
}

func (b *backend) serve(c net.Conn) {
	b.mu.Lock()
	b.open[c] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.open, c)
		b.mu.Unlock()
		c.Close()
	}()
	r := bufio.NewReader(io.TeeReader(c, b))
	for {
		request, upgrade, err := lenient(r)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.complete = append(b.complete, request)
		b.mu.Unlock()
		if upgrade {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, r)
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// lenient reads a request.
func lenient(r *bufio.Reader) (request string, upgrade bool, err error) {
	line := func() string {
		s, e := r.ReadString('\n')
		if e != nil {
			err = e
		}
		return strings.TrimSpace(s)
	}
	request = line()
	length, chunked := 0, false
	for err == nil {
		header := line()
		if header == "" {
			break
		}
		name, value, _ := strings.Cut(strings.ToLower(header), ":")
		switch strings.ReplaceAll(strings.TrimSpace(name), "_", "-") {
		case "content-length":
			digits := strings.Map(func(c rune) rune {
				if c < '0' || c > '9' {
					return -1
				}
				return c
			}, value)
			length, _ = strconv.Atoi(digits)
		case "transfer-encoding":
			chunked = chunked || strings.Contains(value, "chunked")
		case "upgrade":
			upgrade = true
		}
	}
	var body bytes.Buffer
	for chunked && err == nil {
		size, _, _ := strings.Cut(line(), ";")
		n, bad := strconv.ParseUint(strings.TrimSpace(size), 16, 63)
		if bad != nil || n == 0 {
			for err == nil && line() != "" {
			}
			break
		}
		_, err = io.CopyN(&body, r, int64(n))
		line()
	}
	if !chunked && err == nil {
		_, err = io.CopyN(&body, r, int64(length))
	}
	if body.Len() > 0 {
		request += "\t" + body.String()
	}
	return request, upgrade, err
}

// globals are the options of a gateway with desync in a mode; more stands in the
// servers block, wrappers in front of desync.
func globals(mode, more, wrappers string) string {
	return "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n\tpersist_config off\n\tgrace_period 1s\n\tskip_install_trust\n" +
		"\tlog {\n\t\toutput discard\n\t}\n\tservers {\n\t\t" + more + "\n\t\tlistener_wrappers {\n\t\t\t" + wrappers + "\n\t\t\tdesync " + mode + "\n\t\t}\n\t}\n}\n"
}

// run starts a gateway in a mode in front of a backend.
func run(t *testing.T, mode string) (*gatetest.Gate, *backend) {
	t.Helper()
	b := newBackend(t)
	return gatetest.Run(t, globals(mode, "", "")+"http://:{$PORT} {\n\treverse_proxy "+b.ln.Addr().String()+"\n}\n"), b
}

// exchange sends input in pieces of a size and returns all that comes back until
// the gateway closes the connection.
func exchange(t *testing.T, g *gatetest.Gate, input string, size int) string {
	t.Helper()
	c := dial(t, g)
	defer c.Close()
	for rest := input; rest != ""; {
		n := min(size, len(rest))
		if _, err := io.WriteString(c, rest[:n]); err != nil {
			break // refused already
		}
		rest = rest[n:]
	}
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%q: %v (so far %q)", input, err, answer)
	}
	return string(answer)
}

func dial(t *testing.T, g *gatetest.Gate) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	for try := 0; try < 5 && errors.Is(err, syscall.ECONNRESET); try++ {
		// The kernel gave the connection to a server that a reload is just closing.
		c, err = net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}
