package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// The key of RFC 7638 section 3.1, which RFC 7517 appendix A.1 has too.
const rfc7638Key = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`

// thumbprint makes the members of RFC 7638 section 3.2 of a key that was read, and
// hashes them.
func thumbprint(k key) string {
	var members string
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, encode([]byte{byte(p.E >> 16), byte(p.E >> 8), byte(p.E)}), encode(p.N.Bytes()))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, encode(p))
	case *ecdsa.PublicKey:
		point := must(p.Bytes())[1:]
		members = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, p.Curve.Params().Name, encode(point[:len(point)/2]), encode(point[len(point)/2:]))
	}
	sum := sha256.Sum256([]byte(members))
	return encode(sum[:])
}

// A key that was read is the one that the RFC means: every octet of it is in the
// thumbprint that the RFC tells.
func TestKeysOfTheRFCsAreReadExactly(t *testing.T) {
	for _, tt := range []struct{ name, jwk, id, alg, thumbprint string }{
		{"RFC 7638 3.1", rfc7638Key, "2011-04-29", "RS256", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037 A.2, A.3", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "", "", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"RFC 9449 4.2, 6.1", `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`, "", "", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := keySet(t, tt.jwk)
			k := set.keys[0]
			if set.Len() != 1 || k.id != tt.id || k.alg != tt.alg {
				t.Errorf("got %d keys, the first called %q for %q", set.Len(), k.id, k.alg)
			}
			if got := thumbprint(k); got != tt.thumbprint {
				t.Errorf("thumbprint %s, want %s", got, tt.thumbprint)
			}
		})
	}
}

// RFC 7517 appendix A has sets of public, private and symmetric keys, RFC 8037
// appendix A.1 a private one: of all of them, one is for a gateway.
func TestKeySetsOfTheRFCs(t *testing.T) {
	ec := `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",%s"kid":"1"}`
	private := `"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",`
	tests := []struct {
		name string
		keys []string
		want string // the id of the one key that is taken
		why  string // the other is not
	}{
		{"RFC 7517 A.1: a key for encryption, and one for signatures", []string{fmt.Sprintf(ec, `"use":"enc",`), rfc7638Key}, "2011-04-29", "use is not sig"},
		{"RFC 7517 A.1: the same key, for signatures", []string{fmt.Sprintf(ec, ``)}, "1", ""},
		{"RFC 7517 A.2: private keys", []string{fmt.Sprintf(ec, `"use":"enc",`+private), fmt.Sprintf(ec, private)}, "", `secret member "d"`},
		{"RFC 7517 A.2: a private RSA key", []string{strings.Replace(rfc7638Key, `"e":`, `"d":"AQAB","e":`, 1)}, "", `secret member "d"`},
		{"RFC 7517 A.3: symmetric keys", []string{
			`{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"}`,
			`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow","kid":"HMAC key used in JWS spec Appendix A.1 example"}`,
		}, "", `secret member "k"`},
		{"RFC 8037 A.1: a private Ed25519 key", []string{
			`{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		}, "", `secret member "d"`},
		{"RFC 8037 A.6: a key for key agreement", []string{`{"kty":"OKP","crv":"X25519","kid":"Bob","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}`}, "", "crv is not Ed25519"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(jwksOf(tt.keys...)))
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), tt.why) {
					t.Errorf("got %v, want %s", err, tt.why)
				}
				return
			}
			if err != nil || set.Len() != 1 || set.keys[0].id != tt.want || len(set.Skipped()) != len(tt.keys)-1 {
				t.Fatalf("got %v, %+v", err, set)
			}
			if tt.why != "" && !strings.Contains(set.Skipped()[0].Error(), tt.why) {
				t.Errorf("skipped for %v", set.Skipped()[0])
			}
		})
	}
}

// RFC 7515 appendix A.6 has the JSON serialization, and RFC 7797 section 4 payloads
// that are not encoded or detached: neither is a bearer token.
func TestOtherFormsOfJWSAreNoTokens(t *testing.T) {
	set := keySet(t, rfcVectors[0].jwk, rfcVectors[1].jwk)
	v, err := NewVerifier(Issuer{Name: "joe", Audiences: []string{"x"}, Algorithms: Algorithms(), Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	segments := func(n int) []string { return strings.Split(rfcVectors[n].jws, ".") }
	rs, es := segments(0), segments(1)
	for name, token := range map[string]string{
		"RFC 7515 A.6.4": fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"header":{"kid":"2010-12-29"},"signature":%q},{"protected":%q,"header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":%q}]}`,
			rfcClaims, rs[0], rs[2], es[0], es[2]),
		"RFC 7515 A.7":              fmt.Sprintf(`{"payload":%q,"protected":%q,"header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":%q}`, rfcClaims, es[0], es[2]),
		"RFC 7515 F":                es[0] + ".." + es[2],
		"RFC 7797 4.1":              b64(`{"alg":"HS256"}`) + "." + b64("$.02") + ".5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ",
		"RFC 7797 4.2":              b64(`{"alg":"HS256","b64":false,"crit":["b64"]}`) + "..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
		"RFC 7797 4.2 without crit": b64(`{"alg":"ES256","b64":false}`) + "." + rfcClaims + "." + es[2],
	} {
		if _, err := v.Verify(t.Context(), token, rfcNow); err == nil || err == errAudience {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
