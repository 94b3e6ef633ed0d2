package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	_ "github.com/sallyport-gateway/sallyport/modules/elb"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// direct are global options for clients without a proxy in front of the gateway.
const direct = `{
	admin off
	auto_https off
	persist_config off
	grace_period 1s
	log {
		output discard
	}
}
`

// secure is a site of https with auth in front of the backend. DIR in it is dir.
func secure(dir, name, clientAuth, block string) string {
	return strings.ReplaceAll("https://"+name+":{$PORT} {\n\tbind 127.0.0.1\n\ttls DIR/tls.crt DIR/tls.key"+clientAuth+
		"\n\troute {\n\t\ttest_caller\n\t\tauth {\n"+block+"\n\t\t}\n\t\treverse_proxy {$BACKEND} {\n"+
		"\t\t\theader_up X-User-Id {http.auth.user.id}\n\t\t\theader_up X-User-Issuer {http.auth.user.issuer}\n\t\t\theader_up X-User-Method {http.auth.user.method}\n"+
		"\t\t\theader_up X-User-Names {http.auth.user.claims.san_dns}\n\t\t}\n\t}\n}\n", "DIR", dir)
}

func asking(mode, pool string) string {
	options := " {\n\t\tclient_auth {\n\t\t\tmode " + mode
	if pool != "" {
		options += "\n\t\t\ttrust_pool file DIR/" + pool
	}
	return options + "\n\t\t}\n\t}"
}

// pki is what the tests of certificates need, beside files.
type pki struct {
	dir, key     string
	ours, theirs *gatetest.Authority
	partner      tls.Certificate
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{ours: gatetest.NewAuthority(t, "Ours"), theirs: gatetest.NewAuthority(t, "Theirs")}
	p.dir, p.key, _ = files(t)
	gatetest.PutPair(t, p.dir, p.ours.Issue(t, x509.Certificate{DNSNames: []string{"a.example", "b.example", "c.example"}}))
	gatetest.PutPEM(t, p.dir, "ours.pem", p.ours)
	gatetest.PutPEM(t, p.dir, "theirs.pem", p.theirs)
	gatetest.PutPEM(t, p.dir, "both.pem", p.ours, p.theirs)
	p.partner = p.ours.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	return p
}

// client is one that shows the certificate whatever the server asks for, or none.
func client(t *testing.T, g *gatetest.Gate, server string, certificate *tls.Certificate) *http.Client {
	t.Helper()
	config := &tls.Config{ServerName: server, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// get sends a request to a site of the gateway. A status of 0 is a refused handshake.
func get(t *testing.T, g *gatetest.Gate, c *http.Client, host string, header ...string) *gatetest.Response {
	t.Helper()
	target, _ := url.Parse(strings.Replace(g.URL, "http:", "https:", 1))
	r := &http.Request{Method: "GET", URL: target, Host: host, Header: make(http.Header)}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return &gatetest.Response{Body: err.Error(), Header: make(http.Header)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.TLS.DidResume {
		resp.Header.Set("X-Test-Resumed", "yes")
	}
	return &gatetest.Response{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}

func TestCertificatesAsCredentials(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("verify_if_given", "both.pem"), "mtls {\n allow_issuer CN=Ours\n}")+
		secure(p.dir, "b.example", asking("request", ""), blockA+"\nmtls")+
		secure(p.dir, "c.example", asking("verify_if_given", "ours.pem"), "mtls {\n principal subject\n}\nmode dry_run"))
	foreign := p.theirs.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	stranger := gatetest.NewAuthority(t, "Ours").Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	nameless := p.ours.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "partner"}, DNSNames: []string{"a.example", "b.example"}})
	below := p.ours.Below(t, "Below").Issue(t, x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "acme", Path: "/orders"}}})
	tests := []struct {
		name, site string
		client     *tls.Certificate
		status     int
		reason     string
		user       string // what the backend is told
	}{
		{"a good one", "a.example", &p.partner, 204, "", "partner.example CN=Ours mtls"},
		{"one of an authority below", "a.example", &below, 204, "", "spiffe://acme/orders CN=Ours mtls"},
		{"none", "a.example", nil, 401, "auth.no_credential", ""},
		{"one of an authority that is not allowed", "a.example", &foreign, 401, "auth.certificate_issuer", ""},
		{"one without one name", "a.example", &nameless, 401, "auth.certificate_name", ""},
		{"one of a stranger with the name of ours", "a.example", &stranger, 0, "", ""},
		{"one that nobody verified", "b.example", &p.partner, 401, "auth.certificate_unverified", ""},
		{"in dry_run: none", "c.example", nil, 204, "", "  "},
		{"in dry_run: a good one", "c.example", &nameless, 204, "", "CN=partner CN=Ours mtls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(g)
			resp := get(t, g, client(t, g, tt.site, tt.client), tt.site)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Fatalf("got %d %s %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), resp.Body, tt.status, tt.reason)
			}
			if (got.Header != nil) != (tt.status == 204) {
				t.Fatalf("the backend saw the request: %v", got.Header != nil)
			}
			if tt.status == 204 {
				if user := got.Header.Get("X-User-Id") + " " + got.Header.Get("X-User-Issuer") + " " + got.Header.Get("X-User-Method"); user != tt.user {
					t.Errorf("the backend is told %q, want %q", user, tt.user)
				}
			}
			challenge := map[string]string{"a.example": `ClientCertificate realm="api"`, "b.example": `Bearer realm="api"|ClientCertificate realm="api"`}[tt.site]
			if got := strings.Join(resp.Header["Www-Authenticate"], "|"); tt.status == 401 && got != challenge {
				t.Errorf("challenge %q, want %q", got, challenge)
			}
			if strings.Contains(resp.Body, "partner") || strings.Contains(resp.Body, "Theirs") {
				t.Errorf("the answer shows the certificate: %s", resp.Body)
			}
		})
	}
}

