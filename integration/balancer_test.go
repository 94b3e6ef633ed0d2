package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A balanced gateway is one of the examples behind the balancer it is for.
type balanced struct {
	url     string // of the balancer
	inner   string // host:port of the gateway behind it
	gateway *gateway
	backend *backend
	key     string // an API key with orders:read
	token   string // a token with orders:read
}

// The clients of these tests are addresses of the loopback network; the examples
// deny one of them.
const (
	deniedClient = "127.0.0.66"
	site         = "api.test"
)

// backend answers orders with data that may not leave, and remembers what it saw.
type backend struct {
	*httptest.Server
	mu      sync.Mutex
	seen    *http.Request
	targets []string
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveBackend(t, ln)
}

func serveBackend(t *testing.T, ln net.Listener) *backend {
	b := new(backend)
	b.Server = &httptest.Server{Listener: ln, Config: &http.Server{Handler: b}}
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.seen = r
	b.targets = append(b.targets, r.URL.Path)
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	fmt.Fprint(w, `{"id":7,"password":"hunter2","card":"4111111111111111"}`)
}

// last is the last request the backend saw, and forgets it.
func (b *backend) last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.seen
	b.seen = nil
	return r
}

// paths are those of all requests that the backend saw, and forgets them.
func (b *backend) paths() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	paths := b.targets
	b.targets = nil
	return paths
}

