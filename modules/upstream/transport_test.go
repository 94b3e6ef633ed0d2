package upstream_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

// toBackend is a gateway without auth in front of gatetest's backend; OPTIONS stands
// in reverse_proxy, TRANSPORT in the transport.
const toBackend = `{$ADDR} {
	health
	reverse_proxy {$BACKEND} {
		OPTIONS
		transport sallyport {
			assertion {
				audience orders
			}
			TRANSPORT
		}
	}
}
`

func with(options, transport string) string {
	return strings.NewReplacer("OPTIONS", options, "TRANSPORT", transport).Replace(toBackend)
}

func TestTheAssertionIsAboutTheRequestAsItIsSent(t *testing.T) {
	l := newLab(t, `{$ADDR} {
	health
	@api not path /readyz
	auth @api {
		api_key {
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}
	}
	handle_path /v1/* {
		rewrite * {uri}?added=1
		method PUT
		reverse_proxy {$BACKEND} {
			transport sallyport {
				assertion {
					audience orders
					issuer gate
					ttl 10s
					header X-Proof
				}
			}
		}
	}
}
`)
	s := new(seen)
	l.Backend(s.handler(nil))
	l.ask(t, "GET", "/v1/a%20b?x=1")
	got := s.last(t)
	token := got.Header.Get("X-Proof")
	set := set(t, l.signingKey(t))
	path, query, _ := strings.Cut(got.RequestURI, "?")
	v := assertion.Verifier{Issuer: "gate", Audience: "orders", Keys: set}
	accepted, err := v.Verify(t.Context(), token, assertion.Target{Method: "PUT", Path: path, Query: query}, time.Now())
	if err != nil {
		t.Fatalf("%s %s: %v", got.Method, got.RequestURI, err)
	}
	who := accepted.Caller
	if who.ID != "acme" || who.Method != "api_key" || !slices.Equal(who.Roles, []string{"buyer"}) || !slices.Equal(who.Scopes, []string{"orders:read"}) || who.Tier != "gold" {
		t.Errorf("the caller is %+v", who)
	}
	claims := payload(t, token)
	if claims["rid"] == nil || claims["rid"] != got.Header.Get("X-Request-Id") {
		t.Errorf("rid is %v, the request's %v", claims["rid"], got.Header.Get("X-Request-Id"))
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 10 {
		t.Errorf("good from %v to %v", claims["iat"], claims["exp"])
	}
}

func set(t *testing.T, key *assertion.Key) *jwt.KeySet {
	t.Helper()
	keys, err := jwt.ParseJWKS([]byte(`{"keys":[` + string(key.JWK()) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	l := newLab(t, with("lb_retries 2\nlb_retry_match `{rp.status_code} == 503`", ""))
	s := new(seen)
	var calls atomic.Int32
	l.Backend(s.handler(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(503)
		}
	}))
	if resp := l.Do(t, "GET", "/"); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	ids := make(map[any]bool)
	for _, r := range s.requests {
		ids[payload(t, r.Header.Get("Sallyport-Assertion"))["jti"]] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d attempts with %d assertions", s.count(), len(ids))
	}
}

// TestAFailedDialIsRetriedForEveryMethod: Caddy does that for its DialError alone.
func TestAFailedDialIsRetriedForEveryMethod(t *testing.T) {
	l := newLab(t, strings.Replace(with("lb_policy first\nlb_retries 1\nfail_duration 1m", "keepalive off"), "{$BACKEND}", freeAddr(t)+" {$BACKEND}", 1))
	if resp := l.Send(t, "POST", "/", "body"); resp.Status != 200 {
		t.Errorf("got %d", resp.Status)
	}
	if n := metric(t, "sallyport_upstream_responses_total", "service", "orders", "code", "error"); n < 1 {
		t.Errorf("the failed attempt is counted %v times", n)
	}
}

func TestWebSocketsPassBothGates(t *testing.T) {
	l := newLab(t, withRules(""))
	l.Backend(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(400)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: "+strings.TrimPrefix(l.URL, "http://")+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Api-Key: "+l.key+"\r\n\r\n")
	r := bufio.NewReader(conn)
	status, err := textproto.NewReader(r).ReadLine()
	if err != nil || !strings.Contains(status, "101") {
		t.Fatalf("got %q %v", status, err)
	}
	if _, err := textproto.NewReader(r).ReadMIMEHeader(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "ping")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "ping" {
		t.Errorf("got %q %v", echo, err)
	}
}

// TestInformationalResponsesAndTrailersPass what the embedded transport does.
func TestInformationalResponsesAndTrailersPass(t *testing.T) {
	l := newLab(t, with("", ""))
	l.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
	})
	answer := l.Raw(t, "GET / HTTP/1.1\r\nHost: "+strings.TrimPrefix(l.URL, "http://")+"\r\nTe: trailers\r\nConnection: close, te\r\n\r\n")
	for _, part := range []string{"103 Early Hints", "200 OK", "body", "X-Sum: 7"} {
		if !strings.Contains(answer, part) {
			t.Errorf("no %q in %q", part, answer)
		}
	}
}

