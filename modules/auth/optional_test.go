package auth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func init() {
	caddy.RegisterModule(new(stale))
	httpcaddyfile.RegisterHandlerDirective("test_stale", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(stale), nil
	})
}

// stale is a handler in front of auth that says who calls.
type stale struct{}

func (*stale) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_stale", New: func() caddy.Module { return new(stale) }}
}

func (*stale) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	for _, name := range []string{"id", "roles", "claims.email"} {
		repl.Set("http.auth.user."+name, "stale")
	}
	guard.From(r).Principal = &principal.Principal{ID: "stale", Roles: []string{"admin"}}
	return next.ServeHTTP(w, r)
}

// Cases G1 and G4.
func TestOptional(t *testing.T) {
	dir, key, revoked := files(t)
	i := newIssuer(t)
	i.says(500, "")
	unavailable := strings.NewReplacer("https://a.example", "https://down.example", "DIR/a.pem", "DIR/a.pem").Replace(blockJWKS(i))
	g := gatetest.Run(t, strings.NewReplacer("auth {", "test_stale\n\t\tauth {", "reverse_proxy {$BACKEND}", `access_rules {
			otherwise allow
			rule orders {
				path /orders
				require scope orders:read
			}
			rule admin {
				path /admin
				require role admin
			}
		}
		reverse_proxy {$BACKEND} {
			header_up X-User-Id "<{http.auth.user.id}>"
			header_up X-User-Roles "<{http.auth.user.roles}>"
			header_up X-User-Email "<{http.auth.user.claims.email}>"
		}`).Replace(site(dir, "optional"+blockA+unavailable+blockKey)))
	a := token(keyA, issuerA, nil)
	tests := []struct {
		name, target string
		header       []string
		status       int
		reason       string
		user         string
	}{
		{"nothing", "/", nil, 204, "", ""},
		{"another scheme", "/", []string{"Authorization", "Basic YTpi"}, 204, "", ""},
		{"a good token", "/", bearer(a), 204, "", "alice"},
		{"a good key", "/orders", []string{"X-Api-Key", key}, 204, "", "acme"},
		{"nothing, where a rule asks for a scope", "/orders", nil, 403, "access.no_principal", ""},
		{"nothing, where a rule asks for a role that a handler in front gave", "/admin", nil, 403, "access.no_principal", ""},

		{"junk", "/", bearer("junk"), 401, "auth.token_malformed", ""},
		{"an empty token", "/", []string{"Authorization", "Bearer"}, 401, "auth.token_malformed", ""},
		{"an empty key", "/", []string{"X-Api-Key", ""}, 401, "auth.key_malformed", ""},
		{"an expired token", "/", bearer(token(keyA, issuerA, map[string]any{"exp": 1})), 401, "auth.token_expired", ""},
		{"a token of another issuer", "/", bearer(token(keyA, "https://evil.example", nil)), 401, "auth.token_issuer", ""},
		{"a forged token", "/", bearer(token(keyB, issuerA, nil)), 401, "auth.token_signature", ""},
		{"a revoked key", "/", []string{"X-Api-Key", revoked}, 401, "auth.key_revoked", ""},
		{"two good credentials", "/", append(bearer(a), "X-Api-Key", key), 400, "auth.several_credentials", ""},
		{"a token of an issuer whose keys are not there", "/", bearer(token(keyA, "https://down.example", nil)), 503, "auth.keys_unavailable", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(g)
			resp := g.Do(t, "GET", tt.target, append(slices.Clone(tt.header), "X-Forwarded-For", address, "X-User-Name", "mallory", "X_User_Name", "mallory")...)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Fatalf("got %d %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), tt.status, tt.reason)
			}
			if (got.Header != nil) != (tt.status == 204) {
				t.Fatalf("the backend saw the request: %v", got.Header != nil)
			}
			if tt.status != 204 {
				return
			}
			if id := got.Header.Get("X-User-Id"); id != "<"+tt.user+">" {
				t.Errorf("the backend is told %q, want %q", id, tt.user)
			}
			if got.Header.Get("X-User-Email") != "<>" || tt.user == "" && got.Header.Get("X-User-Roles") != "<>" {
				t.Errorf("what a handler in front said survived: %v", got.Header)
			}
			for name, lines := range got.Header {
				if slices.Contains(lines, "mallory") {
					t.Errorf("%s reached the backend", name)
				}
			}
		})
	}
}

func TestOptionalRefusesABadCertificate(t *testing.T) {
	p := newPKI(t)
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("request", ""), blockA+"\nmtls\noptional")+
		secure(p.dir, "b.example", asking("verify_if_given", "ours.pem"), "mtls {\n principal san_uri\n}\noptional"))
	for _, tt := range []struct {
		name, site, reason string
		shown              bool
	}{
		{"unverified", "a.example", "auth.certificate_unverified", true},
		{"without the name that is asked for", "b.example", "auth.certificate_name", true},
		{"none", "a.example", "", false},
		{"none", "b.example", "", false},
	} {
		c := client(t, g, tt.site, nil)
		if tt.shown {
			c = client(t, g, tt.site, &p.partner)
		}
		resp := get(t, g, c, tt.site)
		if got := resp.Header.Get("X-Test-Reason"); got != tt.reason || (resp.Status == 200) != (tt.reason == "") {
			t.Errorf("%s at %s: got %d %s, want %s", tt.name, tt.site, resp.Status, got, tt.reason)
		}
	}
}
