package assertion

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

var (
	private, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testKey, _ = NewKey(private)
	testNow    = time.Unix(1_800_000_000, 500)
	orders     = Target{Method: "GET", Path: "/orders/7%20a", Query: "q=1&q=2"}
	ada        = &principal.Principal{
		ID: `ada "1"`, Issuer: "https://issuer.example", Method: "jwt", Scopes: []string{"a", "b"}, Roles: []string{"reader", "x y, ü"}, Tier: "gold",
	}
)

func keySet(t testing.TB, keys ...*Key) *jwt.KeySet {
	t.Helper()
	var all []string
	for _, k := range keys {
		all = append(all, string(k.JWK()))
	}
	set, err := jwt.ParseJWKS([]byte(`{"keys":[` + strings.Join(all, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Skipped()) > 0 {
		t.Fatal(set.Skipped())
	}
	return set
}

func testVerifier(t testing.TB) *Verifier {
	return &Verifier{Issuer: "sallyport", Audience: "orders", Leeway: 5 * time.Second, Keys: keySet(t, testKey)}
}

func TestWhatIsMadeIsAccepted(t *testing.T) {
	v := testVerifier(t)
	for name, caller := range map[string]*principal.Principal{
		"a caller": ada, "a caller with nothing": {ID: "x", Method: "api_key"}, "nobody": nil,
	} {
		token, err := NewMaker("sallyport", "orders", MaxTTL).Make(testKey, orders, "r1", caller, testNow)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), token, orders, testNow)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if (caller == nil) != (got.Caller == nil) {
			t.Fatalf("%s: got %v", name, got.Caller)
		}
		if caller != nil {
			got.Caller.Claims = nil
			if !reflect.DeepEqual(got.Caller, caller) && !(len(caller.Scopes) == 0 && len(got.Caller.Scopes) == 0 && got.Caller.ID == caller.ID) {
				t.Errorf("%s: got %+v", name, got.Caller)
			}
		}
		if got.Remember != MaxTTL+10*time.Second || len(got.ID) != 22 {
			t.Errorf("remembered for %v, id %q", got.Remember, got.ID)
		}
	}
}

