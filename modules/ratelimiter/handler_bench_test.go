package ratelimiter

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Through Caddy's whole handler chain, without a network. Compare with the floor:
// the same site without these directives.

func BenchmarkServeFloor(b *testing.B) {
	benchmarkServe(b, 200, "")
}

// A guard that never runs: what the canonical check in front of it costs.
func BenchmarkServeCanonicalOnly(b *testing.B) {
	benchmarkServe(b, 200, strings.Replace(serveLimiter, "rate_limiter", "rate_limiter /nowhere", 1))
}

func BenchmarkServeAdmitted(b *testing.B) {
	benchmarkServe(b, 200, serveLimiter)
}

func BenchmarkServeTwoGuards(b *testing.B) {
	benchmarkServe(b, 200, serveLimiter+strings.NewReplacer("rate_limiter", "quota", "serve", "serve.quota", "client_ip", "principal").Replace(serveLimiter))
}

func BenchmarkServeRefused(b *testing.B) {
	benchmarkServe(b, 429, strings.NewReplacer("1000000/s", "1/365d", "burst 1000000000", "burst 1", "serve", "serve.refused").Replace(serveLimiter))
}

const serveLimiter = `rate_limiter {
		zone serve {
			key client_ip
			rate 1000000/s
			burst 1000000000
		}
	}
`

func benchmarkServe(b *testing.B, want int, directives string) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		[]byte(gatetest.Globals+"http://127.0.0.1:0 {\n"+directives+"\n\trespond ok\n}\n"), map[string]any{"filename": "Caddyfile"})
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
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	var server *caddyhttp.Server
	for _, server = range app.(*caddyhttp.App).Servers {
	}
	serve := func() int {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:1234"
		r.Header["X-Forwarded-For"] = []string{client}
		w := sink{header: make(http.Header)}
		server.ServeHTTP(&w, r)
		return w.status
	}
	serve() // the one request that a refused client had
	b.ReportAllocs()
	for b.Loop() {
		if status := serve(); status != want {
			b.Fatalf("got %d, want %d", status, want)
		}
	}
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