// A certificate comes with every request of its connection; what a request brings
// of its own is what it wants to be judged by.
func TestACertificateBesideAnotherCredential(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls"+blockA+blockKey))
	c, bare := client(t, g, "a.example", &p.partner), client(t, g, "a.example", nil)
	good := bearer(token(keyA, issuerA, nil))
	tests := []struct {
		name   string
		client *http.Client
		header []string
		status int
		reason string
		user   string
	}{
		{"the certificate alone", c, nil, 204, "", "partner.example mtls"},
		{"a good token speaks for the request", c, good, 204, "", "alice jwt"},
		{"a good key does", c, []string{"X-Api-Key", p.key}, 204, "", "acme api_key"},
		{"a bad token is not made good", c, bearer("junk"), 401, "auth.token_malformed", ""},
		{"an expired token is not", c, bearer(token(keyA, issuerA, map[string]any{"exp": 1})), 401, "auth.token_expired", ""},
		{"an empty token is not", c, []string{"Authorization", "Bearer"}, 401, "auth.token_malformed", ""},
		{"a bad key is not", c, []string{"X-Api-Key", "junk"}, 401, "auth.key_malformed", ""},
		{"two others are two", c, append(good, "X-Api-Key", p.key), 400, "auth.several_credentials", ""},
		{"a scheme of somebody else's is no credential", c, []string{"Authorization", "Basic YTpi"}, 204, "", "partner.example mtls"},
		{"a certificate in a header is none", bare, []string{"Client-Cert", ":MIIB:", "X-Forwarded-Client-Cert", "Subject=\"CN=partner\"", "X-SSL-Client-Verify", "SUCCESS"}, 401, "auth.no_credential", ""},
		{"a token without a certificate", bare, good, 204, "", "alice jwt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(g)
			resp := get(t, g, tt.client, "a.example", tt.header...)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Fatalf("got %d %s %s", resp.Status, resp.Header.Get("X-Test-Reason"), resp.Body)
			}
			if tt.status == 204 && got.Header.Get("X-User-Id")+" "+got.Header.Get("X-User-Method") != tt.user {
				t.Errorf("the backend is told %v", got.Header)
			}
		})
	}
}

