package jwt

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// secretVerifier knows testIssuer by secrets.
func secretVerifier(t testing.TB, names []string, secrets ...Secret) *Verifier {
	t.Helper()
	v, err := NewVerifier(Issuer{
		Name: testIssuer, Audiences: []string{testAudience}, Algorithms: names, Secrets: secrets, Leeway: DefaultLeeway,
		ScopesClaims: []string{"scope"}, RolesClaims: []string{"realm_access.roles"}, TierClaim: "tier",
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// longSecret has n bytes, which differ by c.
func longSecret(n int, c string) string { return strings.Repeat(c+"0123456789abcdef", 8)[:n] }

func hs(alg, kid, secret string) string {
	header := fmt.Sprintf(`{"alg":%q}`, alg)
	if kid != "" {
		header = fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid)
	}
	return sign(alg, []byte(secret), header, claims(""))
}

func TestSecretsAreSelected(t *testing.T) {
	a, b := longSecret(64, "a"), longSecret(64, "b")
	v := secretVerifier(t, SecretAlgorithms(), must(NewSecret("2026-10", a)), must(NewSecret("2026-11", b)))
	tests := []struct {
		name, token string
		want        *Failure
	}{
		{"HS256 with its kid", hs("HS256", "2026-10", a), nil},
		{"HS384 with its kid", hs("HS384", "2026-11", b), nil},
		{"HS512 with its kid", hs("HS512", "2026-11", b), nil},
		{"without kid, the first", hs("HS256", "", a), nil},
		{"without kid, the second", hs("HS512", "", b), nil},
		{"with the other's kid", hs("HS256", "2026-11", a), errSignature},
		{"with an unknown kid", hs("HS256", "2026-12", a), errKey},
		{"under another secret", hs("HS256", "", longSecret(64, "c")), errSignature},
		{"under a part of the secret", hs("HS256", "", a[:63]), errSignature},
		{"under the secret as hexadecimal digits", hs("HS256", "", hex.EncodeToString([]byte(a))), errSignature},
		{"under the secret as base64", hs("HS256", "", base64.StdEncoding.EncodeToString([]byte(a))), errSignature},
		{"under the secret's name", hs("HS256", "2026-10", "2026-10"), errSignature},
		{"under an empty secret", hs("HS256", "2026-10", ""), errSignature},
		{"HS256 that says HS512", strings.Replace(hs("HS512", "2026-10", a), b64(`{"alg":"HS512"`)[:19], b64(`{"alg":"HS256"`)[:19], 1), errSignature},
		{"a signature that is cut short", hs("HS256", "2026-10", a)[:len(hs("HS256", "2026-10", a))-3], errSignature},
		{"without a signature", hs("HS256", "2026-10", a)[:strings.LastIndexByte(hs("HS256", "2026-10", a), '.')+1], errSignature},
		{"signed with a private key", signed(claims("")), errAlgorithm},
		{"not signed", b64(`{"alg":"none"}`) + "." + b64(claims("")) + ".", errAlgorithm},
	}
	for _, test := range tests {
		want := ""
		if test.want != nil {
			want = test.want.Detail
		}
		for range 2 {
			if got := judge(v, test.token); got != want {
				t.Errorf("%s: got %q, want %q", test.name, got, want)
			}
		}
	}
	long := sign("HS256", []byte(a), `{"alg":"HS256"}`, claims(`x:"`+strings.Repeat("x", 5000)+`"`))
	if got := judge(v, long); got != "" {
		t.Errorf("a long token: %q", got)
	}
}

func TestAlgorithmIsTheIssuersChoice(t *testing.T) {
	s := longSecret(64, "a")
	v := secretVerifier(t, []string{"HS384"}, must(NewSecret("a", s)))
	for alg, want := range map[string]string{"HS256": errAlgorithm.Detail, "HS384": "", "HS512": errAlgorithm.Detail} {
		if got := judge(v, hs(alg, "a", s)); got != want {
			t.Errorf("%s: got %q", alg, got)
		}
	}
}

func TestSecretIsRefused(t *testing.T) {
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey))}))
	for name, test := range map[string]struct{ name, value, want string }{
		"without a name":            {"", longSecret(64, "a"), "the name, which is the kid"},
		"with a line break in it":   {"a\nb", longSecret(64, "a"), "the name, which is the kid"},
		"with a name of 300 bytes":  {strings.Repeat("a", 300), longSecret(64, "a"), "the name, which is the kid"},
		"the issuer's public key":   {"a", block, "a PEM block"},
		"a key with text before it": {"a", "key:\n" + block, "a PEM block"},
	} {
		_, err := NewSecret(test.name, test.value)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: the value stands in the error", name)
		}
	}

	secretOf := func(n int) Secret { return must(NewSecret("a", longSecret(n, "a"))) }
	five := make([]Secret, 5)
	for i := range five {
		five[i] = must(NewSecret(fmt.Sprint(i), longSecret(32, "a")))
	}
	public := keySet(t, jwkOf("rsa", &rsaKey.PublicKey))
	tests := []struct {
		name       string
		algorithms string
		keys       KeySource
		secrets    []Secret
		want       string
	}{
		{"32 bytes do for HS256", "HS256", nil, []Secret{secretOf(32)}, ""},
		{"31 do not", "HS256", nil, []Secret{secretOf(31)}, "secret a is shorter than the 32 bytes that HS256 needs"},
		{"48 bytes do for HS384", "HS384", nil, []Secret{secretOf(48)}, ""},
		{"47 do not", "HS384", nil, []Secret{secretOf(47)}, "the 48 bytes that HS384 needs"},
		{"64 bytes do for HS512", "HS512", nil, []Secret{secretOf(64)}, ""},
		{"63 do not", "HS512", nil, []Secret{secretOf(63)}, "the 64 bytes that HS512 needs"},
		{"the longest hash counts", "HS256 HS512", nil, []Secret{secretOf(32)}, "the 64 bytes that HS512 needs"},
		{"each secret counts", "HS512", nil, []Secret{secretOf(64), must(NewSecret("b", longSecret(63, "b")))}, "secret b is shorter"},
		{"S2: an HS algorithm with public keys", "RS256 HS256", public, nil, "a public key must never check an HMAC"},
		{"S2: an HS algorithm with public keys alone", "HS256", public, nil, "a public key must never check an HMAC"},
		{"S2: both kinds of keys", "RS256 HS256", public, []Secret{secretOf(32)}, "has both keys and secrets"},
		{"S2: both kinds of algorithms", "RS256 HS256", nil, []Secret{secretOf(32)}, "secrets, which are only for"},
		{"secrets for another algorithm", "RS256", nil, []Secret{secretOf(32)}, "secrets, which are only for"},
		{"neither keys nor secrets", "HS256", nil, nil, "has no keys"},
		{"one name twice", "HS256", nil, []Secret{secretOf(32), secretOf(33)}, `two secrets with the name "a"`},
		{"a secret that nobody made", "HS256", nil, []Secret{{}}, "a secret without value"},
		{"J7: five secrets", "HS256", nil, five, "at most 4"},
	}
	for _, test := range tests {
		_, err := NewVerifier(Issuer{Name: "i", Audiences: []string{"x"}, Algorithms: strings.Fields(test.algorithms), Keys: test.keys, Secrets: test.secrets})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: the value stands in the error", test.name)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	value := longSecret(32, "a")
	secret := must(NewSecret("named", value))
	v := secretVerifier(t, []string{"HS256"}, secret)
	if got := judge(v, hs("HS256", "named", value)); got != "" {
		t.Fatal(got)
	}
	i := v.issuers[testIssuer]
	for name, thing := range map[string]any{
		"the secret": secret, "a pointer to it": &secret, "the configuration": Issuer{Secrets: []Secret{secret}},
		"the key set": i.keys, "its key": i.keys.(*KeySet).keys[0], "the issuer": i, "by value": *i, "the verifier": v,
	} {
		var printed strings.Builder
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&printed, format, thing)
		}
		text, _ := json.Marshal(thing)
		printed.Write(text)
		for what, form := range map[string]string{
			"plain": value[:16], "hexadecimal": hex.EncodeToString([]byte(value[:16])), "bytes": strings.Trim(fmt.Sprint([]byte(value[:16])), "[]"),
			"base64": base64.StdEncoding.EncodeToString([]byte(value[:15])), "Go": strings.Trim(fmt.Sprintf("%#v", []byte(value[:8])), "[]byte{}"),
		} {
			if strings.Contains(printed.String(), form) {
				t.Errorf("%s shows the value, %s", name, what)
			}
		}
	}
}

// Making an HMAC takes eight allocations. The race detector makes the pool drop some.
func TestHMACIsUsedAgain(t *testing.T) {
	check := newMAC(algorithms["HS256"].hash, []byte(longSecret(32, "a")))
	text, signature := strings.Repeat("x", 2000), make([]byte, 32)
	if n := testing.AllocsPerRun(100, func() { check(text, signature) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}