func TestHTTP2BackendsGetAssertionsToo(t *testing.T) {
	var protocol, token atomic.Value
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		token.Store(r.Header.Get("Sallyport-Assertion"))
	}))
	backend.EnableHTTP2 = true
	backend.StartTLS()
	defer backend.Close()
	l := newLab(t, strings.Replace(with("", "tls_insecure_skip_verify"), "{$BACKEND}", backend.URL, 1))
	if resp := l.Do(t, "GET", "/h2"); resp.Status != 200 || protocol.Load() != "HTTP/2.0" {
		t.Fatalf("got %d over %v", resp.Status, protocol.Load())
	}
	if payload(t, token.Load().(string))["path"] != "/h2" {
		t.Error("the assertion is about another path")
	}
	if n := metric(t, "sallyport_upstream_phase_seconds", "service", "orders", "phase", "tls"); n < 1 {
		t.Errorf("the handshake was observed %v times", n)
	}
}

func TestHealthChecksAreSignedWithoutACaller(t *testing.T) {
	l := prepare(t)
	checks := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			select {
			case checks <- r.Header.Get("Sallyport-Assertion"):
			default:
			}
		}
	}))
	defer backend.Close()
	// The interval is longer than the test: it is the first check that counts.
	l.start(t, strings.Replace(with("health_uri /healthz\nhealth_interval 1h\nhealth_timeout 30s", ""), "{$BACKEND}", backend.Listener.Addr().String(), 1))
	claims := payload(t, <-checks)
	if claims["path"] != "/healthz" || claims["sub"] != nil || claims["rid"] != nil {
		t.Errorf("claims %v", claims)
	}
	if resp := l.Do(t, "GET", "/"); resp.Status != 200 {
		t.Errorf("got %d", resp.Status)
	}
}

// TestTheFirstHealthCheckWaitsForAKey: sent without one it would count against the
// service until the next.
func TestTheFirstHealthCheckWaitsForAKey(t *testing.T) {
	l := prepare(t)
	value := filepath.Join(l.dir, "storage/sallyport/assertion/keys.json")
	if err := os.MkdirAll(filepath.Dir(value), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(value, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	checks := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { checks <- r.Header.Get("Sallyport-Assertion") }))
	defer backend.Close()
	l.config = l.fill(strings.Replace(with("health_uri /healthz\nhealth_interval 1h\nhealth_timeout 1m", ""), "{$BACKEND}", backend.Listener.Addr().String(), 1))
	l.Gate = gatetest.Run(t, l.config)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if log, _ := os.ReadFile(filepath.Join(l.dir, "log")); strings.Contains(string(log), "there are no signing keys") {
			break
		}
	}
	if err := os.Remove(value); err != nil {
		t.Fatal(err)
	}
	select {
	case token := <-checks:
		if payload(t, token)["path"] != "/healthz" {
			t.Error("the check is not signed")
		}
	case <-time.After(30 * time.Second):
		t.Error("there was no check")
	}
}

func TestValidationTouchesNoStorageAndSendsNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	var asked atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer backend.Close()
	text := strings.NewReplacer("DIR", dir, "{$ADDR}", "http://127.0.0.1:1", "{$BACKEND}", backend.Listener.Addr().String()).Replace(
		globals + with("health_uri /healthz", ""))
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "storage/sallyport")); !os.IsNotExist(err) {
		t.Errorf("the storage was used: %v", err)
	}
	if asked.Load() != 0 {
		t.Error("an unsigned health check was sent")
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/DeRuina/timberjack.(*Logger).millRun"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*Server).Serve"))
}

func TestWithoutAKeyNothingIsSentAndTheAnswerSaysWhenToTryAgain(t *testing.T) {
	l := prepare(t)
	if err := os.MkdirAll(filepath.Join(l.dir, "storage/sallyport/assertion"), 0o700); err != nil {
		t.Fatal(err)
	}
	value := filepath.Join(l.dir, "storage/sallyport/assertion/keys.json")
	if err := os.WriteFile(value, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.config = l.fill(with("", ""))
	l.Gate = gatetest.Run(t, l.config)
	s := new(seen)
	l.Backend(s.handler(nil))
	for range 2 {
		resp := l.Do(t, "POST", "/")
		if resp.Status != 503 || resp.Header.Get("Retry-After") != "5" || !strings.Contains(resp.Body, "cannot be passed on at the moment") {
			t.Errorf("got %d %v %s", resp.Status, resp.Header, resp.Body)
		}
	}
	if resp := l.Do(t, "GET", "/readyz"); resp.Status != 503 {
		t.Errorf("readyz: %d", resp.Status)
	}
	if resp := l.Do(t, "GET", "/.well-known/sallyport/jwks.json"); resp.Status != 503 {
		t.Errorf("the key set: %d", resp.Status)
	}
	if s.count() != 0 {
		t.Error("a request was sent")
	}
	if metric(t, "sallyport_assertion_rotation_failures_total") < 1 || metric(t, "sallyport_assertions_refused_total", "service", "orders") < 2 {
		t.Error("it is not counted")
	}
	if metric(t, "sallyport_assertion_key_age_seconds") >= 0 {
		t.Error("a key that is not there has an age")
	}
	// More than one look fails, and the log says so once.
	failed := metric(t, "sallyport_assertion_rotation_failures_total")
	for deadline := time.Now().Add(30 * time.Second); metric(t, "sallyport_assertion_rotation_failures_total") < failed+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the storage is not looked at again")
		}
	}
	if err := os.Remove(value); err != nil {
		t.Fatal(err)
	}
	l.untilReady(t)
	if resp := l.Do(t, "GET", "/"); resp.Status != 200 {
		t.Errorf("with a key: %d", resp.Status)
	}
	if age := metric(t, "sallyport_assertion_key_age_seconds"); age < 0 || age > 3600 {
		t.Errorf("the key's age is %v", age)
	}
	log, err := os.ReadFile(filepath.Join(l.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "there are no signing keys"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// A caller who may send long paths must not be able to take the service from others.
func TestARequestThatIsTooLongForAnAssertionIsNoFaultOfTheService(t *testing.T) {
	l := newLab(t, with("fail_duration 1m\nlb_try_duration 1s", ""))
	s := new(seen)
	l.Backend(s.handler(nil))
	resp := l.Do(t, "GET", "/"+strings.Repeat("a", 13<<10))
	if resp.Status != 431 || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(resp.Body, "too long to be passed on") || s.count() != 0 {
		t.Errorf("got %d %v %s, and the service %d requests", resp.Status, resp.Header, resp.Body, s.count())
	}
	if resp := l.Do(t, "GET", "/"); resp.Status != 200 {
		t.Errorf("after that others get %d", resp.Status)
	}
}

func TestAReloadKeepsTheKeysAlsoOneThatIsRejected(t *testing.T) {
	l := newLab(t, with("", ""))
	jwks := l.Do(t, "GET", "/.well-known/sallyport/jwks.json")
	if jwks.Status != 200 || jwks.Header.Get("Cache-Control") != "public, max-age=300" || strings.Contains(jwks.Body, `"d"`) {
		t.Fatalf("got %d %v %s", jwks.Status, jwks.Header, jwks.Body)
	}
	// The value is gone: keys that are kept are in memory.
	if err := os.RemoveAll(filepath.Join(l.dir, "storage/sallyport")); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(t, strings.Replace(l.config, "audience orders\n\t\t\t}", "audience orders\n\t\t\t}\n\t\t\ttls_trust_pool file none.pem", 1)); err == nil {
		t.Fatal("not rejected")
	}
	if again := l.Do(t, "GET", "/.well-known/sallyport/jwks.json"); again.Body != jwks.Body {
		t.Error("a rejected reload changed the keys")
	}
	if resp := l.Do(t, "GET", "/"); resp.Status != 200 {
		t.Errorf("got %d", resp.Status)
	}
}

func TestWhatAnotherGatewayOfTheStorageSignsIsAccepted(t *testing.T) {
	l := newLab(t, withRules(""))
	// What another gateway of the same storage signs is signed with what is in it.
	token := mint(t, l.signingKey(t), "GET", "/", &principal.Principal{ID: "x"}, time.Now())
	if resp, body := l.direct(t, "GET", "/", "Sallyport-Assertion", token); resp.StatusCode != 200 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestNoLogHasTheAssertion(t *testing.T) {
	l := newLab(t, with("", ""))
	s := new(seen)
	l.Backend(s.handler(nil))
	l.Do(t, "GET", "/")
	token := s.last(t).Header.Get("Sallyport-Assertion")
	log, err := os.ReadFile(filepath.Join(l.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "upstream roundtrip") {
		t.Fatal("the debug log does not show the request")
	}
	if strings.Contains(string(log), token[len(token)-40:]) || strings.Contains(string(log), "Sallyport-Assertion") {
		t.Error("the assertion is in the log")
	}
}

func TestAttemptsAreMeasuredByTheConfiguredName(t *testing.T) {
	l := prepare(t)
	l.config = l.fill(`{$ADDR} {
	reverse_proxy /named {$BACKEND} {
		transport sallyport {
			name billing
		}
	}
	reverse_proxy {$BACKEND} {
		transport sallyport
	}
}
`)
	l.Gate = gatetest.Run(t, l.config)
	l.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, "body")
	})
	for target, service := range map[string]string{"/named": "billing", "/": "_other"} {
		before := max(0, metric(t, "sallyport_upstream_responses_total", "service", service, "code", "4xx"))
		l.Do(t, "GET", target)
		if n := metric(t, "sallyport_upstream_responses_total", "service", service, "code", "4xx"); n != before+1 {
			t.Errorf("%s: %v responses", service, n)
		}
		for _, phase := range []string{"connect", "tls", "send", "wait", "receive"} {
			if n := metric(t, "sallyport_upstream_phase_seconds", "service", service, "phase", phase); n != before+1 {
				t.Errorf("%s: %s was observed %v times", service, phase, n)
			}
		}
		if n := metric(t, "sallyport_upstream_duration_seconds", "service", service); n != before+1 {
			t.Errorf("%s: %v durations", service, n)
		}
	}
}

func TestAdapt(t *testing.T) { gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest") }

// BenchmarkTransport compares Caddy's own transport with ours, with and without an
// assertion, over loopback.
func BenchmarkTransport(b *testing.B) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer backend.Close()
	b.Setenv("XDG_DATA_HOME", b.TempDir())
	for _, tt := range []struct{ name, transport string }{
		{"http", "http"},
		{"sallyport", "sallyport"},
		{"assertion", "sallyport {\nassertion {\naudience orders\n}\n}"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			gatetest.Benchmark(b, "reverse_proxy "+backend.Listener.Addr().String()+" {\ntransport "+tt.transport+"\n}", 200, "192.0.2.1")
		})
	}
}
