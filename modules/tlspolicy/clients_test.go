package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// inTLS is client_auth in the tls directive, in front of other options of it.
func inTLS(directive, mode, pool string) string {
	option := "tls {\n\t\tclient_auth {\n\t\t\tmode " + mode
	if pool != "" {
		option += "\n\t\t\ttrust_pool file " + pool
	}
	return strings.Replace(directive, "tls {", option+"\n\t\t}", 1)
}

// asking is a policy with client_auth.
func asking(word, pool string) string {
	return "tls_policy modern {\n\t\tclient_auth " + word + " {\n\t\t\ttrust_pool file " + pool + "\n\t\t}\n\t}"
}

// Caddy compares the Host with the handshake's name as Unicode folds, where U+017F
// is an "s", and chooses the connection policy otherwise.
func TestANameThatOnlyFoldsToTheSitesBringsNoOtherSitesClients(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cert, key := ours.good(t, "shop.example.com", "*.example.com").put(t, dir)
	pool, otherPool := dir+"/ours.pem", dir+"/theirs.pem"
	putFile(t, pool, ours.pem)
	putFile(t, otherPool, theirs.pem)
	files, mount := "tls "+cert+" "+key, mounted(cert, key)
	respond := `respond "<{http.request.tls.client.subject}>"`
	client, other := ours.good(t).pair(t), theirs.good(t).pair(t)

	tests := []struct {
		name, config string
		wrong        tls.Certificate
	}{
		{
			"a wildcard beside it that trusts others",
			site("shop.example.com", files, asking("require", pool), respond) + site("*.example.com", files, asking("require", otherPool)), other,
		},
		{
			"a site without a name that trusts others",
			site("shop.example.com", mount, asking("require", pool), respond) + site("", mount, asking("require", otherPool)), other,
		},
		{
			"a wildcard that trusts anybody",
			site("shop.example.com", mount, asking("verify_if_given", pool), respond) + site("*.example.com", inTLS(mount, "request", "")), other,
		},
		{
			"client_auth in the tls directive, and a wildcard without",
			site("shop.example.com", inTLS(mount, "require_and_verify", pool), "tls_policy modern", respond) + site("*.example.com", mount), none,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, tt.config)
			for name, c := range map[string]struct {
				client tls.Certificate
				status int
			}{
				"shop.example.com":      {client, 200},
				"x.example.com":         {tt.wrong, 421},
				"\u017fhop.example.com": {tt.wrong, 421},
			} {
				send := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.client, nil }
				status, body, err := connect(g, &tls.Config{ServerName: name, GetClientCertificate: send}, "shop.example.com")
				if err != nil || status != c.status || status == 200 && body != "<CN=client>" {
					t.Errorf("%q: got %d %q, %v", name, status, body, err)
				}
			}
		})
	}
}

