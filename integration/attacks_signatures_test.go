package integration

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// The reasons for which tokens are refused.
const (
	tokenMalformed = "auth.token_malformed"
	tokenHeader    = "auth.token_header"
	tokenIssuer    = "auth.token_issuer"
	tokenAlgorithm = "auth.token_algorithm"
	tokenKey       = "auth.token_key"
	tokenSignature = "auth.token_signature"
	tokenClaims    = "auth.token_claims"
	tokenAudience  = "auth.token_audience"
	tokenExpired   = "auth.token_expired"
	tokenNotYet    = "auth.token_not_yet_valid"
)

var attacksOnSignatures = []attack{
	{id: "S1", promise: "an unsigned token is refused, however none is written", try: tryUnsigned,
		twins: []string{"algorithm list"}},
	{id: "S2", promise: "a public key is no secret for an HMAC", try: tryPublicKeyAsSecret,
		twins: []string{"algorithm list+key type"}},
	{id: "S3", promise: "a key without alg does not let the token choose the algorithm", try: tryOtherAlgorithms,
		twins: []string{"algorithm list", "key type"}},
	{id: "S4", promise: "the secret of another protocol signs no tokens", try: tryClientSecret,
		twins: []string{"algorithm list+key type"}},
	{id: "S5", promise: "a secret in a published key set is not used", try: tryPublishedSecrets,
		twins: []string{"secret members", "secret members+types of keys+public keys+algorithm list"}},
	{id: "S6", promise: "a token brings no key and no place of a key along", try: tryOwnKeys,
		twins: []string{"own keys+own keys in use", "keys by id", "key id"}},
	{id: "S7", promise: "extensions that have to be understood are refused", try: tryExtensions,
		twins: []string{"crit", "b64"}},
	{id: "S8", promise: "a member that occurs twice has no value", try: tryDuplicates,
		twins: []string{"duplicates"}},
	{id: "S9", promise: "a payload is one JSON object in UTF-8", try: tryOtherJSON,
		twins: []string{"nothing behind it", "one object", "UTF-8", "control characters in JSON"}},
	{id: "S10", promise: "a token has one spelling", try: tryOtherSpellings,
		twins: []string{"strict base64", "one token in a header"}},
	{id: "S11", promise: "an ECDSA signature is two numbers of fixed length", try: tryOtherSignatures,
		twins: []string{"form of signatures", "signature"}},
	{id: "S12", promise: "a bad key in a set is left out", try: tryBadKeys,
		twins: []string{"RSA size", "RSA exponent", "ROCA", "point on the curve", "use", "key_ops"}},
	{id: "S13", promise: "nothing is decrypted and nothing inflated", try: tryEncrypted,
		twins: []string{"three segments", "no inflation"}},
	{id: "S14", promise: "a giant is refused before it is taken apart", try: tryGiants,
		twins: []string{"token length", "header length", "depth of arrays"}},
	{id: "S15", promise: "a badly signed token is not said to be expired", try: tryExpiredForgery,
		twins: []string{"signature first"}},
}

func tryUnsigned(a *attempt) {
	for _, name := range []string{"none", "None", "NONE", "nOnE", ""} {
		header := rsaA.header(changes{"alg": name})
		token := b64([]byte(header)) + "." + b64([]byte(rsaA.claims(nil))) + "."
		a.refused("alg "+name, a.bearer("api.test", token), tokenAlgorithm, "")
	}
	unsigned := b64([]byte(rsaA.header(nil))) + "." + b64([]byte(rsaA.claims(nil))) + "."
	a.refused("no signature", a.bearer("api.test", unsigned), tokenSignature, "")
	a.refused("no alg", a.bearer("api.test", rsaA.tokenWith(changes{"alg": nil}, nil)), tokenMalformed, "")
	a.refused("alg that is no string", a.bearer("api.test", rsaA.tokenWith(changes{"alg": []string{"RS256"}}, nil)), tokenMalformed, "")
}