// startBalanced starts the example of that name behind HAProxy; https-balancer/h2c
// is the second one over HTTP/2.
func startBalanced(t *testing.T, example string) *balanced {
	t.Helper()
	example, variant, _ := strings.Cut(example, "/")
	dir, b := t.TempDir(), &balanced{backend: newBackend(t)}
	front, inner := freeAddr(t), freeAddr(t)
	b.inner = inner
	certificate, key := selfSigned(t, dir)
	b.key, b.token = credentials(t, dir)
	env := map[string]string{
		"BALANCER": "127.0.0.1/32", "DENY": deniedClient, "BACKEND": strings.TrimPrefix(b.backend.URL, "http://"),
		"HEALTH_PORT": port(freeAddr(t)), "TOKEN_KEY": "issuer.pub.pem", "KEYS": "keys.json", "PEPPER": "./pepper",
		"CERTIFICATE": certificate, "KEY": key,
	}
	var config string
	switch example {
	case "passthrough":
		env["SITE"], env["LISTEN"] = site+":"+port(inner), ":"+port(inner)
		b.url = "https://" + front
		config = fmt.Sprintf("frontend in\n\tmode tcp\n\tbind %s\n\tdefault_backend gate\nbackend gate\n\tmode tcp\n\tserver gate %s send-proxy-v2\n", front, inner)
	case "https-balancer":
		env["SITE"], env["LISTEN"] = "http://"+site+":"+port(inner), ":"+port(inner)
		b.url = "https://" + front
		config = fmt.Sprintf("frontend in\n\tmode http\n\tbind %s ssl crt %s alpn h2,http/1.1\n\toption forwardfor\n\tdefault_backend gate\nbackend gate\n\tmode http\n\tserver gate %s%s\n",
			front, filepath.Join(dir, "both.pem"), inner, map[bool]string{true: " proto h2"}[variant == "h2c"])
	}
	file, err := filepath.Abs(filepath.Join("..", "examples", example, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	b.gateway = start(t, dir, file, env)
	startHAProxy(t, "global\n\tmaxconn 200\ndefaults\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n"+config, front)
	waitFor(t, "readiness", func() bool { return get("http://127.0.0.1:"+env["HEALTH_PORT"]+"/readyz") == nil })
	return b
}

// credentials makes an issuer's key, a pepper and a key file in dir, with the
// commands a user has.
func credentials(t *testing.T, dir string) (key, token string) {
	t.Helper()
	write(t, dir, "pepper", "a pepper of this test, long enough to be one\n")
	caddy(t, dir, "sallyport", "token", "keygen", "--algorithm", "ES256", "--out", "issuer.pem", "--public", "issuer.pub.pem")
	key = strings.TrimSpace(caddy(t, dir, "sallyport", "key", "create", "--file", "keys.json", "--pepper-file", "pepper",
		"--owner", "acme", "--scope", "orders:read", "--expires", "1d"))
	token = strings.TrimSpace(caddy(t, dir, "sallyport", "token", "sign", "--key", "issuer.pem", "--issuer", "https://issuer.example",
		"--audience", "https://api.example.com", "--subject", "ada", "--scope", "orders:read"))
	return key, token
}

func TestBothBalancersGetTheSameVerdicts(t *testing.T) {
	for _, example := range []string{"passthrough", "https-balancer", "https-balancer/h2c"} {
		t.Run(example, func(t *testing.T) {
			b := startBalanced(t, example)
			tests := []struct {
				name, client, method, target string
				header                       []string
				status                       int
				reason                       string // in the access log
			}{
				{"allowed by API key", "127.0.0.2", "GET", "/orders/7", []string{"X-Api-Key", b.key}, 200, ""},
				{"allowed by token", "127.0.0.2", "GET", "/orders/7", []string{"Authorization", "Bearer " + b.token}, 200, ""},
				{"no credential", "127.0.0.2", "GET", "/orders/7", nil, 401, "auth."},
				{"wrong API key", "127.0.0.2", "GET", "/orders/7", []string{"X-Api-Key", b.key[:len(b.key)-1]}, 401, "auth."},
				{"key and token together", "127.0.0.2", "GET", "/orders/7", []string{"X-Api-Key", b.key, "Authorization", "Bearer " + b.token}, 400, "auth."},
				{"denied address", deniedClient, "GET", "/orders/7", []string{"X-Api-Key", b.key}, 403, "allowlist.denied"},
				{"denied address that names another", deniedClient, "GET", "/orders/7", []string{"X-Api-Key", b.key, "X-Forwarded-For", "127.0.0.2"}, 403, "allowlist.denied"},
				{"another address that names the denied one", "127.0.0.2", "GET", "/orders/7", []string{"X-Api-Key", b.key, "X-Forwarded-For", deniedClient}, 200, ""},
				{"missing scope", "127.0.0.2", "DELETE", "/orders/7", []string{"X-Api-Key", b.key}, 403, "access.scope"},
				{"path without a rule", "127.0.0.2", "GET", "/admin", []string{"X-Api-Key", b.key}, 403, "access.not_allowed"},
				{"encoded way to another path", "127.0.0.2", "GET", "/orders/%2e%2e/admin", []string{"X-Api-Key", b.key}, 400, "request."},
				{"preflight", "127.0.0.2", "OPTIONS", "/orders/7", []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "DELETE"}, 204, ""},
				{"preflight of another origin", "127.0.0.2", "OPTIONS", "/orders/7", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "DELETE"}, 403, "cors."},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					b.backend.last()
					before := len(b.gateway.log.String())
					got := send(t, clientFrom(t, tt.client), tt.method, b.url+tt.target, append(tt.header, "Host", site)...)
					if got.status != tt.status {
						t.Errorf("got %d %s, want %d", got.status, got.body, tt.status)
					}
					if seen := b.backend.last(); (seen != nil) != (tt.status == 200) {
						t.Errorf("the backend saw the request: %v", seen != nil)
					}
					entry := b.gateway.accessLog(t, before)
					if entry.Request.ClientIP != tt.client {
						t.Errorf("the gateway saw %s, want %s", entry.Request.ClientIP, tt.client)
					}
					if !strings.HasPrefix(entry.Reason, tt.reason) || (entry.Reason == "") != (tt.reason == "") {
						t.Errorf("the log's reason is %q, want %q", entry.Reason, tt.reason)
					}
					for _, secret := range []string{b.key, b.token, "hunter2", "4111111111111111"} {
						if strings.Contains(got.body+b.gateway.log.String(), secret) {
							t.Errorf("%q left the gateway", secret)
						}
					}
				})
			}
			t.Run("a refusal can be read by the page it is for", func(t *testing.T) {
				got := send(t, clientFrom(t, "127.0.0.3"), "GET", b.url+"/orders/7", "Host", site, "Origin", "https://app.example.com")
				if got.status != 401 || got.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
					t.Errorf("got %d %v", got.status, got.header)
				}
			})
			t.Run("the backend's own CORS header does not pass", func(t *testing.T) {
				got := send(t, clientFrom(t, "127.0.0.3"), "GET", b.url+"/orders/7", "Host", site, "X-Api-Key", b.key)
				if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(got.body, "hunter2") {
					t.Errorf("got %d %v %s", got.status, got.header, got.body)
				}
			})
			t.Run("a client over its limit is refused, its neighbour is not", func(t *testing.T) {
				flooder := clientFrom(t, "127.0.0.5")
				waitFor(t, "429", func() bool {
					got := send(t, flooder, "GET", b.url+"/orders/7", "Host", site, "X-Forwarded-For", "127.0.0."+fmt.Sprint(time.Now().UnixNano()%250))
					if got.status == 429 && (got.header.Get("Retry-After") == "" || got.header.Get("Ratelimit") == "") {
						t.Errorf("429 without its fields: %v", got.header)
					}
					return got.status == 429
				})
				if got := send(t, clientFrom(t, "127.0.0.6"), "GET", b.url+"/orders/7", "Host", site, "X-Api-Key", b.key); got.status != 200 {
					t.Errorf("the neighbour got %d", got.status)
				}
			})
		})
	}
}

