package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// countingMethod refuses every signature and counts how many.
type countingMethod struct{ checks int }

func (m *countingMethod) Verify(string, []byte, any) error { m.checks++; return errors.New("bad") }
func (m *countingMethod) Sign(string, any) ([]byte, error) { return nil, errors.New("cannot") }
func (m *countingMethod) Alg() string                      { return "RS256" }

func TestBadSignatureIsCheckedOnce(t *testing.T) {
	set := keySet(t, jwkOf("rsa", &rsaKey.PublicKey))
	method := new(countingMethod)
	alg := &algorithm{name: "RS256", kty: ktyRSA, method: method}
	check := func(alg *algorithm, signed string, signature []byte, want int) {
		t.Helper()
		before := method.checks
		if err := set.check(&parsed{signed: signed, signature: signature}, alg); err != errSignature {
			t.Errorf("got %v", err)
		}
		if method.checks-before != want {
			t.Errorf("%d checks, want %d", method.checks-before, want)
		}
	}
	signature := []byte("a signature")
	check(alg, "a.b", signature, 1)
	check(alg, "a.b", signature, 0)
	check(alg, "a.c", signature, 1) // the same slot
	check(alg, "a.c", signature, 0)
	check(alg, "a.b", signature, 1) // it was taken by the other
	check(&algorithm{name: "RS512", kty: ktyRSA, method: method}, "a.b", signature, 1)
	// Another signature in the same slot.
	other := &parsed{signed: "a.b"}
	for n := 0; n == 0 || set.refused.table.Load().slot(other) != set.refused.table.Load().slot(&parsed{signature: signature}); n++ {
		other.signature = fmt.Append(nil, n)
	}
	check(alg, "a.b", signature, 1)
	check(alg, "a.b", other.signature, 1)

	for _, size := range []int{maxRefusedText + 1, maxToken} {
		check(alg, strings.Repeat("a", size), signature, 1)
		check(alg, strings.Repeat("a", size), signature, 1)
	}
	check(alg, "a", make([]byte, maxRefusedSignature+1), 1)
	check(alg, "a", make([]byte, maxRefusedSignature+1), 1)
}

// Whatever is remembered about bad tokens, a good one is accepted as soon as the
// keys and the clock allow it.
func TestRefusalIsNotRememberedTooLong(t *testing.T) {
	oldKey, newKey := jwkOf("rsa", &otherRSA.PublicKey), jwkOf("rsa", &rsaKey.PublicKey)
	source := &rotating{keys: keySet(t, oldKey)}
	v := rotatingVerifier(t, source)
	token := signed(claims(fmt.Sprintf("nbf:%d", testNow.Unix()+60)))
	verify := func(name string, now time.Time, want error) {
		t.Helper()
		for range 3 {
			if _, err := v.Verify(t.Context(), token, now); err != want {
				t.Errorf("%s: got %v, want %v", name, err, want)
			}
		}
	}
	verify("the kid has old key material", testNow, errSignature)
	if source.missed != 3 {
		t.Errorf("the source was told %d times, want each time", source.missed)
	}
	source.keys = keySet(t, newKey)
	verify("the key was rotated, the token is not valid yet", testNow, errNotYet)
	verify("it is valid", testNow.Add(time.Minute), nil)
	source.keys = keySet(t, oldKey)
	verify("the rotation was taken back", testNow.Add(time.Minute), errSignature)
	source.keys = keySet(t, newKey)
	verify("and made again", testNow.Add(time.Minute), nil)
	source.keys = nil
	verify("there are no keys", testNow.Add(time.Minute), errNoKeys)
	verify("it has expired, too", testNow.Add(time.Hour), errNoKeys)
}

// What is found where a good token is looked for does not refuse it.
func TestOnlyTheWholeTokenIsRefused(t *testing.T) {
	v := testVerifier(t)
	good := signed(claims(""))
	p := must(parse(good))
	set := v.issuers[testIssuer].keys.(*KeySet)
	bad := p
	bad.signed = must(parse(signed(claims(`sub:"bob"`)))).signed
	if err := set.check(&bad, algorithms["RS256"]); err != errSignature {
		t.Fatal(err)
	}
	if !set.refused.has(&bad, algorithms["RS256"]) || set.refused.has(&p, algorithms["RS256"]) {
		t.Error("another token of the same signature is taken for the bad one")
	}
	if got := judge(v, good); got != "" {
		t.Error(got)
	}
}

func TestFloodOfBadTokensIsBounded(t *testing.T) {
	v := testVerifier(t)
	i := v.issuers[testIssuer]
	good := signed(claims(""))
	if got := judge(v, good); got != "" {
		t.Fatal(got)
	}
	signature := make([]byte, 256)
	for n := range 20 * refusalSlots {
		signature[0], signature[1] = byte(n), byte(n>>8)
		i.keys.(*KeySet).refused.add(&parsed{signed: "x", signature: signature}, algorithms["RS256"])
	}
	n := 0
	for k := range i.keys.(*KeySet).refused.table.Load().slots {
		if i.keys.(*KeySet).refused.table.Load().slots[k].Load() != nil {
			n++
		}
	}
	if n < refusalSlots/2 {
		t.Errorf("%d are remembered", n)
	}
	if got := judge(v, good); got != "" {
		t.Errorf("a good token behind the flood: %s", got)
	}
	if v.cache.get(good, testNow) == nil {
		t.Error("the flood took the good token out of the cache")
	}
}

// malleated returns the token with the signature (r, n-s) in place of (r, s): it
// verifies too, and is another token.
func malleated(token string) string {
	at := strings.LastIndexByte(token, '.') + 1
	sig := must(base64.RawURLEncoding.DecodeString(token[at:]))
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:at] + base64.RawURLEncoding.EncodeToString(sig)
}

// Cases S11 and J9: the second signature of a token dodges nothing.
func TestMalleatedSignatureDodgesNothing(t *testing.T) {
	var revoked string
	v, err := NewVerifier(Issuer{
		Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"ES256"}, Leeway: DefaultLeeway,
		Keys: keySet(t, jwkOf("ec", &ecKey.PublicKey)),
		Revocations: revocations(func(f *TokenFacts, _ time.Time) error {
			if f.ID == revoked {
				return ErrRevoked
			}
			return nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	token := sign("ES256", ecKey, `{"alg":"ES256","kid":"ec"}`, claims(`jti:"1"`))
	other := malleated(token)
	if other == token || judge(v, token) != "" || judge(v, other) != "" {
		t.Fatal("both signatures verify")
	}
	revoked = "1"
	if judge(v, token) != ErrRevoked.Detail || judge(v, other) != ErrRevoked.Detail {
		t.Error("a token that was seen is revoked under both signatures")
	}
	if fresh := malleated(sign("ES256", ecKey, `{"alg":"ES256","kid":"ec"}`, claims(`jti:"1"`))); judge(v, fresh) != ErrRevoked.Detail {
		t.Error("a new signature of the same claims is revoked")
	}

	text := b64(`{"alg":"ES256","kid":"ec"}`) + "." + b64(claims(`jti:"2"`))
	digest := sha256.Sum256([]byte(text + "."))
	r, s := must2(ecdsa.Sign(rand.Reader, ecKey, digest[:]))
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	bad := text + "." + base64.RawURLEncoding.EncodeToString(sig)
	for range 2 {
		if judge(v, bad) != errSignature.Detail || judge(v, malleated(bad)) != errSignature.Detail {
			t.Error("a bad signature is refused in both forms")
		}
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}
