package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"
)

const goodHeader = `{"alg":"RS256","kid":"rsa"}`

// hmacToken signs with HS256 under any bytes.
func hmacToken(header string, secret []byte) string {
	text := b64(header) + "." + b64(claims(""))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Cases S1 to S15 of the field's attack list, as far as they concern a token.
func TestTokenIsRefused(t *testing.T) {
	der := must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := signed(claims(""))
	segments := strings.Split(good, ".")
	rs := func(header, claims string) string { return sign("RS256", rsaKey, header, claims) }

	tests := []struct {
		name, token string
		want        *Failure
	}{
		{"S1: alg none with an empty signature", b64(`{"alg":"none"}`) + "." + b64(claims("")) + ".", errAlgorithm},
		{"S1: alg None", b64(`{"alg":"None"}`) + "." + b64(claims("")) + ".", errAlgorithm},
		{"S1: alg nOnE with a signature of the real key", rs(`{"alg":"nOnE","kid":"rsa"}`, claims("")), errAlgorithm},
		{"S1: alg empty", rs(`{"alg":"","kid":"rsa"}`, claims("")), errAlgorithm},
		{"S1: no alg", rs(`{"kid":"rsa"}`, claims("")), errAlgType},
		{"S1: alg is an array", rs(`{"alg":["RS256"],"kid":"rsa"}`, claims("")), errAlgType},
		{"S1: alg in lower case", rs(`{"alg":"rs256","kid":"rsa"}`, claims("")), errAlgorithm},
		{"S2: HS256 under the public key as PEM", hmacToken(`{"alg":"HS256","kid":"rsa"}`, publicPEM), errAlgorithm},
		{"S2: HS256 under the public key as DER", hmacToken(`{"alg":"HS256"}`, der), errAlgorithm},
		{"S2: HS256 under the modulus", hmacToken(`{"alg":"HS256"}`, rsaKey.N.Bytes()), errAlgorithm},
		{"S2: an HMAC that calls itself RS256", hmacToken(goodHeader, publicPEM), errSignature},
		{"S4: HS256 under the secret of a client", hmacToken(`{"alg":"HS256"}`, []byte(longSecret(32, "c"))), errAlgorithm},
		{"S3: the header names an algorithm of another key type", rs(`{"alg":"ES256","kid":"rsa"}`, claims("")), errKey},
		{"S3: RS256 key, the header says PS256", rs(`{"alg":"PS256","kid":"rsa"}`, claims("")), errSignature},
		{"S3: ES256 with a key on another curve", sign("ES384", ec384, `{"alg":"ES256","kid":"ec384"}`, claims("")), errKey},
		{"S6: a kid that is a path", rs(`{"alg":"RS256","kid":"../../etc/passwd"}`, claims("")), errKey},
		{"S6: a kid that is SQL", rs(`{"alg":"RS256","kid":"x' OR '1'='1"}`, claims("")), errKey},
		{"S6: a kid of 300 bytes", rs(`{"alg":"RS256","kid":"`+strings.Repeat("k", 300)+`"}`, claims("")), errKidType},
		{"S6: a kid of 8 kB", rs(`{"alg":"RS256","kid":"`+strings.Repeat("k", 8<<10)+`"}`, claims("")), errHeader},
		{"S6: a kid that is a number", rs(`{"alg":"RS256","kid":7}`, claims("")), errKidType},
		{"S6: a kid that is null", rs(`{"alg":"RS256","kid":null}`, claims("")), errKidType},
		{"S6: the caller's own key in jwk", sign("RS256", otherRSA, `{"alg":"RS256","jwk":`+jwkOf("rsa", &otherRSA.PublicKey)+`}`, claims("")), errSignature},
		{"S7: crit", rs(`{"alg":"RS256","kid":"rsa","crit":["exp"]}`, claims("")), errCritical},
		{"S7: crit null", rs(`{"alg":"RS256","kid":"rsa","crit":null}`, claims("")), errCritical},
		{"S7: b64 without crit", rs(`{"alg":"RS256","kid":"rsa","b64":false}`, claims("")), errUnencoded},
		{"S8: alg twice", rs(`{"alg":"RS256","kid":"rsa","alg":"RS256"}`, claims("")), errDuplicate},
		{"S8: sub twice", rs(goodHeader, strings.Replace(claims(""), "{", `{"sub":"root",`, 1)), errDuplicate},
		{"S8: sub twice, once escaped", rs(goodHeader, strings.Replace(claims(""), "{", `{"\u0073ub":"root",`, 1)), errDuplicate},
		{"S8: a member twice, deep inside", rs(goodHeader, claims(`realm_access:{"roles":["user"],"roles":["admin"]}`)), errDuplicate},
		{"S9: data after the claims", rs(goodHeader, claims("")+"{}"), errTrailing},
		{"S9: data after the header", rs(goodHeader+"x", claims("")), errTrailing},
		{"S9: claims that are an array", rs(goodHeader, "["+claims("")+"]"), errJSON},
		{"S9: claims that are a string", rs(goodHeader, `"alice"`), errJSON},
		{"S9: empty claims", rs(goodHeader, ""), errJSON},
		{"S9: invalid UTF-8", rs(goodHeader, claims("name:\"\xff\"")), errUTF8},
		{"S9: an overlong encoding", rs(goodHeader, claims("name:\"\xc0\xaf\"")), errUTF8},
		{"S9: half of a surrogate pair", rs(goodHeader, claims(`name:"\ud800"`)), errJSON},
		{"S9: a raw NUL in a string", rs(goodHeader, claims("name:\"\x00\"")), errJSON},
		{"S9: a byte order mark", rs(goodHeader, "\ufeff"+claims("")), errJSON},
		{"S10: padding", segments[0] + "==." + segments[1] + "." + segments[2], errBase64},
		{"S10: padding of the signature", good + "==", errBase64},
		{"S10: a space before the token", " " + good, errBase64},
		{"S10: a line break in the token", good[:5] + "\n" + good[5:], errBase64},
		{"S10: a line break that keeps the length plausible", segments[0] + "." + segments[1] + "." + segments[2][:5] + "\r" + segments[2][5:], errBase64},
		{"S10: standard alphabet", segments[0] + "." + segments[1] + "." + strings.Repeat("+/", 171), errBase64},
		{"S13: five segments, an encrypted token", good + "." + segments[1] + "." + segments[2], errSegments},
		{"S13: two segments", segments[0] + "." + segments[1], errSegments},
		{"S13: empty", "", errSegments},
		{"S14: 10 kB of dots", strings.Repeat(".", 10<<10), errSegments},
		{"S14: a megabyte of dots", strings.Repeat(".", 1<<20), errTooLong},
		{"S14: a header of 6 kB", rs(`{"alg":"RS256","x":"`+strings.Repeat("a", 6<<10)+`"}`, claims("")), errHeader},
		{"S14: claims 5,000 deep", rs(goodHeader, claims("x:"+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))), errDepth},
		{"S14: claims 33 deep", rs(goodHeader, claims("x:"+strings.Repeat("[", 32)+strings.Repeat("]", 32))), errDepth},
		{"S15: expired and badly signed is badly signed", sign("RS256", otherRSA, goodHeader, claims("exp:1")), errSignature},
		{"for another audience and badly signed is badly signed", sign("RS256", otherRSA, goodHeader, claims(`aud:"x"`)), errSignature},
		{"C5: our issuer's name over the other issuer's signature", sign("RS256", otherRSA, goodHeader, claims("")), errSignature},
		{"C5: the other issuer's name over our issuer's signature", rs(goodHeader, claims(`iss:"`+otherIssuer+`"`)), errSignature},
		{"the other issuer may not use our issuer's algorithms", sign("PS256", otherRSA, `{"alg":"PS256","kid":"rsa"}`, claims(`iss:"`+otherIssuer+`"`)), errAlgorithm},
		{"an unknown issuer", rs(goodHeader, claims(`iss:"https://evil.example"`)), errIssuer},
		{"an issuer with a slash more", rs(goodHeader, claims(`iss:"`+testIssuer+`/"`)), errIssuer},
		{"no issuer", rs(goodHeader, claims("iss:-")), errIssuer},
		{"an issuer in an array", rs(goodHeader, claims(`iss:["`+testIssuer+`"]`)), errIssuer},
		{"C7: Iss instead of iss", rs(goodHeader, strings.Replace(claims(""), `"iss"`, `"Iss"`, 1)), errIssuer},
	}
	v := testVerifier(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := judge(v, test.token); got != test.want.Detail {
				t.Errorf("got %q, want %q", got, test.want.Detail)
			}
		})
	}
	if got := judge(v, good); got != "" {
		t.Errorf("the good token the cases are made of is refused: %s", got)
	}
	if got := judge(v, rs(goodHeader, claims("x:"+strings.Repeat("[", 31)+strings.Repeat("]", 31)))); got != "" {
		t.Errorf("claims 32 deep are refused: %s", got)
	}
}

