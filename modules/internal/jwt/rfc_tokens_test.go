package jwt

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The key and the token of RFC 7515 appendix A.1, which RFC 7519 section 3.1 shows.
const (
	rfcSecret    = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	rfcHMACToken = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfcClaims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

func TestTheHMACOfRFC7515(t *testing.T) {
	raw, err := base64.RawURLEncoding.DecodeString(rfcSecret)
	if err != nil {
		t.Fatal(err)
	}
	secret := must(NewSecret("joe", string(raw)))
	v, err := NewVerifier(Issuer{Name: "joe", Audiences: []string{"x"}, Algorithms: []string{"HS256"}, Secrets: []Secret{secret}})
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndexByte(rfcHMACToken, '.')
	tests := []struct {
		name, token string
		want        error
	}{
		{"the token verifies, and has no audience", rfcHMACToken, errAudience},
		{"another payload", strings.Replace(rfcHMACToken, rfcClaims, b64(`{"iss":"joe","exp":1300819380,"http://example.com/is_root":false}`), 1), errSignature},
		{"another signature", rfcHMACToken[:at+1] + "e" + rfcHMACToken[at+2:], errSignature},
		{"RFC 7515 A.5 is not signed", "eyJhbGciOiJub25lIn0." + rfcClaims + ".", errAlgorithm},
		{"RFC 7797 4.1 signs no claims", b64(`{"alg":"HS256"}`) + "." + b64("$.02") + ".5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ", errJSON},
		{"RFC 7797 4.2 has b64", b64(`{"alg":"HS256","b64":false,"crit":["b64"]}`) + "..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY", errUnencoded},
	}
	for _, tt := range tests {
		if _, err := v.Verify(t.Context(), tt.token, rfcNow); err != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	// The secret as RFC 7515 writes it is another one: it is taken as it is.
	v, err = NewVerifier(Issuer{Name: "joe", Audiences: []string{"x"}, Algorithms: []string{"HS256"}, Secrets: []Secret{must(NewSecret("joe", rfcSecret))}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), rfcHMACToken, rfcNow); err != errSignature {
		t.Errorf("under the secret's base64: %v", err)
	}
}

// The access token of RFC 9068 section 3, signed here, and without each of the
// claims that section 2.2 requires.
func TestTheAccessTokenOfRFC9068(t *testing.T) {
	members := []struct{ name, value string }{
		{"iss", `"https://authorization-server.example.com/"`},
		{"sub", `"5ba552d67"`},
		{"aud", `"https://rs.example.com/"`},
		{"exp", `1639528912`},
		{"iat", `1618354090`},
		{"jti", `"dbe39bf3a3ba4238a513f51d6e1691c4"`},
		{"client_id", `"s6BhdRkqt3"`},
		{"scope", `"openid profile reademail"`},
	}
	token := func(typ, without string) string {
		var kept []string
		for _, m := range members {
			if m.name != without {
				kept = append(kept, fmt.Sprintf("%q:%s", m.name, m.value))
			}
		}
		header := fmt.Sprintf(`{"typ":%q,"alg":"RS256","kid":"RjEwOwOA"}`, typ)
		return sign("RS256", rsaKey, header, "{"+strings.Join(kept, ",")+"}")
	}
	v, err := NewVerifier(Issuer{
		Name: "https://authorization-server.example.com/", Audiences: []string{"https://rs.example.com/"}, Algorithms: []string{"RS256"},
		Keys: keySet(t, jwkOf("RjEwOwOA", &rsaKey.PublicKey)), Type: TypeAccessToken, ScopesClaims: []string{"scope"},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1618354100, 0)
	got, err := v.Verify(t.Context(), token("at+JWT", ""), now)
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Principal; p.ID != "5ba552d67" || !slices.Equal(p.Scopes, []string{"openid", "profile", "reademail"}) {
		t.Errorf("got %+v", p)
	}
	for _, m := range members {
		_, err := v.Verify(t.Context(), token("at+JWT", m.name), now)
		if required := m.name != "scope"; required != (err != nil) {
			t.Errorf("without %s: %v", m.name, err)
		}
	}
	for typ, accepted := range map[string]bool{"application/at+jwt": true, "JWT": false, "jwt": false, "id_token": false, "": false} {
		if _, err := v.Verify(t.Context(), token(typ, ""), now); accepted != (err == nil) {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
}
