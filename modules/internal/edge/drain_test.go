package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const attackSite = "{$ADDR} {\n\tallowlist {\n\t\tdeny 192.0.2.66\n\t}\n\treverse_proxy {$BACKEND}\n}\n"

// "draining  at once: … every response says Connection: close."
func TestAResponseWhoseRequestCameBeforeTheDrainSaysClose(t *testing.T) {
	g := gatetest.Run(t, attackSite)
	inside, leave := make(chan struct{}), make(chan struct{})
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-leave
		_, _ = io.WriteString(w, "ok")
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
	<-inside
	config(t).Exit(zap.NewNop(), 0, 0, false)
	close(leave)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !resp.Close {
		t.Errorf("a response that is written during the drain keeps the connection: %v", resp.Header)
	}
}

// A client that offers h2c (curl --http2, Java's HttpClient by default) is not
// upgraded and not asked to leave.
func TestAnOfferToUpgradeThatIsNotTakenIsAskedToLeave(t *testing.T) {
	g := gatetest.Run(t, attackSite)
	config(t).Exit(zap.NewNop(), 0, 0, false)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || !resp.Close {
		t.Errorf("got %d, close %v", resp.StatusCode, resp.Close)
	}
}

// RFC 9113 §8.2.2: a response with a Connection header is malformed.
func TestEarlyHintsOverHTTP2StayWellFormedDuringTheDrain(t *testing.T) {
	g := gatetest.Run(t, attackSite)
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		_, _ = io.WriteString(w, "ok")
	})
	config(t).Exit(zap.NewNop(), 0, 0, false)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "127.0.0.1"}, {"x-forwarded-for", "192.0.2.1"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		status := headers.PseudoValue("status")
		for _, h := range headers.RegularFields() {
			if h.Name == "connection" {
				t.Errorf("%s has %s: %s", status, h.Name, h.Value)
			}
		}
		if status == "200" {
			return
		}
	}
}

// health/doc.go: "The configuration has to be in force, and the gateway not about
// to end." A reload is no end.
func TestAGatewayThatReloadsIsReady(t *testing.T) {
	const site = "{$ADDR} {\n\thandle /hold {\n\t\treverse_proxy {$BACKEND}\n\t}\n\thealth\n}\n"
	g := gatetest.Run(t, site)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReader(conn)
	probe := func() int {
		_, _ = io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := probe(); got != 200 {
		t.Fatalf("before: %d", got)
	}
	old := config(t)
	done := make(chan error)
	go func() { done <- g.Reload(t, strings.Replace(site, "health", "header X-New 1\n\thealth", 1)) }()
	for !old.Draining() {
		runtime.Gosched()
	}
	if got := probe(); got != 200 {
		t.Errorf("a probe's kept connection is told %d while a configuration is replaced", got)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// health/doc.go: "/startupz 200 once every condition has held, from then on". A
// reload does not start the gateway again.
func TestAGatewayThatStartedUpStaysSoAcrossAReload(t *testing.T) {
	const site = "{$ADDR} {\n\thealth\n}\n"
	g := gatetest.Run(t, site)
	if got := g.Do(t, "GET", "/startupz").Status; got != 200 {
		t.Fatalf("before: %d", got)
	}
	if err := g.Reload(t, site+"# again\n"); err != nil {
		t.Fatal(err)
	}
	config(t).Ready("keys", func() error { return io.ErrUnexpectedEOF })
	if got := g.Do(t, "GET", "/startupz").Status; got != 200 {
		t.Errorf("after a reload: %d", got)
	}
}
