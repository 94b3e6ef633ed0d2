package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// example is a running example, which the test calls as its balancer would.
type example struct {
	*gateway
	url string
}

// startExample runs an example that speaks HTTP with its balancer.
func startExample(t *testing.T, name, dir string, env map[string]string) *example {
	t.Helper()
	front, health := freeAddr(t), freeAddr(t)
	all := map[string]string{
		"SITE": "http://" + front, "LISTEN": ":" + port(front), "HEALTH_PORT": port(health), "BALANCER": "127.0.0.1/32",
		"TOKEN_KEY": "issuer.pub.pem", "KEYS": "keys.json", "PEPPER": "./pepper",
	}
	for variable, value := range env {
		all[variable] = value
	}
	file, err := filepath.Abs(filepath.Join("..", "examples", name, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	e := &example{gateway: start(t, dir, file, all), url: "http://" + front}
	waitFor(t, "readiness", func() bool { return get("http://"+health+"/readyz") == nil })
	return e
}

// ask calls as the balancer does for a client.
func (e *example) ask(t *testing.T, method, target string, header ...string) answer {
	t.Helper()
	return e.post(t, method, target, "", header...)
}

func (e *example) post(t *testing.T, method, target, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, e.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	r.URL.Opaque, r.URL.RawQuery = path, query
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(content)}
}

// tokenFor signs a token with the key that credentials made.
func tokenFor(t *testing.T, dir, subject string, more ...string) string {
	t.Helper()
	args := append([]string{"sallyport", "token", "sign", "--key", "issuer.pem", "--issuer", "https://issuer.example",
		"--audience", "https://api.example.com", "--subject", subject}, more...)
	return "Bearer " + strings.TrimSpace(caddy(t, dir, args...))
}

// serve runs a backend on a free port.
func serve(t *testing.T, handler http.Handler) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// named is a backend that says which service it is, and keeps the assertion it got.
func named(t *testing.T, name string) (addr string, asserted func() string) {
	t.Helper()
	seen := make(chan string, 100)
	addr = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Sallyport-Assertion")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"service":%q,"card":"4111 1111 1111 1111","internal_note":"secret"}`, name)
	}))
	return addr, func() string { return <-seen }
}

