package edge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// kept is a meter that keeps what it takes.
type kept []*Measurement

func (k *kept) Take(m *Measurement) { *k = append(*k, m) }

// slowClient takes a second for everything.
type slowClient struct{ http.ResponseWriter }

func (s slowClient) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.ResponseWriter.Write(p)
}

func (s slowClient) FlushError() error {
	time.Sleep(time.Second)
	return nil
}

func (s slowClient) ReadFrom(r io.Reader) (int64, error) {
	p, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	n, err := s.Write(p)
	return int64(n), err
}

type slowReader struct {
	io.Reader
	onRead func()
}

func (s slowReader) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if n > 0 {
		time.Sleep(time.Second)
		if s.onRead != nil {
			s.onRead()
		}
	}
	return n, err
}

// measure runs handler at an edge with a meter, behind a client that is slow, and
// returns what was measured.
func measure(t *testing.T, r *http.Request, handler http.HandlerFunc) *Measurement {
	t.Helper()
	var got kept
	synctest.Test(t, func(*testing.T) {
		s := &Server{suite: new(suite.Config), inner: handler}
		s.MeterBy(&got)
		s.MeterBy(new(kept)) // the first one stays
		defer func() { _ = recover() }()
		s.ServeHTTP(slowClient{httptest.NewRecorder()}, r)
	})
	if len(got) != 1 {
		t.Fatalf("%d measurements", len(got))
	}
	return got[0]
}

func post(body string) *http.Request {
	return httptest.NewRequest("POST", "/", slowReader{Reader: strings.NewReader(body)})
}

func TestTheTimeOfARequestIsSharedOut(t *testing.T) {
	const s = time.Second
	type shares map[timing.Phase]time.Duration
	tests := []struct {
		name    string
		handler func(w http.ResponseWriter, r *http.Request, m *Measurement)
		took    time.Duration
		want    shares
	}{
		{"work is the gateway's own", func(http.ResponseWriter, *http.Request, *Measurement) { time.Sleep(3 * s) }, 3 * s, shares{}},
		{"a body is read", func(_ http.ResponseWriter, r *http.Request, _ *Measurement) {
			_, _ = io.ReadAll(r.Body)
			time.Sleep(s)
		}, 2 * s, shares{timing.ClientRead: s}},
		{"a response is written and flushed", func(w http.ResponseWriter, _ *http.Request, _ *Measurement) {
			time.Sleep(s)
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
		}, 3 * s, shares{timing.ClientWrite: 2 * s}},
		{"a body is copied from a backend", func(w http.ResponseWriter, _ *http.Request, m *Measurement) {
			m.Attempt()
			m.Add(timing.Wait, 0)
			_, _ = io.Copy(w, slowReader{strings.NewReader("a"), func() { m.Add(timing.Receive, s) }})
		}, 2 * s, shares{timing.Receive: s, timing.ClientWrite: s}},
		{"an upload is the backend's once it is asked", func(_ http.ResponseWriter, r *http.Request, m *Measurement) {
			m.Attempt()
			_, _ = io.ReadAll(r.Body)
			m.Add(timing.Send, s)
		}, s, shares{timing.Send: s}},
		{"an echo", func(w http.ResponseWriter, r *http.Request, _ *Measurement) {
			_, _ = io.Copy(w, r.Body)
		}, 2 * s, shares{timing.ClientRead: s, timing.ClientWrite: s}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := measure(t, post("x"), func(w http.ResponseWriter, r *http.Request) { tt.handler(w, r, From(r).Measured) })
			own := tt.took
			for p := range timing.Phases {
				own -= tt.want[p]
				if m.Spent(p) != tt.want[p] {
					t.Errorf("%s took %s, want %s", p, m.Spent(p), tt.want[p])
				}
			}
			if got, known := m.Own(); m.Took != tt.took || got != own || !known {
				t.Errorf("took %s, of which %s own (%v), want %s and %s", m.Took, got, known, tt.took, own)
			}
		})
	}
}

func TestTheStatusIsWhatTheClientGets(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    int
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, 200},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a") }, 200},
		{"a hint, then the response", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, 404},
		{"a panic in front of it", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 500},
		{"a panic behind it", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			panic(http.ErrAbortHandler)
		}, 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m := measure(t, post(""), tt.handler); m.Status != tt.want {
				t.Errorf("got %d, want %d", m.Status, tt.want)
			}
		})
	}
}

func TestARequestEndsWhereItsConnectionIsUpgraded(t *testing.T) {
	for method, status := range map[string]int{"GET": 101, "CONNECT": 200} {
		r := httptest.NewRequest(method, "http://example.com/", nil)
		m := measure(t, r, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(status)
			time.Sleep(24 * time.Hour)
			_, _ = io.WriteString(w, "frame")
			From(r).Measured.Add(timing.Receive, time.Hour)
		})
		if m.Took != time.Second || m.Status != status || m.Waited() != 0 {
			t.Errorf("%s: took %s, waited %s, status %d", method, m.Took, m.Waited(), m.Status)
		}
	}
}

func TestARequestIsClaimedOnce(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	var first, second, server kept
	_, m := Measure(httptest.NewRecorder(), r, &server)
	if !m.Claim(r, &first) || m.Claim(r, &second) {
		t.Error("claimed twice")
	}
	if timing.From(r.Context()) != &m.Record {
		t.Error("a transport does not find the record")
	}
	m.End(404)
	m.End(500)
	if len(first) != 1 || len(second)+len(server) != 0 || m.Status != 404 {
		t.Errorf("taken by %d, %d, %d, status %d", len(first), len(second), len(server), m.Status)
	}
}

func TestTheOwnShareIsNotGuessed(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	repl := caddy.NewReplacer()
	r = caddyhttp.PrepareRequest(r, repl, nil, nil)
	_, m := Measure(httptest.NewRecorder(), r, new(kept))
	m.Claim(r, new(kept))
	if _, known := m.Own(); !known {
		t.Error("unknown without a backend")
	}
	repl.Set("http.reverse_proxy.upstream.address", "10.0.0.1:80")
	if own, known := m.Own(); known {
		t.Errorf("%s behind a transport that does not tell", own)
	}
	m.Attempt()
	if _, known := m.Own(); !known {
		t.Error("unknown behind a transport that tells")
	}
}

func TestAServerWithoutAMeterMeasuresNothing(t *testing.T) {
	s := &Server{suite: new(suite.Config), inner: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if From(r).Measured != nil {
			t.Error("it measures")
		}
		_, _ = io.Copy(w, r.Body)
	})}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("a")))
	if w.Body.String() != "a" {
		t.Errorf("got %q", w.Body)
	}
}
