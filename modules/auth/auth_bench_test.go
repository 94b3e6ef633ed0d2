package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		b.Run(bench.name, func(b *testing.B) {
			gatetest.Benchmark(b, "route {\n"+bench.directives+"\nrespond ok\n}", bench.status, address, bench.header[:]...)
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
