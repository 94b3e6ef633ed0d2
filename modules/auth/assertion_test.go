package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	albARN   = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188"
	otherARN = "arn:aws:elasticloadbalancing:eu-central-1:999999999999:loadbalancer/app/edge/50dc6c495c0c9188"
	albKey   = "0f0e0d0c-1a2b-4c3d-8e9f-001122334455"
)

// behindELB are global options for a server behind a balancer of the vendor, whose
// address is that of the tests, or from.
func behindELB(vendor, from string) string {
	return strings.Replace(gatetest.Globals, "\t\ttrusted_proxies static 127.0.0.1/32\n",
		"\t\ttrusted_proxies elb "+vendor+" {\n\t\t\tfrom "+from+"\n\t\t}\n\t\tprotocols h1\n", 1)
}

// told is a site of http whose backend is told who calls.
func told(dir, block string) string {
	return strings.ReplaceAll("{$ADDR} {\n\troute {\n\t\ttest_caller\n\t\tauth {\n"+block+"\n\t\t}\n\t\treverse_proxy {$BACKEND} {\n"+
		"\t\t\theader_up X-User-Id \"{http.auth.user.id} {http.auth.user.issuer} {http.auth.user.method} {http.auth.user.roles} {http.auth.user.claims.email}\"\n"+
		"\t\t}\n\t}\n}\n", "DIR", dir)
}

// signers are who signs in the tests, and a server with their public keys.
type signers struct {
	*httptest.Server
	alb, google *ecdsa.PrivateKey
	cloudflare  *rsa.PrivateKey

	mu     sync.Mutex
	asked  []string
	status int // of answers about single keys
}

func newSigners(t *testing.T) *signers {
	t.Helper()
	s := new(signers)
	var err error
	for _, k := range []**ecdsa.PrivateKey{&s.alb, &s.google} {
		if *k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if s.cloudflare, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *signers) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := s.google.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	switch {
	case r.URL.Path == "/keys/"+albKey && s.status != 0:
		w.WriteHeader(s.status)
	case r.URL.Path == "/keys/"+albKey:
		der, err := x509.MarshalPKIXPublicKey(s.alb.Public())
		if err != nil {
			panic(err)
		}
		_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	case r.URL.Path == "/google":
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"g","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	case r.URL.Path == "/cloudflare":
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"c","n":%q,"e":%q}],"public_cert":{"kid":"c","cert":""}}`,
			b64(s.cloudflare.N.Bytes()), b64(big.NewInt(int64(s.cloudflare.E)).Bytes()))
	default:
		http.NotFound(w, r)
	}
}

func (s *signers) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *signers) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// changed returns members with changes, as JSON; nil removes one.
func changed(members, change map[string]any) string {
	all := maps.Clone(members)
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func es256(k *ecdsa.PrivateKey, encoding *base64.Encoding, header, claims string) string {
	text := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		panic(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return text + "." + encoding.EncodeToString(raw)
}

func (s *signers) albSays(header map[string]any) string {
	return es256(s.alb, base64.URLEncoding, changed(map[string]any{
		"alg": "ES256", "kid": albKey, "signer": albARN, "iss": "https://idp.example", "client": "c1", "exp": time.Now().Add(2 * time.Minute).Unix(),
	}, header), `{"sub":"alice","email":"alice@example.com","groups":["staff"]}`)
}

const googleAudience = "/projects/123/global/backendServices/456"

func (s *signers) googleSays(claims map[string]any) string {
	now := time.Now()
	return es256(s.google, base64.RawURLEncoding, `{"alg":"ES256","typ":"JWT","kid":"g"}`, changed(map[string]any{
		"iss": "https://cloud.google.com/iap", "aud": googleAudience, "sub": "accounts.google.com:1234", "email": "alice@example.com",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}, claims))
}

const accessTag = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"

func (s *signers) cloudflareSays(claims map[string]any) string {
	now := time.Now()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"RS256","typ":"JWT","kid":"c"}`)) + "." + b64([]byte(changed(map[string]any{
		"iss": "https://team.cloudflareaccess.com", "aud": []string{accessTag}, "sub": "7335d417-61da-459d-899c-0a01c76a2f94", "type": "app",
		"email": "alice@example.com", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}, claims)))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.cloudflare, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(signature)
}

