package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
)

// signer is who signs tokens: an issuer, or somebody who would like to be one.
type signer struct {
	issuer, kid, alg string
	private          any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, or []byte for an HMAC
}

// The issuers of testdata/attacks and their keys.
var (
	rsaA     = &signer{"https://a.test", "a-rsa", "RS256", newRSA()}
	ecA      = &signer{"https://a.test", "a-ec", "ES256", newEC()}
	edA      = &signer{"https://a.test", "a-ed", "EdDSA", newEd()}
	rsaB     = &signer{"https://b.test", "b-rsa", "RS256", newRSA()}
	ecB      = &signer{"https://b.test", "b-ec", "ES256", newEC()}
	stranger = &signer{"https://a.test", "evil", "RS256", newRSA()}
)

// clientSecret is what the gateway is a client of another service with.
const clientSecret = "the OIDC client secret of this gateway, which is no key"

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newEC() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newEd() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// as is the same key under another name for it, or for another algorithm.
func (s *signer) as(kid, alg string) *signer {
	other := *s
	other.kid, other.alg = kid, alg
	return &other
}

// sign signs as the signer's algorithm does.
func (s *signer) sign(input string) []byte {
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(s.alg, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(s.alg, "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	var signature []byte
	var err error
	switch key := s.private.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(s.alg, "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			break
		}
		signature, err = rsa.SignPKCS1v15(nil, key, hash, digest)
	case *ecdsa.PrivateKey:
		r, t, e := ecdsa.Sign(rand.Reader, key, digest)
		signature, err = joined(r, t, (key.Params().BitSize+7)/8), e
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case []byte:
		mac := hmac.New(hash.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	}
	if err != nil {
		panic(err)
	}
	return signature
}

// joined is an ECDSA signature as JWS has it.
func joined(r, s *big.Int, size int) []byte {
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature
}

var b64, unb64 = base64.RawURLEncoding.EncodeToString, base64.RawURLEncoding.DecodeString

// compact signs these bytes.
func (s *signer) compact(header, payload string) string {
	return s.seal(b64([]byte(header)) + "." + b64([]byte(payload)))
}

// seal signs two segments as they are.
func (s *signer) seal(input string) string { return input + "." + b64(s.sign(input)) }

// changes replace members of an object; nil removes one.
type changes map[string]any

// token signs good claims with changes.
func (s *signer) token(c changes) string { return s.tokenWith(nil, c) }

// tokenWith signs a good header and good claims, both with changes. Each token is
// another one.
func (s *signer) tokenWith(header, claims changes) string {
	return s.compact(s.header(header), s.claims(claims))
}

func (s *signer) header(c changes) string {
	return object(map[string]any{"alg": s.alg, "kid": s.kid, "typ": "JWT"}, c)
}

func (s *signer) claims(c changes) string {
	now := time.Now()
	return object(map[string]any{
		"iss": s.issuer, "aud": "https://api.test", "sub": "alice", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}, c)
}

func object(members map[string]any, c changes) string {
	maps.Copy(members, c)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	return text(members)
}

func text(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// verbatim is JSON that is written as it is.
func verbatim(s string) json.RawMessage { return json.RawMessage(s) }

// jwk is the public key as an issuer publishes it, with changes.
func (s *signer) jwk(c changes) map[string]any {
	members := map[string]any{"kid": s.kid}
	switch key := s.private.(type) {
	case *rsa.PrivateKey:
		members["kty"], members["n"], members["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PrivateKey:
		size := (key.Params().BitSize + 7) / 8
		members["kty"], members["crv"] = "EC", key.Params().Name
		members["x"], members["y"] = b64(key.X.FillBytes(make([]byte, size))), b64(key.Y.FillBytes(make([]byte, size)))
	case ed25519.PrivateKey:
		members["kty"], members["crv"], members["x"] = "OKP", "Ed25519", b64(key.Public().(ed25519.PublicKey))
	case []byte:
		members["kty"], members["k"] = "oct", b64(key)
	}
	maps.Copy(members, c)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	return members
}

// keySet is a JWK set.
func keySet(keys ...map[string]any) string { return text(map[string]any{"keys": keys}) }

func publicKeys(signers ...*signer) string {
	var keys []map[string]any
	for _, s := range signers {
		keys = append(keys, s.jwk(nil))
	}
	return keySet(keys...)
}

// certificate is one that the signer made for itself.
func (s *signer) certificate() []byte {
	key := s.private.(*rsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: s.kid}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return der
}

// issuers is the server of all issuers' key sets, by path. Paths that begin with a
// case's own word are its own.
type issuers struct {
	addr string

	mu      sync.Mutex
	paths   map[string]http.HandlerFunc
	fetches map[string]int
}

func newIssuers(t *testing.T) *issuers {
	i := &issuers{paths: make(map[string]http.HandlerFunc), fetches: make(map[string]int)}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.addr = strings.TrimPrefix(server.URL, "http://")
	i.serve("/a", publicKeys(rsaA, ecA, edA))
	i.serve("/b", publicKeys(rsaB, ecB))
	return i
}

// serve has a path answer with a key set.
func (i *issuers) serve(path, set string) {
	i.answer(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set) })
}

// publish serves a key set under a path that nobody else has, and returns its URL
// and the path.
func (i *issuers) publish(set string) (url, path string) {
	path = "/" + rand.Text()
	i.serve(path, set)
	return "http://" + i.addr + path, path
}

func (i *issuers) answer(path string, handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paths[path] = handler
}

// asked is how often a path was asked for.
func (i *issuers) asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches[path]
}

func (i *issuers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.fetches[r.URL.Path]++
	handler := i.paths[r.URL.Path]
	i.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

// keyOf are the API keys of the gateway by their owner.
type keyOf map[string]string

// pepper is under which they are hashed.
const pepper = "a pepper of this test, long enough to be one"

func (w *attacked) writeKeys(t *testing.T) {
	t.Helper()
	write(t, w.dir, "pepper", pepper+"\n")
	w.keys = make(keyOf)
	for _, r := range []apikey.Record{
		{Owner: "acme", Scopes: []string{"orders:read"}},
		{Owner: "former"},
		{Owner: "office", Allow: []string{"192.0.2.0/24"}},
	} {
		key, made, err := apikey.Create(w.file("keys.json"), []byte(pepper), r)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[r.Owner] = key
		if r.Owner != "former" {
			continue
		}
		if _, err := apikey.Revoke(w.file("keys.json"), made.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// rekeyed is a key in the right form.
func rekeyed(id, secret string) string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	body := "sp_" + id + "_" + secret
	sum := crc32.ChecksumIEEE([]byte(body))
	check := make([]byte, 7)
	for i := range check {
		check[len(check)-1-i] = alphabet[sum&31]
		sum >>= 5
	}
	return body + "_" + string(check)
}

// hashed is a digest in the form of segments.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return b64(sum[:])
}
