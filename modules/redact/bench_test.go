package redact

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// sink is a client that costs nothing.
type sink struct {
	header http.Header
	status int
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { s.size += len(p); return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkSmallBody runs requests through Caddy's handler chain, without a
// network: what redact adds to a response of about 1 KB is the difference to the
// floor, the same site behind a redact that never runs.
func BenchmarkSmallBody(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"items":[`)
	for i := range 8 {
		fmt.Fprintf(&body, `{"id":%d,"name":"A sturdy box of screws","price":12.50,"created_at":"2026-03-02T10:41:22Z","tags":["a","b"]},`, i)
	}
	body.WriteString(`null]}`)
	for _, bench := range []struct{ name, directive string }{
		{"redact", rules}, {"floor", strings.Replace(rules, "redact {", "redact /nowhere {", 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			site := fmt.Sprintf("http://127.0.0.1:0 {\n%s\nheader Content-Type application/json\nrespond `%s`\n}\n", bench.directive, body.String())
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(gatetest.Globals+site), nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := caddy.Load(config, true); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = caddy.Stop() }()
			active := caddy.ActiveContext()
			app, err := active.App("http")
			if err != nil {
				b.Fatal(err)
			}
			server := app.(*caddyhttp.App).Servers["srv0"]
			b.SetBytes(int64(body.Len()))
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/", nil)
				r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:1234"
				r.Header["X-Forwarded-For"] = []string{from}
				w := &sink{header: make(http.Header)}
				server.ServeHTTP(w, r)
				if w.status != 200 || w.size != body.Len() {
					b.Fatalf("%d, %d bytes", w.status, w.size)
				}
			}
		})
	}
}
