package jwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// FuzzToken feeds the verifier tokens with any header and any claims, signed
// with the right key, so that the parser alone stands between them and
// acceptance. What is accepted must have one spelling only and mean the same to
// golang-jwt and encoding/json.
func FuzzToken(f *testing.F) {
	f.Add(`{"alg":"EdDSA","kid":"ed"}`, claims(""), "")
	f.Add(`{"alg":"EdDSA"}`, claims(`realm_access:{"roles":["a"]}`), "")
	f.Add(`{"alg":"EdDSA","crit":["exp"]}`, claims("exp:1e9"), "")
	f.Add(`{"alg":"EdDSA","alg":"none"}`, claims(`\u0065xp:1.5`), "=")
	f.Add(` { "alg" : "EdDSA" } `, claims("nbf:1800000000.25")+"\n", "A")
	f.Add(`{"alg":"none"}`, `{"iss":"https://issuer.example","aud":[["x"]]}`, ".")
	v := testVerifier(f)
	f.Fuzz(func(t *testing.T, header, claims, tail string) {
		token := sign("EdDSA", edKey, header, claims) + tail
		got, err := v.Verify(t.Context(), token, testNow)
		if err != nil {
			if failure := (*Failure)(nil); !errors.As(err, &failure) {
				t.Fatalf("%v is not a Failure", err)
			}
			return
		}
		for segment := range strings.SplitSeq(token, ".") {
			decoded, err := base64.RawURLEncoding.DecodeString(segment)
			if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != segment {
				t.Fatalf("segment %q has another spelling", segment)
			}
		}
		parser := golangjwt.NewParser(
			golangjwt.WithJSONNumber(), golangjwt.WithStrictDecoding(), golangjwt.WithValidMethods([]string{"EdDSA"}),
			golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(), golangjwt.WithLeeway(DefaultLeeway+time.Second),
			golangjwt.WithTimeFunc(func() time.Time { return testNow }), golangjwt.WithIssuer(testIssuer),
		)
		theirs := golangjwt.MapClaims{}
		if _, err := parser.ParseWithClaims(token, theirs, func(*golangjwt.Token) (any, error) { return edKey.Public(), nil }); err != nil {
			t.Fatalf("golang-jwt refuses: %v", err)
		}
		if !reflect.DeepEqual(got.Principal.Claims, map[string]any(theirs)) {
			t.Fatalf("claims differ:\n%v\n%v", got.Principal.Claims, theirs)
		}
	})
}

// FuzzParse feeds raw tokens to the parser.
func FuzzParse(f *testing.F) {
	f.Add(signed(claims("")))
	for _, vector := range rfcVectors {
		f.Add(vector.jws)
	}
	f.Add("a.b.c")
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiIifQ.e30.AB")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parse(token)
		if err != nil {
			return
		}
		if p.signed+"."+base64.RawURLEncoding.EncodeToString(p.signature) != token {
			t.Fatal("the token has another spelling")
		}
		issuer, errIssuer := p.issuer()
		claims, _, err := p.claims()
		for i, segment := range strings.Split(p.signed, ".") {
			decoded, errBase64 := base64.RawURLEncoding.DecodeString(segment)
			if errBase64 != nil || base64.RawURLEncoding.EncodeToString(decoded) != segment || !json.Valid(decoded) && (i == 0 || err == nil) {
				t.Fatalf("segment %q is not strict", segment)
			}
		}
		if err != nil {
			return
		}
		if iss, _ := claims["iss"].(string); iss != issuer || errIssuer != nil {
			t.Fatalf("the keys are those of %q, the claims are of %q", issuer, iss)
		}
	})
}

// FuzzJSON compares the decoder with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,-0.5e+7,"x\n\ud83d\ude00\/",{"b":null}],"c":true}`, `{"a":1,"a":2}`, `{"a":01}`, `{"a":1.}`, `{"a":1e}`,
		` { "a" : [ ] } `, `{"a":"\ud800"}`, `{"\u0061":1,"a":2}`, `{"a":"\u00"}`, `{"a":tru}`, `{"a"}`, `{,}`, `[`, "{\"a\":\"\x7f\u2028\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := decodeObject(text)
		if err != nil {
			// What is valid for encoding/json may only be refused for a reason.
			if err == errJSON && json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") &&
				!strings.Contains(strings.ToLower(text), `\ud`) {
				t.Fatalf("refused: %q", text)
			}
			return
		}
		var want map[string]any
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.UseNumber()
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
		if decoder.More() {
			t.Fatalf("more than one value in %q", text)
		}
	})
}

// FuzzJWKS parses anything as a key set. What is accepted must be usable and
// within the bounds.
func FuzzJWKS(f *testing.F) {
	f.Add([]byte(jwksOf(jwkOf("r", &rsaKey.PublicKey), jwkOf("e", &ecKey.PublicKey), jwkOf("o", edKey.Public()))))
	f.Add([]byte(jwksOf(`{"kty":"oct","k":"AA"}`, `{"kty":"OKP","kty":"OKP"}`, jwkOf("o", edKey.Public()))))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Add([]byte(`{"a":{"keys":[]},"keys":[[]]}`))
	p := &parsed{signed: "x", signature: make([]byte, 64)}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseJWKS(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted what is no JSON")
		}
		if set.Len() == 0 || set.Len()+len(set.Skipped()) > maxKeys {
			t.Fatalf("%d keys, %d left out", set.Len(), len(set.Skipped()))
		}
		for _, alg := range algorithms {
			if err := set.check(p, alg); err == nil {
				t.Fatal("a signature of zeros verifies")
			}
		}
	})
}