// TestOtherLibrariesReadIt: services verify it with what they have.
func TestOtherLibrariesReadIt(t *testing.T) {
	token, err := NewMaker("sallyport", "orders", MaxTTL).Make(testKey, orders, "r1", ada, testNow)
	if err != nil {
		t.Fatal(err)
	}
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{"ES256"}), golangjwt.WithAudience("orders"), golangjwt.WithIssuer("sallyport"),
		golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(), golangjwt.WithTimeFunc(func() time.Time { return testNow }))
	claims := golangjwt.MapClaims{}
	parsed, err := parser.ParseWithClaims(token, claims, func(*golangjwt.Token) (any, error) { return &private.PublicKey, nil })
	if err != nil {
		t.Fatal(err)
	}
	// RFC 7638 section 3: the required members, sorted, without white space.
	var jwk map[string]string
	if err := json.Unmarshal(testKey.JWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	canonical, _ := json.Marshal(map[string]string{"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]})
	sum := sha256.Sum256(canonical)
	if thumbprint := base64.RawURLEncoding.EncodeToString(sum[:]); parsed.Header["kid"] != thumbprint || jwk["kid"] != thumbprint {
		t.Errorf("kid %v, in the set %v, thumbprint %v", parsed.Header["kid"], jwk["kid"], thumbprint)
	}
	if _, ok := jwk["d"]; ok {
		t.Error("the public key has its private part")
	}
	query := sha256.Sum256([]byte("q=1&q=2"))
	for claim, want := range map[string]any{
		"htm": "GET", "path": "/orders/7%20a", "qh": base64.RawURLEncoding.EncodeToString(query[:]), "rid": "r1", "sub": `ada "1"`,
		"scope": "a b", "roles": []any{"reader", "x y, ü"}, "tier": "gold", "auth": "jwt", "sub_iss": "https://issuer.example",
	} {
		if !reflect.DeepEqual(claims[claim], want) {
			t.Errorf("%s is %v, want %v", claim, claims[claim], want)
		}
	}
}

// forged signs any header and claims.
func forged(header, claims string, key *ecdsa.PrivateKey) string {
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	// Without randomness (RFC 6979), so that the fuzzer finds again what it found.
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	point.R.FillBytes(signature[:32])
	point.S.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

func header(more string) string {
	return `{"alg":"ES256","typ":"` + Type + `","kid":"` + testKey.ID() + `"` + more + `}`
}

// goodClaims are accepted for orders; edits are pairs of what to replace.
func goodClaims(edits ...string) string {
	query := sha256.Sum256([]byte(orders.Query))
	claims := fmt.Sprintf(`{"iss":"sallyport","aud":"orders","iat":1800000000,"nbf":1800000000,"exp":1800000030,"jti":"0123456789abcdef","htm":"GET",`+
		`"path":"/orders/7%%20a","qh":"%s","sub":"ada","auth":"jwt","scope":"a","roles":["r"],"tier":"t"}`, encode(query[:]))
	return strings.NewReplacer(edits...).Replace(claims)
}

func TestRefusals(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := forged(header(""), goodClaims(), private)
	unsigned := func(header string) string {
		return encode([]byte(header)) + "." + encode([]byte(goodClaims())) + "."
	}
	hmac := func() string {
		signed := encode([]byte(strings.Replace(header(""), "ES256", "HS256", 1))) + "." + encode([]byte(goodClaims()))
		public, _ := private.PublicKey.Bytes()
		signature, _ := golangjwt.SigningMethodHS256.Sign(signed, public)
		return signed + "." + encode(signature)
	}
	claims := func(edits ...string) string { return forged(header(""), goodClaims(edits...), private) }
	tests := []struct {
		name  string
		token string
		kind  Kind
	}{
		{"no token", "x", Malformed},
		{"padding", good + "=", Malformed},
		{"alg none", unsigned(`{"alg":"none","typ":"` + Type + `","kid":"` + testKey.ID() + `"}`), Algorithms},
		{"HS256 with the public key", hmac(), Algorithms},
		{"another typ", forged(strings.Replace(header(""), Type, "at+jwt", 1), goodClaims(), private), Header},
		{"no typ", forged(`{"alg":"ES256","kid":"`+testKey.ID()+`"}`, goodClaims(), private), Header},
		{"typ of another type", forged(strings.Replace(header(""), `"`+Type+`"`, "[]", 1), goodClaims(), private), Malformed},
		{"no kid", forged(`{"alg":"ES256","typ":"`+Type+`"}`, goodClaims(), private), Header},
		{"crit", forged(header(`,"crit":["exp"]`), goodClaims(), private), Header},
		{"another kid", forged(strings.Replace(header(""), testKey.ID(), "k", 1), goodClaims(), private), KeyUnknown},
		{"another key", forged(header(""), goodClaims(), stranger), Signature},
		{"a changed claim", good[:len(header(""))*4/3+40] + "A" + good[len(header(""))*4/3+41:], Signature},
		{"another issuer", claims(`"iss":"sallyport"`, `"iss":"Sallyport"`), Issuer},
		{"another audience", claims(`"aud":"orders"`, `"aud":"billing"`), Audience},
		{"several audiences", claims(`"aud":"orders"`, `"aud":["orders","billing"]`), Audience},
		{"no audience", claims(`"aud":"orders",`, ``), Audience},
		{"no exp", claims(`"exp":1800000030,`, ``), Claims},
		{"no iat", claims(`"iat":1800000000,`, ``), Claims},
		{"no nbf", claims(`"nbf":1800000000,`, ``), Claims},
		{"exp as a string", claims(`1800000030`, `"1800000030"`), Claims},
		{"exp with a fraction", claims(`1800000030`, `1800000030.5`), Claims},
		{"exp beyond all clocks", claims(`1800000030`, `18000000300000000`), Claims},
		{"a negative iat", claims(`"iat":1800000000`, `"iat":-1`), Claims},
		{"good for too long", claims(`1800000030`, `1800000031`), Lifetime},
		{"expired", claims(`"iat":1800000000`, `"iat":1799999970`, `1800000030`, `1799999995`), Expired},
		{"made in the future", claims(`"iat":1800000000`, `"iat":1800000006`), NotYetValid},
		{"good in the future", claims(`"nbf":1800000000`, `"nbf":1800000006`), NotYetValid},
		{"another method", claims(`"GET"`, `"POST"`), Method},
		{"no method", claims(`"htm":"GET",`, ``), Method},
		{"another path", claims(`7%20a`, `8`), Path},
		{"the path in another spelling", claims(`7%20a`, `7 a`), Path},
		{"another query", claims(`"qh":"`, `"qh":"A`), Query},
		{"no query", claims(`"qh"`, `"qx"`), Query},
		{"no jti", claims(`"jti"`, `"jtx"`), Claims},
		{"a short jti", claims(`0123456789abcdef`, `1`), Claims},
		{"a sub that is no text", claims(`"ada"`, `7`), Claims},
		{"an empty sub", claims(`"ada"`, `""`), Claims},
		{"a sub with a line break", claims(`"ada"`, `"a\nb"`), Claims},
		{"a scope that is no text", claims(`"scope":"a"`, `"scope":["a"]`), Claims},
		{"roles that are no list", claims(`["r"]`, `"r"`), Claims},
		{"a role that is no text", claims(`["r"]`, `[1]`), Claims},
		{"an empty role", claims(`["r"]`, `[""]`), Claims},
	}
	v := testVerifier(t)
	if _, err := v.Verify(t.Context(), good, orders, testNow); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), tt.token, orders, testNow)
			var failure *Failure
			if !errors.As(err, &failure) || failure.Kind != tt.kind {
				t.Errorf("got %v, want kind %d", err, tt.kind)
			}
		})
	}
}

