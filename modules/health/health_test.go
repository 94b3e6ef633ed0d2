package health_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/sallyport-gateway/sallyport/modules/elb"
	_ "github.com/sallyport-gateway/sallyport/modules/health"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func TestProbes(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\thealth\n\trespond other 404\n}\n")
	tests := []struct {
		name, method, target, host string
		status                     int
		body                       string
	}{
		{"live", "GET", "/livez", "", 200, "live\n"},
		{"ready", "GET", "/readyz", "", 200, "ready\n"},
		{"HEAD", "HEAD", "/readyz", "", 200, ""},
		{"other methods", "POST", "/readyz", "", 405, ""},
		{"other paths", "GET", "/readyz/x", "", 404, "other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, tt.method, tt.target)
			if resp.Status != tt.status || resp.Body != tt.body && tt.status != 405 {
				t.Errorf("got %d %q", resp.Status, resp.Body)
			}
		})
	}
}

func TestAnyHost(t *testing.T) {
	g := gatetest.Run(t, ":{$PORT} {\n\tbind 127.0.0.1\n\thealth\n}\n")
	for _, host := range []string{"10.0.0.7", "target.internal:8081", "x"} {
		if resp := g.Do(t, "GET", "/readyz", "Host", host); resp.Status != 200 {
			t.Errorf("%s: got %d", host, resp.Status)
		}
	}
}

func TestReadinessFollowsItsConditions(t *testing.T) {
	var condition atomic.Bool
	g := gatetest.Run(t, "{$ADDR} {\n\thealth\n}\n")
	app, err := caddy.ActiveContext().App(suite.AppName)
	if err != nil {
		t.Fatal(err)
	}
	app.(suite.Owner).Suite().Ready("keys", func() error {
		if condition.Load() {
			return nil
		}
		return errors.New("key set of secret-issuer is not loaded")
	})
	if resp := g.Do(t, "GET", "/readyz"); resp.Status != 503 || strings.Contains(resp.Body, "secret-issuer") {
		t.Errorf("got %d %q, want 503 without the reason", resp.Status, resp.Body)
	}
	if resp := g.Do(t, "GET", "/livez"); resp.Status != 200 {
		t.Errorf("a gateway that is not ready is not live: %d", resp.Status)
	}
	condition.Store(true)
	if resp := g.Do(t, "GET", "/readyz"); resp.Status != 200 {
		t.Errorf("got %d, want 200", resp.Status)
	}
}

func TestOnlyThoseInDetailsSeeThePolicy(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		shown         bool
	}{
		{"nobody is named", "", false},
		{"the peer is not named", "details 192.0.2.0/24 2001:db8::1", false},
		{"the peer is named", "details 192.0.2.0/24 127.0.0.1", true},
		{"the peer's network is named", "details 127.0.0.0/8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, "{$ADDR} {\n\thealth {\n\t\t"+tt.options+"\n\t}\n}\n")
			resp := g.Do(t, "GET", "/readyz")
			if got := resp.Header.Get("Sallyport-Policy"); strings.HasPrefix(got, "sha256:") != tt.shown || resp.Status != 200 || resp.Body != "ready\n" {
				t.Errorf("got %d %q, policy %q", resp.Status, resp.Body, got)
			}
			if got := g.Do(t, "GET", "/livez").Header.Get("Sallyport-Policy"); got != "" {
				t.Errorf("/livez shows %q", got)
			}
		})
	}
}

func TestWhatOtherModulesPublishIsServed(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\thealth\n\trespond other 404\n}\n")
	app, err := caddy.ActiveContext().App(suite.AppName)
	if err != nil {
		t.Fatal(err)
	}
	app.(suite.Owner).Suite().Publish("/.well-known/x", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "published")
	}))
	if resp := g.Do(t, "GET", "/.well-known/x"); resp.Status != 200 || resp.Body != "published" {
		t.Errorf("got %d %q", resp.Status, resp.Body)
	}
	if resp := g.Do(t, "POST", "/.well-known/x"); resp.Status != 405 {
		t.Errorf("POST: got %d", resp.Status)
	}
	if resp := g.Do(t, "GET", "/.well-known/y"); resp.Status != 404 {
		t.Errorf("another path: got %d", resp.Status)
	}
}

// A balancer has to be in details to ask, and must not ask for everybody behind it.
func TestThePolicyIsNotForWhomABalancerOrProxyForwards(t *testing.T) {
	elb := func(profile string) string {
		return strings.Replace(gatetest.Globals, "trusted_proxies static 127.0.0.1/32", "trusted_proxies elb "+profile+" {\n\t\t\tfrom 127.0.0.1\n\t\t}", 1)
	}
	for _, tt := range []struct {
		name, globals, forwarded string
		shown                    bool
	}{
		{"a proxy forwards anybody", gatetest.Globals, "198.51.100.1", false},
		{"a proxy forwards who claims to be named", gatetest.Globals, "192.0.2.1, 198.51.100.1", false},
		{"a proxy forwards who is named", gatetest.Globals, "192.0.2.1", true},
		{"a proxy does not say whom it forwards", gatetest.Globals, "unknown", false},
		{"the proxy's machine asks itself", gatetest.Globals, "", true},
		{"a balancer forwards anybody", elb("aws_alb"), "198.51.100.1", false},
		{"a balancer forwards who is named", elb("aws_alb"), "198.51.100.1, 192.0.2.1", true},
		{"a balancer does not say whom it forwards", elb("aws_alb"), "unknown", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, tt.globals+"{$ADDR} {\n\thealth {\n\t\tdetails 127.0.0.1 192.0.2.0/24\n\t}\n}\n")
			var header []string
			if tt.forwarded != "" {
				header = []string{"X-Forwarded-For", tt.forwarded}
			}
			resp := g.Do(t, "GET", "/readyz", header...)
			if got := resp.Header.Get("Sallyport-Policy"); (got != "") != tt.shown || resp.Status != 200 {
				t.Errorf("got %d, policy %q", resp.Status, got)
			}
		})
	}
}

func TestHealthRefusesOptionsItDoesNotHave(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\thealth\n}\n")
	for _, directive := range []string{
		"health /x", "health x", "health {\n\t\tpath /x\n\t}", "health {\n\t\tdetails\n\t}",
		"health {\n\t\tdetails 10.0.0.1/8\n\t}", "health {\n\t\tdetails localhost\n\t}", "health {\n\t\tdetails ::ffff:10.0.0.0/104\n\t}",
	} {
		if err := g.Reload(t, "{$ADDR} {\n\t"+directive+"\n}\n"); err == nil || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s: got %v, want an error with file and line", directive, err)
		}
	}
}
