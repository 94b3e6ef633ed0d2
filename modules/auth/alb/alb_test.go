package alb

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	ours   = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188"
	theirs = "arn:aws:elasticloadbalancing:eu-central-1:999999999999:loadbalancer/app/edge/50dc6c495c0c9188"
	abroad = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188"

	kid      = "0f0e0d0c-1a2b-4c3d-8e9f-001122334455"
	otherKid = "0f0e0d0c-1a2b-4c3d-8e9f-001122334456"

	here  = "https://here.example/"
	there = "https://there.example/"
)

var (
	testNow  = time.Now().Truncate(time.Second)
	key      = newKey()
	otherKey = newKey()
)

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func publicPEM(public any) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// sign makes an assertion as a balancer does.
func sign(k *ecdsa.PrivateKey, header, claims string) string {
	b64 := base64.URLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	return text + "." + b64(rawSignature(k, text))
}

func rawSignature(k *ecdsa.PrivateKey, text string) []byte {
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		panic(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw
}

// header is that of a good assertion with changes; nil removes a member.
func header(change map[string]any) string {
	all := map[string]any{
		"typ": "JWT", "alg": "ES256", "kid": kid, "iss": "https://idp.example", "client": "c1", "signer": ours, "exp": testNow.Unix() + 120,
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

const claims = `{"sub":"alice","email":"alice@example.com","groups":["staff"],"iss":"https://idp.example","exp":1}`

// server plays the servers of keys.
type server struct {
	mu    sync.Mutex
	files map[string][]byte
	fail  error
	asked []string
	hold  chan struct{} // answers nothing until it is closed
}

func (s *server) get(ctx context.Context, url string) (int, []byte, error) {
	s.mu.Lock()
	s.asked = append(s.asked, url)
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, nil, s.fail
	}
	if file, ok := s.files[url]; ok {
		return 200, file, nil
	}
	return 404, []byte("<html>"), nil
}

func (s *server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func newServer() *server {
	return &server{files: map[string][]byte{here + kid: publicPEM(key.Public()), there + otherKid: publicPEM(otherKey.Public())}}
}

func keysOf(t testing.TB, s *server, prefix string) *Keys {
	t.Helper()
	k := NewKeys(prefix, s.get)
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func newVerifier(t testing.TB, s *server) *Verifier {
	t.Helper()
	return New(Config{
		Balancers: map[string]*Keys{ours: keysOf(t, s, here), abroad: keysOf(t, s, there)},
		Issuers:   []string{"https://idp.example"}, Clients: []string{"c1"},
		Mapper: jwt.NewMapper(Method, nil, []string{"groups"}, ""),
	})
}

func TestAssertions(t *testing.T) {
	good := sign(key, header(nil), claims)
	unpadded := func(s string) string { return strings.ReplaceAll(s, "=", "") }
	signedUnpadded := func() string {
		text := strings.TrimSuffix(good[:strings.LastIndexByte(good, '.')], "=")
		text = unpadded(text)
		return text + "." + base64.RawURLEncoding.EncodeToString(rawSignature(key, text))
	}()
	der := func() string {
		text := good[:strings.LastIndexByte(good, '.')]
		sum := sha256.Sum256([]byte(text))
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.URLEncoding.EncodeToString(sig)
	}()
	tests := []struct {
		name, assertion string
		want            error
		asks            int // the server, at most
	}{
		{"a good one", good, nil, 1},
		{"its padding is part of what is signed", unpadded(good), ErrMalformed, 0},
		{"signed without padding", signedUnpadded, ErrMalformed, 0},
		{"a signature in DER", der, ErrSignature, 1},
		{"of another customer's balancer", sign(key, header(map[string]any{"signer": theirs}), claims), ErrSigner, 0},
		{"a signer in another case", sign(key, header(map[string]any{"signer": strings.ToUpper(ours)}), claims), ErrSigner, 0},
		{"no signer", sign(key, header(map[string]any{"signer": nil}), claims), ErrSigner, 0},
		{"several signers", sign(key, header(map[string]any{"signer": []string{ours}}), claims), ErrSigner, 0},
		{"a key of another region", sign(otherKey, header(map[string]any{"kid": otherKid}), claims), ErrKey, 1},
		{"a signer of another region with a key of this one", sign(key, header(map[string]any{"signer": abroad}), claims), ErrKey, 1},
		{"a signer of another region with its own key", sign(otherKey, header(map[string]any{"signer": abroad, "kid": otherKid}), claims), nil, 1},
		{"another client", sign(key, header(map[string]any{"client": "c2"}), claims), ErrClient, 0},
		{"no client", sign(key, header(map[string]any{"client": nil}), claims), ErrClient, 0},
		{"another issuer", sign(key, header(map[string]any{"iss": "https://evil.example"}), claims), ErrIssuer, 0},
		{"an issuer among the claims only", sign(key, header(map[string]any{"iss": nil}), claims), ErrIssuer, 0},
		{"signed with another key", sign(otherKey, header(nil), claims), ErrSignature, 1},
		{"other claims", replaceClaims(good, `{"sub":"mallory"}`), ErrSignature, 1},
		{"none", replaceSignature(sign(key, header(map[string]any{"alg": "none"}), claims), ""), ErrMalformed, 0},
		{"HS256", sign(key, header(map[string]any{"alg": "HS256"}), claims), ErrMalformed, 0},
		{"ES384", sign(key, header(map[string]any{"alg": "ES384"}), claims), ErrMalformed, 0},
		{"crit", sign(key, header(map[string]any{"crit": []string{"exp"}}), claims), ErrMalformed, 0},
		{"a key id that leads out of the directory", sign(key, header(map[string]any{"kid": "../" + kid[3:]}), claims), ErrKey, 0},
		{"a key id with a query", sign(key, header(map[string]any{"kid": kid[:35] + "?"}), claims), ErrKey, 0},
		{"a key id in upper case", sign(key, header(map[string]any{"kid": strings.ToUpper(kid)}), claims), ErrKey, 0},
		{"a key id with misplaced hyphens", sign(key, header(map[string]any{"kid": strings.Repeat("-", 36)}), claims), ErrKey, 0},
		{"a key id that is too long", sign(key, header(map[string]any{"kid": kid + "0"}), claims), ErrKey, 0},
		{"no key id", sign(key, header(map[string]any{"kid": nil}), claims), ErrKey, 0},
		{"a key that does not exist", sign(key, header(map[string]any{"kid": otherKid}), claims), ErrKey, 1},
		{"the last second of the leeway", sign(key, header(map[string]any{"exp": testNow.Unix() - 29}), claims), nil, 1},
		{"expired", sign(key, header(map[string]any{"exp": testNow.Unix() - 30}), claims), ErrExpired, 1},
		{"exp among the claims only", sign(key, header(map[string]any{"exp": nil}), `{"sub":"alice","exp":9000000000}`), ErrClaims, 1},
		{"exp that is no number", sign(key, header(map[string]any{"exp": "9000000000"}), claims), ErrClaims, 1},
		{"no sub", sign(key, header(nil), `{"email":"alice@example.com"}`), ErrClaims, 1},
		{"sub with a line break", sign(key, header(nil), `{"sub":"a\nb"}`), ErrClaims, 1},
		{"sub given twice", sign(key, header(nil), `{"sub":"alice","sub":"root"}`), ErrMalformed, 1},
		{"signer given twice", sign(key, strings.Replace(header(nil), `{`, `{"signer":"`+theirs+`",`, 1), claims), ErrMalformed, 0},
		{"no token", "x", ErrMalformed, 0},
		{"four segments", good + ".", ErrMalformed, 0},
		{"a line break", good[:10] + "\n" + good[10:], ErrMalformed, 0},
		{"too long", sign(key, header(nil), `{"sub":"`+strings.Repeat("a", 20<<10)+`"}`), ErrMalformed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer()
			v := newVerifier(t, s)
			for range 2 { // read, and remembered
				who, err := v.Verify(t.Context(), tt.assertion, testNow)
				if !errors.Is(err, tt.want) || (who == nil) != (err != nil) {
					t.Fatalf("got %+v, %v, want %v", who, err, tt.want)
				}
				if who != nil && (who.ID != "alice" || who.Issuer != "https://idp.example" || who.Method != Method || len(who.Roles) != 1 || who.Roles[0] != "staff") {
					t.Errorf("got %+v", who)
				}
			}
			if n := s.requests(); n > tt.asks {
				t.Errorf("%d requests: %v", n, s.asked)
			}
		})
	}
}

func replaceClaims(assertion, claims string) string {
	parts := strings.Split(assertion, ".")
	parts[1] = base64.URLEncoding.EncodeToString([]byte(claims))
	return strings.Join(parts, ".")
}

func replaceSignature(assertion, signature string) string {
	return assertion[:strings.LastIndexByte(assertion, '.')+1] + signature
}

func TestAnyClientAndIssuerWhereNoneIsNamed(t *testing.T) {
	v := New(Config{Balancers: map[string]*Keys{ours: keysOf(t, newServer(), here)}, Mapper: jwt.NewMapper(Method, nil, nil, "")})
	who, err := v.Verify(t.Context(), sign(key, header(map[string]any{"client": "c9", "iss": "https://other.example"}), claims), testNow)
	if err != nil || who.Issuer != "https://other.example" {
		t.Errorf("got %+v, %v", who, err)
	}
	for _, bad := range []map[string]any{{"client": ""}, {"iss": ""}, {"iss": "a\nb"}, {"client": 1}} {
		if who, err := v.Verify(t.Context(), sign(key, header(bad), claims), testNow); err == nil {
			t.Errorf("%v is accepted: %+v", bad, who)
		}
	}
}

func TestARememberedAssertionExpires(t *testing.T) {
	v := newVerifier(t, newServer())
	assertion := sign(key, header(nil), claims)
	for _, tt := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {149 * time.Second, nil}, {150 * time.Second, ErrExpired}} {
		if _, err := v.Verify(t.Context(), assertion, testNow.Add(tt.after)); !errors.Is(err, tt.want) {
			t.Errorf("after %s: got %v", tt.after, err)
		}
	}
}

func TestAWithdrawnKeyTakesItsAssertionsWithIt(t *testing.T) {
	s := newServer()
	v := newVerifier(t, s)
	assertion := sign(key, header(map[string]any{"exp": testNow.Add(30 * 24 * time.Hour).Unix()}), claims)
	if _, err := v.Verify(t.Context(), assertion, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.change(func() { delete(s.files, here+kid) })
	keys := v.config.Balancers[ours]
	later := time.Now().Add(refreshAfter + time.Minute)
	if _, err := keys.Get(t.Context(), kid, later); err != nil { // begins to look, and does not wait
		t.Fatal(err)
	}
	keys.done.Wait()
	if _, err := v.Verify(t.Context(), assertion, time.Now()); !errors.Is(err, ErrKey) {
		t.Errorf("got %v", err)
	}
}

func TestRememberedAssertionsCostNoAllocation(t *testing.T) {
	v := newVerifier(t, newServer())
	assertion := sign(key, header(nil), claims)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(context.Background(), assertion, testNow); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What was remembered of one assertion is not said of another in the same place.
func TestWhatIsRememberedIsOfTheSameAssertion(t *testing.T) {
	v := newVerifier(t, newServer())
	good := sign(key, header(nil), claims)
	if _, err := v.Verify(t.Context(), good, testNow); err != nil {
		t.Fatal(err)
	}
	forged := replaceClaims(good, `{"sub":"mallory"}`)
	v.cache.place(forged).Store(v.cache.place(good).Load())
	if who, err := v.Verify(t.Context(), forged, testNow); !errors.Is(err, ErrSignature) {
		t.Errorf("got %+v, %v", who, err)
	}
}
