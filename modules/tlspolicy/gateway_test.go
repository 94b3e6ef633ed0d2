package tlspolicy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

// site is a site of https with directives in it.
func site(name string, directives ...string) string {
	return "https://" + name + ":{$PORT} {\n\tbind 127.0.0.1\n\t" + strings.Join(directives, "\n\t") + "\n}\n"
}

// mounted is the tls directive for files.
func mounted(cert, key string) string {
	return "tls {\n\t\tget_certificate mounted " + cert + " " + key + " {\n\t\t\tpoll 50ms\n\t\t}\n\t}"
}

// connect does a handshake with the gateway, and one request over it.
func connect(g *gatetest.Gate, config *tls.Config, host string) (status int, body string, err error) {
	return request(g, config, host, "/")
}

func request(g *gatetest.Gate, config *tls.Config, host, path string) (status int, body string, err error) {
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", strings.TrimPrefix(g.URL, "http://"), config)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

func TestARequestOverAnotherSitesConnectionIsRefused(t *testing.T) {
	cert, key := newAuthority(t).good(t, "strict.example", "weak.example", "curve.example").put(t, t.TempDir())
	config := func(mode string) string {
		return site("strict.example", mounted(cert, key), "tls_policy modern {\n\t\tmode "+mode+"\n\t}", "respond strict") +
			site("weak.example", mounted(cert, key), "respond weak") +
			site("curve.example", "tls {\n\t\tget_certificate mounted "+cert+" "+key+" {\n\t\t\tpoll 50ms\n\t\t}\n\t\tcurves secp521r1\n\t}", "respond curve")
	}
	g := gatetest.Run(t, config("enforce"))
	tests := []struct {
		name, server, host string
		max                uint16
		curves             []tls.CurveID
		status             int
	}{
		{"its own connection", "strict.example", "strict.example", 0, nil, 200},
		{"one of TLS 1.2 for the neighbour", "weak.example", "strict.example", tls.VersionTLS12, nil, 421},
		{"one of TLS 1.3 with a curve that the level has not", "curve.example", "strict.example", 0, []tls.CurveID{tls.CurveP521}, 421},
		{"one for the neighbour that is as good", "weak.example", "strict.example", 0, nil, 200},
		{"the neighbour's is the neighbour's", "weak.example", "weak.example", tls.VersionTLS12, nil, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, err := connect(g, &tls.Config{ServerName: tt.server, MaxVersion: tt.max, CurvePreferences: tt.curves}, tt.host)
			if err != nil || status != tt.status {
				t.Fatalf("got %d, %v", status, err)
			}
			if status == 421 && !strings.Contains(body, "This connection is not for this site.") {
				t.Errorf("no problem document: %s", body)
			}
		})
	}
	if _, _, err := connect(g, &tls.Config{ServerName: "strict.example", MaxVersion: tls.VersionTLS12}, "strict.example"); err == nil {
		t.Error("TLS 1.2 got through with the strict name")
	}
	if err := g.Reload(t, config("dry_run")); err != nil {
		t.Fatal(err)
	}
	if status, body, err := connect(g, &tls.Config{ServerName: "weak.example", MaxVersion: tls.VersionTLS12}, "strict.example"); status != 200 || body != "strict" {
		t.Errorf("dry_run: got %d %q, %v", status, body, err)
	}
}