// said is one request with a balancer's header and what becomes of it.
type said struct {
	name, header, value string
	status              int
	reason              string
	user                string // what the backend is told
}

// writtenBy is what the vendor's balancer writes about a client.
func writtenBy(vendor string) []string {
	switch vendor {
	case "gcp_alb":
		return []string{"X-Forwarded-For", "192.0.2.7,203.0.113.1"}
	case "cloudflare":
		return []string{"X-Forwarded-For", "192.0.2.7", "Cf-Connecting-Ip", "192.0.2.7"}
	}
	return []string{"X-Forwarded-For", "192.0.2.7"}
}

func (s *said) run(t *testing.T, g *gatetest.Gate, got *http.Request, vendor string) {
	t.Run(s.name, func(t *testing.T) {
		*got = http.Request{}
		pairs := writtenBy(vendor)
		if s.header != "" {
			pairs = append(pairs, s.header, s.value)
		}
		resp := g.Do(t, "GET", "/", pairs...)
		if resp.Status != s.status || resp.Header.Get("X-Test-Reason") != s.reason {
			t.Fatalf("got %d %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), s.status, s.reason)
		}
		if s.status == http.StatusUnauthorized && resp.Header.Get("Www-Authenticate") == "" {
			t.Error("no challenge")
		}
		if s.status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if user := got.Header.Get("X-User-Id"); user != s.user {
			t.Errorf("the backend was told %q, want %q", user, s.user)
		}
		if s.value != "" {
			for name, lines := range got.Header {
				if slices.Contains(lines, s.value) {
					t.Errorf("the backend got it in %s", name)
				}
			}
		}
	})
}

func TestUsersOfAnApplicationLoadBalancer(t *testing.T) {
	s := newSigners(t)
	g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told("", "aws_alb_oidc "+albARN+" {\n client c1\n issuer https://idp.example\n roles_claim groups\n keys "+s.URL+"/keys\n}"))
	got := seen(g)
	const header = "X-Amzn-Oidc-Data"
	good := s.albSays(nil)
	tests := []said{
		{"the user", header, good, 204, "", `alice https://idp.example aws_alb_oidc ["staff"] alice@example.com`},
		{"the header in another spelling", "x-amzn-oidc-data", good, 204, "", `alice https://idp.example aws_alb_oidc ["staff"] alice@example.com`},
		{"none", "", "", 401, "auth.no_credential", ""},
		{"without its padding", header, strings.ReplaceAll(good, "=", ""), 401, "auth.assertion_malformed", ""},
		{"another balancer", header, s.albSays(map[string]any{"signer": otherARN}), 401, "auth.assertion_signer", ""},
		{"another client", header, s.albSays(map[string]any{"client": "c2"}), 401, "auth.assertion_client", ""},
		{"another issuer", header, s.albSays(map[string]any{"iss": "https://evil.example"}), 401, "auth.assertion_issuer", ""},
		{"another key", header, s.albSays(map[string]any{"kid": "0f0e0d0c-1a2b-4c3d-8e9f-001122334456"}), 401, "auth.assertion_key", ""},
		{"a path for a key", header, s.albSays(map[string]any{"kid": "../google"}), 401, "auth.assertion_key", ""},
		{"expired", header, s.albSays(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), 401, "auth.assertion_expired", ""},
		{"without a date", header, s.albSays(map[string]any{"exp": nil}), 401, "auth.assertion_claims", ""},
		{"another signature", header, good[:len(good)-10] + "AAAAAAAA==", 401, "auth.assertion_signature", ""},
		{"what is not signed", "X-Amzn-Oidc-Identity", "alice", 401, "auth.no_credential", ""},
		{"an alias of the header", "X-Amzn_Oidc-Data", good, 401, "auth.no_credential", ""},
	}
	for i := range tests {
		tests[i].run(t, g, got, "aws_alb")
	}
	for _, path := range s.requests() {
		if !strings.HasPrefix(path, "/keys/0f0e0d0c-1a2b-4c3d-8e9f-0011223344") {
			t.Errorf("the server of keys was asked for %s", path)
		}
	}
	resp := g.Do(t, "GET", "/", append(writtenBy("aws_alb"), header, good, header, good)...)
	if resp.Status != 400 || resp.Header.Get("X-Test-Reason") != "auth.several_credentials" {
		t.Errorf("two of them: %d %s", resp.Status, resp.Body)
	}
}