// A site can have a path in its address. What else is asked of its name goes on to
// a wildcard, or to a site for all names, over a connection that was made for it.
func TestARequestThatAPathSiteLeavesBringsNoOtherSitesClients(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cert, key := ours.good(t, "shop.example.com", "*.example.com").put(t, dir)
	pool, otherPool := dir+"/ours.pem", dir+"/theirs.pem"
	putFile(t, pool, ours.pem)
	putFile(t, otherPool, theirs.pem)
	client, other := ours.good(t).pair(t), theirs.good(t).pair(t)
	path := func(name, pool string) string {
		return strings.Replace(site(name, inTLS(mounted(cert, key), "require_and_verify", pool), "tls_policy modern", "respond path"), ":{$PORT} {", ":{$PORT}/shop* {", 1)
	}
	rest := func(name string) string {
		return site(name, inTLS(mounted(cert, key), "require_and_verify", pool), "tls_policy modern", "respond rest")
	}
	both := strings.Replace(rest("own.example"), " {", ", https://:{$PORT}/rest* {", 1)
	tests := []struct {
		name, config, server, path string
		client                     tls.Certificate
		status                     int
		body                       string
	}{
		{"to a wildcard", path("shop.example.com", otherPool) + rest("*.example.com"), "shop.example.com", "/", other, 421, ""},
		{"to a site for all names", path("shop.example.com", otherPool) + rest(""), "shop.example.com", "/", other, 421, ""},
		{"to a site for a name, and for all names under a path", path("shop.example.com", otherPool) + both, "shop.example.com", "/rest", other, 421, ""},
		{"the wildcard's own clients", path("shop.example.com", otherPool) + rest("*.example.com"), "x.example.com", "/", client, 200, "rest"},
		{"the path's own clients", path("shop.example.com", otherPool) + rest("*.example.com"), "shop.example.com", "/shop", other, 200, "path"},
		{"both trust the same", path("shop.example.com", pool) + rest("*.example.com"), "shop.example.com", "/", client, 200, "rest"},
		{"from a name that asks nobody", strings.Replace(site("shop.example.com", mounted(cert, key)), ":{$PORT} {", ":{$PORT}/shop* {", 1) +
			rest("*.example.com"), "shop.example.com", "/", none, 421, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, tt.config)
			send := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.client, nil }
			status, body, err := request(g, &tls.Config{ServerName: tt.server, GetClientCertificate: send}, tt.server, tt.path)
			if err != nil || status != tt.status || status == 200 && body != tt.body {
				t.Errorf("got %d %q, %v", status, body, err)
			}
		})
	}
}

var none tls.Certificate

// Whichever directive asks for certificates, and whatever the names of sites are.
func TestAConnectionHoldsWhatTheSiteAsksOfItsClients(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.good(t).pair(t).Leaf
	some := []*x509.Certificate{certificate}
	require := &caddytls.ClientAuthentication{Mode: "require_and_verify"}
	ifGiven := &caddytls.ClientAuthentication{Mode: "verify_if_given"}
	anybody := &caddytls.ClientAuthentication{Mode: "require"}
	request := &caddytls.ClientAuthentication{Mode: "request"}
	pool := &caddytls.ClientAuthentication{CARaw: []byte("{}")}
	leaf := &caddytls.ClientAuthentication{VerifiersRaw: []json.RawMessage{[]byte("{}")}}

	none := tls.ConnectionState{ServerName: "a.example"}
	shown := tls.ConnectionState{ServerName: "a.example", PeerCertificates: some}
	verified := tls.ConnectionState{ServerName: "a.example", PeerCertificates: some, VerifiedChains: [][]*x509.Certificate{some}}
	folds := verified
	folds.ServerName = "\u212a.example"

	type all = []*caddytls.ClientAuthentication
	tests := []struct {
		name                         string
		policies                     all
		none, shown, verified, folds bool
	}{
		{"nobody asks", all{nil}, true, true, true, true},
		{"an empty setting asks for nothing", all{{}}, true, true, true, true},
		{"required and verified", all{require}, false, false, true, false},
		{"required and verified where only the pool is set", all{pool}, false, false, true, false},
		{"verified if given", all{ifGiven}, true, false, true, false},
		{"anybody's is required", all{anybody}, false, true, true, false},
		{"anybody's is required where only a verifier is set", all{leaf}, false, true, true, false},
		{"asked for", all{request}, true, true, true, false},
		{"required of all names", all{require, pool}, false, false, true, false},
		{"required of some names", all{require, nil}, true, false, true, false},
		{"required of some names and verified if given of others", all{ifGiven, require}, true, false, true, false},
		{"required of some names and anybody's of others", all{require, anybody}, false, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// What a policy refuses altogether asks nothing.
			policies := []*caddytls.ConnectionPolicy{{Drop: true}}
			for _, a := range tt.policies {
				policies = append(policies, &caddytls.ConnectionPolicy{ClientAuthentication: a})
			}
			c := clientsOf(policies)
			for _, s := range []struct {
				name  string
				state tls.ConnectionState
				want  bool
			}{{"none", none, tt.none}, {"shown", shown, tt.shown}, {"verified", verified, tt.verified}, {"a name that folds", folds, tt.folds}} {
				if got := c.hold(&s.state); got != s.want {
					t.Errorf("%s: got %t", s.name, got)
				}
			}
		})
	}
}