func TestTheLeewayIsForBothSidesAndEnds(t *testing.T) {
	v := testVerifier(t)
	token := forged(header(""), goodClaims(), private)
	for at, good := range map[int64]bool{-6: false, -5: true, 0: true, 34: true, 35: false} {
		_, err := v.Verify(t.Context(), token, orders, time.Unix(1_800_000_000+at, 0))
		if (err == nil) != good {
			t.Errorf("%d s: %v", at, err)
		}
	}
}

// Of several instances of a service that share what was used, one may have a slow
// clock, and accept for longer what one with a fast clock has accepted.
func TestAUseIsRememberedUntilNoClockWithinTheLeewayAcceptsIt(t *testing.T) {
	v := testVerifier(t)
	token := forged(header(""), goodClaims(), private)
	made := time.Unix(1_800_000_000, 0)
	for _, fast := range []time.Duration{-v.Leeway, 0, v.Leeway} {
		for after := time.Duration(0); after < MaxTTL+2*v.Leeway; after += time.Second {
			first, err := v.Verify(t.Context(), token, orders, made.Add(after+fast))
			if err != nil {
				continue
			}
			for _, slow := range []time.Duration{-v.Leeway, 0, v.Leeway} {
				if _, err := v.Verify(t.Context(), token, orders, made.Add(after+first.Remember+slow)); err == nil {
					t.Fatalf("%v after it was made, by a clock that is %v fast: it is forgotten while one that is %v fast accepts it", after, fast, slow)
				}
			}
		}
	}
}

func TestMissingKeysAreNoFaultOfTheAssertion(t *testing.T) {
	v := testVerifier(t)
	v.Keys = noKeys{}
	_, err := v.Verify(t.Context(), forged(header(""), goodClaims(), private), orders, testNow)
	var failure *Failure
	if !errors.As(err, &failure) || failure.Kind != KeysUnavailable {
		t.Errorf("got %v", err)
	}
}

type noKeys struct{}

func (noKeys) Keys(time.Time) (*jwt.KeySet, error) { return nil, errors.New("none") }
func (noKeys) Missed(context.Context, *jwt.KeySet) (*jwt.KeySet, error) {
	return nil, errors.New("none")
}

func TestOnlyP256KeysSign(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(p384); err == nil {
		t.Error("a P-384 key is accepted")
	}
}

