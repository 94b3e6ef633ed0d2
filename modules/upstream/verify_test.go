package upstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

func TestWhatComesThroughTheGatewayReachesTheServiceAndItsCallerIsKnown(t *testing.T) {
	l := newLab(t, withRules(""))
	s := new(seen)
	l.Backend(s.handler(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	for _, target := range []string{"/orders/7", "/a%20b?q=1&q=%C3%BC", "/?", "/x?a=b"} {
		resp := l.ask(t, "GET", target)
		if resp.Status != 200 || resp.Body != "served" {
			t.Fatalf("%s: got %d %q", target, resp.Status, resp.Body)
		}
		if got := s.last(t); got.Header.Get("X-User") != "acme" || got.Header.Get("Sallyport-Assertion") != "" || got.RequestURI != target {
			t.Errorf("%s: the service saw %s %v", target, got.RequestURI, got.Header)
		}
	}
	if resp := l.Send(t, "POST", "/orders", "body", "X-Api-Key", l.key); resp.Status != 200 {
		t.Errorf("POST: %d", resp.Status)
	}
	if resp := l.Do(t, "GET", "/orders/7"); resp.Status != 401 {
		t.Errorf("the gateway lets %d through", resp.Status)
	}
}

func TestEveryRequestPastTheGatewayIsRefused(t *testing.T) {
	l := newLab(t, withRules(""))
	s := new(seen)
	l.Backend(s.handler(nil))
	key, now := l.signingKey(t), time.Now()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := assertion.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	to := assertion.Target{Method: "GET", Path: "/orders", Query: "a=1"}
	made := func(issuer, audience string) string {
		token, err := assertion.NewMaker(issuer, audience, assertion.MaxTTL).Make(key, to, "", nil, now)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const target = "/orders?a=1"
	good := func() string { return mint(t, key, "GET", target, nil, now) }
	head, rest, _ := strings.Cut(good(), ".")
	tests := []struct {
		name   string
		header []string
		reason string
	}{
		{"no assertion", nil, "missing"},
		{"an empty one", []string{"Sallyport-Assertion", ""}, "malformed"},
		{"two", []string{"Sallyport-Assertion", good(), "Sallyport-Assertion", good()}, "malformed"},
		{"two in one line", []string{"Sallyport-Assertion", good() + ", " + good()}, "malformed"},
		{"another header", []string{"Authorization", "Bearer " + good()}, "missing"},
		{"another service", []string{"Sallyport-Assertion", made("sallyport", "billing")}, "audience"},
		{"another gateway", []string{"Sallyport-Assertion", made("other", "orders")}, "issuer"},
		{"another method", []string{"Sallyport-Assertion", mint(t, key, "POST", target, nil, now)}, "method"},
		{"another path", []string{"Sallyport-Assertion", mint(t, key, "GET", "/orders/1?a=1", nil, now)}, "path"},
		{"another query", []string{"Sallyport-Assertion", mint(t, key, "GET", "/orders?a=2", nil, now)}, "query"},
		{"expired", []string{"Sallyport-Assertion", mint(t, key, "GET", target, nil, now.Add(-40*time.Second))}, "expired"},
		{"from the future", []string{"Sallyport-Assertion", mint(t, key, "GET", target, nil, now.Add(time.Hour))}, "not_yet_valid"},
		{"an unknown key", []string{"Sallyport-Assertion", mint(t, stranger, "GET", target, nil, now)}, "key"},
		{"another signature", []string{"Sallyport-Assertion", head + "." + rest[:len(rest)-4] + "AAAA"}, "signature"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := refusedFor(t, "verify_gateway."+tt.reason)
			resp, body := l.direct(t, "GET", target, tt.header...)
			if resp.StatusCode != 401 || !strings.Contains(body, "The request did not come through the gateway.") || resp.Header.Get("Www-Authenticate") == "" {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if refusedFor(t, "verify_gateway."+tt.reason) != before+1 {
				t.Errorf("the reason is not %s", tt.reason)
			}
		})
	}
	if s.count() != 0 {
		t.Errorf("%d requests reached the service", s.count())
	}
	if resp, body := l.direct(t, "GET", target, "Sallyport-Assertion", good()); resp.StatusCode != 200 {
		t.Errorf("the good one: %d %s", resp.StatusCode, body)
	}
}

func TestAnAssertionIsGoodOnceAlsoOverAReload(t *testing.T) {
	l := newLab(t, withRules(""))
	token := mint(t, l.signingKey(t), "GET", "/", nil, time.Now())
	if resp, body := l.direct(t, "GET", "/", "Sallyport-Assertion", token); resp.StatusCode != 200 {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	for range 2 {
		if resp, _ := l.direct(t, "GET", "/", "Sallyport-Assertion", token); resp.StatusCode != 401 {
			t.Errorf("again: %d", resp.StatusCode)
		}
		if err := l.Reload(t, l.config); err != nil {
			t.Fatal(err)
		}
	}
	if refusedFor(t, "verify_gateway.replay") < 2 {
		t.Error("it is not refused as a replay")
	}
}

func TestRulesDecideByMethodPathAndCaller(t *testing.T) {
	l := newLab(t, withRules(`rule read {
			methods GET
			path /orders/*
			require role buyer
			require scope orders:read
		}
		rule admin {
			path /admin/*
			require role admin
		}
		rule never {
			path /internal/*
			deny
		}
		rule tier {
			path /gold
			require tier gold
			require method api_key
		}
		rule later {
			path /orders/2
			require role admin
			dry_run
		}`))
	key, now := l.signingKey(t), time.Now()
	buyer := &principal.Principal{ID: "acme", Method: "api_key", Roles: []string{"buyer"}, Scopes: []string{"orders:read"}, Tier: "gold"}
	tests := []struct {
		name, method, target string
		caller               *principal.Principal
		status               int
		reason               string
	}{
		{"allowed by role and scope", "GET", "/orders/1", buyer, 200, ""},
		{"allowed by tier", "GET", "/gold", buyer, 200, ""},
		{"without the role", "GET", "/admin/x", buyer, 403, "rule_role"},
		{"without the scope", "GET", "/orders/1", &principal.Principal{ID: "x", Roles: []string{"buyer"}}, 403, "rule_scope"},
		{"denied to everyone", "GET", "/internal/x", buyer, 403, "rule_denied"},
		{"a method that no rule names", "POST", "/orders/1", buyer, 403, "rule_not_allowed"},
		{"a path that no rule names", "GET", "/other", buyer, 403, "rule_not_allowed"},
		{"anonymous", "GET", "/orders/1", nil, 403, "rule_no_principal"},
		{"another tier", "GET", "/gold", &principal.Principal{ID: "x", Method: "api_key", Tier: "free"}, 403, "rule_tier"},
		{"another method of authentication", "GET", "/gold", &principal.Principal{ID: "x", Method: "jwt", Tier: "gold"}, 403, "rule_method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := refusedFor(t, "verify_gateway."+tt.reason)
			resp, body := l.direct(t, tt.method, tt.target, "Sallyport-Assertion", mint(t, key, tt.method, tt.target, tt.caller, now))
			if resp.StatusCode != tt.status {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if tt.reason != "" && refusedFor(t, "verify_gateway."+tt.reason) != before+1 {
				t.Errorf("the reason is not %s", tt.reason)
			}
		})
	}
	if resp := l.ask(t, "GET", "/orders/1"); resp.Status != 200 {
		t.Errorf("through the gateway: %d", resp.Status)
	}
	if n := wouldDenyBy(t, "later"); n != 0 {
		t.Errorf("a rule in dry_run about other requests: counted %v", n)
	}
	refused := refusedFor(t, "verify_gateway.rule_role")
	resp, body := l.direct(t, "GET", "/orders/2", "Sallyport-Assertion", mint(t, key, "GET", "/orders/2", buyer, now))
	if resp.StatusCode != 200 || wouldDenyBy(t, "later") != 1 || refusedFor(t, "verify_gateway.rule_role") != refused {
		t.Errorf("a rule in dry_run: %d %s, counted %v", resp.StatusCode, body, wouldDenyBy(t, "later"))
	}
	if resp := l.ask(t, "GET", "/admin/1"); resp.Status != 403 {
		t.Errorf("through the gateway, without the role: %d", resp.Status)
	}
}

func TestAMatcherAndDryRunLimitTheGuard(t *testing.T) {
	l := newLab(t, gatewaySite+`http://:PORT {
	bind 127.0.0.2
	@guarded not path /healthz
	verify_gateway @guarded {
		audience orders
		jwks {$ADDR}/.well-known/sallyport/jwks.json
	}
	reverse_proxy {$BACKEND}
}
`)
	s := new(seen)
	l.Backend(s.handler(nil))
	if resp, _ := l.direct(t, "GET", "/healthz", "Sallyport-Assertion", "x", "Sallyport_Assertion", "x"); resp.StatusCode != 200 {
		t.Errorf("a path that the matcher leaves out: %d", resp.StatusCode)
	}
	if h := s.last(t).Header; h["Sallyport-Assertion"] != nil {
		t.Errorf("an assertion reached the service: %v", h)
	}
	if resp, _ := l.direct(t, "GET", "/x"); resp.StatusCode != 401 {
		t.Errorf("another path: %d", resp.StatusCode)
	}
	if err := l.Reload(t, strings.Replace(l.config, "audience orders\n\t\tjwks", "mode dry_run\n\t\taudience orders\n\t\tjwks", 1)); err != nil {
		t.Fatal(err)
	}
	if resp, _ := l.direct(t, "GET", "/x", "Sallyport-Assertion", "x"); resp.StatusCode != 200 {
		t.Errorf("dry_run: %d", resp.StatusCode)
	}
	if h := s.last(t).Header; h.Get("Sallyport-Assertion") != "x" {
		t.Error("dry_run takes the assertion from a service that may still judge it")
	}
	if n := metric(t, "sallyport_decisions_total", "guard", "verify_gateway", "verdict", "would_deny", "reason", "verify_gateway.malformed"); n != 1 {
		t.Errorf("would_deny is %v", n)
	}
}

func TestWithoutTheGatewaysKeysTheServiceAnswers503(t *testing.T) {
	l := prepare(t)
	l.config = l.fill(strings.Replace(serviceSite, "{$ADDR}", "http://"+freeAddr(t), 1))
	l.Gate = gatetest.Run(t, l.config)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := assertion.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := l.direct(t, "GET", "/", "Sallyport-Assertion", mint(t, key, "GET", "/", nil, time.Now()))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "cannot be judged") {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
}

func TestAnAssertionReachesNoBackendFromOutside(t *testing.T) {
	l := prepare(t)
	l.config = l.fill(`{$ADDR} {
	allowlist {
		deny 192.0.2.1
	}
	handle /plain* {
		reverse_proxy {$BACKEND}
	}
	handle_path /other* {
		reverse_proxy {$BACKEND} {
			transport sallyport {
				assertion {
					audience x
					header X-Gateway-Proof
				}
			}
		}
	}
	handle_errors {
		reverse_proxy {$BACKEND}
	}
}
http://:PORT {
	bind 127.0.0.2
	health
	reverse_proxy {$BACKEND} {
		header_up X-Gateway-Proof forged
		header_up X_Gateway_Proof forged
		transport sallyport {
			assertion {
				audience y
				header X-Gateway-Proof
			}
		}
	}
}
`)
	s := new(seen)
	l.Gate = gatetest.Run(t, l.config)
	l.Backend(s.handler(nil))
	forged := []string{"Sallyport-Assertion", "x", "sallyport-assertion", "x", "X-Gateway-Proof", "x"}
	for _, target := range []string{"/plain", "/other", "/error%2f"} {
		l.Do(t, "GET", target, forged...)
		for name, lines := range s.last(t).Header {
			if strings.HasPrefix(name, "Sallyport") || name == "X-Gateway-Proof" && (len(lines) != 1 || lines[0] == "x") {
				t.Errorf("%s: %s: %v", target, name, lines)
			}
		}
	}
	// A server without a guard: at least the transport's own header is its own.
	for range 50 {
		if resp, _ := l.direct(t, "GET", "/readyz"); resp.StatusCode == 200 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.direct(t, "GET", "/", append(forged, "Connection", "X-Gateway-Proof")...)
	if got := s.last(t).Header["X-Gateway-Proof"]; len(got) != 1 || payload(t, got[0])["aud"] != "y" {
		t.Errorf("got %v", got)
	}
	if got := s.last(t).Header["X_gateway_proof"]; got != nil {
		t.Errorf("in another spelling: %v", got)
	}
}