func TestABalancersKeyThatCannotBeFetched(t *testing.T) {
	s := newSigners(t)
	s.answer(500)
	g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told("", "aws_alb_oidc "+albARN+" {\n keys "+s.URL+"/keys/\n}"))
	got := seen(g)
	test := said{"a server that fails", "X-Amzn-Oidc-Data", s.albSays(nil), 503, "auth.keys_unavailable", ""}
	test.run(t, g, got, "aws_alb")
}

func TestTheServerOfKeysIsTrustedByItsCertificate(t *testing.T) {
	s := newSigners(t)
	tls := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(tls.Close)
	dir := t.TempDir()
	gatetest.PutPEM(t, dir, "ours.pem", &gatetest.Authority{Certificate: tls.Certificate()})
	for name, tt := range map[string]struct {
		options string
		status  int
	}{
		"its authority is in the pool": {" {\n trust_pool file " + dir + "/ours.pem\n}", 204},
		"it is not":                    {"", 503},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told("", "aws_alb_oidc "+albARN+" {\n keys "+tls.URL+"/keys"+tt.options+"\n}"))
			seen(g)
			if resp := g.Do(t, "GET", "/", append(writtenBy("aws_alb"), "X-Amzn-Oidc-Data", s.albSays(nil))...); resp.Status != tt.status {
				t.Errorf("got %d %s", resp.Status, resp.Body)
			}
		})
	}
}

func TestUsersOfIdentityAwareProxy(t *testing.T) {
	s := newSigners(t)
	g := gatetest.Run(t, behindELB("gcp_alb", "127.0.0.1/32")+told("", "gcp_iap {\n audience "+googleAudience+"\n jwks "+s.URL+"/google\n}"))
	got := seen(g)
	const header = "X-Goog-Iap-Jwt-Assertion"
	now := time.Now()
	tests := []said{
		{"the user", header, s.googleSays(nil), 204, "", "accounts.google.com:1234 https://cloud.google.com/iap gcp_iap  alice@example.com"},
		{"none", "", "", 401, "auth.no_credential", ""},
		{"of another resource", header, s.googleSays(map[string]any{"aud": "/projects/123/global/backendServices/457"}), 401, "auth.assertion_audience", ""},
		{"without a resource", header, s.googleSays(map[string]any{"aud": nil}), 401, "auth.assertion_audience", ""},
		{"of another issuer", header, s.googleSays(map[string]any{"iss": "https://accounts.google.com"}), 401, "auth.assertion_issuer", ""},
		{"expired", header, s.googleSays(map[string]any{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-50 * time.Minute).Unix()}), 401, "auth.assertion_expired", ""},
		{"from the future", header, s.googleSays(map[string]any{"iat": now.Add(5 * time.Minute).Unix()}), 401, "auth.assertion_not_yet_valid", ""},
		{"without iat", header, s.googleSays(map[string]any{"iat": nil}), 401, "auth.assertion_claims", ""},
		{"as long as it may live", header, s.googleSays(map[string]any{"exp": now.Add(11 * time.Minute).Unix(), "iat": now.Unix()}), 204, "", "accounts.google.com:1234 https://cloud.google.com/iap gcp_iap  alice@example.com"},
		{"that lives too long", header, s.googleSays(map[string]any{"exp": now.Add(11*time.Minute + time.Second).Unix(), "iat": now.Unix()}), 401, "auth.assertion_claims", ""},
		{"without sub", header, s.googleSays(map[string]any{"sub": nil}), 401, "auth.assertion_claims", ""},
		{"of Cloudflare", header, s.cloudflareSays(map[string]any{"iss": "https://cloud.google.com/iap", "aud": googleAudience}), 401, "auth.assertion_malformed", ""},
		{"what is not signed", "X-Goog-Authenticated-User-Email", "alice@example.com", 401, "auth.no_credential", ""},
	}
	for i := range tests {
		tests[i].run(t, g, got, "gcp_alb")
	}
}