func TestIdentityHeadersBesideACertificate(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls"))
	got := seen(g)
	forged := []string{
		"X-User-Id", "root", "X-User-Names", "root", "Client-Cert", ":MIIB:", "Client-Cert-Chain", ":MIIB:", "X-Forwarded-Client-Cert", "By=root",
		"X-Client-Cert", "root", "X-SSL-Client-S-DN", "CN=root", "X-Amzn-Mtls-Clientcert-Subject", "CN=root", "X-ARR-ClientCert", "root", "X-Forwarded-Tls-Client-Cert", "root",
	}
	if resp := get(t, g, client(t, g, "a.example", &p.partner), "a.example", forged...); resp.Status != 204 {
		t.Fatalf("got %d %s", resp.Status, resp.Body)
	}
	for i := 0; i < len(forged); i += 2 {
		switch value := got.Header.Get(forged[i]); {
		case forged[i] == "X-User-Id" && value == "partner.example", forged[i] == "X-User-Names" && value == `["partner.example"]`:
		case value != "":
			t.Errorf("the backend got %s: %s", forged[i], value)
		}
	}
}

func TestTheCertificateOfABalancerNamesNobody(t *testing.T) {
	p := newPKI(t)
	// Without a client's address the balancer is no trusted proxy to Caddy.
	balanced := strings.Replace(direct, "{\n", "{\n\tservers {\n\t\ttrusted_proxies elb aws_alb {\n\t\t\tfrom 127.0.0.1/32\n\t\t}\n\t\ttrusted_proxies_strict\n\t\tprotocols h1 h2\n\t}\n", 1)
	g := gatetest.Run(t, balanced+secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls\nmode dry_run"))
	got := seen(g)
	resp := get(t, g, client(t, g, "a.example", &p.partner), "a.example")
	if resp.Status != 204 || got.Header.Get("X-User-Id") != "" {
		t.Errorf("got %d %s, the backend %q", resp.Status, resp.Body, got.Header.Get("X-User-Id"))
	}
}

func TestTheCertificateOfAProxyIsNotItsClients(t *testing.T) {
	p := newPKI(t)
	trusting := strings.Replace(direct, "{\n", "{\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}\n", 1)
	g := gatetest.Run(t, trusting+secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls"))
	resp := get(t, g, client(t, g, "a.example", &p.partner), "a.example", "X-Forwarded-For", address)
	if resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.no_credential" {
		t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestACertificateExpiresOnAConnectionThatIsKept(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("require_and_verify", "ours.pem"), "mtls"))
	g.Backend(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for life := 2 * time.Second; life < time.Minute; life *= 2 {
		short := p.ours.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}, NotAfter: time.Now().Add(life)})
		c := client(t, g, "a.example", &short)
		if resp := get(t, g, c, "a.example"); resp.Status != 204 {
			continue // this machine is slow today: a longer life
		}
		<-time.After(time.Until(short.Leaf.NotAfter.Add(time.Second)))
		resp := get(t, g, c, "a.example")
		if resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.certificate_expired" {
			t.Errorf("got %d %s %s", resp.Status, resp.Header.Get("X-Test-Reason"), resp.Body)
		}
		return
	}
	t.Error("no certificate lived long enough")
}