func TestACallerWithTooMuchIsRefusedWhereItIsKnown(t *testing.T) {
	caller := &principal.Principal{ID: "x", Roles: make([]string, 2000)}
	for i := range caller.Roles {
		caller.Roles[i] = "a-role"
	}
	if _, err := NewMaker("i", "a", MaxTTL).Make(testKey, orders, "", caller, testNow); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v", err)
	}
}

// FuzzClaims feeds the verifier claims that the right key signed. What it accepts
// must mean the same to encoding/json and be about the request.
func FuzzClaims(f *testing.F) {
	f.Add(goodClaims())
	f.Add(goodClaims(`"sub"`, `"x"`))
	f.Add(goodClaims(`"aud":"orders"`, `"aud":"orders","aud":"orders"`))
	f.Add(goodClaims(`"GET"`, `"\u0047ET"`))
	f.Add(goodClaims(`1800000030`, `18e8`))
	f.Add("{}")
	v := testVerifier(f)
	f.Fuzz(func(t *testing.T, claims string) {
		got, err := v.Verify(t.Context(), forged(header(""), claims, private), orders, testNow)
		if err != nil {
			if failure := (*Failure)(nil); !errors.As(err, &failure) {
				t.Fatalf("%v is not a Failure", err)
			}
			return
		}
		var theirs struct {
			Aud, Iss, Htm, Path, Jti string
			Exp, Iat                 int64
			Sub                      *string
		}
		if err := json.Unmarshal([]byte(claims), &theirs); err != nil {
			t.Fatalf("encoding/json refuses: %v", err)
		}
		if theirs.Aud != "orders" || theirs.Iss != "sallyport" || theirs.Htm != "GET" || theirs.Path != orders.Path || theirs.Jti != got.ID ||
			theirs.Exp-theirs.Iat > 30 || theirs.Exp+5 <= testNow.Unix() || theirs.Iat-5 > testNow.Unix() {
			t.Fatalf("accepted: %s", claims)
		}
		if got.Caller != nil && (theirs.Sub == nil || *theirs.Sub != got.Caller.ID) {
			t.Fatalf("the caller is %q in %s", got.Caller.ID, claims)
		}
	})
}

// FuzzMake makes assertions about any request and caller: each is read back as
// what it was made of.
func FuzzMake(f *testing.F) {
	f.Add("GET", "/a", "b=c", "ada", "role", "aud")
	f.Add("P", "/\x00\"\\", "\xff", "é\u2028", "</script>", "\x7f")
	f.Fuzz(func(t *testing.T, method, path, query, sub, role, audience string) {
		to := Target{method, path, query}
		caller := &principal.Principal{ID: sub, Method: "jwt", Roles: []string{role}}
		token, err := NewMaker("i", audience, MaxTTL).Make(testKey, to, "", caller, testNow)
		if errors.Is(err, ErrTooLong) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		valid := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Htm, Path, Sub, Aud string
			Roles               []string
		}
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatalf("%v: %s", err, payload)
		}
		// A run of bad bytes is one U+FFFD to ToValidUTF8 and several here.
		squeeze := func(s string) string {
			for strings.Contains(s, "\ufffd\ufffd") {
				s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
			}
			return s
		}
		for _, pair := range [][2]string{{got.Htm, method}, {got.Path, path}, {got.Sub, sub}, {got.Roles[0], role}, {got.Aud, audience}} {
			if squeeze(pair[0]) != squeeze(valid(pair[1])) {
				t.Fatalf("%q became %q", pair[1], pair[0])
			}
		}
	})
}

func BenchmarkMake(b *testing.B) {
	m := NewMaker("sallyport", "orders", MaxTTL)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Make(testKey, orders, "7f1c1bbd-6c7b-4d5e-9a43-3d6d0a2d3c11", ada, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := testVerifier(b)
	token, err := NewMaker("sallyport", "orders", MaxTTL).Make(testKey, orders, "7f1c1bbd-6c7b-4d5e-9a43-3d6d0a2d3c11", ada, testNow)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token, orders, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
