package integration

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

const hostileName = "https://issuer.test"

// signingKey is one of an issuer's keys.
type signingKey struct {
	id      string
	private ed25519.PrivateKey
}

func newSigningKey(t testing.TB, id string) *signingKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signingKey{id, private}
}

func (k *signingKey) jwk() string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, k.id,
		base64.RawURLEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey)))
}

// token is a new one each time.
func (k *signingKey) token(t testing.TB) string {
	t.Helper()
	now := time.Now()
	token := golangjwt.NewWithClaims(golangjwt.SigningMethodEdDSA, golangjwt.MapClaims{
		"iss": hostileName, "sub": "ada", "aud": "api", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
	})
	token.Header["kid"] = k.id
	text, err := token.SignedString(k.private)
	if err != nil {
		t.Error(err)
	}
	return text
}

// hostile is an issuer with metadata, over TLS with a certificate of its own, that
// does what it is told.
type hostile struct {
	*httptest.Server
	requests atomic.Int64 // for keys
	behave   atomic.Pointer[http.HandlerFunc]
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := new(hostile)
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			h.requests.Add(1)
		}
		(*h.behave.Load())(w, r)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

func (h *hostile) does(f http.HandlerFunc) { h.behave.Store(&f) }

// publishes makes it a good issuer with these keys.
func (h *hostile) publishes(keys ...string) {
	set := `{"keys":[` + strings.Join(keys, ",") + `]}`
	h.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metadata" {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, hostileName, "https://"+r.Host+"/keys")
			return
		}
		_, _ = io.WriteString(w, set)
	})
}

// ca is its certificate, in PEM.
func (h *hostile) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
}

func (h *hostile) caddyfile(addr, options string) string {
	return fmt.Sprintf(`{
	admin {$ADMIN}
	persist_config off
	metrics
}
http://%s {
	auth {
		jwt %s {
			audience api
			algorithms EdDSA
			discovery %s/metadata {
				allow_private
				trust_pool file ca.pem
				%s
			}
		}
	}
	respond "hello"
}
`, addr, hostileName, h.URL, strings.ReplaceAll(options, "; ", "\n\t\t\t\t"))
}

// steady are clients with valid tokens, old ones and new ones, until stopped.
type steady struct {
	signer atomic.Pointer[signingKey]
	served atomic.Int64
	stop   func()

	mu      sync.Mutex
	refused []string
}

func startSteady(t *testing.T, url string, signer *signingKey) *steady {
	t.Helper()
	s := new(steady)
	s.signer.Store(signer)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			client := &http.Client{Timeout: patience, Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			signer, token := (*signingKey)(nil), ""
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				if now := s.signer.Load(); now != signer || n%3 == 0 {
					signer, token = now, now.token(t)
				}
				r, err := http.NewRequest("GET", url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(r)
				if err != nil {
					continue // the gateway is replaced or restarted; that is judged elsewhere
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					s.mu.Lock()
					s.refused = append(s.refused, fmt.Sprintf("%d: a token of %s: %s", resp.StatusCode, signer.id, body))
					s.mu.Unlock()
					continue
				}
				s.served.Add(1)
			}
		})
	}
	s.stop = sync.OnceFunc(func() { close(done); wg.Wait() })
	t.Cleanup(s.stop)
	return s
}

// check fails if a valid token was refused since the last check, or none was served.
func (s *steady) check(t *testing.T, during string) {
	t.Helper()
	before := s.served.Load()
	waitFor(t, "requests during "+during, func() bool { return s.served.Load() > before+20 || s.count() > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) > 0 {
		t.Errorf("during %s %d valid tokens were refused, such as %s", during, len(s.refused), s.refused[0])
	}
	s.refused = nil
}

func (s *steady) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused)
}

// present sends one request with a token and returns the answer.
func present(t *testing.T, url, token string) answer {
	t.Helper()
	return send(t, http.DefaultClient, "GET", url, "Authorization", "Bearer "+token)
}

// startOn starts the gateway on a storage of its own, and returns what kills it.
func startOn(t *testing.T, dir, file, data string) (*gateway, func()) {
	t.Helper()
	g := newGateway(t, dir, freeAddr(t), map[string]string{"XDG_DATA_HOME": data})
	cmd := exec.Command(binary, "run", "--adapter", "caddyfile", "--config", file)
	exited := g.start(t, cmd)
	return g, func() {
		_ = cmd.Process.Kill()
		<-exited
	}
}