func TestUsersAndServicesOfCloudflareAccess(t *testing.T) {
	s := newSigners(t)
	g := gatetest.Run(t, behindELB("cloudflare", "127.0.0.1/32")+told("", "cloudflare_access team {\n audience "+accessTag+"\n jwks "+s.URL+"/cloudflare\n}"))
	got := seen(g)
	const header = "Cf-Access-Jwt-Assertion"
	const issuer = "https://team.cloudflareaccess.com cloudflare_access"
	tests := []said{
		{"a user", header, s.cloudflareSays(nil), 204, "", "7335d417-61da-459d-899c-0a01c76a2f94 " + issuer + "  alice@example.com"},
		{"a service", header, s.cloudflareSays(map[string]any{"sub": "", "common_name": "e367.access", "email": nil}), 204, "", "e367.access " + issuer},
		{"neither", header, s.cloudflareSays(map[string]any{"sub": ""}), 401, "auth.assertion_claims", ""},
		{"a service without an empty sub", header, s.cloudflareSays(map[string]any{"sub": nil, "common_name": "e367.access"}), 401, "auth.assertion_claims", ""},
		{"a user's common name", header, s.cloudflareSays(map[string]any{"common_name": "root"}), 204, "", "7335d417-61da-459d-899c-0a01c76a2f94 " + issuer + "  alice@example.com"},
		{"of a session", header, s.cloudflareSays(map[string]any{"type": "org"}), 401, "auth.assertion_claims", ""},
		{"of another application", header, s.cloudflareSays(map[string]any{"aud": []string{"x"}}), 401, "auth.assertion_audience", ""},
		{"of another team", header, s.cloudflareSays(map[string]any{"iss": "https://other.cloudflareaccess.com"}), 401, "auth.assertion_issuer", ""},
		{"expired", header, s.cloudflareSays(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), 401, "auth.assertion_expired", ""},
		{"in the cookie", "Cookie", "CF_Authorization=" + s.cloudflareSays(nil), 401, "auth.no_credential", ""},
	}
	for i := range tests {
		tests[i].run(t, g, got, "cloudflare")
	}
}

// escaped is PEM as a balancer writes it into a header.
func escaped(certificates ...[]byte) string {
	var text strings.Builder
	for _, der := range certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/").Replace(url.PathEscape(text.String()))
}

func TestCertificatesThatABalancerReports(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := gatetest.NewAuthority(t, "Ours"), gatetest.NewAuthority(t, "Theirs")
	gatetest.PutPEM(t, dir, "ours.pem", ours)
	partner := x509.Certificate{DNSNames: []string{"partner.example"}}
	leaf := ours.Issue(t, partner)
	below := ours.Below(t, "Below").Issue(t, partner)
	foreign := theirs.Issue(t, partner)
	past := ours.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	nameless := ours.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"a.example", "b.example"}})
	const one, chain = "X-Amzn-Mtls-Clientcert-Leaf", "X-Amzn-Mtls-Clientcert"
	const user = "partner.example CN=Ours aws_alb_mtls"
	for _, mode := range []struct {
		block string
		tests []said
	}{
		{"mode verify", []said{
			{"the certificate", one, escaped(leaf.Certificate[0]), 204, "", user},
			{"its dates are judged", one, escaped(past.Certificate[0]), 401, "auth.certificate_expired", ""},
			{"none", "", "", 401, "auth.no_credential", ""},
			{"two", one, escaped(leaf.Certificate[0], leaf.Certificate[0]), 401, "auth.assertion_malformed", ""},
			{"a name that is none", one, escaped(nameless.Certificate[0]), 401, "auth.certificate_name", ""},
			{"a chain that nobody verified", chain, escaped(leaf.Certificate[0]), 401, "auth.no_credential", ""},
			{"no certificate", one, "x", 401, "auth.assertion_malformed", ""},
			{"only its name", "X-Amzn-Mtls-Clientcert-Subject", "CN=partner", 401, "auth.no_credential", ""},
		}},
		{"mode verify\n trust_pool file DIR/ours.pem", []said{
			{"of our authority", one, escaped(leaf.Certificate[0]), 204, "", user},
			{"of another one", one, escaped(foreign.Certificate[0]), 401, "auth.certificate_unverified", ""},
		}},
		{"mode verify\n allow_issuer CN=Ours", []said{
			{"of the issuer", one, escaped(leaf.Certificate[0]), 204, "", user},
			{"of another issuer", one, escaped(foreign.Certificate[0]), 401, "auth.certificate_issuer", ""},
		}},
		{"mode passthrough\n trust_pool file DIR/ours.pem", []said{
			{"the certificate", chain, escaped(leaf.Certificate...), 204, "", user},
			{"with what is between", chain, escaped(below.Certificate...), 204, "", user},
			{"without what is between", chain, escaped(below.Certificate[0]), 401, "auth.certificate_unverified", ""},
			{"of another authority", chain, escaped(foreign.Certificate...), 401, "auth.certificate_unverified", ""},
			{"of another authority, which is sent along", chain, escaped(foreign.Certificate[0], theirs.Certificate.Raw), 401, "auth.certificate_unverified", ""},
			{"expired", chain, escaped(past.Certificate...), 401, "auth.certificate_expired", ""},
			{"too many", chain, escaped(slices.Repeat([][]byte{leaf.Certificate[0]}, 9)...), 401, "auth.assertion_malformed", ""},
			{"what only the other mode writes", one, escaped(leaf.Certificate[0]), 401, "auth.no_credential", ""},
		}},
		{"mode verify\n header X-Their-Name-Of-It", []said{
			{"in a header of another name", "X-Their-Name-Of-It", escaped(leaf.Certificate[0]), 204, "", user},
			{"in the usual one", one, escaped(leaf.Certificate[0]), 401, "auth.no_credential", ""},
		}},
	} {
		t.Run(strings.ReplaceAll(mode.block, "\n", ","), func(t *testing.T) {
			g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told(dir, "aws_alb_mtls {\n "+mode.block+"\n}"))
			got := seen(g)
			for i := range mode.tests {
				mode.tests[i].run(t, g, got, "aws_alb")
			}
		})
	}
}

