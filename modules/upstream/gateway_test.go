package upstream_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	_ "github.com/sallyport-gateway/sallyport/modules/health"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	_ "github.com/sallyport-gateway/sallyport/modules/upstream"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

const pepper = "a pepper of enough bytes"

// lab is a gateway with auth, a Caddy with verify_gateway in front of the service, and
// the service: gatetest's backend.
type lab struct {
	*gatetest.Gate
	service string // the address of the Caddy in front of the service
	dir     string // the storage is in it
	key     string // an API key of acme, who is a buyer with orders:read
	config  string
}

// globals are without trusted proxies: the gateway is the client of the service.
const globals = `{
	admin off
	auto_https off
	default_bind 127.0.0.1
	persist_config off
	grace_period 1s
	shutdown_delay 1ms
	storage file_system DIR/storage
	log {
		output file DIR/log
		level DEBUG
	}
}
`

const (
	// gatewaySite is a gateway in front of SERVICE.
	gatewaySite = `{$ADDR} {
	health
	@api not path /readyz /.well-known/*
	auth @api {
		api_key {
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}
	}
	reverse_proxy SERVICE {
		transport sallyport {
			assertion {
				audience orders
			}
			keepalive off
		}
	}
}
`
	// serviceSite is what stands in front of the service.
	serviceSite = `http://:PORT {
	bind 127.0.0.2
	verify_gateway {
		audience orders
		jwks {$ADDR}/.well-known/sallyport/jwks.json
		RULES
	}
	reverse_proxy {$BACKEND} {
		header_up X-User {http.auth.user.id}
	}
}
`
)

// newLab runs a configuration with the placeholders above and waits until the
// service has the gateway's keys.
func newLab(t *testing.T, config string) *lab {
	t.Helper()
	l := prepare(t)
	l.start(t, config)
	return l
}

func prepare(t *testing.T) *lab {
	t.Helper()
	l := &lab{dir: t.TempDir(), service: freeAddr(t)}
	path := filepath.Join(l.dir, "keys.json")
	key, _, err := apikey.Create(path, []byte(pepper), apikey.Record{Owner: "acme", Scopes: []string{"orders:read"}, Roles: []string{"buyer"}, Tier: "gold"})
	if err != nil {
		t.Fatal(err)
	}
	l.key = key
	if err := os.WriteFile(filepath.Join(l.dir, "pepper"), []byte(pepper), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) start(t *testing.T, config string) {
	t.Helper()
	l.config = l.fill(config)
	l.Gate = gatetest.Run(t, l.config)
	l.untilReady(t)
}

func (l *lab) fill(config string) string {
	return strings.NewReplacer("DIR", l.dir, "SERVICE", l.service, "PORT", l.service[len("127.0.0.2:"):], "RULES", "").Replace(globals + config)
}

// untilReady waits until the gateway has a key and the service knows it.
func (l *lab) untilReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp := l.Do(t, "GET", "/readyz"); resp.Status == 200 {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(l.dir, "log"))
			t.Fatalf("never ready:\n%s", log)
		}
	}
}

func (l *lab) ask(t *testing.T, method, target string, header ...string) *gatetest.Response {
	t.Helper()
	return l.Do(t, method, target, append(header, "X-Api-Key", l.key)...)
}

// client keeps no connections: a reload waits for idle ones.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

// direct asks the service past the gateway.
func (l *lab) direct(t *testing.T, method, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+l.service+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// signingKey is the key in the storage.
func (l *lab) signingKey(t testing.TB) *assertion.Key {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(l.dir, "storage/sallyport/assertion/keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stored struct{ Keys []struct{ Private []byte } }
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(stored.Keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := assertion.NewKey(private.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// mint makes an assertion as the gateway would.
func mint(t testing.TB, key *assertion.Key, method, target string, caller *principal.Principal, at time.Time) string {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	token, err := assertion.NewMaker("sallyport", "orders", assertion.MaxTTL).Make(key, assertion.Target{Method: method, Path: path, Query: query}, "", caller, at)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// seen collects what reaches a backend.
type seen struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (s *seen) handler(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(r.Context()))
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}
}

func (s *seen) last(t *testing.T) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		t.Fatal("nothing reached the backend")
	}
	return s.requests[len(s.requests)-1]
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// freeAddr is on another address than the gateway, which looks for a port later.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// payload is what an assertion says, unverified.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no assertion: %q", token)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(decoded, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// metric is the value of a counter, or the count of a histogram, in what a scrape
// would show; -1 if it is not there. labels are name, value, …
func metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			got := make(map[string]string)
			for _, l := range m.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			matches := true
			for i := 0; i+1 < len(labels); i += 2 {
				matches = matches && got[labels[i]] == labels[i+1]
			}
			switch {
			case !matches:
			case m.GetHistogram() != nil:
				return float64(m.GetHistogram().GetSampleCount())
			case m.GetGauge() != nil:
				return m.GetGauge().GetValue()
			default:
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// refusedFor is how often verify_gateway refused for a reason.
func refusedFor(t *testing.T, reason string) float64 {
	t.Helper()
	return max(0, metric(t, "sallyport_decisions_total", "guard", "verify_gateway", "verdict", "deny", "reason", reason))
}

func wouldDenyBy(t *testing.T, rule string) float64 {
	t.Helper()
	return max(0, metric(t, "sallyport_access_rule_would_deny_total", "guard", "verify_gateway", "rule", rule))
}

func withRules(rules string) string {
	return gatewaySite + strings.Replace(serviceSite, "RULES", rules, 1)
}