// J3, J4, J5 under load: whatever the issuer does, no valid token is refused while
// the keys are not too old; over reloads and a restart.
func TestAHostileIssuerTakesNobodyOut(t *testing.T) {
	issuer, dir, data := newHostile(t), t.TempDir(), t.TempDir()
	first := newSigningKey(t, "first")
	issuer.publishes(first.jwk())
	write(t, dir, "ca.pem", issuer.ca())
	addr := freeAddr(t)
	url := "http://" + addr + "/"
	config := issuer.caddyfile(addr, "refresh 1s 2s; max_stale 10m")
	file := write(t, dir, "Caddyfile", config)
	g, kill := startOn(t, dir, file, data)
	if got := present(t, url, first.token(t)); got.status != 200 {
		t.Fatalf("at the start: %d %s", got.status, got.body)
	}
	clients := startSteady(t, url, first)
	clients.check(t, "quiet")
	failures := func() float64 {
		return g.metric(t, fmt.Sprintf("sallyport_jwks_failures_total{source=%q}", issuer.URL+"/metadata"))
	}
	fetched := func(n int64) {
		t.Helper()
		before := issuer.requests.Load()
		waitFor(t, "the keys to be fetched", func() bool { return issuer.requests.Load() >= before+n })
	}

	// It rotates, and signs with the new key from the same moment on.
	old := first
	for n := range 3 {
		next := newSigningKey(t, fmt.Sprint("rotated-", n))
		issuer.publishes(old.jwk(), next.jwk())
		clients.signer.Store(next)
		fetched(2) // one that a token caused, one that was due: tokens may cause the next
		clients.check(t, "a rotation")
		withdrawn := old.token(t)
		if got := present(t, url, withdrawn); got.status != 200 { // and is remembered
			t.Errorf("a token of the key before: %d", got.status)
		}
		issuer.publishes(next.jwk())
		waitFor(t, "a token to go with its key", func() bool { return present(t, url, withdrawn).status == 401 })
		fetched(2)
		clients.check(t, "a withdrawal")
		old = next
	}

	// What it may do instead of answering.
	attacker := clientFrom(t, "127.0.0.2")
	var trapped atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { trapped.Add(1) }))
	defer trap.Close()
	_, inside, _ := net.SplitHostPort(trap.Listener.Addr().String())
	evil := newSigningKey(t, old.id) // of the same kid
	behaviours := []struct {
		name string
		does http.HandlerFunc
	}{
		{"an issuer that dies", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"status 500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"a gigabyte", func(w http.ResponseWriter, _ *http.Request) {
			block := []byte(strings.Repeat(" ", 1<<20))
			for range 1 << 10 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>login</html>") }},
		{"no keys", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metadata" {
				fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, hostileName, "https://"+r.Host+"/keys")
				return
			}
			_, _ = io.WriteString(w, `{"keys":[]}`)
		}},
		{"a redirect to a server inside", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+inside+"/", http.StatusFound)
		}},
		{"a redirect to the metadata service", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://169.254.169.254/latest", http.StatusFound)
		}},
		{"the metadata of another issuer", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metadata" {
				fmt.Fprintf(w, `{"issuer":"https://evil.test","jwks_uri":%q}`, "https://"+r.Host+"/keys")
				return
			}
			_, _ = io.WriteString(w, `{"keys":[`+evil.jwk()+`]}`)
		}},
		{"a slow loris", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
				}
			}
		}},
		{"an issuer that hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	}
	for _, b := range behaviours {
		before := failures()
		issuer.does(b.does)
		waitFor(t, "fetches to fail: "+b.name, func() bool { return failures() >= before+2 })
		clients.check(t, b.name)
		// What only a fetch could tell is not called invalid.
		if got := send(t, attacker, "GET", url, "Authorization", "Bearer "+newSigningKey(t, "unseen").token(t)); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: an unknown kid: %d", b.name, got.status)
		}
		if got := send(t, attacker, "GET", url, "Authorization", "Bearer "+evil.token(t)); got.status != 401 {
			t.Errorf("%s: another key with a known kid: %d", b.name, got.status)
		}
	}
	if n := trapped.Load(); n != 0 {
		t.Errorf("a redirect led inside %d times", n)
	}

	// Reloads in the outage, accepted and rejected, and a restart.
	if err := g.load(t, g.admin, file); err != nil {
		t.Fatal(err)
	}
	clients.check(t, "an accepted reload in an outage")
	broken := write(t, dir, "broken.Caddyfile", strings.Replace(config, "ca.pem", "missing.pem", 1))
	if err := g.load(t, g.admin, broken); err == nil {
		t.Error("a missing trust pool is accepted")
	}
	clients.check(t, "a rejected reload in an outage")
	kill()
	g, _ = startOn(t, dir, file, data)
	clients.check(t, "a restart in an outage")
	issuer.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	var state keyState
	waitFor(t, "the first fetch after the restart to fail", func() bool {
		state = sourceState(t, g)
		return state.State == "failing"
	})
	if !state.Stored || len(state.Keys) != 1 || state.LastError == "" {
		t.Errorf("the state after the restart: %+v", state)
	}

	// It recovers by itself, with one bad key among the good ones.
	recovered := newSigningKey(t, "recovered")
	issuer.publishes(`{"kty":"RSA","kid":"bad","n":"AQ","e":"AQAB"}`, recovered.jwk(), old.jwk())
	waitFor(t, "the new key", func() bool { return present(t, url, recovered.token(t)).status == 200 })
	clients.check(t, "the recovery")
	if state := sourceState(t, g); state.State != "ok" || len(state.Keys) != 2 || state.Stored {
		t.Errorf("the state after the recovery: %+v", state)
	}
}