func TestATLS12SessionIsResumedUnderThePolicy(t *testing.T) {
	cert, key := newAuthority(t).good(t, "a.example").put(t, t.TempDir())
	g := gatetest.Run(t, site("a.example", mounted(cert, key), "tls_policy intermediate", "respond {http.request.tls.resumed}"))
	config := &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for _, want := range []string{"false", "true"} {
		if status, body, err := connect(g, config, "a.example"); status != 200 || body != want {
			t.Errorf("got %d %q, %v; want %s", status, body, err, want)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.good(t, "must.example", "may.example").put(t, dir)
	pool := dir + "/clients.pem"
	putFile(t, pool, ca.pem)
	clientAuth := func(word string) string {
		return "tls_policy modern {\n\t\tclient_auth " + word + " {\n\t\t\ttrust_pool file " + pool + "\n\t\t}\n\t}"
	}
	respond := `respond "<{http.request.tls.client.subject}>"`
	g := gatetest.Run(t, site("must.example", mounted(cert, key), clientAuth("require"), respond)+
		site("may.example", mounted(cert, key), clientAuth("verify_if_given"), respond)+
		site("free.example", mounted(cert, key), respond))

	client := ca.good(t).pair(t)
	expired := ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour).pair(t)
	foreign := stranger.good(t).pair(t)
	const seen = "<CN=client>"
	tests := []struct {
		name, server, host string
		client             tls.Certificate
		status             int
		body               string
	}{
		{"required and good", "must.example", "must.example", client, 200, seen},
		{"required and missing", "must.example", "must.example", none, 0, ""},
		{"required and of another authority", "must.example", "must.example", foreign, 0, ""},
		{"required and expired", "must.example", "must.example", expired, 0, ""},
		{"if given: good", "may.example", "may.example", client, 200, seen},
		{"if given: none", "may.example", "may.example", none, 200, "<>"},
		{"if given: of another authority", "may.example", "may.example", foreign, 0, ""},
		{"if given: expired", "may.example", "may.example", expired, 0, ""},
		{"the name of a site that asks for none, the Host of one that does", "free.example", "must.example", none, 421, ""},
		{"the name of a site that lets pass, the Host of one that does not", "may.example", "must.example", none, 421, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Whatever the server asks for: clients of crypto/tls send nothing that it
			// does not want.
			send := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.client, nil }
			status, body, err := connect(g, &tls.Config{ServerName: tt.server, GetClientCertificate: send}, tt.host)
			if status != tt.status || status == 200 && body != tt.body || status == 0 && err == nil {
				t.Errorf("got %d %q, %v", status, body, err)
			}
		})
	}
}

