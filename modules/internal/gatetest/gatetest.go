// Package gatetest runs a gateway inside a test of a module package: the real
// Caddy, adapted from a Caddyfile, in front of a backend of the test's.
//
// Caddy is one per process, so tests that use it do not run in parallel.
package gatetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what a Caddyfile may name

	_ "github.com/sallyport-gateway/sallyport/modules/app" // guards need the app
)

// Globals are the global options that Run puts in front of a Caddyfile without
// ones of its own.
const Globals = `{
	admin off
	auto_https off
	default_bind 127.0.0.1
	persist_config off
	grace_period 1s
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
	}
}
`

// Gate is a running gateway and its backend.
type Gate struct {
	// URL is the address of the site, http://127.0.0.1:port.
	URL string

	addr    string
	backend *httptest.Server
	client  *http.Client

	mu      sync.Mutex
	handler http.HandlerFunc
}

// IsolateStorage gives the configurations of a test that name no storage an empty one
// of their own: what an earlier test stored is not this one's.
func IsolateStorage(t testing.TB) {
	t.Helper()
	before := caddy.DefaultStorage.Path
	caddy.DefaultStorage.Path = t.TempDir()
	t.Cleanup(func() { caddy.DefaultStorage.Path = before })
}

// Run starts the gateway that caddyfile describes and stops it when the test
// ends. {$ADDR} in it is the address of a site, {$PORT} its port, {$BACKEND} the
// backend's host:port. A Caddyfile that begins with '{' brings its own global options,
// others get Globals.
func Run(t *testing.T, caddyfile string) *Gate {
	t.Helper()
	IsolateStorage(t)
	g := &Gate{addr: freeAddr(t), client: newClient()}
	g.URL = "http://" + g.addr
	g.backend = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		handler := g.handler
		g.mu.Unlock()
		if handler == nil {
			_, _ = io.WriteString(w, "ok")
			return
		}
		handler(w, r)
	}))
	t.Cleanup(func() {
		g.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		g.backend.Close()
	})
	err := g.Reload(t, caddyfile)
	for try := 0; try < 5 && err != nil && strings.Contains(err.Error(), "address already in use"); try++ {
		// An outgoing connection took the port meanwhile.
		g.addr = freeAddr(t)
		g.URL = "http://" + g.addr
		err = g.Reload(t, caddyfile)
	}
	if err != nil {
		t.Fatalf("starting: %v", err)
	}
	return g
}

// Reload gives the running gateway another configuration and returns the error
// with which it was rejected, by the adapter or by Caddy.
func (g *Gate) Reload(t *testing.T, caddyfile string) error {
	t.Helper()
	if !strings.HasPrefix(strings.TrimSpace(caddyfile), "{\n") {
		caddyfile = Globals + caddyfile
	}
	caddyfile = strings.NewReplacer("{$ADDR}", g.URL, "{$PORT}", g.addr[len("127.0.0.1:"):],
		"{$BACKEND}", g.backend.Listener.Addr().String()).Replace(caddyfile)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	// A reload waits for idle connections; none of ours is worth the wait.
	g.client.CloseIdleConnections()
	return caddy.Load(config, true)
}

// Backend sets what the backend answers from now on.
func (g *Gate) Backend(handler http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handler = handler
}

// Response is an answer of the gateway.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends a request with header lines given as name, value, … and returns the
// answer. The target is sent as written, unless it begins with "//", for which
// use Raw. "Host" sets the Host.
func (g *Gate) Do(t *testing.T, method, target string, header ...string) *Response {
	t.Helper()
	return g.Send(t, method, target, "", header...)
}

// Send is Do with a request body.
func (g *Gate) Send(t *testing.T, method, target, body string, header ...string) *Response {
	t.Helper()
	r, err := http.NewRequest(method, g.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = target
	for i := 0; i+1 < len(header); i += 2 {
		if strings.EqualFold(header[i], "Host") {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := g.client.Do(r)
	for range 3 {
		// Caddy returns from a reload before the old server's socket is closed, and
		// the kernel may give it this connection, which nobody answers.
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			break
		}
		r.Body = io.NopCloser(strings.NewReader(body))
		resp, err = g.client.Do(r)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", method, target, err)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: string(content)}
}

// Raw sends bytes over a new connection and returns all that comes back until the
// gateway closes it. Send Connection: close.
func (g *Gate) Raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("reading the answer: %v (so far %q)", err, answer)
	}
	return string(answer)
}

// newClient returns a client that sends what it is told and shows what came:
// no redirects, no compression of its own.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// lastPort is the last one that freeAddr gave away. No port is given away twice:
// metrics are by the address of a server, and outlive it. It counts below the range
// from which the kernel takes ports for outgoing connections; processes of tests
// that run at the same time begin elsewhere.
var lastPort atomic.Int32

func init() { lastPort.Store(int32(10_000 + os.Getpid()%100*200)) }

func freeAddr(t *testing.T) string {
	t.Helper()
	for range 20_000 {
		addr := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