func TestServicesByPath(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	orders, ordersAsserted := named(t, "orders")
	billing, billingAsserted := named(t, "billing")
	reports, _ := named(t, "reports")
	e := startExample(t, "services", dir, map[string]string{
		"ORDERS": orders, "BILLING": billing, "REPORTS": reports, "BILLING_RATE": "1/h", "BILLING_BURST": "1",
	})
	reader := tokenFor(t, dir, "ada", "--scope", "orders:read reports")
	writer := tokenFor(t, dir, "bob", "--scope", "orders:write")
	accountant := tokenFor(t, dir, "eve", "--scope", "billing", "--role", "accountant")
	tests := []struct {
		name, method, target, token, body, contentType string
		status                                         int
		service                                        string
	}{
		{"orders go to orders", "GET", "/orders/7", reader, "", "", 200, "orders"},
		{"reports go to reports", "GET", "/reports/2027", reader, "", "", 200, "reports"},
		{"billing goes to billing", "GET", "/billing/1", accountant, "", "", 200, "billing"},
		{"billing is dear", "GET", "/billing/1", accountant, "", "", 429, ""},
		{"nobody", "GET", "/orders/7", "", "", "", 401, ""},
		{"a reader does not write", "DELETE", "/orders/7", reader, "", "", 403, ""},
		{"a writer does, in JSON", "POST", "/orders", writer, `{"a":1}`, "application/json", 200, "orders"},
		{"a name twice", "POST", "/orders", writer, `{"a":1,"a":2}`, "application/json", 400, ""},
		{"no JSON", "POST", "/orders", writer, "a=1", "application/x-www-form-urlencoded", 415, ""},
		{"a reader is no accountant", "GET", "/billing/1", reader, "", "", 403, ""},
		{"a path that no rule names", "GET", "/admin", accountant, "", "", 403, ""},
		{"a path with two readings", "GET", "/orders/%2e%2e/billing/1", reader, "", "", 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.token != "" {
				header = append(header, "Authorization", tt.token)
			}
			if tt.contentType != "" {
				header = append(header, "Content-Type", tt.contentType)
			}
			got := e.post(t, tt.method, tt.target, tt.body, header...)
			if got.status != tt.status || tt.service != "" && !strings.Contains(got.body, `"service":"`+tt.service+`"`) {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, tt.status, tt.service)
			}
			if tt.service == "reports" && strings.Contains(got.body, "4111 1111") {
				t.Errorf("a card number leaves: %s", got.body)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Server") != "" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
	for service, asserted := range map[string]func() string{"orders": ordersAsserted, "billing": billingAsserted} {
		if token := asserted(); strings.Count(token, ".") != 2 {
			t.Errorf("%s got the assertion %q", service, token)
		}
	}
}

func TestAPublicAPIWithKeysAndTiers(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	create := func(owner string, more ...string) string {
		return strings.TrimSpace(caddy(t, dir, append([]string{"sallyport", "key", "create", "--file", "keys.json", "--pepper-file", "pepper",
			"--owner", owner, "--scope", "catalogue:read", "--expires", "1d"}, more...)...))
	}
	bronze, gold := create("small"), create("large", "--tier", "gold")
	backend, _ := named(t, "catalogue")
	e := startExample(t, "public-api", dir, map[string]string{
		"BACKEND": backend, "RATE": "1000/s", "BURST": "1000", "QUOTA_RATE": "1/h", "QUOTA_BURST": "2", "GOLD_RATE": "1/h", "GOLD_BURST": "5",
	})
	if got := e.ask(t, "GET", "/catalogue"); got.status != 401 {
		t.Errorf("without a key: %d", got.status)
	}
	if got := e.ask(t, "GET", "/catalogue", "X-Api-Key", bronze+"x"); got.status != 401 {
		t.Errorf("with a wrong key: %d", got.status)
	}
	for _, tt := range []struct {
		name, key string
		admitted  int
	}{{"without a tier", bronze, 2}, {"of the tier gold", gold, 5}} {
		t.Run("a consumer "+tt.name, func(t *testing.T) {
			for i := range tt.admitted + 1 {
				got := e.ask(t, "GET", "/catalogue", "X-Api-Key", tt.key)
				want := map[bool]int{true: 200, false: 429}[i < tt.admitted]
				if got.status != want || got.header.Get("RateLimit") == "" {
					t.Fatalf("request %d: %d %v, want %d", i, got.status, got.header, want)
				}
				if strings.Contains(got.body, "internal_note") {
					t.Errorf("internal notes leave: %s", got.body)
				}
			}
		})
	}
	// Validation stands behind the quota: another consumer.
	other := create("other", "--tier", "gold")
	waitFor(t, "the gateway to reread the keys", func() bool {
		return e.ask(t, "GET", "/catalogue?page=0", "X-Api-Key", other).status != 401
	})
	for target, want := range map[string]int{"/catalogue?page=2": 200, "/catalogue?page=two": 422, "/catalogue?debug=1": 400, "/orders": 403} {
		if got := e.ask(t, "GET", target, "X-Api-Key", other); got.status != want {
			t.Errorf("%s: %d %s, want %d", target, got.status, got.body, want)
		}
	}
}

func TestABrowserApplicationAndItsAPI(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	write(t, dir, "app/index.html", "<!doctype html><title>app</title>")
	backend, asserted := named(t, "api")
	front := freeAddr(t)
	e := startExample(t, "browser-app", dir, map[string]string{
		"SITE": "http://api.test:" + port(front), "APP": "http://app.test:" + port(front), "LISTEN": ":" + port(front), "BACKEND": backend, "PAGES": "app",
	})
	e.url = "http://" + front
	const origin = "https://app.example.com"
	token := tokenFor(t, dir, "ada", "--scope", "profile")

	page := e.ask(t, "GET", "/settings", "Host", "app.test", "X-Forwarded-Proto", "https")
	if page.status != 200 || !strings.Contains(page.body, "<title>app") || !strings.Contains(page.header.Get("Content-Security-Policy"), "connect-src 'self' https://api.example.com") ||
		page.header.Get("Strict-Transport-Security") == "" || page.header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("the page: %d %v %s", page.status, page.header, page.body)
	}
	preflight := e.ask(t, "OPTIONS", "/me", "Host", "api.test", "Origin", origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization,content-type")
	if preflight.status != 204 || preflight.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("the preflight: %d %v", preflight.status, preflight.header)
	}
	if foreign := e.ask(t, "OPTIONS", "/me", "Host", "api.test", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"); foreign.status != 403 || foreign.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight of another origin: %d %v", foreign.status, foreign.header)
	}
	if refused := e.ask(t, "GET", "/me", "Host", "api.test", "Origin", origin); refused.status != 401 || refused.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("without a token: %d %v", refused.status, refused.header)
	}
	if own := e.ask(t, "GET", "/me", "Host", "api.test", "Origin", origin, "Authorization", token); own.status != 200 || asserted() == "" || strings.Contains(own.body, "4111 1111") {
		t.Errorf("with one: %d %s", own.status, own.body)
	}
	if admin := e.ask(t, "GET", "/admin/users", "Host", "api.test", "Authorization", token); admin.status != 403 {
		t.Errorf("an administrator's path: %d", admin.status)
	}
}