func TestSpareBitsAreRefused(t *testing.T) {
	// The last character of a 64-byte signature carries four spare bits.
	token := sign("EdDSA", edKey, `{"alg":"EdDSA","kid":"ed"}`, claims(""))
	v := testVerifier(t)
	if got := judge(v, token); got != "" {
		t.Fatal(got)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, token[len(token)-1])
	spare := token[:len(token)-1] + alphabet[at+1:at+2]
	if got := judge(v, spare); got != errBase64.Detail {
		t.Errorf("got %q", got)
	}
}

// Case S11.
func TestECDSASignatureForms(t *testing.T) {
	v := testVerifier(t)
	text := b64(`{"alg":"ES256","kid":"ec"}`) + "." + b64(claims(""))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, ecKey, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	raw := func(r, s *big.Int) []byte {
		b := make([]byte, 64)
		r.FillBytes(b[:32])
		s.FillBytes(b[32:])
		return b
	}
	der := must(ecKey.Sign(rand.Reader, digest[:], crypto.SHA256))
	zero := new(big.Int)
	tests := []struct {
		name      string
		signature []byte
		want      string
	}{
		{"r and s of fixed length verify", raw(r, s), ""},
		{"(r, n-s) verifies too, as ECDSA has it", raw(r, new(big.Int).Sub(n, s)), ""},
		{"DER is refused", der, errSignature.Detail},
		{"r = 0 is refused", raw(zero, s), errSignature.Detail},
		{"s = 0 is refused", raw(r, zero), errSignature.Detail},
		{"r = n is refused", raw(n, s), errSignature.Detail},
		{"s = n is refused", raw(r, n), errSignature.Detail},
		{"one octet less is refused", raw(r, s)[:63], errSignature.Detail},
		{"one octet more is refused", append(raw(r, s), 0), errSignature.Detail},
		{"no signature is refused", nil, errSignature.Detail},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := judge(v, text+"."+base64.RawURLEncoding.EncodeToString(test.signature)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPSSSaltIsAsLongAsTheHash(t *testing.T) {
	v := testVerifier(t)
	text := b64(`{"alg":"PS256","kid":"rsa"}`) + "." + b64(claims(""))
	digest := sha256.Sum256([]byte(text))
	for salt, want := range map[int]string{32: "", 0 + rsa.PSSSaltLengthAuto: errSignature.Detail, 20: errSignature.Detail, 33: errSignature.Detail} {
		sig, err := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(v, text+"."+base64.RawURLEncoding.EncodeToString(sig)); got != want {
			t.Errorf("salt %d: got %q, want %q", salt, got, want)
		}
	}
}

// Cases C1 to C4. The leeway of the test issuer is 30 s.
func TestClaims(t *testing.T) {
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	tests := []struct {
		name, change string
		want         *Failure
	}{
		{"C1: no exp", "exp:-", errDate},
		{"C1: exp null", "exp:null", errDate},
		{"C1: exp in a string", `exp:"` + at(600) + `"`, errDate},
		{"C1: exp true", "exp:true", errDate},
		{"C1: exp -1", "exp:-1", errDate},
		{"C1: exp 0", "exp:0", errExpired},
		{"C1: exp 1e30", "exp:1e30", errDate},
		{"C1: exp 1e400", "exp:1e400", errDate},
		{"C1: exp beyond 64 bits", "exp:18446744073709551616", errDate},
		{`C1: exp "9e9"`, `exp:"9e9"`, errDate},
		{"C1: exp in an array", "exp:[" + at(600) + "]", errDate},
		{"C1: EXP instead of exp", "EXP:" + at(600), nil},
		{"exp just passed is within the leeway", "exp:" + at(-29), nil},
		{"exp and leeway passed", "exp:" + at(-30), errExpired},
		{"a fraction of a second counts", "exp:" + at(-30) + ".5", nil},
		{"an exponent is a number", "exp:1.9e9", nil},
		{"C2: nbf 1e30", "nbf:1e30", errDate},
		{"nbf within the leeway", "nbf:" + at(30), nil},
		{"nbf beyond the leeway", "nbf:" + at(31), errNotYet},
		{"nbf null", "nbf:null", errDate},
		{"C3: iat within the leeway", "iat:" + at(30), nil},
		{"C3: iat in the future", "iat:" + at(31), errFuture},
		{"C3: iat in a string", `iat:"1"`, errDate},
		{"no iat", "iat:-", nil},
		{"C4: no aud", "aud:-", errAudience},
		{"C4: aud []", "aud:[]", errAudience},
		{"C4: aud empty", `aud:""`, errAudience},
		{"C4: aud null", "aud:null", errAudience},
		{"C4: aud is a number", "aud:1", errAudience},
		{"C4: aud is an object", `aud:{"` + testAudience + `":true}`, errAudience},
		{"C4: aud nested", `aud:[["` + testAudience + `"]]`, errAudience},
		{"C4: aud with a number beside it", `aud:["` + testAudience + `",1]`, errAudience},
		{"C4: a prefix of the audience", `aud:"https://api.example.co"`, errAudience},
		{"C4: the audience with a suffix", `aud:"` + testAudience + `.evil"`, errAudience},
		{"C4: the audience with a slash", `aud:"` + testAudience + `/"`, errAudience},
		{"C4: the audience in another case", `aud:"https://API.example.com"`, errAudience},
		{"C4: two audiences in one string", `aud:"` + testAudience + ` x"`, errAudience},
		{"one of several audiences is ours", `aud:["x","` + testAudience + `"]`, nil},
		{"a second expected audience", `aud:"second"`, nil},
	}
	v := testVerifier(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := ""
			if test.want != nil {
				want = test.want.Detail
			}
			if got := judge(v, signed(claims(test.change))); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestVerifierConfiguration(t *testing.T) {
	good := func() Issuer {
		return Issuer{Name: "a", Audiences: []string{"x"}, Algorithms: []string{"RS256"}, Keys: &KeySet{}}
	}
	tests := []struct {
		name   string
		change func(*Issuer)
		want   string
	}{
		{"an issuer needs a name", func(i *Issuer) { i.Name = "" }, "no name"},
		{"an issuer needs an audience", func(i *Issuer) { i.Audiences = nil }, "no audience"},
		{"an empty audience is refused", func(i *Issuer) { i.Audiences = []string{""} }, "empty audience"},
		{"an issuer needs algorithms", func(i *Issuer) { i.Algorithms = nil }, "no algorithms"},
		{"none is refused", func(i *Issuer) { i.Algorithms = []string{"none"} }, `"none" does not exist`},
		{"HS256 without a secret is refused", func(i *Issuer) { i.Algorithms = []string{"HS256"} }, "a public key must never check an HMAC"},
		{"an issuer needs keys", func(i *Issuer) { i.Keys = nil }, "no keys"},
		{"a negative leeway is refused", func(i *Issuer) { i.Leeway = -time.Second }, "negative leeway"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := good()
			test.change(&i)
			if _, err := NewVerifier(i); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := NewVerifier(good(), good()); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two issuers of one name: %v", err)
	}
	if _, err := NewVerifier(good()); err != nil {
		t.Error(err)
	}
}

// Cases S13 and S14: what nobody signed costs little memory, whatever is in it.
func TestRefusalAllocatesLittle(t *testing.T) {
	unsigned := func(header, claims string) string { return b64(header) + "." + b64(claims) + "." + b64("signature") }
	bomb := `{"iss":"` + testIssuer + `","x":[` + strings.Repeat(`{"":0},`, 1500) + `0]}`
	late := `{"x":[` + strings.Repeat(`{"":0},`, 1500) + `0],"iss":"` + testIssuer + `"}`
	v := testVerifier(t)
	for name, token := range map[string]string{
		"a megabyte of dots":                   strings.Repeat(".", 1<<20),
		"a megabyte of text":                   strings.Repeat("A", 1<<20),
		"16 kB of dots":                        strings.Repeat(".", 16<<10),
		"a header of 64 kB":                    unsigned(`{"alg":"RS256","x":"`+strings.Repeat("a", 64<<10)+`"}`, "{}"),
		"a header of 3 kB of objects":          unsigned(`{"alg":"RS256","x":[`+strings.Repeat(`[],`, 900)+`[]]}`, "{}"),
		"many parameters":                      unsigned(`{"alg":"RS256"`+strings.Repeat(`,"x":1`, 300)+"}", "{}"),
		"claims that would take a megabyte":    unsigned(goodHeader, bomb),
		"claims of which iss is the last":      unsigned(goodHeader, late),
		"claims 5,000 deep":                    unsigned(goodHeader, strings.Repeat(`{"a":`, 1500)),
		"claims 5,000 deep behind iss":         unsigned(goodHeader, `{"iss":"`+testIssuer+`","a":`+strings.Repeat("[", 5000)),
		"an encrypted token":                   unsigned(`{"alg":"PBES2-HS256+A128KW","p2c":2000000000,"enc":"A128GCM","zip":"DEF"}`, "") + ".AA.AA",
		"PBES2 in three segments":              unsigned(`{"alg":"PBES2-HS256+A128KW","p2c":2000000000,"zip":"DEF"}`, claims("")),
		"a signature of 10 kB":                 b64(goodHeader) + "." + b64(claims("")) + "." + strings.Repeat("A", 10<<10),
		"an escaped name of 10 kB":             unsigned(goodHeader, `{"\u0041`+strings.Repeat("a", 10<<10)+`":1`),
		"a name of escapes":                    unsigned(goodHeader, `{"`+strings.Repeat(`\n`, 5<<10)+`":1`),
		"an ES512 signature of the wrong size": b64(`{"alg":"ES512","kid":"ec521"}`) + "." + b64(claims("")) + "." + strings.Repeat("A", 4<<10),
	} {
		if got := judge(v, token); got == "" {
			t.Errorf("%s is accepted", name)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v.Verify(t.Context(), token, testNow)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s allocates %d bytes", name, n)
		}
	}
}

func TestHeaderIsBounded(t *testing.T) {
	v := testVerifier(t)
	header := func(n int) string {
		var b strings.Builder
		b.WriteString(goodHeader[:len(goodHeader)-1])
		for i := 2; i < n; i++ {
			fmt.Fprintf(&b, `,"p%d":{"a":[1]}`, i)
		}
		return b.String() + "}"
	}
	for n, want := range map[int]string{2: "", maxHeaderMembers: "", maxHeaderMembers + 1: errMembers.Detail} {
		if got := judge(v, sign("RS256", rsaKey, header(n), claims(""))); got != want {
			t.Errorf("%d parameters: got %q", n, got)
		}
	}
	for _, bad := range []string{
		"", " ", "[]", `"alg"`, `{"alg":"RS256",}`, `{"alg":"RS256" "kid":"rsa"}`, `{"alg":"RS256"`, `{"alg":"RS256","x":}`, `{"alg":"RS256","x":01}`,
		`{"alg":"RS256","x":{"a":1,"a":2}}`, `{"alg":"RS256","kid":"a","k\u0069d":"b"}`, `{"alg":"RS256","x":"` + "\xff" + `"}`, `{alg:"RS256"}`, `{}{}`,
	} {
		if got := judge(v, sign("RS256", rsaKey, bad, claims(""))); got == "" {
			t.Errorf("header %s is accepted", bad)
		}
	}
	if got := judge(v, sign("RS256", rsaKey, " {\n\"alg\" : \"RS256\" ,\t\"kid\":\"rsa\", \"typ\":\"JWT\", \"jku\":\"https://evil.example\", \"x5c\":[\"a\"] } ", claims(""))); got != "" {
		t.Errorf("white space and other parameters: %s", got)
	}
}

// The keys are chosen by the iss that is found first; it must be the one that counts.
func TestIssuerIsFoundWhereverItStands(t *testing.T) {
	v := testVerifier(t)
	rest := claims("iss:-")[1:]
	iss := `"iss":"` + testIssuer + `"`
	for name, test := range map[string]struct{ claims, want string }{
		"first":                                {"{" + iss + "," + rest, ""},
		"last":                                 {"{" + rest[:len(rest)-1] + "," + iss + "}", ""},
		"escaped":                              {`{"\u0069ss":"https:\/\/issuer.example",` + rest, ""},
		"behind one in an object":              {`{"x":{"iss":"` + otherIssuer + `"},` + iss + "," + rest, ""},
		"behind one in a string":               {`{"x":"\"iss\":\"` + otherIssuer + `\"",` + iss + "," + rest, ""},
		"behind brackets in a string":          {`{"x":["}]{[\"",{"a":"\\"}],` + iss + "," + rest, ""},
		"behind white space":                   {"{ \"x\" : [ 1 , { } ] ,\n\"y\" : 1.5e3 , \"z\" : null , " + iss + "," + rest, ""},
		"twice":                                {"{" + iss + "," + rest[:len(rest)-1] + "," + iss + "}", errDuplicate.Detail},
		"twice, the other issuer's behind":     {"{" + iss + "," + rest[:len(rest)-1] + `,"iss":"` + otherIssuer + `"}`, errDuplicate.Detail},
		"twice, the other issuer's in front":   {`{"iss":"` + otherIssuer + `",` + iss + "," + rest, errSignature.Detail},
		"only in an object":                    {`{"x":{` + iss + "}," + rest, errIssuer.Detail},
		"only behind the end":                  {"{" + rest + iss, errIssuer.Detail},
		"behind what is no JSON":               {`{"x":nonsense,` + iss + "," + rest, errJSON.Detail},
		"behind brackets that do not match":    {`{"x":[},` + iss + "," + rest, errIssuer.Detail},
		"behind a string that does not end":    {`{"x":"` + iss + "," + rest, errJSON.Detail},
		"behind a backslash that does not end": {`{"x":"\`, errIssuer.Detail},
	} {
		got := judge(v, signed(test.claims))
		if got != test.want && (test.want == "" || got == "") {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
