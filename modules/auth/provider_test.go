package auth_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func init() {
	caddy.RegisterModule(basic{})
	// Caddy has no directive for the providers of its handler.
	httpcaddyfile.RegisterHandlerDirective("test_authentication", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		var a caddyauth.Authentication
		if !h.NextArg() {
			return nil, h.ArgErr()
		}
		err := json.Unmarshal([]byte(h.Val()), &a.ProvidersRaw)
		return a, err
	})
}

// basic is a provider of somebody else's, that knows one header.
type basic struct{}

func (basic) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.test_basic", New: func() caddy.Module { return new(basic) }}
}

func (basic) Authenticate(_ http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	name := r.Header.Get("X-Basic")
	return caddyauth.User{ID: name}, name != "", nil
}

func providerJWT(issuer, file, more string) string {
	return `"sallyport_jwt":{"issuer":"` + issuer + `","audience":["api"],"key_file":"DIR/` + file + `","roles_claim":["realm_access.roles"]` + more + `}`
}

const providerKey = `"sallyport_api_key":{"keys_file":"DIR/keys.json","pepper":"{file.DIR/pepper}"}`

// behind is a site with Caddy's authentication handler in front of rules and the
// backend.
func behind(dir string, providers ...string) string {
	handlers := ""
	for _, p := range providers {
		handlers += "test_authentication `{" + p + "}`\n"
	}
	return strings.NewReplacer("DIR", dir).Replace("{$ADDR} {\nroute {\ntest_caller\ntest_stale\n" + handlers + `
	access_rules {
		rule orders {
			path /orders
			require scope orders:read
		}
		otherwise allow
	}
	reverse_proxy {$BACKEND} {
		header_up X-User-Id "{http.auth.user.id}|{http.auth.user.issuer}|{http.auth.user.method}|{http.auth.user.scopes}|{http.auth.user.roles}|{http.auth.user.tier}|{http.auth.user.claims.realm_access}|{http.auth.user.claims.email}"
	}
}
handle_errors {
	header X-Error {http.auth.sallyport_jwt.error}
	respond "error {err.status_code}"
}
}
`)
}

func TestProvidersOfCaddysHandler(t *testing.T) {
	dir, key, revoked := files(t)
	g := gatetest.Run(t, behind(dir, providerJWT(issuerA, "a.pem", "")+","+providerKey))
	a := token(keyA, issuerA, map[string]any{"scope": "orders:read x", "realm_access": map[string]any{"roles": []string{"buyer", "a,b"}}})
	tests := []struct {
		name, target string
		header       []string
		status       int
		user         string
		challenge    string
	}{
		{"a token", "/orders", bearer(a), 204, `alice|https://a.example|jwt|orders:read x|["buyer","a,b"]||{"roles":["buyer","a,b"]}|`, ""},
		{"a token without the scope that a rule asks for", "/orders", bearer(token(keyA, issuerA, nil)), 403, "", `Bearer error="insufficient_scope", scope="orders:read"`},
		{"a key", "/orders", []string{"X-Api-Key", key}, 204, `acme||api_key|orders:read|["buyer"]|gold||`, ""},
		{"nothing", "/", nil, 401, "", `ApiKey realm="api"|Bearer realm="api"`},
		{"a forged token", "/", bearer(token(keyB, issuerA, nil)), 401, "", `ApiKey realm="api"|Bearer realm="api", error="invalid_token"`},
		{"an expired token", "/", bearer(token(keyA, issuerA, map[string]any{"exp": 1})), 401, "", `ApiKey realm="api"|Bearer realm="api", error="invalid_token"`},
		{"a revoked key", "/", []string{"X-Api-Key", revoked}, 401, "", `ApiKey realm="api"|Bearer realm="api"`},
		{"two good credentials", "/", append(bearer(a), "X-Api-Key", key), 401, "", `Bearer realm="api", error="invalid_request"`},
		{"a good key and a bad token", "/", append(bearer("junk"), "X-Api-Key", key), 401, "", `Bearer realm="api", error="invalid_request"`},
		{"a list of keys", "/", []string{"X-Api-Key", key + "," + key}, 401, "", `Bearer realm="api", error="invalid_request"`},
	}
	for _, tt := range tests {
		// Caddy asks the providers in random order.
		for n := range 8 {
			t.Run(tt.name+" "+strconv.Itoa(n), func(t *testing.T) {
				got := seen(g)
				resp := g.Do(t, "GET", tt.target, append(slices.Clone(tt.header), "X-Forwarded-For", address, "X-User-Name", "mallory", "X_User.Name", "mallory")...)
				if resp.Status != tt.status {
					t.Fatalf("got %d %s, want %d", resp.Status, resp.Body, tt.status)
				}
				challenges := slices.Clone(resp.Header["Www-Authenticate"])
				if got := strings.Join(challenges, "|"); got != tt.challenge {
					t.Errorf("challenge %s", got)
				}
				if (got.Header != nil) != (tt.status == 204) {
					t.Fatalf("the backend saw the request: %v", got.Header != nil)
				}
				if tt.status != 204 {
					return
				}
				if user := got.Header.Get("X-User-Id"); user != tt.user {
					t.Errorf("the backend is told %s, want %s", user, tt.user)
				}
				for name, lines := range got.Header {
					if name == "Authorization" || name == "X-Api-Key" || slices.Contains(lines, "mallory") {
						t.Errorf("%s reached the backend", name)
					}
				}
			})
		}
	}
}

