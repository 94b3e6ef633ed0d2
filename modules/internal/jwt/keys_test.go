package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// swap replaces one member of a JWK, or removes it where value is "-".
func swap(jwk, name, value string) string {
	inner := strings.Split(strings.Trim(jwk, "{}"), ",")
	out := inner[:0]
	for _, member := range inner {
		if !strings.HasPrefix(member, `"`+name+`":`) {
			out = append(out, member)
		}
	}
	if value != "-" {
		out = append(out, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(out, ",") + "}"
}

// rocaModulus makes a modulus as the generator of CVE-2017-15361 did: its primes are
// k*M + 65537^a mod M, where M is the product of the first 126 primes.
func rocaModulus(t *testing.T) *big.Int {
	t.Helper()
	m, found := big.NewInt(1), 0
	for n := int64(2); found < 126; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(10) {
			m.Mul(m, p)
			found++
		}
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	prime := func() *big.Int {
		for {
			p := new(big.Int).Exp(big.NewInt(65537), new(big.Int).SetUint64(random.Uint64()), m)
			k := new(big.Int).SetUint64(random.Uint64N(1<<52) | 1<<52)
			if p.Add(p, k.Mul(k, m)); p.ProbablyPrime(1) {
				return p
			}
		}
	}
	n := new(big.Int).Mul(prime(), prime())
	if n.BitLen() < minRSABits {
		t.Fatalf("%d bits", n.BitLen())
	}
	return n
}

func TestKeysOfOtherOriginAreNotTakenForROCA(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(3, 4))
	n := new(big.Int)
	for range 20000 {
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		b[31] |= 1
		if isROCA(n.SetBytes(b)) {
			t.Fatalf("%x", b)
		}
	}
	if isROCA(rsaKey.N) || isROCA(otherRSA.N) {
		t.Error("a key of ours")
	}
}

// Cases S5, S12 and J4: each key is refused alone, and is left out beside a good one.
func TestUnusableJWKIsLeftOut(t *testing.T) {
	goodRSA, goodEC, goodOKP := jwkOf("r", &rsaKey.PublicKey), jwkOf("e", &ecKey.PublicKey), jwkOf("o", edKey.Public())
	//lint:ignore SA1019 GenerateKey refuses so few bits
	weak := must(rsa.GenerateMultiPrimeKey(rand.Reader, 2, 1024))
	roca := base64.RawURLEncoding.EncodeToString(rocaModulus(t).Bytes())
	x := base64.RawURLEncoding.EncodeToString(make([]byte, 31)) + "AQ"
	tests := []struct{ name, jwk string }{
		{"S5: a symmetric key", `{"kty":"oct","kid":"r","k":"c2VjcmV0"}`},
		{"S5: a symmetric key that calls itself RSA", swap(goodRSA, "k", `"c2VjcmV0"`)},
		{"S12: RSA with 1024 bits", jwkOf("r", &weak.PublicKey)},
		{"S12: RSA with 9000 bits", swap(goodRSA, "n", `"`+strings.Repeat("_", 1500)+`"`)},
		{"S12: RSA exponent 1", swap(goodRSA, "e", `"AQ"`)},
		{"S12: RSA exponent even", swap(goodRSA, "e", `"AQAA"`)},
		{"S12: RSA exponent of 5 octets", swap(goodRSA, "e", `"AQAAAAE"`)},
		{"S12: RSA exponent that is 65537 in 64 bits", swap(goodRSA, "e", `"AQAAAAAAAQAB"`)},
		{"S12: RSA exponent of 32 bits", swap(goodRSA, "e", `"_____w"`)},
		{"S12: RSA modulus of CVE-2017-15361", swap(goodRSA, "n", `"`+roca+`"`)},
		{"S12: RSA modulus even", swap(goodRSA, "n", `"`+base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(rsaKey.N, 1).Bytes())+`"`)},
		{"RSA modulus with a zero octet in front", swap(goodRSA, "n", `"`+base64.RawURLEncoding.EncodeToString(append([]byte{0}, rsaKey.N.Bytes()...))+`"`)},
		{"RSA modulus empty", swap(goodRSA, "n", `""`)},
		{"RSA modulus missing", swap(goodRSA, "n", "-")},
		{"RSA modulus padded", swap(goodRSA, "n", `"`+base64.URLEncoding.EncodeToString(rsaKey.N.Bytes())+`"`)},
		{"RSA modulus is a number", swap(goodRSA, "n", "7")},
		{"S12: EC point off the curve", swap(goodEC, "y", `"`+x+`"`)},
		{"S12: EC point of zeros", swap(swap(goodEC, "y", `"`+base64.RawURLEncoding.EncodeToString(make([]byte, 32))+`"`), "x", `"`+base64.RawURLEncoding.EncodeToString(make([]byte, 32))+`"`)},
		{"EC coordinate too short", swap(goodEC, "x", `"AQ"`)},
		{"EC on another curve than its coordinates", swap(goodEC, "crv", `"P-384"`)},
		{"EC on a curve we do not know", swap(goodEC, "crv", `"secp256k1"`)},
		{"OKP for key agreement", swap(goodOKP, "crv", `"X25519"`)},
		{"OKP too short", swap(goodOKP, "x", `"AQ"`)},
		{"S12: use enc", swap(goodRSA, "use", `"enc"`)},
		{"S12: use is null", swap(goodRSA, "use", `null`)},
		{"S12: key_ops without verify", swap(goodRSA, "key_ops", `["encrypt"]`)},
		{"S12: key_ops empty", swap(goodRSA, "key_ops", `[]`)},
		{"S12: key_ops is a string", swap(goodRSA, "key_ops", `"verify"`)},
		{"key_ops with an operation twice", swap(goodRSA, "key_ops", `["verify"]`)[:len(swap(goodRSA, "key_ops", `["verify"]`))-2] + `,"verify"]}`},
		{"alg of another key type", swap(goodRSA, "alg", `"ES256"`)},
		{"alg for encryption", swap(goodRSA, "alg", `"RSA-OAEP"`)},
		{"alg HS256", swap(goodRSA, "alg", `"HS256"`)},
		{"alg is null", swap(goodRSA, "alg", `null`)},
		{"kid is a number", swap(goodRSA, "kid", `7`)},
		{"kid of 300 bytes", swap(goodRSA, "kid", `"`+strings.Repeat("k", 300)+`"`)},
		{"a private key", swap(goodRSA, "d", `"AQAB"`)},
		{"a member twice", strings.Replace(goodRSA, `"kty":"RSA"`, `"kty":"oct","kty":"RSA"`, 1)},
		{"no kty", swap(goodRSA, "kty", "-")},
		{"a string instead of a key", `"key"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if set, err := ParseJWKS([]byte(jwksOf(test.jwk))); err == nil {
				t.Errorf("taken alone: %d keys", set.Len())
			}
			set, err := ParseJWKS([]byte(jwksOf(test.jwk, goodEC)))
			if err != nil {
				t.Fatalf("refused with its neighbour: %v", err)
			}
			if set.Len() != 1 || len(set.Skipped()) != 1 || set.keys[0].id != "e" {
				t.Errorf("got %d keys, %v", set.Len(), set.Skipped())
			}
		})
	}
	for _, jwk := range []string{
		goodRSA, goodEC, goodOKP, swap(goodRSA, "use", `"sig"`), swap(goodRSA, "key_ops", `["verify"]`), swap(goodRSA, "alg", `"PS256"`),
		swap(goodRSA, "kid", "-"), swap(goodEC, "x5c", `["not looked at"]`), swap(goodEC, "kid", `"\u0065"`),
	} {
		if set, err := ParseJWKS([]byte(jwksOf(jwk))); err != nil || set.Len() != 1 {
			t.Errorf("%s: %v", jwk, err)
		}
	}
}

func TestJWKSIsRefused(t *testing.T) {
	good := jwkOf("r", &rsaKey.PublicKey)
	many := make([]string, maxKeys+1)
	for i := range many {
		many[i] = good
	}
	for name, text := range map[string]string{
		"empty":                      "",
		"an empty object":            "{}",
		"no keys in it":              `{"keys":[]}`,
		"keys is an object":          `{"keys":` + good + `}`,
		"KEYS instead of keys":       `{"KEYS":[` + good + `]}`,
		"keys twice":                 `{"keys":[` + good + `],"keys":[]}`,
		"a page of HTML":             "<!DOCTYPE html><html><body>Sign in</body></html>",
		"an array":                   `[` + good + `]`,
		"a single key":               good,
		"data behind it":             jwksOf(good) + "{}",
		"cut off":                    jwksOf(good)[:len(jwksOf(good))-2],
		"cut off inside a key":       jwksOf(good)[:100],
		"a broken key":               `{"keys":[{"kty":"RSA",},` + good + `]}`,
		"a comma too many":           `{"keys":[` + good + `,]}`,
		"a member twice, and broken": `{"keys":[{"kty":"RSA","kty":"RSA",]},` + good + `]}`,
		"nested too deep":            `{"keys":[` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `,` + good + `]}`,
		"invalid UTF-8":              jwksOf(good, `{"kty":"`+"\xff"+`"}`),
		"257 keys":                   jwksOf(many...),
	} {
		if set, err := ParseJWKS([]byte(text)); err == nil {
			t.Errorf("%s: %d keys", name, set.Len())
		}
	}
}

func TestKeySelection(t *testing.T) {
	second := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	nameless := swap(jwkOf("", &ecKey.PublicKey), "kid", "-")
	five := []string{jwkOf("1", &second.PublicKey), jwkOf("2", &second.PublicKey), jwkOf("3", &second.PublicKey), jwkOf("4", &second.PublicKey), jwkOf("5", &ecKey.PublicKey)}
	tests := []struct {
		name, header string
		keys         []string
		want         string
	}{
		{"the key with the token's kid", `{"alg":"ES256","kid":"5"}`, five, ""},
		{"not another key that would fit", `{"alg":"ES256","kid":"4"}`, five, errSignature.Detail},
		{"kid is compared exactly", `{"alg":"ES256","kid":"5 "}`, five, errKey.Detail},
		{"without kid all keys that fit are tried", `{"alg":"ES256"}`, five[1:], ""},
		{"an empty kid is no kid", `{"alg":"ES256","kid":""}`, five[1:], ""},
		{"J7: without kid among too many keys none is tried", `{"alg":"ES256"}`, five, errAmbiguous.Detail},
		{"keys of another type do not count", `{"alg":"ES256"}`, append([]string{jwkOf("r", &rsaKey.PublicKey)}, five[1:]...), ""},
		{"two keys with one kid are both tried", `{"alg":"ES256","kid":"1"}`, []string{five[0], jwkOf("1", &ecKey.PublicKey)}, ""},
		{"a key without kid serves any kid", `{"alg":"ES256","kid":"x"}`, []string{nameless}, ""},
		{"but not where a key has the kid", `{"alg":"ES256","kid":"1"}`, []string{five[0], nameless}, errSignature.Detail},
		{"a key's alg binds it", `{"alg":"ES256"}`, []string{swap(nameless, "alg", `"ES256"`)}, ""},
		{"and excludes other algorithms", `{"alg":"RS256","kid":"r"}`, []string{swap(jwkOf("r", &rsaKey.PublicKey), "alg", `"PS256"`)}, errKey.Detail},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256", "ES256"}, Keys: keySet(t, test.keys...)})
			if err != nil {
				t.Fatal(err)
			}
			token := sign("ES256", ecKey, test.header, claims(""))
			if strings.Contains(test.header, "RS256") {
				token = sign("RS256", rsaKey, test.header, claims(""))
			}
			if got := judge(v, token); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	public := pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&ecKey.PublicKey)))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotAfter: time.Unix(1, 0)}
	cert := pemOf("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey)))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	//lint:ignore SA1019 GenerateKey refuses so few bits
	weak := must(rsa.GenerateMultiPrimeKey(rand.Reader, 2, 1024))
	tests := []struct {
		name, file string
		keys       int
		err        string
	}{
		{"a public key", public, 1, ""},
		{"a certificate", cert, 1, ""},
		{"both, with text around them", "the old one:\n" + public + "the new one:\n" + cert + "\n", 2, ""},
		{"a JWK set", "\n " + jwksOf(jwkOf("e", &ecKey.PublicKey)), 1, ""},
		{"an empty file is refused", "", 0, "neither PEM nor a JWK set"},
		{"text is refused", "secret", 0, "neither PEM nor a JWK set"},
		{"a private key is refused", pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey))), 0, "is a private key"},
		{"a private key behind a public one is refused", public + pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey))), 0, "block 2: is a private key"},
		{"another kind of block is refused", pemOf("CERTIFICATE REQUEST", []byte{1}), 0, "neither PUBLIC KEY nor CERTIFICATE"},
		{"a broken key is refused", pemOf("PUBLIC KEY", []byte{1, 2, 3}), 0, "not a PKIX public key"},
		{"a broken certificate is refused", pemOf("CERTIFICATE", []byte{1, 2, 3}), 0, "not an X.509 certificate"},
		{"a cut off block is refused", public + public[:60], 0, "a PEM block is broken"},
		{"a broken block in front of a good one is refused", strings.Replace(public, "\n-----END", "*\n-----END", 1) + public, 0, "a PEM block is broken"},
		{"a weak key is refused", pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&weak.PublicKey))), 0, "1024 bits"},
		{"a curve without algorithm is refused", pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&p224.PublicKey))), 0, "P-224"},
		{"five keys without ids are refused", strings.Repeat(public, 5), 0, "use a JWK set"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(test.file))
			switch {
			case test.err == "" && err != nil:
				t.Error(err)
			case test.err == "" && set.Len() != test.keys:
				t.Errorf("%d keys", set.Len())
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got %v, want %s", err, test.err)
			}
		})
	}
}

func TestServes(t *testing.T) {
	set := keySet(t, jwkOf("e", &ec384.PublicKey), swap(jwkOf("r", &rsaKey.PublicKey), "alg", `"PS256"`))
	for _, test := range []struct {
		algorithms string
		want       bool
	}{{"ES384", true}, {"ES256", false}, {"RS256 ES256 EdDSA", false}, {"PS256", true}, {"RS256 PS256", true}, {"none", false}, {"", false}} {
		if got := set.Serves(strings.Fields(test.algorithms)); got != test.want {
			t.Errorf("%s: got %v", test.algorithms, got)
		}
	}
}

func TestIsFrom(t *testing.T) {
	a, b := []byte(jwksOf(jwkOf("e", &ecKey.PublicKey))), []byte(jwksOf(jwkOf("f", &ecKey.PublicKey)))
	set := must(ParseJWKS(a))
	if !set.IsFrom(slices.Clone(a)) || set.IsFrom(b) || set.IsFrom(nil) || (*KeySet)(nil).IsFrom(nil) {
		t.Error("a set is from the bytes that it was read from")
	}
}
