package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// scripted calls the hooks of a trace as net/http does.
type scripted func(*httptrace.ClientTrace) (*http.Response, error)

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	return s(httptrace.ContextClientTrace(r.Context()))
}

// slowBody needs a second for each read.
type slowBody struct{ io.Reader }

func (s slowBody) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.Reader.Read(p)
}

func (slowBody) Close() error { return nil }

// TestWhereTheTimeOfAnAttemptGoes runs on a clock of its own.
func TestWhereTheTimeOfAnAttemptGoes(t *testing.T) {
	respond := func(body io.ReadCloser) *http.Response { return &http.Response{StatusCode: 200, Body: body} }
	tests := []struct {
		name   string
		script scripted
		want   [phases]time.Duration
	}{
		{"a new connection with TLS", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			time.Sleep(2 * time.Second)
			c.TLSHandshakeStart()
			time.Sleep(3 * time.Second)
			c.TLSHandshakeDone(tls.ConnectionState{}, nil)
			c.GotConn(httptrace.GotConnInfo{})
			time.Sleep(4 * time.Second)
			c.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(5 * time.Second)
			return respond(slowBody{strings.NewReader("x")}), nil
		}, [phases]time.Duration{timing.Connect: 2 * time.Second, timing.TLS: 3 * time.Second, timing.Send: 4 * time.Second, timing.Wait: 5 * time.Second, timing.Receive: 2 * time.Second}},
		{"a reused connection", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			c.GotConn(httptrace.GotConnInfo{Reused: true})
			c.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(time.Second)
			return respond(http.NoBody), nil
		}, [phases]time.Duration{timing.Wait: time.Second}},
		{"an answer before the request is written", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			c.GotConn(httptrace.GotConnInfo{})
			time.Sleep(time.Second)
			go func() {
				time.Sleep(time.Minute)
				c.WroteRequest(httptrace.WroteRequestInfo{})
			}()
			return respond(slowBody{strings.NewReader("x")}), nil
		}, [phases]time.Duration{timing.Send: time.Second, timing.Receive: 2 * time.Second}},
		{"a connection that had been closed", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			c.GotConn(httptrace.GotConnInfo{Reused: true})
			c.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(time.Second)
			c.GetConn("x")
			time.Sleep(2 * time.Second)
			c.GotConn(httptrace.GotConnInfo{})
			c.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(time.Second)
			return respond(http.NoBody), nil
		}, [phases]time.Duration{timing.Connect: 2 * time.Second, timing.Wait: 2 * time.Second}},
		{"a handshake that goes on for others", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			c.TLSHandshakeStart()
			time.Sleep(time.Second)
			c.GotConn(httptrace.GotConnInfo{Reused: true})
			time.Sleep(time.Second)
			c.TLSHandshakeDone(tls.ConnectionState{}, nil)
			time.Sleep(time.Second)
			c.WroteRequest(httptrace.WroteRequestInfo{})
			return respond(http.NoBody), nil
		}, [phases]time.Duration{timing.TLS: time.Second, timing.Send: 2 * time.Second}},
		{"a failure", func(c *httptrace.ClientTrace) (*http.Response, error) {
			c.GetConn("x")
			time.Sleep(3 * time.Second)
			return nil, errors.New("refused")
		}, [phases]time.Duration{timing.Connect: 3 * time.Second}},
		{"a transport without hooks", func(*httptrace.ClientTrace) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(http.NoBody), nil
		}, [phases]time.Duration{timing.Wait: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, make(map[string]any))
				record := timing.Begin(ctx)
				r, err := http.NewRequestWithContext(ctx, "GET", "http://x/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := newObserver("test").roundTrip(tt.script, r)
				if err == nil {
					_, _ = io.ReadAll(resp.Body)
					time.Sleep(2 * time.Minute) // what comes too late
					if b, ok := resp.Body.(*body); ok && b.attempt.spent != tt.want {
						t.Errorf("in the metrics: %v, want %v", b.attempt.spent, tt.want)
					}
					_ = resp.Body.Close()
				}
				for p, want := range tt.want {
					if got := record.Spent(timing.Phase(p)); got != want {
						t.Errorf("%v: %v, want %v", timing.Phase(p), got, want)
					}
				}
				if record.Attempts() != 1 {
					t.Errorf("%d attempts", record.Attempts())
				}
			})
		})
	}
}

// TestASwitchOfProtocolsKeepsItsBody, to which Caddy writes.
func TestASwitchOfProtocolsKeepsItsBody(t *testing.T) {
	type duplex struct {
		io.ReadWriter
		io.Closer
	}
	conn := new(duplex)
	r, err := http.NewRequest("GET", "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := newObserver("test").roundTrip(scripted(func(*httptrace.ClientTrace) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: conn}, nil
	}), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok {
		t.Error("it cannot be written to")
	}
}