type keyState struct {
	State     string
	Stored    bool
	Keys      []struct{ Kid string }
	LastError string `json:"last_error"`
}

// sourceState is what `caddy sallyport jwks` tells of the only source.
func sourceState(t *testing.T, g *gateway) keyState {
	t.Helper()
	var told struct{ Sources []keyState }
	if err := json.Unmarshal([]byte(caddy(t, g.dir, "sallyport", "jwks", "--address", g.admin, "--json")), &told); err != nil {
		t.Fatal(err)
	}
	if len(told.Sources) != 1 {
		t.Fatalf("%d sources of keys", len(told.Sources))
	}
	return told.Sources[0]
}

// After max_stale nobody can be let in, and nobody is called invalid either.
func TestKeysThatAreTooOldAre503AndRecover(t *testing.T) {
	issuer, dir := newHostile(t), t.TempDir()
	key := newSigningKey(t, "a")
	issuer.publishes(key.jwk())
	write(t, dir, "ca.pem", issuer.ca())
	addr := freeAddr(t)
	url := "http://" + addr + "/"
	start(t, dir, write(t, dir, "Caddyfile", issuer.caddyfile(addr, "refresh 1s 1s; max_stale 3s")), nil)
	token := key.token(t) // one that is remembered as good
	if got := present(t, url, token); got.status != 200 {
		t.Fatalf("at the start: %d %s", got.status, got.body)
	}
	issuer.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	waitFor(t, "the keys to be too old", func() bool {
		got := present(t, url, token)
		if got.status != 200 && got.status != 503 {
			t.Errorf("in the outage: %d", got.status)
		}
		return got.status == 503
	})
	for _, token := range []string{token, key.token(t), newSigningKey(t, "b").token(t)} {
		got := present(t, url, token)
		if got.status != 503 || got.header.Get("Retry-After") == "" || got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("with stale keys: %d %v", got.status, got.header)
		}
	}
	issuer.publishes(key.jwk())
	waitFor(t, "the recovery", func() bool { return present(t, url, token).status == 200 })
}

// J1 and J2: a flood of random kids causes one fetch per interval, and does not keep
// the next rotation from being found.
func TestAFloodOfRandomKeyIDsCausesFewFetches(t *testing.T) {
	issuer, dir := newHostile(t), t.TempDir()
	key := newSigningKey(t, "a")
	issuer.publishes(key.jwk())
	write(t, dir, "ca.pem", issuer.ca())
	addr := freeAddr(t)
	url := "http://" + addr + "/"
	g := start(t, dir, write(t, dir, "Caddyfile", issuer.caddyfile(addr, "max_stale 24h")), nil)
	if got := present(t, url, key.token(t)); got.status != 200 {
		t.Fatalf("at the start: %d %s", got.status, got.body)
	}
	clients := startSteady(t, url, key)
	before, began := issuer.requests.Load(), time.Now()
	goroutines := g.metric(t, "go_goroutines")

	const floods, each = 8, 250
	valid := key.token(t)
	_, rest, _ := strings.Cut(valid, ".")
	statuses := make([]atomic.Int64, 600)
	var wg sync.WaitGroup
	for range floods {
		wg.Go(func() {
			client := clientFrom(t, "127.0.0.2")
			for range each {
				header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","kid":%q}`, rand.Text()))
				r, _ := http.NewRequest("GET", url, nil)
				r.Header.Set("Authorization", "Bearer "+header+"."+rest)
				resp, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				statuses[resp.StatusCode].Add(1)
			}
		})
	}
	wg.Wait()
	for status := range statuses {
		if n := statuses[status].Load(); n > 0 && status != 401 && status != 429 {
			t.Errorf("%d answers %d", n, status)
		}
	}
	// One at once, one for every 15 s, and the regular one of each 13 min.
	if n, most := issuer.requests.Load()-before, 2+int64(time.Since(began)/(15*time.Second)); n > most {
		t.Errorf("%d requests caused %d fetches, at most %d are allowed", floods*each, n, most)
	}
	clients.check(t, "the flood")
	clients.stop()
	waitFor(t, "the goroutines of the flood to end", func() bool { return g.metric(t, "go_goroutines") < goroutines+20 })

	// The budget is burnt when the issuer rotates: the new key is found without a
	// reload, and an attacker is still at it.
	next := newSigningKey(t, "b")
	issuer.publishes(key.jwk(), next.jwk())
	attacker := clientFrom(t, "127.0.0.2")
	waitFor(t, "the new key", func() bool {
		send(t, attacker, "GET", url, "Authorization", "Bearer "+newSigningKey(t, rand.Text()).token(t))
		return present(t, url, next.token(t)).status == 200
	})
}
