package desync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/desync/framing"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// certificate writes a certificate for localhost and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// secure starts a gateway with TLS that answers with what it knows of it.
func secure(t *testing.T, wrappers string) *gatetest.Gate {
	t.Helper()
	cert, key := certificate(t)
	return gatetest.Run(t, globals(modeStrictest, "protocols h1 h2", wrappers)+"https://localhost:{$PORT} {\n\ttls "+cert+" "+key+
		"\n\trespond \"{http.request.proto} {http.request.tls.proto} {http.request.tls.server_name} {http.request.remote.host}\"\n}\n")
}

func TestTLSIsKnownToHandlersWithBothProtocols(t *testing.T) {
	g := secure(t, "")
	for _, tt := range []struct{ alpn, want string }{
		{"http/1.1", "HTTP/1.1 http/1.1 localhost 127.0.0.1"},
		{"h2", "HTTP/2.0 h2 localhost 127.0.0.1"},
	} {
		t.Run(tt.alpn, func(t *testing.T) {
			var protocols http.Protocols
			protocols.SetHTTP1(tt.alpn == "http/1.1")
			protocols.SetHTTP2(tt.alpn == "h2")
			transport := &http.Transport{
				Protocols:       &protocols,
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{tt.alpn}},
			}
			defer transport.CloseIdleConnections()
			for range 3 {
				r, err := http.NewRequest("POST", strings.Replace(g.URL, "http:", "https:", 1), strings.NewReader(strings.Repeat("x", 100_000)))
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "localhost"
				expect(t, transport, r, tt.want)
			}
		})
	}
}

func expect(t *testing.T, transport http.RoundTripper, r *http.Request, want string) {
	t.Helper()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != want || resp.StatusCode != 200 {
		t.Errorf("%d %q %v, want %q", resp.StatusCode, body, err, want)
	}
}

func TestBehindTLSBadFramingIsRefusedAsWell(t *testing.T) {
	g := secure(t, "")
	c := tls.Client(dial(t, g), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	defer c.Close()
	if _, err := io.WriteString(c, strings.ReplaceAll(post, "Host: a", "Host: localhost")+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c); !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("%q", answer)
	}
}

func TestBehindPROXYProtocolTheClientIsKnown(t *testing.T) {
	g := secure(t, "proxy_protocol {\n\t\t\t\tallow 127.0.0.0/8\n\t\t\t}\n\t\t\ttls")
	raw := dial(t, g)
	defer raw.Close()
	if _, err := io.WriteString(raw, "PROXY TCP4 198.51.100.7 192.0.2.1 4242 443\r\n"); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c); !bytes.HasSuffix(answer, []byte("\r\n\r\nHTTP/1.1 http/1.1 localhost 198.51.100.7")) {
		t.Errorf("%q", answer)
	}
}

// slow writes byte by byte.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	for i := range p {
		if n, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i + n, err
		}
	}
	return len(p), nil
}

func TestHTTP2WithPriorKnowledgePassesAtAnySplit(t *testing.T) {
	g, _ := run(t, modeStrictest)
	for _, wrap := range []func(net.Conn) net.Conn{
		func(c net.Conn) net.Conn { return c },
		func(c net.Conn) net.Conn { return slow{c} },
	} {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: &protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return wrap(dial(t, g)), nil
		}}
		for range 2 {
			r, err := http.NewRequest("POST", g.URL, strings.NewReader("GET / HTTP/9\r\n \x00"))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, transport, r, "ok")
		}
		transport.CloseIdleConnections()
	}
}

func TestNothingThatOnlyBeginsLikeHTTP2Passes(t *testing.T) {
	g, b := run(t, modeStrictest)
	for end := 1; end < len(framing.Preface); end++ {
		for _, size := range []int{1, 1000} {
			answer := exchange(t, g, framing.Preface[:end]+"\x01 "+next, size)
			if _, complete := b.take(); len(complete) > 0 || !strings.HasPrefix(answer, "HTTP/1.1 400") {
				t.Errorf("%d bytes of it: %q, the backend got %q", end, answer, complete)
			}
		}
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	g, b := run(t, modeStrictest)
	answer := exchange(t, g, strings.Repeat(get+"\r\n"+post+"Content-Length: 5\r\n\r\nhello"+chunked+"5\r\nworld\r\n0\r\n\r\n", 50)+next, 100)
	_, complete := b.take()
	if len(complete) != 151 || strings.Count(answer, "HTTP/1.1 200") != 151 {
		t.Errorf("%d requests, %d answers", len(complete), strings.Count(answer, "HTTP/1.1 200"))
	}
}

func TestARequestBehindABadOneIsNotServedAndOneInFrontIs(t *testing.T) {
	g := gatetest.Run(t, globals(modeStrictest, "", "")+"http://:{$PORT} {\n\treverse_proxy {$BACKEND}\n}\n")
	proceed, cancelled := make(chan struct{}), make(chan error, 1)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		<-proceed
		cancelled <- r.Context().Err()
		_, _ = io.WriteString(w, "first")
	})
	c := dial(t, g)
	defer c.Close()
	if _, err := io.WriteString(c, get+"\r\n"); err != nil {
		t.Fatal(err)
	}
	// While the first request is served, net/http waits for the first byte of the next.
	if _, err := io.WriteString(c, "\x00"+next); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	answer, _ := io.ReadAll(c)
	if err := <-cancelled; err != nil {
		t.Errorf("the first request was cancelled: %v", err)
	}
	if !strings.Contains(string(answer), "first") || !strings.Contains(string(answer), "HTTP/1.1 400") || strings.Count(string(answer), "HTTP/1.1") != 2 {
		t.Errorf("%q", answer)
	}
}