// asSecrets are the spellings of a public key that gateways were found to use as the
// secret of an HMAC.
func (s *signer) asSecrets() map[string][]byte {
	var public any
	secrets := map[string][]byte{"JWK": []byte(text(s.jwk(nil)))}
	switch key := s.private.(type) {
	case *rsa.PrivateKey:
		public = key.Public()
		secrets["modulus"] = key.N.Bytes()
	case *ecdsa.PrivateKey:
		public = key.Public()
		secrets["point"], _ = key.PublicKey.Bytes()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	secrets["DER"] = der
	secrets["PEM"] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secrets["PEM without the last line break"] = bytes.TrimSpace(secrets["PEM"])
	return secrets
}

func tryPublicKeyAsSecret(a *attempt) {
	for _, known := range []*signer{rsaA, ecA} {
		for spelling, secret := range known.asSecrets() {
			for _, alg := range []string{"HS256", "HS512"} {
				forged := &signer{known.issuer, known.kid, alg, secret}
				a.refused(known.kid+" as "+spelling+" with "+alg, a.bearer("api.test", forged.token(nil)), tokenAlgorithm, "")
			}
		}
	}
}

func tryOtherAlgorithms(a *attempt) {
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS512"} {
		a.refused(alg, a.bearer("api.test", rsaA.as("a-rsa", alg).token(nil)), tokenAlgorithm, "")
	}
	forged := &signer{rsaA.issuer, rsaA.kid, "HS256", rsaA.asSecrets()["PEM"]}
	a.refused("HS256", a.bearer("api.test", forged.token(nil)), tokenAlgorithm, "")
	// A key does not serve an algorithm of another type, though it be on the list.
	a.refused("an EC key's id with RS256", a.bearer("api.test", rsaA.as("a-ec", "RS256").token(nil)), tokenKey, "")
	a.passes("the algorithm on the list", a.bearer("api.test", rsaA.token(nil)))
}

func tryClientSecret(a *attempt) {
	for _, kid := range []string{"a-rsa", "client", ""} {
		forged := &signer{rsaA.issuer, kid, "HS256", []byte(clientSecret)}
		a.refused("kid "+kid, a.bearer("api.test", forged.token(nil)), tokenAlgorithm, "")
	}
	// Also where that secret is the key of another issuer.
	c := &signer{"https://c.test", "client", "HS256", []byte(clientSecret)}
	a.passes("the issuer whose key it is", a.bearer("api.test", c.token(nil)))
	a.refused("that issuer with a public key", a.bearer("api.test", rsaA.token(changes{"iss": "https://c.test"})), tokenAlgorithm, "")
	a.refused("that issuer with a longer hash", a.bearer("api.test", c.as("client", "HS512").token(nil)), tokenAlgorithm, "")
	short := &signer{"https://c.test", "client", "HS256", []byte(clientSecret[:32])}
	a.refused("that issuer with a part of it", a.bearer("api.test", short.token(nil)), tokenSignature, "")
}

// spareSite is a site of the spare gateway that takes one issuer's tokens.
func spareSite(url string, more ...string) string {
	return `
http://spare.test:PORT {
	auth {
		jwt https://a.test {
			audience https://api.test
			jwks ` + url + "\n" + strings.Join(more, "\n") + `
		}
	}
	reverse_proxy BACKEND
}
`
}

// keysOnSpare has the spare gateway use a key set, in which rsaA is a good key.
func (a *attempt) keysOnSpare(set string, more ...string) {
	url, path := a.issuers.publish(set)
	a.check(a.load(spareSite(url, more...)))
	a.until("a fetch", func() bool { return a.issuers.asked(path) > 0 })
	a.until("the keys", func() bool {
		got := a.bearer("spare.test", rsaA.token(nil))
		return got.status != http.StatusServiceUnavailable
	})
}

func tryPublishedSecrets(a *attempt) {
	secret := &signer{rsaA.issuer, "oct", "HS256", []byte("a secret that was published, of good length")}
	private := rsaB.as("private", "RS256")
	d := b64(rsaB.private.(*rsa.PrivateKey).D.Bytes())
	a.keysOnSpare(keySet(secret.jwk(changes{"alg": "HS256"}), secret.jwk(changes{"kid": "bare"}), private.jwk(changes{"d": d}), rsaA.jwk(nil)))
	a.passes("the good key of the set", a.bearer("spare.test", rsaA.token(nil)))
	for _, kid := range []string{"oct", "bare"} {
		a.refused(kid, a.bearer("spare.test", secret.as(kid, "HS256").token(nil)), tokenAlgorithm, "")
	}
	forged := *private
	forged.issuer = rsaA.issuer
	a.refused("an RSA key published with its private part", a.bearer("spare.test", forged.token(nil)), tokenKey, "")
}

