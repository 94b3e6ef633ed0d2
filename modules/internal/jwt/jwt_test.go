package jwt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// The tests' clock stands still at this moment.
var testNow = time.Unix(1_800_000_000, 0)

const (
	testIssuer   = "https://issuer.example"
	otherIssuer  = "https://other.example"
	testAudience = "https://api.example.com"
)

var (
	rsaKey   = must(rsa.GenerateKey(rand.Reader, 2048))
	otherRSA = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey    = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ec384    = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	ec521    = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	edKey    = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a token of any header and claims text.
func sign(alg string, key any, header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	sig, err := golangjwt.GetSigningMethod(alg).Sign(signed, key)
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// signed is a good RS256 token with these claims.
func signed(claims string) string {
	return sign("RS256", rsaKey, `{"alg":"RS256","kid":"rsa"}`, claims)
}

// claims makes claims that are good but for the members in change, which
// replace or, as "-", remove the good ones.
func claims(change string) string {
	all := []struct{ name, value string }{
		{"iss", `"` + testIssuer + `"`}, {"aud", `"` + testAudience + `"`}, {"sub", `"alice"`},
		{"exp", fmt.Sprint(testNow.Unix() + 600)}, {"iat", fmt.Sprint(testNow.Unix() - 60)},
	}
	name, value, _ := strings.Cut(change, ":")
	var members []string
	for _, c := range all {
		switch {
		case c.name != name:
			members = append(members, fmt.Sprintf("%q:%s", c.name, c.value))
		case value == "-":
			name = ""
		default:
			members = append(members, fmt.Sprintf("%q:%s", name, value))
			name = ""
		}
	}
	if name != "" {
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func jwkOf(id string, public crypto.PublicKey) string {
	octets := func(n *big.Int, size int) string {
		b := make([]byte, size)
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(b))
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"}`, id, octets(p.N, p.Size()))
	case *ecdsa.PublicKey:
		point := must(p.Bytes())[1:] // behind the mark of an uncompressed point
		x, y := point[:len(point)/2], point[len(point)/2:]
		return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q}`, id, p.Curve.Params().Name,
			base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y))
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q}`, id, base64.RawURLEncoding.EncodeToString(p))
	}
	panic("unknown key")
}

func jwksOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func keySet(t testing.TB, keys ...string) *KeySet {
	t.Helper()
	set, err := ParseKeys([]byte(jwksOf(keys...)))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// testVerifier knows one issuer with a key of each type, and another issuer.
func testVerifier(t testing.TB) *Verifier {
	t.Helper()
	v, err := NewVerifier(
		Issuer{
			Name: testIssuer, Audiences: []string{testAudience, "second"}, Algorithms: Algorithms(), Leeway: DefaultLeeway,
			ScopesClaims: []string{"scope"}, RolesClaims: []string{"realm_access.roles"}, TierClaim: "tier",
			Keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey), jwkOf("ec", &ecKey.PublicKey), jwkOf("ec384", &ec384.PublicKey),
				jwkOf("ec521", &ec521.PublicKey), jwkOf("ed", edKey.Public())),
		},
		Issuer{
			Name: otherIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"},
			Keys: keySet(t, jwkOf("rsa", &otherRSA.PublicKey)),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// judge returns the detail of the refusal, or "" if the token is accepted.
func judge(v *Verifier, token string) string {
	_, err := v.Verify(context.Background(), token, testNow)
	var failure *Failure
	if err != nil && !errors.As(err, &failure) {
		return "not a Failure: " + err.Error()
	}
	if err != nil {
		return failure.Detail
	}
	return ""
}

func TestEachAlgorithmVerifiesWithItsKey(t *testing.T) {
	v := testVerifier(t)
	for alg, key := range map[string]struct {
		id      string
		private crypto.Signer
	}{
		"RS256": {"rsa", rsaKey}, "RS384": {"rsa", rsaKey}, "RS512": {"rsa", rsaKey},
		"PS256": {"rsa", rsaKey}, "PS384": {"rsa", rsaKey}, "PS512": {"rsa", rsaKey},
		"ES256": {"ec", ecKey}, "ES384": {"ec384", ec384}, "ES512": {"ec521", ec521}, "EdDSA": {"ed", edKey},
	} {
		for _, header := range []string{
			fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, key.id),
			fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, alg), // no kid: all keys that fit
		} {
			token := sign(alg, key.private, header, claims(""))
			if got := judge(v, token); got != "" {
				t.Errorf("%s: %s", header, got)
			}
			broken := []byte(token)
			if broken[len(token)-20] ^= 1; strings.ContainsRune("./:@[`{^,", rune(broken[len(token)-20])) {
				broken[len(token)-20] ^= 3
			}
			if got := judge(v, string(broken)); got == "" {
				t.Errorf("%s: accepted with another signature", header)
			}
		}
	}
	if len(Algorithms()) != 10 {
		t.Errorf("%d algorithms, test covers 10", len(Algorithms()))
	}
}

func TestPrincipal(t *testing.T) {
	tests := []struct {
		name, claims string
		want         string // the principal as JSON without claims, or a refusal
	}{
		{"subject and issuer identify the caller", claims(""), `["alice","https://issuer.example","jwt",null,null,""]`},
		{"scopes are words between spaces", claims(`scope:"orders:read  orders:write"`), `["alice","https://issuer.example","jwt",["orders:read","orders:write"],null,""]`},
		{"scopes may be an array", claims(`scope:["a","b"]`), `["alice","https://issuer.example","jwt",["a","b"],null,""]`},
		{"a scope with a tab or a no-break space grants nothing", claims(`scope:"a\tadmin b\u00a0admin c"`), `["alice","https://issuer.example","jwt",["c"],null,""]`},
		{"an array element with a space is no two scopes", claims(`scope:["a admin"]`), `["alice","https://issuer.example","jwt",[],null,""]`},
		{"scopes of another type are refused", claims(`scope:7`), errMapped.Detail},
		{"a scope of another type is refused", claims(`scope:["a",7]`), errMapped.Detail},
		{"roles stand at a nested path", claims(`realm_access:{"roles":["owner","admin"]}`), `["alice","https://issuer.example","jwt",null,["owner","admin"],""]`},
		{"a role with a comma is one role", claims(`realm_access:{"roles":["user,admin"]}`), `["alice","https://issuer.example","jwt",null,["user,admin"],""]`},
		{"a claim with the whole name wins over the path", claims(`realm_access.roles:"one"`), `["alice","https://issuer.example","jwt",null,["one"],""]`},
		{"a role with a line break is left out", claims(`realm_access:{"roles":["a\nb","c",""]}`), `["alice","https://issuer.example","jwt",null,["c"],""]`},
		{"a path that leads through something else finds nothing", claims(`realm_access:["roles"]`), `["alice","https://issuer.example","jwt",null,null,""]`},
		{"roles of another type are refused", claims(`realm_access:{"roles":{"admin":true}}`), errMapped.Detail},
		{"null is no role", claims(`realm_access:{"roles":null}`), `["alice","https://issuer.example","jwt",null,null,""]`},
		{"tier is a string", claims(`tier:"gold"`), `["alice","https://issuer.example","jwt",null,null,"gold"]`},
		{"a tier of another type is refused", claims(`tier:1`), errMapped.Detail},
		{"a tier with a line break is refused", claims(`tier:"gold\n"`), errMapped.Detail},
		{"a token without sub is refused", claims("sub:-"), errSubject.Detail},
		{"a numeric sub is refused, it might have been rounded", claims("sub:9007199254740993"), errSubject.Detail},
		{"an empty sub is refused", claims(`sub:""`), errSubject.Detail},
		{"a sub with CR LF is refused", claims(`sub:"alice\r\nX-Role: admin"`), errSubject.Detail},
		{"a sub with NUL is refused", claims(`sub:"alice\u0000"`), errSubject.Detail},
		{"a sub of 2 kB is refused", claims(`sub:"` + strings.Repeat("a", 2048) + `"`), errSubject.Detail},
		{"a claim SUB next to sub is another claim", claims(`SUB:"root"`), `["alice","https://issuer.example","jwt",null,null,""]`},
		{"a claim Sub alone is no sub", strings.Replace(claims(""), `"sub"`, `"Sub"`, 1), errSubject.Detail},
	}
	v := testVerifier(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token, err := v.Verify(t.Context(), signed(test.claims), testNow)
			if err != nil {
				if err.Error() != test.want {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			p := token.Principal
			got, _ := json.Marshal([]any{p.ID, p.Issuer, p.Method, p.Scopes, p.Roles, p.Tier})
			if string(got) != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestNumbersStayExact(t *testing.T) {
	token, err := testVerifier(t).Verify(t.Context(), signed(claims("id:9007199254740993")), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if got := token.Principal.Claims["id"]; got != json.Number("9007199254740993") {
		t.Errorf("got %v", got)
	}
}
