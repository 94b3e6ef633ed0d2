package jwt

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The claims of RFC 7519 section 3.1, which RFC 7515 signs in its examples.
const rfcClaims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

// The keys and signatures of RFC 7515 appendix A and RFC 8037 appendix A.
var rfcVectors = []struct {
	name, alg, jwk, jws string
}{
	{
		"RFC 7515 A.2", "RS256",
		`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
		"eyJhbGciOiJSUzI1NiJ9." + rfcClaims + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
	},
	{
		"RFC 7515 A.3", "ES256",
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		"eyJhbGciOiJFUzI1NiJ9." + rfcClaims + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
	},
	{
		"RFC 7515 A.4", "ES512",
		`{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}`,
		"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
	},
	{
		"RFC 8037 A.4", "EdDSA",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
	},
}

// The payloads of two of the vectors are no claims, so the signature layer is
// called with the segments as they are.
func TestRFCSignatures(t *testing.T) {
	for _, vector := range rfcVectors {
		t.Run(vector.name, func(t *testing.T) {
			set := keySet(t, vector.jwk)
			at := strings.LastIndexByte(vector.jws, '.')
			sig, err := decodeSegment(vector.jws[at+1:])
			if err != nil {
				t.Fatal(err)
			}
			p := &parsed{signed: vector.jws[:at], signature: sig}
			if err := set.check(p, algorithms[vector.alg]); err != nil {
				t.Error(err)
			}
			for _, other := range rfcVectors {
				if other.alg == vector.alg {
					continue
				}
				if set.check(p, algorithms[other.alg]) != errKey {
					t.Errorf("verifies as %s", other.alg)
				}
			}
			sig[7] ^= 1
			if set.check(p, algorithms[vector.alg]) != errSignature {
				t.Error("verifies with another signature")
			}
			sig[7] ^= 1
			if p.signed += "A"; set.check(p, algorithms[vector.alg]) != errSignature {
				t.Error("verifies with another payload")
			}
		})
	}
}

// A moment at which the tokens of the RFCs had not expired.
var rfcNow = time.Unix(1300819300, 0)

func TestRFCTokens(t *testing.T) {
	set := keySet(t, rfcVectors[0].jwk, rfcVectors[1].jwk)
	v, err := NewVerifier(Issuer{Name: "joe", Audiences: []string{"x"}, Algorithms: Algorithms(), Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		want        error
	}{
		{"RFC 7519 3.1 is signed with HS256", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfcClaims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", errAlgorithm},
		{"RFC 7519 6.1 is not signed", "eyJhbGciOiJub25lIn0." + rfcClaims + ".", errAlgorithm},
		{"RFC 7515 A.1 is signed with HS256", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfcClaims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", errAlgorithm},
		{"RFC 7515 A.2 verifies, and has no audience", rfcVectors[0].jws, errAudience},
		{"RFC 7515 A.3 verifies, and has no audience", rfcVectors[1].jws, errAudience},
		{"RFC 7515 A.4 signs no claims", rfcVectors[2].jws, errJSON},
		{"RFC 7515 A.5 is not signed", "eyJhbGciOiJub25lIn0." + rfcClaims + ".", errAlgorithm},
		{"RFC 7515 E has a critical parameter", "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.", errCritical},
		{"RFC 7516 A.1 is encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA", errSegments},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := v.Verify(t.Context(), test.token, rfcNow); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// RFC 7515 A.1, whose key has 64 bytes, and RFC 7519 3.1, which is the same token.
func TestRFCSecret(t *testing.T) {
	const token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfcClaims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	secret := must(decodeSegment("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
	for change, want := range map[byte]error{0: errAudience, 1: errSignature} {
		value := slices.Clone(secret)
		value[63] ^= change
		v, err := NewVerifier(Issuer{Name: "joe", Audiences: []string{"x"}, Algorithms: SecretAlgorithms(), Secrets: []Secret{must(NewSecret("a", string(value)))}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), token, rfcNow); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
