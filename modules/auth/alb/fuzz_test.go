package alb

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// FuzzAssertion feeds the verifier assertions with any header and any claims, signed
// with the right key, so that the checks alone stand between them and acceptance.
// What is accepted names a configured balancer, client and issuer, and has one spelling.
func FuzzAssertion(f *testing.F) {
	f.Add(header(nil), claims, "")
	f.Add(header(map[string]any{"signer": theirs}), claims, "")
	f.Add(header(map[string]any{"kid": "../../x"}), claims, "")
	f.Add(header(map[string]any{"exp": 1e300}), claims, "=")
	f.Add(strings.Replace(header(nil), "{", `{"signer":"x",`, 1), claims, "")
	f.Add(`{"alg":"ES256"}`, `{}`, "A")
	f.Add(" "+header(nil)+" ", `{"sub":"\u0061"}`, "")
	s := newServer()
	v := newVerifier(f, s)
	f.Fuzz(func(t *testing.T, header, claims, tail string) {
		assertion := sign(key, header, claims) + tail
		who, err := v.Verify(t.Context(), assertion, testNow)
		if err != nil {
			if who != nil {
				t.Fatalf("refused and accepted: %+v, %v", who, err)
			}
			return
		}
		for segment := range strings.SplitSeq(assertion, ".") {
			decoded, err := base64.URLEncoding.DecodeString(segment)
			if err != nil || base64.URLEncoding.EncodeToString(decoded) != segment {
				t.Fatalf("segment %q has another spelling", segment)
			}
		}
		token, err := jwt.ParsePadded(assertion)
		if err != nil {
			t.Fatal(err)
		}
		if token.Header["signer"] != any(ours) || token.Header["client"] != any("c1") || token.Header["iss"] != any("https://idp.example") || token.KeyID != kid {
			t.Fatalf("accepted: %v", token.Header)
		}
		if until, err := jwt.NumericDate(token.Header["exp"]); err != nil || !testNow.Before(until.Add(leeway)) {
			t.Fatalf("exp %v", token.Header["exp"])
		}
		if !jwt.IsName(who.ID) {
			t.Fatalf("id %q", who.ID)
		}
	})
}

// FuzzPadded feeds raw assertions to the parser.
func FuzzPadded(f *testing.F) {
	good := sign(key, header(nil), claims)
	f.Add(good)
	f.Add(strings.ReplaceAll(good, "=", ""))
	f.Add("..")
	f.Add("e30=.e30=.")
	v := newVerifier(f, newServer())
	f.Fuzz(func(t *testing.T, assertion string) {
		who, err := v.Verify(t.Context(), assertion, testNow)
		if (who == nil) != (err != nil) {
			t.Fatalf("got %+v, %v", who, err)
		}
		if err == nil && assertion != good {
			t.Fatalf("accepted without a signature: %q", assertion)
		}
	})
}