func tryOwnKeys(a *attempt) {
	evil := "http://" + a.nobody + "/keys"
	der := stranger.certificate()
	chain := []string{base64.StdEncoding.EncodeToString(der)}
	for name, header := range map[string]changes{
		"jwk":                    {"jwk": stranger.jwk(nil), "kid": nil},
		"jwk under a known kid":  {"jwk": stranger.jwk(nil), "kid": "a-rsa"},
		"x5c":                    {"x5c": chain, "kid": nil},
		"x5c under a known kid":  {"x5c": chain, "kid": "a-rsa", "x5t#S256": hashed(string(der))},
		"jku":                    {"jku": evil, "kid": "a-rsa"},
		"x5u":                    {"x5u": evil, "kid": "a-rsa"},
		"everything at once":     {"jwk": stranger.jwk(nil), "x5c": chain, "jku": evil, "x5u": evil, "kid": "a-rsa"},
		"jku of the issuer's":    {"jku": "http://a.test@" + a.nobody + "/keys", "kid": "a-rsa"},
		"jku with a kid in path": {"jku": evil + "/../a-rsa", "kid": nil},
	} {
		a.refused(name, a.bearer("api.test", stranger.tokenWith(header, nil)), tokenSignature, "")
	}
	// These are signed well, so that only the kid is wrong.
	for name, kid := range map[string]string{
		"a path":     "../../../../dev/null",
		"a file":     "/etc/passwd",
		"a URL":      evil,
		"SQL":        "x' UNION SELECT 'a-rsa",
		"a command":  "a-rsa|sleep 9",
		"upper case": "A-RSA",
		"a prefix":   "a-rs",
		"a NUL":      "a-rsa\x00",
	} {
		a.refused(name, a.bearer("api.test", rsaA.tokenWith(changes{"kid": kid}, nil)), tokenKey, "")
	}
	for name, kid := range map[string]any{
		"of 300 bytes": strings.Repeat("k", 300), "a number": 7, "null": verbatim("null"), "a list": []string{"a-rsa"}, "an object": changes{"a": 1},
	} {
		a.refused("a kid that is "+name, a.bearer("api.test", rsaA.tokenWith(changes{"kid": kid}, nil)), tokenMalformed, "")
	}
	a.refused("a kid of 8 KB", a.bearer("api.test", rsaA.tokenWith(changes{"kid": strings.Repeat("k", 8<<10)}, nil)), tokenMalformed, "")
	if n := a.reached.Load(); n != 0 {
		a.errorf("the gateway made %d connections where a token told it to", n)
		a.reached.Store(0)
	}
}

func tryExtensions(a *attempt) {
	for name, header := range map[string]changes{
		"an unknown extension":       {"crit": []string{"x"}, "x": true},
		"one that is not there":      {"crit": []string{"x"}},
		"none":                       {"crit": []string{}},
		"exp, which is not one":      {"crit": []string{"exp"}, "exp": 1},
		"no list":                    {"crit": "x"},
		"null":                       {"crit": verbatim("null")},
		"b64 as an extension":        {"crit": []string{"b64"}, "b64": false},
		"b64 that need not be known": {"b64": false},
		"b64 as is the default":      {"b64": true},
	} {
		a.refused(name, a.bearer("api.test", rsaA.tokenWith(header, nil)), tokenHeader, "")
	}
	// What is signed is the payload itself (RFC 7797).
	header := b64([]byte(rsaA.header(changes{"b64": false})))
	payload := rsaA.claims(nil)
	token := header + "." + b64([]byte(payload)) + "." + b64(rsaA.sign(header+"."+payload))
	a.refused("an unencoded payload", a.bearer("api.test", token), tokenHeader, "")
}

func tryDuplicates(a *attempt) {
	good, claims := rsaA.header(nil), func() string { return rsaA.claims(nil) }
	again := func(object, member string) string { return strings.Replace(object, "{", "{"+member+",", 1) }
	for name, token := range map[string]string{
		"alg":                     rsaA.compact(again(good, `"alg":"none"`), claims()),
		"kid":                     rsaA.compact(again(good, `"kid":"other"`), claims()),
		"sub":                     rsaA.compact(good, again(claims(), `"sub":"admin"`)),
		"sub in another spelling": rsaA.compact(good, again(claims(), `"s\u0075b":"admin"`)),
		"exp":                     rsaA.compact(good, again(claims(), `"exp":1`)),
		"a member of a claim":     rsaA.compact(good, again(claims(), `"realm":{"roles":["a"],"roles":["b"]}`)),
	} {
		a.refused(name, a.bearer("api.test", token), tokenMalformed, "")
	}
}

