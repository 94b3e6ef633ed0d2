package securityheaders

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestABalancerThatEncryptsAgainDoesNotMakeAClientSecure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trusted bool
		proto   []string
		want    bool
	}{
		{"http at a trusted balancer", true, []string{"http"}, false},
		{"https at a trusted balancer", true, []string{"https"}, true},
		{"two answers of a trusted balancer", true, []string{"http", "https"}, false},
		{"a trusted balancer that says nothing", true, nil, true},
		{"http, as somebody says", false, []string{"http"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.TLS = new(tls.ConnectionState)
			r.Header["X-Forwarded-Proto"] = tt.proto
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: tt.trusted}))
			if got := isSecure(r); got != tt.want {
				t.Errorf("secure %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAContentTypeIsNotGuessedOfAHandlerThatOnlyWrites(t *testing.T) {
	policy, err := Compile(Config{Preset: presetAPI})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(w http.ResponseWriter){
		"Write":    func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"ReadFrom": func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("<html>")) },
		"Flush": func(w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("<html>"))
		},
		"behind an interim response": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = w.Write([]byte("<html>"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
				_ = serve(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { write(w); return nil }), policy)
			}))
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "application/octet-stream" || string(body) != "<html>" {
				t.Errorf("%d %q %q", resp.StatusCode, got, body)
			}
		})
	}
}
