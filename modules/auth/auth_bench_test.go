package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
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
	group := strings.NewReplacer("a.pem", "a.json", "DIR", dir).Replace("auth {\nall {" + blockA + blockKey + "\n\t}\n}\n")
	// Beyond the limit after the request in front of the measured ones.
	limited := strings.Replace(auth, "auth {", "auth {\nfailures 1/d burst 1", 1)
	unlimited := strings.Replace(auth, "auth {", "auth {\nfailures off", 1)
	for _, bench := range []struct {
		name, directives string
		header           []string
		status           int
	}{
		{"floor", floor, []string{"Authorization", "Bearer " + good}, 200},
		{"404", floor + "error 404\n", []string{"Authorization", "Bearer " + good}, 404},
		{"seen_token", auth, []string{"Authorization", "Bearer " + good}, 200},
		{"api_key", auth, []string{"X-Api-Key", key}, 200},
		{"seen_token_unlimited", unlimited, []string{"Authorization", "Bearer " + good}, 200},
		{"api_key_unlimited", unlimited, []string{"X-Api-Key", key}, 200},
		{"group", group, []string{"Authorization", "Bearer " + good, "X-Api-Key", key}, 200},
		{"refused_too_many", limited, []string{"Authorization", "Bearer " + forged}, 429},
		{"refused_nothing", auth, []string{"Accept", "*/*"}, 401},
		{"refused_junk", unlimited, []string{"Authorization", "Bearer junk"}, 401},
		{"refused_random_kid", unlimited, []string{"Authorization", "Bearer " + randomKey}, 401},
		{"refused_signature", unlimited, []string{"Authorization", "Bearer " + forged}, 401},
		{"refused_api_key", unlimited, []string{"X-Api-Key", key[:len(key)-1] + "!"}, 401},
	} {
		b.Run(bench.name, func(b *testing.B) {
			gatetest.Benchmark(b, "route {\n"+bench.directives+"\nrespond ok\n}", bench.status, address, bench.header...)
		})
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

func init() {
	caddy.RegisterModule(loop{})
	httpcaddyfile.RegisterHandlerDirective("test_loop", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return loop{}, nil
	})
}

// loop is a handler that measures what is behind it.
type loop struct{}

var looping *testing.B

func (loop) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_loop", New: func() caddy.Module { return new(loop) }}
}

func (loop) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := next.ServeHTTP(w, r); err != nil { // what is seen from now on
		return err
	}
	looping.ReportAllocs()
	for looping.Loop() {
		if err := next.ServeHTTP(w, r); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkThroughAuth is auth alone, to the next handler, which does nothing.
// Credentials stay in the request, which is the same each time. Target: at most
// 2 µs and 1 allocation.
func BenchmarkThroughAuth(b *testing.B) {
	dir, key, _ := files(b)
	tokens := strings.Replace(blockA, "tier_claim tier", "forward", 1)
	keys := strings.Replace(blockKey, "pepper", "forward\npepper", 1)
	good := "Bearer " + token(keyA, issuerA, map[string]any{"scope": "orders:read orders:write", "realm_access": map[string]any{"roles": []string{"buyer"}}})
	for _, bench := range []struct {
		name, block string
		header      http.Header
	}{
		{"seen_token", tokens + keys, http.Header{"Authorization": {good}}},
		{"seen_token_unlimited", tokens + keys + "\nfailures off", http.Header{"Authorization": {good}}},
		{"api_key", tokens + keys, http.Header{"X-Api-Key": {key}}},
		{"api_key_unlimited", tokens + keys + "\nfailures off", http.Header{"X-Api-Key": {key}}},
		{"group", "all {" + tokens + keys + "\n}", http.Header{"Authorization": {good}, "X-Api-Key": {key}}},
		{"optional_nothing", tokens + keys + "\noptional", http.Header{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			site := strings.ReplaceAll("http://127.0.0.1:0 {\nroute {\ntest_loop\nauth {\n"+bench.block+"\n}\n}\n}\n", "DIR", dir)
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(gatetest.Globals+site), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				b.Fatal(err)
			}
			if err := caddy.Load(config, true); err != nil {
				b.Fatal(err)
			}
			defer caddy.Stop()
			active := caddy.ActiveContext()
			app, err := active.App("http")
			if err != nil {
				b.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Host, r.RemoteAddr, r.Header = "127.0.0.1", "192.0.2.1:1234", bench.header
			looping = b
			w := httptest.NewRecorder()
			app.(*caddyhttp.App).Servers["srv0"].ServeHTTP(w, r)
			if w.Code != 200 {
				b.Fatalf("got %d", w.Code)
			}
		})
	}
}
