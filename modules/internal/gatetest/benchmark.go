package gatetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Benchmark measures requests through Caddy's whole handler chain, without a
// network: a site of those directives, asked from address with header lines given
// as name, value, … One request goes in front of the measured ones. Every answer
// has to have status. Compare it with the same site behind a guard that never
// runs.
func Benchmark(b *testing.B, directives string, status int, address string, header ...string) {
	b.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		fmt.Appendf(nil, "%shttp://127.0.0.1:0 {\n%s\n}\n", Globals, directives), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		b.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			b.Error(err)
		}
	}()
	active := caddy.ActiveContext()
	app, err := active.App("http")
	if err != nil {
		b.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	serve := func() int {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:1234"
		r.Header["X-Forwarded-For"] = []string{address}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header[header[i]] = []string{header[i+1]}
		}
		w := sink{header: make(http.Header)}
		server.ServeHTTP(&w, r)
		return w.status
	}
	serve()
	b.ReportAllocs()
	for b.Loop() {
		if got := serve(); got != status {
			b.Fatalf("got %d, want %d", got, status)
		}
	}
}

// sink is a client that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) Write(p []byte) (int, error) {
	s.status = max(s.status, http.StatusOK)
	return len(p), nil
}
func (s *sink) WriteHeader(status int) { s.status = status }
