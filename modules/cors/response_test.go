package cors

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func TestInformationalResponsesAreNotTheLast(t *testing.T) {
	g := gatetest.Run(t, site(`reverse_proxy {$BACKEND}`))
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", evil)
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "ok")
	})
	var hints http.Header
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			hints = http.Header(h).Clone()
			return nil
		},
	})
	resp := do(t, newTransport(t), request(t, ctx, g.URL, client("Origin", app)...))
	if hints.Get("Link") == "" {
		t.Fatal("there was no informational response")
	}
	if got := hints["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{app}) {
		t.Errorf("103: %q", got)
	}
	expectFields(t, "200", resp.Header, readable(app)...)
}

func request(t *testing.T, ctx context.Context, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// newTransport is one whose connections do not outlive the test: a gateway that
// stops waits for them.
func newTransport(t *testing.T) *http.Transport {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func do(t *testing.T, transport http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestFieldsHoldOverHTTP2(t *testing.T) {
	g := gatetest.Run(t, site("error /401 401\nreverse_proxy {$BACKEND}"))
	g.Backend(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Access-Control-Allow-Origin", "*") })
	transport := newTransport(t)
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)

	for path, status := range map[string]int{"/": 200, "/401": 401} {
		resp := do(t, transport, request(t, t.Context(), g.URL+path, client("Origin", app)...))
		if resp.ProtoMajor != 2 || resp.StatusCode != status {
			t.Fatalf("%s: %s %d", path, resp.Proto, resp.StatusCode)
		}
		expectFields(t, path, resp.Header, readable(app)...)
	}
	r := request(t, t.Context(), g.URL, preflight(app, "PUT", "authorization")...)
	r.Method = "OPTIONS"
	if resp := do(t, transport, r); resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Methods") != "PUT" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestFieldsHoldOnAnUpgradeToWebSocket(t *testing.T) {
	g := gatetest.Run(t, site(`reverse_proxy {$BACKEND}`))
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Access-Control-Allow-Origin: *\r\nVary: Accept\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})
	answer := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\nOrigin: "+app+
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	head, tunnel, _ := strings.Cut(answer, "\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\r\n\r\n")), nil)
	if err != nil {
		t.Fatalf("%v: %q", err, answer)
	}
	if resp.StatusCode != 101 || tunnel != "echo hello\n" {
		t.Errorf("%d %q", resp.StatusCode, tunnel)
	}
	expectFields(t, "101", resp.Header, sorted(append(readable(app), "Vary: Accept"))...)
}

func TestStreamedResponsesAreStampedBeforeTheFirstByte(t *testing.T) {
	g := gatetest.Run(t, site("reverse_proxy {$BACKEND} {\n flush_interval -1\n}"))
	read := make(chan struct{})
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", evil)
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-read
		_, _ = io.WriteString(w, "second\n")
	})
	resp := do(t, newTransport(t), request(t, t.Context(), g.URL, client("Origin", app)...))
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); line != "first\n" {
		t.Errorf("%q %v", line, err)
	}
	close(read)
	if rest, err := io.ReadAll(body); string(rest) != "second\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	expectFields(t, "a stream", resp.Header, readable(app)...)
}

// A wrapper is as good as its smallest door: each way of sending the header has
// to stamp it.
func TestEveryWayOfSendingTheHeaderStampsIt(t *testing.T) {
	for name, send := range map[string]func(*responseWriter) error{
		"WriteHeader": func(w *responseWriter) error { w.WriteHeader(404); return nil },
		"Write":       func(w *responseWriter) error { _, err := w.Write([]byte("ok")); return err },
		"ReadFrom":    func(w *responseWriter) error { _, err := w.ReadFrom(strings.NewReader("ok")); return err },
		"io.Copy":     func(w *responseWriter) error { _, err := io.Copy(w, strings.NewReader("ok")); return err },
		"a flush":     func(w *responseWriter) error { return http.NewResponseController(w).Flush() },
		"a status behind an informational one": func(w *responseWriter) error {
			w.WriteHeader(103)
			w.Header().Set("Access-Control-Allow-Origin", evil)
			w.WriteHeader(200)
			return nil
		},
	} {
		rec := httptest.NewRecorder()
		w := claim(rec, new(guard.Request), compile(t, Config{AllowOrigins: []string{app}}), app)
		w.Header().Set("Access-Control-Allow-Origin", evil)
		w.Header().Set("Access-Control-Max-Age", "5")
		if err := send(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		expectFields(t, name, rec.Result().Header, "Access-Control-Allow-Origin: "+app, "Vary: Origin")
	}
}