func tryOtherJSON(a *attempt) {
	header, claims := rsaA.header(nil), func() string { return rsaA.claims(nil) }
	for name, payload := range map[string]string{
		"a second object":           claims() + `{"sub":"admin"}`,
		"a word behind it":          claims() + "x",
		"a NUL behind it":           claims() + "\x00",
		"an array":                  "[" + claims() + "]",
		"a string":                  `"` + "alice" + `"`,
		"null":                      "null",
		"nothing":                   "",
		"a byte order mark":         "\xef\xbb\xbf" + claims(),
		"bad UTF-8":                 strings.Replace(claims(), "{", "{\"x\":\"\xff\",", 1),
		"overlong UTF-8":            strings.Replace(claims(), "{", "{\"x\":\"\xc0\xaf\",", 1),
		"half of a surrogate pair":  strings.Replace(claims(), "{", `{"x":"\ud800",`, 1),
		"a NUL in a string":         strings.Replace(claims(), "{", "{\"x\":\"\x00\",", 1),
		"a line break in a string":  strings.Replace(claims(), "{", "{\"x\":\"\n\",", 1),
		"a comma too many":          strings.Replace(claims(), "}", ",}", 1),
		"a number with a zero":      strings.Replace(claims(), "{", `{"x":01,`, 1),
		"a comment":                 strings.Replace(claims(), "{", "{/**/", 1),
		"NaN":                       strings.Replace(claims(), "{", `{"x":NaN,`, 1),
		"UTF-16":                    "\xff\xfe" + strings.Join(strings.Split(claims(), ""), "\x00"),
		"names without their quote": strings.Replace(claims(), `"sub"`, "sub", 1),
	} {
		a.refused(name, a.bearer("api.test", rsaA.compact(header, payload)), tokenMalformed, "")
	}
	a.refused("a header with something behind it", a.bearer("api.test", rsaA.compact(header+"x", claims())), tokenMalformed, "")
}

func tryOtherSpellings(a *attempt) {
	good := rsaA.token(nil)
	a.passes("the token itself", a.bearer("api.test", good))
	first, rest, _ := strings.Cut(good, ".")
	second, third, _ := strings.Cut(rest, ".")
	// The last letter of 256 bytes in base64 has four bits that nobody reads.
	spare := third[:len(third)-1] + string("BCDFGHJKLNOP"[0])
	if last := third[len(third)-1]; last == 'A' || last == 'Q' || last == 'g' || last == 'w' {
		spare = third[:len(third)-1] + string(last+1)
	}
	padded := base64.URLEncoding.EncodeToString
	header, claims := []byte(rsaA.header(nil)), []byte(rsaA.claims(changes{"x": "1"}))
	if len(claims)%3 == 0 {
		claims = []byte(rsaA.claims(changes{"x": "12"}))
	}
	for name, token := range map[string]string{
		"spare bits":               first + "." + second + "." + spare,
		"padding":                  first + "." + second + "." + third + "==",
		"padding that is signed":   rsaA.seal(padded(header) + "." + padded(claims)),
		"the other alphabet":       first + "." + second + "." + strings.NewReplacer("-", "+", "_", "/").Replace(third) + "+/",
		"percent-encoding":         first + "%2E" + second + "%2E" + third,
		"quotes":                   `"` + good + `"`,
		"the word Bearer in it":    "Bearer." + good,
		"a dot at the end":         good + ".",
		"a dot in front":           "." + good,
		"an empty first segment":   "." + second + "." + third,
		"an empty second segment":  first + ".." + third,
		"letters outside of ASCII": first + "." + second + "." + third + "é",
	} {
		a.refused(name, a.bearer("api.test", token), tokenMalformed, "")
	}
	for name, token := range map[string]string{
		"a space": first + "." + second + " ." + third, "a tab": first + "." + second + "\t." + third, "a comma": good + "," + good,
	} {
		a.refusedWith(name, a.bearer("api.test", token), http.StatusBadRequest, challengeSeveral, "auth.several_credentials", "")
	}
	// A line break never comes as far as the token.
	folded := a.raw("api.test", "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nAuthorization: Bearer "+first+"."+second+".\r\n "+third+"\r\n\r\n")
	if !strings.HasPrefix(folded, "HTTP/1.1 400") {
		a.errorf("a folded line: got %q", folded)
	}
}