func TestAReloadChangesWhoIsTrusted(t *testing.T) {
	p := newPKI(t)
	config := func(pool, block string) string {
		return direct + secure(p.dir, "a.example", asking("require_and_verify", pool), block)
	}
	g := gatetest.Run(t, config("ours.pem", "mtls"))
	g.Backend(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	theirs := p.theirs.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	ours, others := client(t, g, "a.example", &p.partner), client(t, g, "a.example", &theirs)
	check := func(when string, oursWant, othersWant int) {
		t.Helper()
		// Caddy may give the servers of the configuration before one connection more.
		var a, b *gatetest.Response
		for range 3 {
			ours.CloseIdleConnections()
			others.CloseIdleConnections()
			a, b = get(t, g, ours, "a.example"), get(t, g, others, "a.example")
			if a.Status == oursWant && b.Status == othersWant {
				break
			}
		}
		if a.Status != oursWant || b.Status != othersWant {
			t.Errorf("%s: got %d %s and %d %s", when, a.Status, a.Body, b.Status, b.Body)
		}
		if a.Header.Get("X-Test-Resumed") != "" {
			t.Errorf("%s: the session was resumed, and nobody asked for the certificate", when)
		}
	}
	check("at first", 204, 0)
	check("on a second connection", 204, 0)
	ours.CloseIdleConnections()
	if err := g.Reload(t, config("theirs.pem", "mtls {\n principal cn\n}")); err == nil {
		t.Fatal("accepted")
	}
	check("after a rejected reload", 204, 0)
	ours.CloseIdleConnections()
	if err := g.Reload(t, config("theirs.pem", "mtls")); err != nil {
		t.Fatal(err)
	}
	check("after a reload", 0, 204)
	others.CloseIdleConnections()
	if err := g.Reload(t, config("both.pem", "mtls {\n allow_issuer CN=Ours\n}")); err != nil {
		t.Fatal(err)
	}
	check("after one that allows one of two", 204, 401)
}

// HTTP/2 connections are shared by the names of one certificate.
func TestACertificateIsNotForAnotherSiteOfTheConnection(t *testing.T) {
	p := newPKI(t)
	theirs := p.theirs.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls")+
		secure(p.dir, "b.example", asking("verify_if_given", "theirs.pem"), "mtls"))
	g.Backend(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c := client(t, g, "b.example", &theirs)
	for host, want := range map[string]int{"b.example": 204, "a.example": 421} {
		if resp := get(t, g, c, host); resp.Status != want {
			t.Errorf("%s: got %d %s", host, resp.Status, resp.Body)
		}
	}
}

func TestMTLSIsRefusedWhereItCannotWork(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	insecure := strings.Replace(direct, "{\n", "{\n\tservers {\n\t\tstrict_sni_host insecure_off\n\t}\n", 1)
	plain := strings.ReplaceAll("{$ADDR} {\n\tauth {\nBLOCK\n\t}\n}\n", "DIR", p.dir)
	const nobody = "mtls would refuse every caller"
	tests := []struct{ name, config, want string }{
		{"without TLS", direct + strings.Replace(plain, "BLOCK", "mtls", 1), nobody},
		{"without client_auth", direct + secure(p.dir, "a.example", "", "mtls"), nobody},
		{"with one that verifies nothing", direct + secure(p.dir, "a.example", asking("request", ""), "mtls"), nobody},
		{"with one that requires anything", direct + secure(p.dir, "a.example", asking("require", ""), "mtls"), nobody},
		{"with certificates of other sites", insecure + secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls"), "strict_sni_host"},
		{"without TLS, beside another alternative", direct + strings.Replace(plain, "BLOCK", strings.ReplaceAll(blockA, "DIR", p.dir)+"\nmtls", 1), ""},
		{"with client_auth", direct + secure(p.dir, "a.example", asking("require_and_verify", "ours.pem"), "mtls"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Reload(t, tt.config)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRulesAboutCertificates(t *testing.T) {
	p := newPKI(t)
	site := secure(p.dir, "a.example", asking("verify_if_given", "both.pem"), "mtls"+blockA)
	site = strings.Replace(site, "\t\treverse_proxy", `		access_rules {
			rule partners {
				path /
				require method mtls
				require issuer CN=Ours "CN=Partner CA,O=Example"
				require claim san_dns partner.example
				require expression "principal.id.endsWith('.example') && size(principal.claims.serial) > 0"
			}
		}
		reverse_proxy`, 1)
	g := gatetest.Run(t, direct+site)
	g.Backend(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	theirs := p.theirs.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	another := p.ours.Issue(t, x509.Certificate{DNSNames: []string{"another.example"}})
	for _, tt := range []struct {
		name   string
		client *tls.Certificate
		header []string
		status int
		reason string
	}{
		{"the partner", &p.partner, nil, 204, ""},
		{"its name under another authority", &theirs, nil, 403, "access.issuer"},
		{"another name", &another, nil, 403, "access.claim"},
		{"a token", &p.partner, bearer(token(keyA, issuerA, nil)), 403, "access.method"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := get(t, g, client(t, g, "a.example", tt.client), "a.example", tt.header...)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Errorf("got %d %s %s", resp.Status, resp.Header.Get("X-Test-Reason"), resp.Body)
			}
		})
	}
}
