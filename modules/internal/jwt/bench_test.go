package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// benchClaims is an access token of usual size.
func benchClaims() string {
	return claims(`realm_access:{"roles":["user","orders","offline_access"]}`)[:1] +
		`"scope":"openid profile orders:read orders:write","azp":"web","jti":"3b1f2c1e-93a4-4f3e-8a57-2f0d3a1c9d10","sid":"9d7f0f3c-4b4e-4a60-8c3d-0b8f5a0f7c11","email":"alice@example.com","email_verified":true,` +
		claims(`realm_access:{"roles":["user","orders","offline_access"]}`)[1:]
}

// BenchmarkSeenToken: target at most 2 µs and 1 allocation.
func BenchmarkSeenToken(b *testing.B) {
	v := testVerifier(b)
	token := signed(benchClaims())
	if _, err := v.Verify(b.Context(), token, testNow); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Verify(b.Context(), token, testNow)
	}
}

// benchSecret is as long as HS256 needs.
const benchSecret = "0123456789abcdef0123456789abcdef"

// BenchmarkNewToken: target at most 1.15 times the raw signature check, which is
// the floor beside it.
func BenchmarkNewToken(b *testing.B) {
	for _, bench := range []struct {
		alg, kid string
		key      crypto.Signer
		raw      func(digest, signed, sig []byte) bool
	}{
		{"HS256", "hs", nil, func(_, signed, sig []byte) bool {
			m := hmac.New(sha256.New, []byte(benchSecret))
			m.Write(signed)
			return hmac.Equal(m.Sum(nil), sig)
		}},
		{"RS256", "rsa", rsaKey, func(digest, _, sig []byte) bool {
			return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, digest, sig) == nil
		}},
		{"ES256", "ec", ecKey, func(digest, _, sig []byte) bool {
			return ecdsa.VerifyASN1(&ecKey.PublicKey, digest, sig)
		}},
		{"EdDSA", "ed", edKey, func(_, signed, sig []byte) bool {
			return ed25519.Verify(edKey.Public().(ed25519.PublicKey), signed, sig)
		}},
	} {
		header := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, bench.alg, bench.kid)
		var key any = bench.key
		if bench.alg == "HS256" {
			key = []byte(benchSecret)
		}
		token := sign(bench.alg, key, header, benchClaims())
		text := token[:strings.LastIndexByte(token, '.')]
		sig, _ := base64.RawURLEncoding.DecodeString(token[len(text)+1:])
		if bench.alg == "ES256" {
			digest := sha256.Sum256([]byte(text))
			sig, _ = ecKey.Sign(nil, digest[:], crypto.SHA256)
		}
		raw := func() bool {
			var digest [sha256.Size]byte
			if bench.key != nil {
				digest = sha256.Sum256([]byte(text))
			}
			return bench.raw(digest[:], []byte(text), sig)
		}
		v := testVerifier(b)
		if bench.key == nil {
			v = secretVerifier(b, []string{"HS256"}, must(NewSecret("hs", benchSecret)))
		}
		verify := func() bool {
			v.cache.forget(token)
			_, err := v.Verify(b.Context(), token, testNow)
			return err == nil
		}
		for name, f := range map[string]func() bool{"raw": raw, "new": verify} {
			b.Run(bench.alg+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !f() {
						b.Fatal("does not verify")
					}
				}
			})
		}
		b.Run(bench.alg+"/ratio", func(b *testing.B) { ratio(b, raw, verify) })
	}
}

// ratio reports how many times the work of floor f is, as the median of many short
// turns of both: on a machine with other work the two totals say little.
func ratio(b *testing.B, floor, f func() bool) {
	turn := func(f func() bool, n int) float64 {
		start := time.Now()
		for range n {
			if !f() {
				b.Fatal("does not verify")
			}
		}
		return float64(time.Since(start))
	}
	n := int(1e6/turn(floor, 10)*10) + 1 // a turn takes about a millisecond
	var ratios []float64
	for b.Loop() {
		ratios = append(ratios, turn(f, n)/turn(floor, n))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "times")
}

// forget takes a token out of the cache.
func (c *cache) forget(token string) {
	set := c.set(token)
	for i := range set.ways {
		set.ways[i].Store(nil)
	}
}

// BenchmarkRefused: what a flood costs here.
func BenchmarkRefused(b *testing.B) {
	v := testVerifier(b)
	good := signed(benchClaims())
	for name, token := range map[string]string{
		"random_kid":    sign("RS256", rsaKey, `{"alg":"RS256","kid":"3b1f2c1e-93a4-4f3e-8a57-2f0d3a1c9d10"}`, benchClaims()),
		"bad_signature": good[:len(good)-20] + "AAAAAAAAAAAAAAAAAAAA",
		"no_token":      "eyJhbGciOiJSUzI1NiJ9",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token, testNow); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkBadSignatures: bad signatures of which each is another.
func BenchmarkBadSignatures(b *testing.B) {
	v := testVerifier(b)
	text := signed(benchClaims())
	text = text[:strings.LastIndexByte(text, '.')+1]
	sig := make([]byte, 256)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		binary.BigEndian.PutUint64(sig[8:], uint64(n))
		if _, err := v.Verify(b.Context(), text+base64.RawURLEncoding.EncodeToString(sig), testNow); err != errSignature {
			b.Fatal(err)
		}
	}
}
