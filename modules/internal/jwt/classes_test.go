package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// signers are keys for every algorithm, by their kid.
var signers = map[string]crypto.Signer{"rsa": rsaKey, "ec": ecKey, "ec384": ec384, "ec521": ec521, "ed": edKey}

// signerFor returns the kid of the key that an algorithm is for.
func signerFor(alg string) string {
	switch alg[:2] {
	case "ES":
		return map[string]string{"ES256": "ec", "ES384": "ec384", "ES512": "ec521"}[alg]
	case "Ed":
		return "ed"
	}
	return "rsa"
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// onlyAlgorithm knows the keys of testIssuer, each with its alg, and one algorithm.
func onlyAlgorithm(t testing.TB, alg string) *Verifier {
	t.Helper()
	kid := signerFor(alg)
	v, err := NewVerifier(Issuer{
		Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{alg}, Leeway: DefaultLeeway,
		Keys: keySet(t, swap(jwkOf(kid, signers[kid].Public()), "alg", fmt.Sprintf("%q", alg))),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryAlgorithmRefusesWhatWasChanged goes through the kinds of signatures that
// Wycheproof's JWS vectors consist of, for each algorithm: a part is changed, left
// out or added, or another key or another algorithm made it.
func TestEveryAlgorithmRefusesWhatWasChanged(t *testing.T) {
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			v, kid := onlyAlgorithm(t, alg), signerFor(alg)
			header := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid)
			good := sign(alg, signers[kid], header, claims(""))
			if got := judge(v, good); got != "" {
				t.Fatalf("the valid one: %s", got)
			}
			for name, token := range changed(alg, kid, good) {
				if judge(v, token) == "" {
					t.Errorf("%s: accepted", name)
				}
			}
			if got := judge(v, good); got != "" {
				t.Errorf("the valid one, after all: %s", got)
			}
		})
	}
}

// changed are tokens made of a good one, none of which is good.
func changed(alg, kid, good string) map[string]string {
	parts := strings.Split(good, ".")
	head, payload, signature := parts[0], parts[1], parts[2]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		panic(err)
	}
	tokens := map[string]string{
		"an empty text":                      "",
		"no signature":                       head + "." + payload + ".",
		"neither signature nor dot":          head + "." + payload,
		"no payload":                         head + ".." + signature,
		"neither payload nor dot":            head + "." + signature,
		"no header":                          "." + payload + "." + signature,
		"neither header nor dot":             payload + "." + signature,
		"neither header nor signature":       "." + payload + ".",
		"the payload alone":                  payload,
		"an empty part behind":               good + ".",
		"a part behind":                      good + ".Zm9v",
		"a part in front":                    "Zm9v." + good,
		"parts changed about":                payload + "." + head + "." + signature,
		"another payload":                    head + "." + b64(strings.Replace(claims(""), "alice", "root", 1)) + "." + signature,
		"a payload with a space more":        head + "." + b64(claims("")+" ") + "." + signature,
		"another header":                     b64(fmt.Sprintf(`{"alg":%q,"kid":%q,"x":1}`, alg, kid)) + "." + payload + "." + signature,
		"another kid":                        b64(fmt.Sprintf(`{"alg":%q,"kid":"X%s"}`, alg, kid)) + "." + payload + "." + signature,
		"the header in another case":         b64(fmt.Sprintf(`{"ALG":%q,"kid":%q}`, alg, kid)) + "." + payload + "." + signature,
		"the algorithm in another case":      b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, swapCase(alg), kid)) + "." + payload + "." + signature,
		"algorithm none with the signature":  b64(fmt.Sprintf(`{"alg":"none","kid":%q}`, kid)) + "." + payload + "." + signature,
		"algorithm none without signature":   b64(fmt.Sprintf(`{"alg":"none","kid":%q}`, kid)) + "." + payload + ".",
		"a signature with an octet more":     head + "." + payload + "." + encode(append(slices.Clone(raw), 0)),
		"a signature with a zero in front":   head + "." + payload + "." + encode(append([]byte{0}, raw...)),
		"a signature with an octet less":     head + "." + payload + "." + encode(raw[:len(raw)-1]),
		"a signature without its first half": head + "." + payload + "." + encode(raw[len(raw)/2:]),
		"a signature of zeros":               head + "." + payload + "." + encode(make([]byte, len(raw))),
		"a signature of ones":                head + "." + payload + "." + encode(slices.Repeat([]byte{0xff}, len(raw))),
		"the halves changed about":           head + "." + payload + "." + encode(append(slices.Clone(raw[len(raw)/2:]), raw[:len(raw)/2]...)),
		"the signature twice":                head + "." + payload + "." + encode(append(slices.Clone(raw), raw...)),
		"padding":                            good + strings.Repeat("=", (4-len(signature)%4)%4+1),
		"a space behind":                     good + " ",
		"a line break behind":                good + "\n",
		"a NUL behind":                       good + "\x00",
		"the flattened JSON serialization":   fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, head, signature),
		"the general JSON serialization":     fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, payload, head, signature),
	}
	// One bit of the signature.
	for _, at := range []int{0, 1, len(raw)/2 - 1, len(raw) / 2, len(raw) - 1} {
		bent := slices.Clone(raw)
		bent[at] ^= 1 << (at % 8)
		tokens[fmt.Sprintf("another bit in octet %d", at)] = head + "." + payload + "." + encode(bent)
	}
	// One bit that base64 has no use for.
	if len(raw)%3 != 0 {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, good[len(good)-1])
		tokens["a spare bit of the signature"] = good[:len(good)-1] + alphabet[last^1:last^1+1]
	}
	for other := range algorithms {
		if other == alg || other[0] == 'H' {
			continue
		}
		// By another algorithm, under whose name it may be.
		made := signers[signerFor(other)]
		tokens["made with "+other] = sign(other, made, fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid), claims(""))
		tokens["made with "+other+", which it says"] = sign(other, made, fmt.Sprintf(`{"alg":%q,"kid":%q}`, other, kid), claims(""))
		tokens["said to be made with "+other] = b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, other, kid)) + "." + payload + "." + signature
	}
	for name, token := range attackers(alg, kid) {
		tokens[name] = token
	}
	return tokens
}

