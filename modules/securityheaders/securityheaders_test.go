package securityheaders_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/cors"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	_ "github.com/sallyport-gateway/sallyport/modules/ratelimiter"
	_ "github.com/sallyport-gateway/sallyport/modules/securityheaders"
)

const from = "X-Forwarded-For"

func TestAdapt(t *testing.T) { gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest") }

func TestEveryResponseOfASiteHasThem(t *testing.T) {
	page := t.TempDir()
	if err := os.WriteFile(filepath.Join(page, "429.html"), []byte("<h1>later</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, `{$ADDR} {
	allowlist {
		deny 192.0.2.66
	}
	security_headers {
		set Permissions-Policy "geolocation=()"
		remove X-Runtime-*
	}
	cors {
		allow_origins https://app.example.com
	}
	rate_limiter {
		zone one {
			key client_ip
			rate 1/h
			burst 1
		}
	}
	reverse_proxy {$BACKEND}
	handle_errors 429 {
		root * `+page+`
		rewrite * /429.html
		file_server
	}
}
`)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "backend/1.2")
		w.Header().Set("X-Frame-Options", "ALLOWALL")
		w.Header().Set("X-Runtime-Host", "db1")
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "ok")
	})
	tests := []struct {
		name, method, target string
		header               []string
		status               int
	}{
		{"a response of the backend", "GET", "/", []string{from, "198.51.100.1"}, 200},
		{"a refusal of a guard behind it, on a page of the site's", "GET", "/", []string{from, "198.51.100.1"}, 429},
		{"a backend that fails", "GET", "/abort", []string{from, "198.51.100.2"}, 502},
		{"a refused preflight", "OPTIONS", "/", []string{from, "198.51.100.3", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, 403},
		{"an answered preflight", "OPTIONS", "/", []string{from, "198.51.100.3", "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET"}, 204},
		{"a refusal in front of it", "GET", "/", []string{from, "192.0.2.66"}, 403},
		{"a refusal of the canonical check", "GET", "/a%2fb", []string{from, "198.51.100.4"}, 400},
		{"a client that is not established", "GET", "/", []string{from, "unknown"}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, tt.method, tt.target, tt.header...)
			if resp.Status != tt.status {
				t.Fatalf("status %d, want %d", resp.Status, tt.status)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Permissions-Policy": "geolocation=()",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin",
				"Server": "", "Via": "", "X-Runtime-Host": "", "Strict-Transport-Security": "",
			} {
				if got := strings.Join(resp.Header.Values(name), " | "); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestHSTSFollowsTheClientsConnection(t *testing.T) {
	site := "{$ADDR} {\n\tsecurity_headers\n\treverse_proxy {$BACKEND}\n}\n"
	g := gatetest.Run(t, site)
	const hsts = "Strict-Transport-Security"
	for _, tt := range []struct {
		name  string
		proto []string
		want  bool
	}{
		{"https at the balancer", []string{"https"}, true},
		{"http at the balancer", []string{"http"}, false},
		{"a balancer that says nothing", nil, false},
		{"two answers", []string{"https", "https"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{from, "198.51.100.1"}
			for _, proto := range tt.proto {
				header = append(header, "X-Forwarded-Proto", proto)
			}
			if got := g.Do(t, "GET", "/", header...).Header.Get(hsts) != ""; got != tt.want {
				t.Errorf("HSTS %v, want %v", got, tt.want)
			}
			if got := g.Do(t, "GET", "/a%2fb", header...).Header.Get(hsts) != ""; got != tt.want {
				t.Errorf("on a refusal: HSTS %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("a client that is no trusted balancer is not believed", func(t *testing.T) {
		untrusting := strings.Replace(gatetest.Globals, "trusted_proxies static 127.0.0.1/32", "trusted_proxies static 10.0.0.0/8", 1)
		if err := g.Reload(t, untrusting+site); err != nil {
			t.Fatal(err)
		}
		if resp := g.Do(t, "GET", "/", "X-Forwarded-Proto", "https"); resp.Status != 200 || resp.Header.Get(hsts) != "" {
			t.Errorf("%d, HSTS %q", resp.Status, resp.Header.Get(hsts))
		}
	})
}

func TestCORPAgreesWithCORS(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	security_headers
	cors /public/* {
		allow_origins *
	}
	cors {
		allow_origins https://app.example.com
	}
	reverse_proxy {$BACKEND}
}
`)
	for target, want := range map[string]string{"/public/a": "cross-origin", "/private": "same-origin"} {
		if got := g.Do(t, "GET", target, from, "198.51.100.1", "Origin", "https://app.example.com").Header.Get("Cross-Origin-Resource-Policy"); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

func TestAContentTypeIsNotGuessed(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tsecurity_headers\n\treverse_proxy {$BACKEND}\n}\n")
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil // net/http would guess here already
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
			return
		case "/json":
			w.Header().Set("Content-Type", "application/json")
		}
		_, _ = io.WriteString(w, "<html>")
	})
	for target, want := range map[string]string{"/": "application/octet-stream", "/json": "application/json", "/empty": ""} {
		if got := g.Do(t, "GET", target, from, "198.51.100.1").Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

func TestTheFirstThatMatchesDecides(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	security_headers /pages/* html
	security_headers none {
		set X-Frame-Options SAMEORIGIN
	}
	security_headers api
	reverse_proxy {$BACKEND}
}
`)
	if resp := g.Do(t, "GET", "/pages/a", from, "198.51.100.1"); resp.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || resp.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("the first: %v", resp.Header)
	}
	if resp := g.Do(t, "GET", "/a", from, "198.51.100.1"); resp.Header.Get("X-Frame-Options") != "SAMEORIGIN" || resp.Header.Get("X-Content-Type-Options") != "" {
		t.Errorf("the second: %v", resp.Header)
	}
}

func TestDryRunLeavesResponsesAlone(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tsecurity_headers {\n\t\tmode dry_run\n\t}\n\treverse_proxy {$BACKEND}\n}\n")
	for _, target := range []string{"/", "/a%2fb"} {
		if resp := g.Do(t, "GET", target, from, "198.51.100.1"); resp.Header.Get("X-Content-Type-Options") == "nosniff" && target == "/" || resp.Header.Get("X-Frame-Options") != "" {
			t.Errorf("%s: %v", target, resp.Header)
		}
	}
}

func TestBadJSONIsRefused(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tsecurity_headers\n\treverse_proxy {$BACKEND}\n}\n")
	err := g.Reload(t, "{$ADDR} {\n\tsecurity_headers {\n\t\tset X-A \"b\nSet-Cookie: c\"\n\t}\n\treverse_proxy {$BACKEND}\n}\n")
	if err == nil || !strings.Contains(err.Error(), "Caddyfile:") {
		t.Errorf("got %v", err)
	}
	if resp := g.Do(t, "GET", "/", from, "198.51.100.1"); resp.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("after a rejected reload: %v", resp.Header)
	}
}

func BenchmarkHandler(b *testing.B) {
	gatetest.Benchmark(b, "\tsecurity_headers\n\trespond ok", 200, "198.51.100.1")
}

func BenchmarkHandlerThatNeverRuns(b *testing.B) {
	gatetest.Benchmark(b, "\tsecurity_headers /never\n\trespond ok", 200, "198.51.100.1")
}
