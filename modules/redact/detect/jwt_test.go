package detect

import (
	"encoding/base64"
	"strings"
	"testing"
)

func jwtOf(header string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30.c2ln"
}

func TestJWT(t *testing.T) {
	one := func(s string) []string { return []string{"jwt:" + s} }
	// RFC 7515 §A.1 and RFC 7516 §A.1 (beginning).
	rfc7515 := "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	rfc7516 := "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGe.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvTiFvSkQ"
	long := jwtOf(`{"alg":"ES256","jwk":{"kty":"EC","x":"` + strings.Repeat("A", 2000) + `"}}`)
	runFindTests(t, []findTest{
		{"signed", goodJWT, one(goodJWT)},
		{"signed, of RFC 7515", rfc7515, one(rfc7515)},
		{"encrypted, of RFC 7516", rfc7516, one(rfc7516)},
		{"behind Bearer", "Bearer " + goodJWT + "\r\n", one(goodJWT)},
		{"in an encoded URL", "token%3D" + goodJWT + "&x", one(goodJWT)},
		{"without a signature", "eyJhbGciOiJub25lIn0.e30.", one("eyJhbGciOiJub25lIn0.e30.")},
		{"with a detached payload", "eyJhbGciOiJIUzI1NiJ9..c2ln", one("eyJhbGciOiJIUzI1NiJ9..c2ln")},
		{"cut off behind the header", "eyJhbGciOiJIUzI1NiJ9.", one("eyJhbGciOiJIUzI1NiJ9.")},
		{"with spaces in the header", jwtOf(`{ "alg": "HS256" }`), one(jwtOf(`{ "alg": "HS256" }`))},
		{"with lines in the header", jwtOf("{\r\n  \"alg\": \"HS256\"\r\n}"), one(jwtOf("{\r\n  \"alg\": \"HS256\"\r\n}"))},
		{"with a key in the header", jwtOf(`{"jwk":{"kty":"EC","crv":["P-256"]},"crit":["b64"],"b64":false,"alg":"ES256"}`),
			one(jwtOf(`{"jwk":{"kty":"EC","crv":["P-256"]},"crit":["b64"],"b64":false,"alg":"ES256"}`))},
		{"with an escaped string in the header", jwtOf(`{"kid":"a\"b","alg":"ES256"}`), one(jwtOf(`{"kid":"a\"b","alg":"ES256"}`))},
		{"with a very long header", long, one(long)},

		{"base64 of other JSON is none", jwtOf(`{"page":2,"size":50}`), nil},
		{"a nested alg is none", jwtOf(`{"a":{"alg":"x"}}`), nil},
		{"a nested alg behind another member is none", jwtOf(`{"a":{"b":1,"alg":"x"}}`), nil},
		{"alg in an array is none", jwtOf(`{"a":[1,"alg"]}`), nil},
		{"a very long header without alg is none", jwtOf(`{"x":"` + strings.Repeat("A", 2000) + `"}`), nil},
		{"a header without an end is none", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"`)) + ".e30.x", nil},
		{"a header that goes on is none", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}}`)) + ".e30.x", nil},
		{"a header alone is none", "eyJhbGciOiJIUzI1NiJ9", nil},
		{"inside a word is none", "xeyJhbGciOiJIUzI1NiJ9.e30.x", nil},
		{"names are none", "John Jones, they say: heyJude.mp3", nil},
	})
}
