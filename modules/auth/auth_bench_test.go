package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// BenchmarkServe runs requests through Caddy's whole handler chain, without a
// network. The floor is the same site behind a guard that never runs; the 404 is
// what a flood of refusals is measured against.
func BenchmarkServe(b *testing.B) {
	dir, key, _ := files(b)
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(jwksA), 0o600); err != nil {
		b.Fatal(err)
	}
	auth := strings.NewReplacer("a.pem", "a.json", "DIR", dir).Replace("auth {" + blockA + blockKey + "\n\t}\n")
	floor := strings.Replace(auth, "auth {", "auth /nowhere {", 1)
	good := token(keyA, issuerA, map[string]any{"scope": "orders:read orders:write", "realm_access": map[string]any{"roles": []string{"buyer"}}})
	forged := token(keyB, issuerA, nil)
	_, rest, _ := strings.Cut(good, ".")
	randomKey := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"random"}`)) + "." + rest
	for _, bench := range []struct {
		name, directives string
		header           [2]string
		status           int
	}{
		{"floor", floor, [2]string{"Authorization", "Bearer " + good}, 200},
		{"404", floor + "error 404\n", [2]string{"Authorization", "Bearer " + good}, 404},
		{"seen_token", auth, [2]string{"Authorization", "Bearer " + good}, 200},
		{"api_key", auth, [2]string{"X-Api-Key", key}, 200},
		{"refused_nothing", auth, [2]string{"Accept", "*/*"}, 401},
		{"refused_junk", auth, [2]string{"Authorization", "Bearer junk"}, 401},
		{"refused_random_kid", auth, [2]string{"Authorization", "Bearer " + randomKey}, 401},
		{"refused_signature", auth, [2]string{"Authorization", "Bearer " + forged}, 401},
		{"refused_api_key", auth, [2]string{"X-Api-Key", key[:len(key)-1] + "!"}, 401},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkServe(b, bench.directives, bench.header, bench.status) })
	}
	b.Run("hmac", func(b *testing.B) {
		mac := hmac.New(sha256.New, []byte("a pepper of enough bytes"))
		secret, sum := []byte(key), make([]byte, 0, sha256.Size)
		b.ReportAllocs()
		for b.Loop() {
			mac.Reset()
			mac.Write(secret)
			mac.Sum(sum)
		}
	})
}

func benchmarkServe(b *testing.B, directives string, header [2]string, status int) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		fmt.Appendf(nil, "%shttp://127.0.0.1:0 {\n\troute {\n\t%s\n\trespond ok\n\t}\n}\n", gatetest.Globals, directives), nil)
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
	w := &sink{}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "127.0.0.1"
		r.RemoteAddr = "127.0.0.1:1234"
		r.Header["X-Forwarded-For"] = []string{address}
		r.Header[header[0]] = []string{header[1]}
		w.header, w.status = make(http.Header), 0
		server.ServeHTTP(w, r)
		if w.status != status {
			b.Fatalf("got %d, want %d", w.status, status)
		}
	}
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = 200
	}
	return len(p), nil
}