func swapCase(s string) string {
	if lower := strings.ToLower(s); lower != s {
		return lower
	}
	return strings.ToUpper(s)
}

// attackers are tokens signed by somebody else, who says where the key is, or with
// the public key as if it were a secret.
func attackers(alg, kid string) map[string]string {
	var stranger crypto.Signer
	switch k := signers[kid].(type) {
	case *rsa.PrivateKey:
		stranger = otherRSA
	case *ecdsa.PrivateKey:
		stranger = must(ecdsa.GenerateKey(k.Curve, rand.Reader))
	default:
		stranger = ed25519.NewKeyFromSeed(make([]byte, 32))
	}
	own := jwkOf(kid, stranger.Public())
	der := must(x509.MarshalPKIXPublicKey(signers[kid].Public()))
	tokens := make(map[string]string)
	for name, parameter := range map[string]string{
		"nothing": `"x":1`,
		"jwk":     `"jwk":` + own, "jku": `"jku":"https://evil.example/keys"`, "x5u": `"x5u":"https://evil.example/cert"`,
		"x5c": fmt.Sprintf(`"x5c":[%q]`, base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(stranger.Public())))),
	} {
		tokens["another key, with "+name] = sign(alg, stranger, fmt.Sprintf(`{"alg":%q,"kid":%q,%s}`, alg, kid, parameter), claims(""))
	}
	for name, secret := range map[string][]byte{
		"PEM": []byte(pemOf("PUBLIC KEY", der)), "DER": der, "JWK": []byte(jwkOf(kid, signers[kid].Public())), "nothing": {},
	} {
		for _, hs := range []string{"HS256", "HS384", "HS512"} {
			for _, says := range []string{hs, alg} {
				text := b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, says, kid)) + "." + b64(claims(""))
				mac := must(golangjwt.GetSigningMethod(hs).Sign(text, secret))
				tokens[hs+" under the public key as "+name+", that says "+says] = text + "." + encode(mac)
			}
		}
	}
	return tokens
}