// What balancers say is worth nothing from anybody else, and no backend gets it.
func TestOnlyTheBalancerCanSayWhoCalls(t *testing.T) {
	s := newSigners(t)
	leaf := gatetest.NewAuthority(t, "Ours").Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	methods := []struct{ vendor, block, header, value string }{
		{"aws_alb", "aws_alb_oidc " + albARN + " {\n keys " + s.URL + "/keys\n}", "X-Amzn-Oidc-Data", s.albSays(nil)},
		{"aws_alb", "aws_alb_mtls {\n mode verify\n}", "X-Amzn-Mtls-Clientcert-Leaf", escaped(leaf.Certificate[0])},
		{"aws_alb", "aws_alb_mtls {\n mode verify\n header X-Theirs\n}", "X-Theirs", escaped(leaf.Certificate[0])},
		{"gcp_alb", "gcp_iap {\n audience " + googleAudience + "\n jwks " + s.URL + "/google\n}", "X-Goog-Iap-Jwt-Assertion", s.googleSays(nil)},
		{"cloudflare", "cloudflare_access team {\n audience " + accessTag + "\n jwks " + s.URL + "/cloudflare\n}", "Cf-Access-Jwt-Assertion", s.cloudflareSays(nil)},
	}
	dir, apiKey, _ := files(t)
	for _, m := range methods {
		// The same request from the balancer is accepted, or this would show nothing.
		t.Run(m.header+" from the balancer", func(t *testing.T) {
			g := gatetest.Run(t, behindELB(m.vendor, "127.0.0.1/32")+told(dir, m.block))
			seen(g)
			if resp := g.Do(t, "GET", "/", append(writtenBy(m.vendor), m.header, m.value)...); resp.Status != 204 {
				t.Errorf("got %d %s", resp.Status, resp.Body)
			}
		})
		other := map[string]string{"aws_alb": "gcp_alb", "gcp_alb": "cloudflare", "cloudflare": "aws_alb"}[m.vendor]
		for name, from := range map[string]struct{ globals, vendor string }{
			"from a client that comes directly":     {behindELB(m.vendor, "192.0.2.0/24"), m.vendor},
			"through a balancer of another kind":    {behindELB(other, "127.0.0.1/32"), other},
			"through a proxy that is trusted alone": {gatetest.Globals, m.vendor},
		} {
			t.Run(m.header+" "+name, func(t *testing.T) {
				g := gatetest.Run(t, from.globals+told(dir, m.block+blockKey))
				got := seen(g)
				said := append(writtenBy(from.vendor), m.header, m.value)
				if resp := g.Do(t, "GET", "/", said...); resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.no_credential" {
					t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
				}
				resp := g.Do(t, "GET", "/", append(said, "X-Api-Key", apiKey)...)
				if resp.Status != 204 || got.Header.Get(m.header) != "" {
					t.Errorf("with a key: %d %s, the backend got %q", resp.Status, resp.Body, got.Header.Get(m.header))
				}
			})
		}
	}
}