func TestPartnersWithCertificates(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, time.Now().Add(24*time.Hour))
	partner, stranger := newPartner(t, dir, "partners.pem"), newPartner(t, dir, "strangers.pem")
	write(t, dir, "partners.txt", "127.0.0.2 # acme\n")
	backend, asserted := named(t, "settlements")
	front, inner, health := freeAddr(t), freeAddr(t), freeAddr(t)
	file, err := filepath.Abs("../examples/partner-api/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	start(t, dir, file, map[string]string{
		"SITE": "https://" + site + ":" + port(inner), "LISTEN": ":" + port(inner), "BALANCER": "127.0.0.1/32", "HEALTH_PORT": port(health),
		"CERTIFICATE": "tls.crt", "KEY": "tls.key", "PARTNERS_CA": "partners.pem", "PARTNERS": "partners.txt", "BACKEND": backend,
	})
	startHAProxy(t, fmt.Sprintf("defaults\n\tmode tcp\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\nfrontend in\n\tbind %s\n"+
		"\tdefault_backend gate\nbackend gate\n\tserver gate 127.0.0.1:%s send-proxy-v2\n", front, port(inner)), front)
	waitFor(t, "readiness", func() bool { return get("http://"+health+"/readyz") == nil })

	ask := func(from string, certificates ...tls.Certificate) (int, error) {
		client := clientFrom(t, from)
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = certificates
		r, err := http.NewRequest("GET", "https://"+front+"/settlements/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = site
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, nil
	}
	if status, err := ask("127.0.0.2", partner); status != 200 {
		t.Errorf("a partner: %d, %v", status, err)
	} else if asserted() == "" {
		t.Error("the backend got no assertion")
	}
	if status, err := ask("127.0.0.3", partner); status != 403 {
		t.Errorf("a partner's certificate from elsewhere: %d, %v", status, err)
	}
	if status, err := ask("127.0.0.2"); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	if status, err := ask("127.0.0.2", stranger); err == nil {
		t.Errorf("with a certificate of somebody else's authority: %d", status)
	}
}

// newPartner makes an authority, whose certificate is in a file, and a client
// certificate of it.
func newPartner(t *testing.T, dir, file string) tls.Certificate {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return private
	}
	caKey, clientKey := key(), key()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: file}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	client := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "acme", Organization: []string{"Acme"}}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "partners.example", Path: "/acme"}},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	clientDER, err := x509.CreateCertificate(rand.Reader, client, ca, &clientKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})))
	return tls.Certificate{Certificate: [][]byte{clientDER}, PrivateKey: clientKey}
}