func tryOtherSignatures(a *attempt) {
	key := ecA.private.(*ecdsa.PrivateKey)
	order := key.Params().N
	input := func() string { return b64([]byte(ecA.header(nil))) + "." + b64([]byte(ecA.claims(nil))) }
	signed := func(make func(r, s *big.Int) []byte) string {
		in := input()
		sig := ecA.sign(in)
		return in + "." + b64(make(new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])))
	}
	fixed := func(r, s *big.Int) []byte { return joined(r, s, 32) }
	a.passes("the other of the two signatures that are good by design", a.bearer("api.test", signed(func(r, s *big.Int) []byte {
		return fixed(r, new(big.Int).Sub(order, s))
	})))
	zero := new(big.Int)
	for name, token := range map[string]string{
		"DER": signed(func(r, s *big.Int) []byte {
			der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
			a.check(err)
			return der
		}),
		"r = 0":             signed(func(_, s *big.Int) []byte { return fixed(zero, s) }),
		"s = 0":             signed(func(r, _ *big.Int) []byte { return fixed(r, zero) }),
		"both 0":            signed(func(_, _ *big.Int) []byte { return fixed(zero, zero) }),
		"r = n":             signed(func(_, s *big.Int) []byte { return fixed(order, s) }),
		"s = n":             signed(func(r, _ *big.Int) []byte { return fixed(r, order) }),
		"both n":            signed(func(_, _ *big.Int) []byte { return fixed(order, order) }),
		"numbers too long":  signed(func(r, s *big.Int) []byte { return joined(r, s, 33) }),
		"one byte too few":  signed(func(r, s *big.Int) []byte { return fixed(r, s)[1:] }),
		"one byte too many": signed(func(r, s *big.Int) []byte { return append(fixed(r, s), 0) }),
		"half of it":        signed(func(r, _ *big.Int) []byte { return r.FillBytes(make([]byte, 32)) }),
		"none":              signed(func(_, _ *big.Int) []byte { return nil }),
		"the numbers swapped": signed(func(r, s *big.Int) []byte {
			return fixed(s, r)
		}),
		"of another message": input() + "." + b64(ecA.sign(input())),
	} {
		a.refused(name, a.bearer("api.test", token), tokenSignature, "")
	}
}

func tryBadKeys(a *attempt) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	a.check(err)
	one := newRSA()
	one.E = 1
	off := newEC()
	off.Y = new(big.Int).Xor(off.Y, big.NewInt(1))
	bad := map[string]struct {
		key    *signer
		change changes
	}{
		"of 1024 bits":            {&signer{kid: "short", alg: "RS256", private: short}, nil},
		"with the exponent 1":     {&signer{kid: "one", alg: "RS256", private: one}, nil},
		"of a broken generator":   {&signer{kid: "roca", alg: "RS256", private: newROCA()}, nil},
		"beside the curve":        {&signer{kid: "off", alg: "ES256", private: off}, nil},
		"for encryption":          {&signer{kid: "enc", alg: "RS256", private: rsaB.private}, changes{"use": "enc"}},
		"for encrypt":             {&signer{kid: "ops", alg: "RS256", private: rsaB.private}, changes{"key_ops": []string{"encrypt"}}},
		"for sign only":           {&signer{kid: "sign", alg: "RS256", private: rsaB.private}, changes{"key_ops": []string{"sign"}}},
		"for another algorithm":   {&signer{kid: "oaep", alg: "RS256", private: rsaB.private}, changes{"alg": "RSA-OAEP"}},
		"of another type than it": {&signer{kid: "type", alg: "RS256", private: rsaB.private}, changes{"kty": "EC"}},
	}
	set := []map[string]any{rsaA.jwk(nil)}
	for _, b := range bad {
		set = append(set, b.key.jwk(b.change))
	}
	a.keysOnSpare(keySet(set...))
	a.passes("the good key of the set", a.bearer("spare.test", rsaA.token(nil)))
	for name, b := range bad {
		b.key.issuer = rsaA.issuer
		a.refused("a key "+name, a.bearer("spare.test", b.key.forge()), tokenKey, "")
	}
}

