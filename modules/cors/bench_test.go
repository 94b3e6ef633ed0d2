package cors

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// benchmarkPolicy is a policy with n origins, half of them wildcards, beside the
// one that asks.
func benchmarkPolicy(b *testing.B, n int) *Policy {
	c := Config{AllowOrigins: []string{"https://app.example.com"}, AllowMethods: []string{"PUT", "DELETE"},
		AllowHeaders: []string{"Authorization", "Content-Type", "X-Request-Id"}, ExposeHeaders: []string{"RateLimit", "Retry-After"},
		AllowCredentials: true, MaxAge: 600e9}
	for i := range n - 1 {
		if i%2 == 0 {
			c.AllowOrigins = append(c.AllowOrigins, fmt.Sprintf("https://app%d.example.org", i))
		} else {
			c.AllowOrigins = append(c.AllowOrigins, fmt.Sprintf("https://*.tenant%d.example.net", i))
		}
	}
	return compile(b, c)
}

// quietly keeps the collector from running once a millisecond, as it does on the
// small heap of a benchmark and not on that of a gateway.
func quietly(b *testing.B) {
	percent := debug.SetGCPercent(2000)
	b.Cleanup(func() { debug.SetGCPercent(percent) })
}

// discard is a ResponseWriter that costs nothing, so that what is measured is ours.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkActual is what the guard adds to an ordinary request: the decision,
// the early fields, and the final ones over those of a backend.
func BenchmarkActual(b *testing.B) {
	quietly(b)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		for _, name := range backendFields {
			h[name] = backendValue
		}
		w.WriteHeader(200)
		return nil
	})
	for name, c := range map[string]struct {
		origins int
		origin  string
	}{
		"one_origin":             {1, "https://app.example.com"},
		"1000_origins":           {1000, "https://app.example.com"},
		"1000_origins_subdomain": {1000, "https://eu.tenant501.example.net"},
		"1000_origins_refused":   {1000, "https://eu.tenant501.example.net.evil.com"},
		"1000_origins_none":      {1000, ""},
	} {
		p := benchmarkPolicy(b, c.origins)
		r := benchmarkRequest("GET", http.Header{})
		if c.origin != "" {
			r.Header["Origin"] = []string{c.origin}
		}
		b.Run(name, func(b *testing.B) {
			w, req := &discard{header: make(http.Header, 16)}, new(guard.Request)
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				_ = claim(w, req, p, p.AllowedOrigin(r.Header)).serve(r, next)
			}
		})
	}
	b.Run("floor_without_cors", func(b *testing.B) {
		w, r := &discard{header: make(http.Header, 16)}, benchmarkRequest("GET", http.Header{})
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			_ = next.ServeHTTP(w, r)
		}
	})
}

var (
	backendFields = []string{"Server", "Date", "Content-Type", "Content-Length", "Via", "Etag", "Cache-Control", "X-Request-Id"}
	backendValue  = []string{"value"}
)

func benchmarkRequest(method string, h http.Header) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.Header = h
	return r
}

// BenchmarkPreflight is the verdict, and the answer where there is one.
func BenchmarkPreflight(b *testing.B) {
	quietly(b)
	for name, c := range map[string]struct {
		origins                 int
		origin, method, headers string
	}{
		"allowed_one_origin":       {1, "https://app.example.com", "PUT", "authorization,content-type"},
		"allowed_1000_origins":     {1000, "https://app.example.com", "PUT", "authorization,content-type"},
		"refused_origin":           {1000, "https://evil.example.com", "PUT", "authorization,content-type"},
		"refused_method":           {1000, "https://app.example.com", "PATCH", "authorization,content-type"},
		"refused_header":           {1000, "https://app.example.com", "PUT", "authorization,x-other"},
		"hostile_origin_of_labels": {1000, "https://" + strings.Repeat("a.", 110) + "tenant501.example.net.", "PUT", ""},
		"hostile_headers_1kB":      {1, "https://app.example.com", "PUT", strings.Repeat("authorization,", 1<<10/14)},
		"hostile_headers_1MB":      {1, "https://app.example.com", "PUT", strings.Repeat("authorization,", 1<<20/14)},
		"hostile_commas_1kB":       {1, "https://app.example.com", "PUT", strings.Repeat(",", 1<<10)},
		"hostile_commas_1MB":       {1, "https://app.example.com", "PUT", strings.Repeat(",", 1<<20)},
	} {
		p := benchmarkPolicy(b, c.origins)
		request := http.Header{"Origin": {c.origin}, "Access-Control-Request-Method": {c.method}}
		if c.headers != "" {
			request["Access-Control-Request-Headers"] = []string{c.headers}
		}
		b.Run(name, func(b *testing.B) {
			response := make(http.Header, 16)
			b.ReportAllocs()
			for b.Loop() {
				clear(response)
				if p.Preflight(request) == Allowed {
					p.Answer(response, request)
				}
			}
		})
	}
}