func TestExpectContinue(t *testing.T) {
	g, b := run(t, modeStrictest)
	c := dial(t, g)
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.WriteString(c, post+"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := io.WriteString(c, "hello"+next); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(r)
	if _, complete := b.take(); len(complete) != 2 || strings.Count(string(answer), "HTTP/1.1 200") != 2 {
		t.Errorf("%q, the backend got %q", answer, complete)
	}
}

func TestAWebSocketCarriesWhatWouldBeBadHTTP(t *testing.T) {
	g, _ := run(t, modeStrictest)
	c := dial(t, g)
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.WriteString(c, "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	data := []byte(strings.Repeat("\r\x00\xff"+post+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\n", 3000))
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		written <- err
	}()
	echo := make([]byte, len(data))
	if _, err := io.ReadFull(r, echo); err != nil || !bytes.Equal(echo, data) {
		t.Errorf("another echo: %v", err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestHeadersAreBoundedByTheServerNotHere(t *testing.T) {
	g := gatetest.Run(t, globals(modeStrictest, "max_header_size 20kb", "")+"http://:{$PORT} {\n\trespond ok\n}\n")
	for _, tt := range []struct {
		size int
		want string
	}{{15_000, "HTTP/1.1 200"}, {40_000, "HTTP/1.1 431"}} {
		answer := exchange(t, g, get+"Connection: close\r\nA: "+strings.Repeat("x", tt.size)+"\r\n\r\n", 1000)
		if !strings.HasPrefix(answer, tt.want) {
			t.Errorf("%d bytes: %q", tt.size, answer)
		}
	}
}

func TestReloadsAndTheEndLeaveNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("gateway", func(t *testing.T) {
		g, b := run(t, modeStrictest)
		for i := range 5 {
			for _, mode := range []string{modeMonitor, modeDefensive, modeStrictest} {
				if err := g.Reload(t, globals(mode, "", "")+fmt.Sprintf("http://:{$PORT} {\n\theader X-Load %d\n\treverse_proxy %s\n}\n", i, b.ln.Addr())); err != nil {
					t.Fatal(err)
				}
				exchange(t, g, post+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+next, 1000)
			}
		}
	})
	goleak.VerifyNone(t, before)
}

func TestABrokenBodyEndsTheConnectionAlsoWhenNobodyReadsIt(t *testing.T) {
	for _, tt := range []struct {
		mode string
		want int // answers with 200
	}{{modeMonitor, 2}, {modeDefensive, 1}, {modeStrictest, 1}} {
		t.Run(tt.mode, func(t *testing.T) {
			g := gatetest.Run(t, globals(tt.mode, "", "")+"http://:{$PORT} {\n\trespond ok\n}\n")
			answer := exchange(t, g, chunked+"5;\x01\r\nhello\r\n0\r\n\r\n"+next, 1<<20)
			if got := strings.Count(answer, "HTTP/1.1 200"); got != tt.want {
				t.Errorf("%d answers: %q", got, answer)
			}
		})
	}
}

func TestAWebSocketOverTLSIsLetGoToo(t *testing.T) {
	cert, key := certificate(t)
	b := newBackend(t)
	g := gatetest.Run(t, globals(modeStrictest, "", "")+"https://localhost:{$PORT} {\n\ttls "+cert+" "+key+"\n\treverse_proxy "+b.ln.Addr().String()+"\n}\n")
	c := tls.Client(dial(t, g), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.WriteString(c, "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	data := []byte("\x00\x81GET\n")
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, len(data))
	if _, err := io.ReadFull(r, echo); err != nil || !bytes.Equal(echo, data) {
		t.Errorf("%q %v", echo, err)
	}
}

// Nothing else on the server than desync sees to it.
func TestTheRestOfACutBodyIsNoRequest(t *testing.T) {
	b := newBackend(t)
	g := gatetest.Run(t, globals(modeStrictest, "timeouts {\n\t\t\tread_body_idle 200ms\n\t\t}", "")+
		"http://:{$PORT} {\n\thandle /smuggled {\n\t\trespond smuggled\n\t}\n\treverse_proxy "+b.ln.Addr().String()+"\n}\n")
	c := dial(t, g)
	defer c.Close()
	if _, err := io.WriteString(c, post+"Content-Length: 100\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	first, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, first.Body)
	if first.StatusCode < 400 || !first.Close {
		t.Errorf("got %d, close %v", first.StatusCode, first.Close)
	}
	_, _ = io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nG")
	if second, err := http.ReadResponse(answers, nil); err == nil {
		t.Errorf("part of a body is answered as a request, with %d %v", second.StatusCode, second.Header)
	}
	if raw, _ := b.take(); strings.Contains(raw, "/smuggled") {
		t.Errorf("the backend got %q", raw)
	}
}