func TestWhatDoesNotComeThroughTheBalancer(t *testing.T) {
	t.Run("passthrough: a PROXY header from elsewhere ends the connection", func(t *testing.T) {
		b := startBalanced(t, "passthrough")
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
		conn, err := dialer.Dial("tcp", b.inner)
		if errors.Is(err, syscall.ECONNRESET) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(conn, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("the gateway answered %d bytes", n)
		}
	})
	t.Run("HTTPS balancer: without its header nobody is let in", func(t *testing.T) {
		b := startBalanced(t, "https-balancer")
		url := "http://" + b.inner
		if got := send(t, clientFrom(t, "127.0.0.1"), "GET", url+"/orders/7", "Host", site, "X-Api-Key", b.key); got.status != 400 {
			t.Errorf("got %d, want 400", got.status)
		}
		// A neighbour of the balancer is its own client, whatever it writes.
		if got := send(t, clientFrom(t, deniedClient), "GET", url+"/orders/7", "Host", site, "X-Api-Key", b.key, "X-Forwarded-For", "127.0.0.2"); got.status != 403 {
			t.Errorf("got %d, want 403", got.status)
		}
	})
}

// logEntry is what the tests read of an access log entry.
type logEntry struct {
	Logger  string `json:"logger"`
	Reason  string `json:"reason"`
	ID      string `json:"request_id"`
	Trace   string `json:"balancer_trace"`
	Request struct {
		ClientIP   string `json:"client_ip"`
		RemotePort string `json:"remote_port"`
	} `json:"request"`
}

// accessLog waits for the access log entry written after the log had that length.
func (g *gateway) accessLog(t *testing.T, before int) (entry logEntry) {
	t.Helper()
	waitFor(t, "the access log", func() bool {
		for line := range strings.Lines(g.log.String()[before:]) {
			if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Logger, "http.log.access") {
				return true
			}
		}
		return false
	})
	return entry
}

// selfSigned writes a certificate for the test's site: cert.pem, key.pem and both
// in one file, as HAProxy wants them.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	write(t, dir, "both.pem", certPEM+keyPEM)
	return write(t, dir, "cert.pem", certPEM), write(t, dir, "key.pem", keyPEM)
}