// Everything that is weaker than the policy is refused with the configuration.
func TestWeakerSettingsAreRefused(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.good(t, "a.example").put(t, dir)
	pool := dir + "/clients.pem"
	putFile(t, pool, ca.pem)
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	with := func(policy string, options ...string) string {
		return site("a.example", "tls "+cert+" "+key+" {\n\t\t"+strings.Join(options, "\n\t\t")+"\n\t}", "tls_policy "+policy, "respond ok")
	}
	clientAuth := " {\n\t\tclient_auth require {\n\t\t\ttrust_pool file " + pool + "\n\t\t}\n\t}"
	tests := []struct {
		name, config string
		want         []string
	}{
		{"an older protocol", with("modern", "protocols tls1.2"), []string{"min protocol"}},
		{"no TLS 1.3", with("intermediate", "protocols tls1.2 tls1.2"), []string{"max protocol"}},
		{"another curve", with("intermediate", "curves secp521r1"), []string{"curves"}},
		{"a suite without forward secrecy", with("intermediate", "ciphers TLS_RSA_WITH_AES_128_GCM_SHA256"), []string{"cipher"}},
		{"suites with the level that has none", with("modern", "ciphers TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), []string{"suites of TLS 1.3 cannot be chosen"}},
		{"another protocol in ALPN", with("modern", "alpn spdy/3.1"), []string{"ALPN"}},
		{"another client_auth", with("modern"+clientAuth, "client_auth {\n\t\t\tmode request\n\t\t}"), []string{"client auth"}},
		{"the log of secrets, in any order", site("a.example", "tls_policy modern", "tls "+cert+" "+key+" {\n\t\tinsecure_secrets_log "+dir+"/secrets\n\t}", "respond ok"), nil},
		{"the log of secrets", with("modern", "insecure_secrets_log "+dir+"/secrets"), []string{"insecure_secrets_log"}},
		{"both levels", site("a.example", "tls "+cert+" "+key, "tls_policy modern", "tls_policy intermediate", "respond ok"), []string{"min protocol"}},
		{
			"client_auth that the adapter loses for the wildcard among several names",
			strings.Replace(site("*.example.com", mounted(cert, key), "tls_policy modern"+clientAuth, "respond ok"), " {", ", https://x.example:{$PORT} {", 1),
			[]string{"client_auth got lost", "*.example.com"},
		},
		{
			"client_auth without strict_sni_host",
			strings.Replace(gatetest.Globals, "servers {", "servers {\n\t\tstrict_sni_host insecure_off", 1) + with("modern"+clientAuth), []string{"strict_sni_host"},
		},
		{
			"client_auth in the tls directive without strict_sni_host",
			strings.Replace(gatetest.Globals, "servers {", "servers {\n\t\tstrict_sni_host insecure_off", 1) +
				site("a.example", inTLS(mounted(cert, key), "require_and_verify", pool), "tls_policy modern"), []string{"strict_sni_host"},
		},
		{
			"client_auth that the adapter loses for a wildcard beside another site",
			site("a.example.com", mounted(cert, key), "tls_policy modern"+clientAuth) + site("*.example.com", mounted(cert, key), "tls_policy modern"+clientAuth),
			[]string{"client_auth got lost", "*.example.com", "into the tls directive"},
		},
		{"a site of http", "http://a.example:{$PORT} {\n\tbind 127.0.0.1\n\ttls_policy modern\n\trespond ok\n}\n", []string{"attempts to configure TLS"}},
		{"a site named by an address, which no handshake names", site("127.0.0.1", "tls "+cert+" "+key, "tls_policy modern"), []string{"127.0.0.1, which handshakes do not name", "tls1.3"}},
		{"inside handle", site("a.example", "handle {\n\t\ttls_policy modern\n\t}"), []string{"is below tls1.3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Reload(t, tt.config)
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}

// The ways out of what is refused above.
func TestSettingsThatAgreeAreFine(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.good(t, "a.example", "*.example.com").put(t, dir)
	pool := dir + "/clients.pem"
	putFile(t, pool, ca.pem)
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	clientAuth := "client_auth {\n\t\t\tmode require_and_verify\n\t\t\ttrust_pool file " + pool + "\n\t\t}"
	tests := []struct{ name, config string }{
		{"a certificate in files", site("a.example", "tls "+cert+" "+key, "tls_policy modern", "respond ok")},
		{"no tls directive", site("a.example", "tls_policy intermediate", "respond ok")},
		{"the same protocols", site("a.example", "tls "+cert+" "+key+" {\n\t\tprotocols tls1.2 tls1.3\n\t}", "tls_policy intermediate", "respond ok")},
		{"the same level twice", site("a.example", "tls "+cert+" "+key, "tls_policy modern", "tls_policy modern", "respond ok")},
		{"no name", site("", mounted(cert, key), "tls_policy modern", "respond ok")},
		{"a wildcard among several names with client_auth beside the certificate", strings.Replace(site("*.example.com",
			"tls {\n\t\tget_certificate mounted "+cert+" "+key+"\n\t\t"+clientAuth+"\n\t}", "tls_policy modern", "respond ok"),
			" {", ", https://x.example:{$PORT} {", 1)},
		{"a wildcard with client_auth in the policy", site("*.example.com", mounted(cert, key),
			"tls_policy modern {\n\t\tclient_auth require {\n\t\t\ttrust_pool file "+pool+"\n\t\t}\n\t}", "respond ok")},
		{"a wildcard beside another site, with client_auth beside the certificates", site("a.example.com", inTLS(mounted(cert, key), "require_and_verify", pool),
			"tls_policy modern") + site("*.example.com", inTLS(mounted(cert, key), "require_and_verify", pool), "tls_policy modern")},
		{"a name in Unicode", site("b\u00fccher.example", mounted(cert, key), "tls_policy modern")},
		{"a name in Unicode beside another site", site("b\u00fccher.example", mounted(cert, key), "tls_policy modern") + site("b.example", mounted(cert, key))},
		{"two names", "https://a.example:{$PORT}, https://x.example.com:{$PORT} {\n\tbind 127.0.0.1\n\ttls " + cert + " " + key + "\n\ttls_policy modern\n}\n"},
		{"a snippet", "(strict) {\n\ttls_policy modern\n}\n" + site("a.example", "tls "+cert+" "+key, "import strict", "respond ok")},
		{"beside a neighbour without a policy", site("a.example", "tls "+cert+" "+key, "tls_policy modern") + site("b.example", "tls "+cert+" "+key)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.Reload(t, tt.config); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("and the wildcard's client_auth holds", func(t *testing.T) {
		for _, i := range []int{5, 6} {
			if err := g.Reload(t, tests[i].config); err != nil {
				t.Fatal(err)
			}
			if status, _, err := connect(g, &tls.Config{ServerName: "x.example.com"}, "x.example.com"); err == nil {
				t.Errorf("got %d without a certificate", status)
			}
		}
	})
}