// forge signs as well as a key allows that is none.
func (s *signer) forge() string {
	signs := *s
	switch key := s.private.(type) {
	case *rsa.PrivateKey:
		if key.E == 1 {
			signs.private = rsaB.private
		}
	case *ecdsa.PrivateKey:
		signs.private = newEC()
	}
	return signs.token(nil)
}

// newROCA is a key as the broken generator made them: its primes are powers of 65537
// modulo a product of small primes.
func newROCA() *rsa.PrivateKey {
	modulus := big.NewInt(1)
	for _, p := range []int64{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
		101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167} {
		modulus.Mul(modulus, big.NewInt(p))
	}
	prime := func() *big.Int {
		for {
			a, err := rand.Int(rand.Reader, modulus)
			if err != nil {
				panic(err)
			}
			p, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 1022))
			if err != nil {
				panic(err)
			}
			p.SetBit(p, 1023, 1).SetBit(p, 1022, 1)
			p.Sub(p, new(big.Int).Mod(p, modulus))
			if p.Add(p, new(big.Int).Exp(big.NewInt(65537), a, modulus)); p.BitLen() == 1024 && p.ProbablyPrime(8) {
				return p
			}
		}
	}
	for {
		p, q := prime(), prime()
		phi := new(big.Int).Mul(new(big.Int).Sub(p, big.NewInt(1)), new(big.Int).Sub(q, big.NewInt(1)))
		d := new(big.Int).ModInverse(big.NewInt(65537), phi)
		n := new(big.Int).Mul(p, q)
		if d == nil {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	}
}

func tryEncrypted(a *attempt) {
	five := func(header string) string {
		return b64([]byte(header)) + "." + b64([]byte("key")) + "." + b64([]byte("iv")) + "." + b64([]byte("text")) + "." + b64([]byte("tag"))
	}
	for name, header := range map[string]string{
		"RSA-OAEP":      `{"alg":"RSA-OAEP","enc":"A256GCM"}`,
		"dir":           `{"alg":"dir","enc":"A256GCM","zip":"DEF"}`,
		"a slow PBKDF2": `{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2000000000,"p2s":"AAAA"}`,
		"signed inside": `{"alg":"RS256","kid":"a-rsa","cty":"JWT"}`,
	} {
		a.refused(name, a.bearer("api.test", five(header)), tokenMalformed, "token does not have three segments")
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	a.check(err)
	_, err = z.Write([]byte(rsaA.claims(nil)))
	a.check(err)
	a.check(z.Close())
	a.refused("a compressed payload", a.bearer("api.test", rsaA.compact(rsaA.header(changes{"zip": "DEF"}), packed.String())), tokenMalformed, "")
	a.refused("a slow PBKDF2 in three segments", a.bearer("api.test",
		rsaA.tokenWith(changes{"alg": "PBES2-HS256+A128KW", "p2c": 2000000000}, nil)), tokenAlgorithm, "")
}

func tryGiants(a *attempt) {
	const tooLong = "token is too long"
	a.refused("a megabyte of dots", a.bearer("api.test", strings.Repeat(".", 1<<20)), tokenMalformed, tooLong)
	a.refused("a header of 64 KB", a.bearer("api.test", rsaA.tokenWith(changes{"x": strings.Repeat("x", 64<<10)}, nil)), tokenMalformed, tooLong)
	a.refused("claims of 64 KB", a.bearer("api.test", rsaA.token(changes{"x": strings.Repeat("x", 64<<10)})), tokenMalformed, tooLong)
	a.refused("a header of 8 KB", a.bearer("api.test", rsaA.tokenWith(changes{"x": strings.Repeat("x", 8<<10)}, nil)), tokenMalformed, "header is too long")
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	a.refused("5000 levels", a.bearer("api.test", rsaA.token(changes{"x": verbatim(deep)})), tokenMalformed, "nested too deep")
	a.passes("as many claims as there is room for", a.bearer("api.test", rsaA.token(changes{"x": strings.Repeat("x", 8<<10)})))
}

func tryExpiredForgery(a *attempt) {
	past := changes{"exp": time.Now().Add(-time.Hour).Unix()}
	forged := stranger.as("a-rsa", "RS256")
	a.refused("expired and badly signed", a.bearer("api.test", forged.token(past)), tokenSignature, "")
	a.refused("expired", a.bearer("api.test", rsaA.token(past)), tokenExpired, "")
}