// A caller's own credential is judged alone: what the balancer adds is no way out.
func TestACallersOwnCredentialGoesBeforeTheBalancers(t *testing.T) {
	s := newSigners(t)
	dir, apiKey, revoked := files(t)
	g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told(dir, "aws_alb_oidc "+albARN+" {\n keys "+s.URL+"/keys\n}"+blockKey))
	got := seen(g)
	said := append(writtenBy("aws_alb"), "X-Amzn-Oidc-Data", s.albSays(nil))
	if resp := g.Do(t, "GET", "/", append(said, "X-Api-Key", revoked)...); resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.key_revoked" {
		t.Errorf("got %d %s", resp.Status, resp.Body)
	}
	if resp := g.Do(t, "GET", "/", append(said, "X-Api-Key", apiKey)...); resp.Status != 204 || !strings.HasPrefix(got.Header.Get("X-User-Id"), "acme ") {
		t.Errorf("got %d %q", resp.Status, got.Header.Get("X-User-Id"))
	}
	if resp := g.Do(t, "GET", "/", said...); resp.Status != 204 || !strings.HasPrefix(got.Header.Get("X-User-Id"), "alice ") {
		t.Errorf("got %d %q", resp.Status, got.Header.Get("X-User-Id"))
	}
}

func tokenFrom(header string) string {
	return "\njwt " + issuerA + " {\n audience api\n key_file DIR/a.pem\n from header " + header + "\n}"
}

func TestWithoutTheBalancerNobodyCouldBeLetIn(t *testing.T) {
	dir, _, _ := files(t)
	gatetest.PutPEM(t, dir, "ours.pem", gatetest.NewAuthority(t, "Ours"))
	if err := os.WriteFile(dir+"/bad.pem", []byte("-----BEGIN CERTIFICATE-----\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, site(dir, blockKey))
	for _, tt := range []struct{ name, globals, block, want string }{
		{"aws_alb_oidc", gatetest.Globals, "aws_alb_oidc " + albARN, "aws_alb_oidc would refuse every caller"},
		{"aws_alb_mtls", gatetest.Globals, "aws_alb_mtls {\n mode verify\n}", "aws_alb_mtls would refuse every caller"},
		{"gcp_iap behind another balancer", behindELB("aws_alb", "10.0.0.0/8"), "gcp_iap {\n audience " + googleAudience + "\n}", "trusted_proxies elb gcp_alb"},
		{"cloudflare_access", gatetest.Globals, "cloudflare_access team {\n audience x\n}", "cloudflare_access would refuse every caller"},
		{"beside others", gatetest.Globals, "aws_alb_oidc " + albARN + blockKey, ""},
		{"behind the balancer", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_oidc " + albARN, ""},
		{"a trust pool", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_mtls {\n mode passthrough\n trust_pool file DIR/ours.pem\n}", ""},
		{"a trust pool that is missing", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_mtls {\n mode passthrough\n trust_pool file DIR/none.pem\n}", "none.pem"},
		{"a trust pool that is broken", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_mtls {\n mode passthrough\n trust_pool file DIR/bad.pem\n}", "is not PEM with certificates"},
		{"one header for two", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_mtls {\n mode verify\n header X-Api-Key\n}" + blockKey, "are both read from X-Api-Key"},
		{"the header of another method", behindELB("aws_alb", "10.0.0.0/8"), "aws_alb_mtls {\n mode verify\n header x-amzn-oidc-data\n}\naws_alb_oidc " + albARN, "are both read from X-Amzn-Oidc-Data"},
		{"a token in Google's header", behindELB("gcp_alb", "10.0.0.0/8"), "gcp_iap {\n audience " + googleAudience + "\n}" + tokenFrom("X-Goog-Iap-Jwt-Assertion"), "are both read from X-Goog-Iap-Jwt-Assertion"},
		{"a token in Cloudflare's header", behindELB("cloudflare", "10.0.0.0/8"), "cloudflare_access team {\n audience x\n}" + tokenFrom("Cf-Access-Jwt-Assertion"), "are both read from Cf-Access-Jwt-Assertion"},
	} {
		err := g.Reload(t, tt.globals+site(dir, tt.block))
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}
