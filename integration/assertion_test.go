package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	assertingBalancer = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188"
	foreignBalancer   = "arn:aws:elasticloadbalancing:eu-central-1:999999999999:loadbalancer/app/edge/50dc6c495c0c9188"
	assertionKey      = "0f0e0d0c-1a2b-4c3d-8e9f-001122334455"
	assertionHeader   = "X-Amzn-Oidc-Data"
)

// HAProxy plays an Application Load Balancer that authenticated a user: it writes the
// header anew on its first port. On the second it passes a client's, as one without an
// authenticate action may; on the third it plays the balancer of another cloud.
const assertingHAProxy = `global
	maxconn 100
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
frontend authenticates
	bind %[1]s
	option forwardfor
	http-request set-header X-Amzn-Oidc-Data %[4]s
	default_backend alb
frontend passes
	bind %[2]s
	option forwardfor
	default_backend alb
frontend google
	bind %[3]s
	http-request set-header X-Forwarded-For %%[src],203.0.113.1
	default_backend gcp
backend alb
	server gate %[5]s
backend gcp
	server gate %[6]s
`

// albSays signs an assertion as a balancer does, with padding.
func albSays(t *testing.T, key *ecdsa.PrivateKey, signer, subject string) string {
	t.Helper()
	b64 := base64.URLEncoding.EncodeToString
	text := b64(fmt.Appendf(nil, `{"typ":"JWT","kid":%q,"alg":"ES256","iss":"https://login.example","client":"c1","signer":%q,"exp":%d}`,
		assertionKey, signer, time.Now().Add(10*time.Minute).Unix())) + "." + b64(fmt.Appendf(nil, `{"sub":%q,"email":"%s@example.com"}`, subject, subject))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return text + "." + b64(raw)
}

func TestWhoABalancerAuthenticatedIsBelievedFromTheBalancerAlone(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+assertionKey {
			http.NotFound(w, r)
			return
		}
		_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}))
	t.Cleanup(keys.Close)

	dir, b := t.TempDir(), newBackend(t)
	authenticates, passes, google, alb, gcp := freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	server := func(addr, profile string) string {
		return fmt.Sprintf("\tservers %s {\n\t\ttrusted_proxies elb %s {\n\t\t\tfrom 127.0.0.1/32\n\t\t}\n\t\ttrusted_proxies_strict\n\t}\n", ":"+port(addr), profile)
	}
	write(t, dir, "Caddyfile", "{\n\tadmin {$ADMIN}\n\tauto_https off\n\tpersist_config off\n"+server(alb, "aws_alb")+server(gcp, "gcp_alb")+`}
(policy) {
	log
	auth {
		aws_alb_oidc `+assertingBalancer+` {
			client c1
			issuer https://login.example
			keys `+keys.URL+`
		}
		api_key {
			keys_file keys.json
			pepper {file../pepper}
		}
	}
	reverse_proxy `+strings.TrimPrefix(b.URL, "http://")+` {
		header_up X-Caller "{http.auth.user.method} {http.auth.user.id}"
	}
}
http://:`+port(alb)+` {
	import policy
}
http://:`+port(gcp)+` {
	import policy
}
`)
	apiKey, _ := credentials(t, dir)
	gateway := start(t, dir, "Caddyfile", nil)
	good := albSays(t, key, assertingBalancer, "ada")
	startHAProxy(t, fmt.Sprintf(assertingHAProxy, authenticates, passes, google, good, alb, gcp), authenticates)

	tests := []struct {
		name, from, url string
		header          []string
		status          int
		reason, caller  string
	}{
		{"the balancer's user", "127.0.0.2", authenticates, nil, 200, "", "aws_alb_oidc ada"},
		{"what a client sends is overwritten", "127.0.0.2", authenticates, []string{assertionHeader, albSays(t, key, assertingBalancer, "root")}, 200, "", "aws_alb_oidc ada"},
		{"none", "127.0.0.2", passes, nil, 401, "auth.no_credential", ""},
		{"another customer's balancer", "127.0.0.2", passes, []string{assertionHeader, albSays(t, key, foreignBalancer, "root")}, 401, "auth.assertion_signer", ""},
		{"without its padding", "127.0.0.2", passes, []string{assertionHeader, strings.ReplaceAll(good, "=", "")}, 401, "auth.assertion_malformed", ""},
		{"two", "127.0.0.2", passes, []string{assertionHeader, good, assertionHeader, good}, 400, "auth.several_credentials", ""},
		{"past the balancer", "127.0.0.9", alb, []string{assertionHeader, good}, 401, "auth.no_credential", ""},
		{"past the balancer, with a key", "127.0.0.9", alb, []string{assertionHeader, good, "X-Api-Key", apiKey}, 200, "", "api_key acme"},
		{"through another balancer", "127.0.0.2", google, []string{assertionHeader, good}, 401, "auth.no_credential", ""},
		{"through another balancer, with a key", "127.0.0.2", google, []string{assertionHeader, good, "X-Api-Key", apiKey}, 200, "", "api_key acme"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.last()
			before := len(gateway.log.String())
			got := send(t, clientFrom(t, tt.from), "GET", "http://"+tt.url+"/orders/7", tt.header...)
			if got.status != tt.status {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			if entry := gateway.accessLog(t, before); entry.Reason != tt.reason {
				t.Errorf("the log's reason is %q, want %q", entry.Reason, tt.reason)
			}
			seen := b.last()
			if (seen != nil) != (tt.status == 200) {
				t.Fatalf("the backend saw the request: %v", seen != nil)
			}
			if seen != nil && (seen.Header.Get("X-Caller") != tt.caller || seen.Header.Get(assertionHeader) != "") {
				t.Errorf("the backend got %v", seen.Header)
			}
			if strings.Contains(got.body, good) {
				t.Error("the assertion is in the answer")
			}
		})
	}
}