// TestOnlyThePaddingOfPKCS1Verifies: signatures that the right key made, of blocks
// that some libraries took for padded ones (RFC 8017 section 9.2).
func TestOnlyThePaddingOfPKCS1Verifies(t *testing.T) {
	text := b64(`{"alg":"RS256","kid":"rsa"}`) + "." + b64(claims(""))
	hash := crypto.SHA256.New()
	hash.Write([]byte(text))
	sum := hash.Sum(nil)
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, sum...)
	size := rsaKey.Size()
	// block is 00, 01, ones as far as they go, 00, what follows, and a rest of zeros.
	block := func(ones int, follows []byte) []byte {
		b := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, ones)...)
		b = append(append(b, 0), follows...)
		return append(b, make([]byte, size-len(b))...)
	}
	ones := size - 3 - len(info)
	good := block(ones, info)
	edited := func(at int, to byte) []byte {
		b := slices.Clone(good)
		b[at] = to
		return b
	}
	without := func(from, to int) []byte { return slices.Delete(slices.Clone(info), from, to) }
	noNull := without(15, 17)
	noNull[1], noNull[3] = 0x2f, 0x0b
	long := slices.Insert(slices.Clone(info), 1, 0x81)
	tests := []struct {
		name  string
		block []byte
		ok    bool
	}{
		{"as it has to be", good, true},
		{"the block of an encryption", edited(1, 2), false},
		{"the first octet is 1", edited(0, 1), false},
		{"a zero among the ones", edited(2, 0), false},
		{"a one too little", edited(ones+1, 0xfe), false},
		{"another octet where the zero stands", edited(ones+2, 1), false},
		{"eight ones, and a rest behind", block(8, info), false},
		{"no ones, and a rest behind", block(0, info), false},
		{"one octet of a rest", block(ones-1, info), false},
		{"no NULL", block(size-3-len(noNull), noNull), false},
		{"a length in long form", block(size-3-len(long), long), false},
		{"the hash alone", block(size-3-len(sum), sum), false},
		{"the OID of SHA-384", edited(size-len(info)+14, 2), false},
		{"the OID of SHA-512", edited(size-len(info)+14, 3), false},
		{"another hash", edited(size-1, sum[31]^1), false},
		{"a hash of zeros", block(ones, append(slices.Clone(info[:19]), make([]byte, 32)...)), false},
	}
	v := onlyAlgorithm(t, "RS256")
	for _, tt := range tests {
		s := new(big.Int).Exp(new(big.Int).SetBytes(tt.block), rsaKey.D, rsaKey.N)
		got := judge(v, text+"."+encode(s.FillBytes(make([]byte, size))))
		if tt.ok && got != "" || !tt.ok && got != errSignature.Detail {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// TestOnlyASaltAsLongAsTheHashVerifies: RFC 7518 section 3.5.
func TestOnlyASaltAsLongAsTheHashVerifies(t *testing.T) {
	for alg, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		v := onlyAlgorithm(t, alg)
		text := b64(fmt.Sprintf(`{"alg":%q,"kid":"rsa"}`, alg)) + "." + b64(claims(""))
		h := hash.New()
		h.Write([]byte(text))
		for salt, ok := range map[int]bool{
			hash.Size(): true, rsa.PSSSaltLengthAuto: false, 1: false, 20: false, hash.Size() - 1: false, hash.Size() + 1: false,
		} {
			if salt == 0 { // the longest there is room for
				salt = rsaKey.Size() - hash.Size() - 2
			}
			sum := h.Sum(nil)
			signature := must(rsa.SignPSS(rand.Reader, rsaKey, hash, sum, &rsa.PSSOptions{SaltLength: salt}))
			if got := judge(v, text+"."+encode(signature)); ok != (got == "") {
				t.Errorf("%s with a salt of %d octets: %q", alg, salt, got)
			}
		}
	}
}

// TestSignaturesOfTheEdgesOfACurve: for each curve, r and s at 0, 1, n-1, n and
// beyond, and DER.
func TestSignaturesOfTheEdgesOfACurve(t *testing.T) {
	for alg, hash := range map[string]crypto.Hash{"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512} {
		v, private := onlyAlgorithm(t, alg), signers[signerFor(alg)].(*ecdsa.PrivateKey)
		text := b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, signerFor(alg))) + "." + b64(claims(""))
		size, n := (private.Curve.Params().BitSize+7)/8, private.Curve.Params().N
		h := hash.New()
		h.Write([]byte(text))
		der := must(ecdsa.SignASN1(rand.Reader, private, h.Sum(nil)))
		if judge(v, text+"."+encode(der)) != errSignature.Detail {
			t.Errorf("%s: DER is accepted", alg)
		}
		one := big.NewInt(1)
		edges := map[string]*big.Int{
			"0": new(big.Int), "1": one, "n-1": new(big.Int).Sub(n, one), "n": n, "n+1": new(big.Int).Add(n, one),
			"p": private.Curve.Params().P, "the largest": new(big.Int).SetBytes(slices.Repeat([]byte{0xff}, size)),
		}
		for nameR, r := range edges {
			for nameS, s := range edges {
				raw := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
				if judge(v, text+"."+encode(raw)) != errSignature.Detail {
					t.Errorf("%s: r is %s, s is %s", alg, nameR, nameS)
				}
			}
		}
	}
}

// TestEncryptedTokensAreRefusedAsTheyCome: before a key is looked for (case S13).
func TestEncryptedTokensAreRefusedAsTheyCome(t *testing.T) {
	v := testVerifier(t)
	for _, alg := range []string{
		"RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "A128KW", "A256KW", "dir", "ECDH-ES", "ECDH-ES+A128KW", "A128GCMKW", "PBES2-HS256+A128KW", "RS256",
	} {
		header := b64(fmt.Sprintf(`{"alg":%q,"enc":"A128CBC-HS256","kid":"rsa","zip":"DEF","p2c":2000000000,"p2s":"AA"}`, alg))
		for name, token := range map[string]string{
			"of five parts":          header + ".AAAA.AAAA.AAAA.AAAA",
			"of five, without a key": header + "..AAAA.AAAA.AAAA",
			"of five empty ones":     header + "....",
			"of four":                header + ".AAAA.AAAA.AAAA",
		} {
			if got := judge(v, token); got != errSegments.Detail {
				t.Errorf("%s %s: %q", alg, name, got)
			}
		}
		if got := judge(v, header+"."+b64(claims(""))+".AAAA"); got == "" {
			t.Errorf("%s of three parts is accepted", alg)
		}
	}
}