// A failure of ours is nobody's success, whichever provider is asked first.
func TestAFailureOfAProviderIsNoneOfTheOthersSuccess(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	i := newIssuer(t)
	i.says(500, "")
	g := gatetest.Run(t, behind(dir, strings.Replace(providerJWT(issuerA, "a.pem", ""), `"key_file":"DIR/a.pem"`, `"jwks":{"url":"`+i.URL+`"}`, 1)+","+providerKey))
	a := token(keyA, issuerA, nil)
	for range 8 {
		resp := g.Do(t, "GET", "/", append(bearer(a), "X-Forwarded-For", address)...)
		if resp.Status != 401 || resp.Header["Www-Authenticate"] != nil {
			t.Errorf("got %d %v", resp.Status, resp.Header)
		}
		if said := resp.Header.Get("X-Error"); !strings.Contains(said, "Authentication is not possible at the moment.") || strings.Contains(said, a) {
			t.Errorf("the placeholder of the error is %q", said)
		}
		if resp := g.Do(t, "GET", "/", append(bearer(a), "X-Api-Key", key, "X-Forwarded-For", address)...); resp.Status != 401 {
			t.Errorf("with a good key beside it: got %d", resp.Status)
		}
		if resp := g.Do(t, "GET", "/", "X-Api-Key", key, "X-Forwarded-For", address); resp.Status != 200 {
			t.Errorf("a good key: got %d", resp.Status)
		}
	}
}

func TestProvidersLimitFailures(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, behind(dir, providerJWT(issuerA, "a.pem", "")+","+providerKey))
	seenToken := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", guesser)
	if resp := g.Do(t, "GET", "/", seenToken...); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	limited := false
	for range 1000 {
		resp := g.Do(t, "GET", "/", append(bearer("junk"), "X-Forwarded-For", guesser)...)
		if resp.Status != 401 {
			t.Fatalf("got %d", resp.Status)
		}
		if limited = resp.Header["Www-Authenticate"] == nil; limited {
			break
		}
	}
	if !limited {
		t.Fatal("a guesser is never stopped")
	}
	if resp := g.Do(t, "GET", "/", seenToken...); resp.Status != 200 {
		t.Errorf("the token that was seen: got %d", resp.Status)
	}
	if resp := g.Do(t, "GET", "/", "X-Api-Key", key, "X-Forwarded-For", bystander); resp.Status != 200 {
		t.Errorf("somebody else: got %d", resp.Status)
	}
}

// Two handlers one behind the other ask for both; the last one's principal is the
// caller.
func TestProvidersOfTwoHandlers(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, behind(dir, providerKey, providerJWT(issuerA, "a.pem", "")))
	a := bearer(token(keyA, issuerA, nil))
	got := seen(g)
	if resp := g.Do(t, "GET", "/", append(a, "X-Api-Key", key, "X-Forwarded-For", address)...); resp.Status != 204 || !strings.HasPrefix(got.Header.Get("X-User-Id"), "alice|https://a.example|jwt||||") {
		t.Errorf("both: got %d, %v", resp.Status, got.Header)
	}
	for name, header := range map[string][]string{"the first alone": {"X-Api-Key", key}, "the second alone": a} {
		if resp := g.Do(t, "GET", "/", append(header, "X-Forwarded-For", address)...); resp.Status != 401 {
			t.Errorf("%s: got %d", name, resp.Status)
		}
	}
}

func TestACertificateThroughCaddysHandler(t *testing.T) {
	p := newPKI(t)
	site := strings.Replace(secure(p.dir, "a.example", asking("verify_if_given", "ours.pem"), "mtls"), "auth {\nmtls\n\t\t}",
		"test_authentication `{\"sallyport_mtls\":{\"principal\":\"san_dns\"},"+strings.ReplaceAll(providerKey, "DIR", p.dir)+"}`", 1)
	g := gatetest.Run(t, direct+site)
	for _, tt := range []struct {
		name   string
		shown  bool
		header []string
		status int
		user   string
	}{
		{"a certificate", true, nil, 204, "partner.example"},
		{"a key on the certificate's connection", true, []string{"X-Api-Key", p.key}, 204, "acme"},
		{"a bad key on the certificate's connection", true, []string{"X-Api-Key", "junk"}, 401, ""},
		{"nothing", false, nil, 401, ""},
	} {
		got := seen(g)
		c := client(t, g, "a.example", nil)
		if tt.shown {
			c = client(t, g, "a.example", &p.partner)
		}
		resp := get(t, g, c, "a.example", tt.header...)
		if resp.Status != tt.status || tt.status == 204 && got.Header.Get("X-User-Id") != tt.user {
			t.Errorf("%s: got %d for %v", tt.name, resp.Status, got.Header)
		}
	}
}

// A balancer's header counts through Caddy's handler as in auth, by whatever name, and
// no backend gets it from anybody.
func TestARenamedHeaderOfABalancerThroughCaddysHandler(t *testing.T) {
	dir, key, _ := files(t)
	said := escaped(gatetest.NewAuthority(t, "Ours").Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}}).Certificate[0])
	site := behind(dir, `"sallyport_aws_alb_mtls":{"mode":"verify","header":"X-Theirs"},`+providerKey)
	g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+site)
	got := seen(g)
	for name, tt := range map[string]struct {
		header []string
		user   string
	}{
		"the header":             {[]string{"X-Theirs", said}, "partner.example|"},
		"another spelling":       {[]string{"X_Theirs", said, "X-Api-Key", key}, "acme|"},
		"the header, with a key": {[]string{"X-Theirs", said, "X-Api-Key", key}, "acme|"},
	} {
		*got = http.Request{}
		resp := g.Do(t, "GET", "/", append(tt.header, writtenBy("aws_alb")...)...)
		if resp.Status != 204 || !strings.HasPrefix(got.Header.Get("X-User-Id"), tt.user) {
			t.Errorf("%s: got %d for %q", name, resp.Status, got.Header.Get("X-User-Id"))
		}
		if got.Header["X-Theirs"] != nil || got.Header["X_theirs"] != nil {
			t.Errorf("%s: the backend got it", name)
		}
	}
}

// A provider of somebody else's says who calls in its own way; ours is not mixed
// into it.
func TestBesideAProviderOfSomebodyElses(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, behind(dir, providerJWT(issuerA, "a.pem", "")+`,"test_basic":{}`))
	for range 8 {
		got := seen(g)
		if resp := g.Do(t, "GET", "/", "X-Basic", "bob", "X-Forwarded-For", address); resp.Status != 204 || !strings.HasPrefix(got.Header.Get("X-User-Id"), "bob|") {
			t.Errorf("got %d, %v", resp.Status, got.Header)
		}
		if resp := g.Do(t, "GET", "/", "X-Api-Key", key, "X-Forwarded-For", address); resp.Status != 401 {
			t.Errorf("nobody's: got %d", resp.Status)
		}
	}
}

func TestProvidersAreRefused(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	for _, tt := range []struct{ name, providers, want string }{
		{"an unknown member", `"sallyport_jwt":{"issuer":"i","typ":"x"}`, `unknown field "typ"`},
		{"no audience", `"sallyport_jwt":{"issuer":"i","key_file":"k"}`, "audience is missing"},
		{"a literal pepper", `"sallyport_api_key":{"keys_file":"k","pepper":"hunter2"}`, "not as its value"},
		{"one place for two", providerJWT(issuerA, "a.pem", `,"from":{"header":"X-Api-Key"}`) + "," + providerKey, "are both read from X-Api-Key"},
		{"certificates that nobody verifies", `"sallyport_mtls":{}`, "mtls would refuse every caller"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"automatic_https":{"disable":true},"routes":[{"handle":[{"handler":"authentication","providers":{` +
				strings.ReplaceAll(tt.providers, "DIR", dir) + `}}]}]}}}}}`
			err := validate(t, []byte(config))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A header that the balancer's listener renamed is not in the built-in list.
func TestAProviderReadsAndRemovesARenamedHeader(t *testing.T) {
	p := newPKI(t)
	site := behind(p.dir, `"sallyport_aws_alb_mtls":{"mode":"verify","header":"X-Theirs","principal":"san_dns"},`+providerKey)
	told := []string{"X-Theirs", escaped(p.partner.Certificate[0])}
	for _, tt := range []struct {
		name, from string
		header     []string
		status     int
		user       string
	}{
		{"from the balancer", "127.0.0.1/32", append(writtenBy("aws_alb"), told...), 204, "partner.example|CN=Ours|aws_alb_mtls"},
		{"from anybody else", "192.0.2.0/24", told, 401, ""},
		{"from anybody else with a key", "192.0.2.0/24", append([]string{"X-Api-Key", p.key}, told...), 204, "acme||api_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, behindELB("aws_alb", tt.from)+site)
			got := seen(g)
			resp := g.Do(t, "GET", "/", tt.header...)
			if resp.Status != tt.status || !strings.HasPrefix(got.Header.Get("X-User-Id"), tt.user) {
				t.Errorf("got %d %s for %v", resp.Status, resp.Body, got.Header)
			}
			if got.Header["X-Theirs"] != nil {
				t.Error("the header reached the backend")
			}
		})
	}
}
