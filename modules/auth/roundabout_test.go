package auth_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Ways around auth that an attack on it found.

const cookieBlock = `
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			from cookie session
			forward
		}`

func TestCookieNameWithSpaceIsASecondCredential(t *testing.T) {
	dir, _, _ := files(t)
	g := gatetest.Run(t, site(dir, cookieBlock))
	got := seen(g)
	good := token(keyA, issuerA, nil)
	for _, cookie := range []string{"session=" + good + "; session =EVIL", "session =EVIL; session=" + good} {
		*got = http.Request{}
		resp := g.Do(t, "GET", "/", "X-Forwarded-For", address, "Cookie", cookie)
		if resp.Status != 400 {
			t.Errorf("%q: status %d, the backend got %q", strings.ReplaceAll(cookie, good, "GOOD"), resp.Status, strings.ReplaceAll(got.Header.Get("Cookie"), good, "GOOD"))
		}
	}
}

func TestUnmatchedRequestNamesNobody(t *testing.T) {
	dir, _, _ := files(t)
	c := strings.Replace(site(dir, blockA), "auth {", "auth /api/* {", 1)
	c = strings.Replace(c, "reverse_proxy {$BACKEND}", "reverse_proxy {$BACKEND} {\n header_up X-User-Id {http.auth.user.id}\n}", 1)
	g := gatetest.Run(t, c)
	got := seen(g)
	g.Do(t, "GET", "/public", "X-Forwarded-For", address)
	if id := got.Header.Get("X-User-Id"); id != "" {
		t.Errorf("an anonymous request is sent as user %q", id)
	}
}

func TestIdentityHeaderThatIsASourceIsRemovedWhereUnjudged(t *testing.T) {
	dir, _, _ := files(t)
	const block = `
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			from header Cf-Access-Jwt-Assertion
		}`
	c := strings.Replace(site(dir, block), "auth {", "auth /api/* {", 1)
	c = strings.Replace(c, "\n}\n", "\n\thandle_errors {\n\t\treverse_proxy {$BACKEND}\n\t}\n}\n", 1)
	g := gatetest.Run(t, c)
	got := seen(g)
	for _, path := range []string{"/public", "/api/x"} {
		*got = http.Request{}
		g.Do(t, "GET", path, "X-Forwarded-For", address, "Cf-Access-Jwt-Assertion", "forged")
		if v := got.Header.Get("Cf-Access-Jwt-Assertion"); v != "" {
			t.Errorf("%s: the backend got an assertion nobody accepted: %q", path, v)
		}
	}
}

func TestTwoAuthHandlersKeepEachOthersSource(t *testing.T) {
	dir, _, _ := files(t)
	const block = `
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			from header Cf-Access-Jwt-Assertion
		}`
	c := strings.Replace(site(dir, block), "auth {", "auth /b/* {"+blockA+"\n}\nauth /a/* {", 1)
	c = strings.ReplaceAll(c, "DIR", dir)
	g := gatetest.Run(t, c)
	seen(g)
	resp := g.Do(t, "GET", "/a/x", "X-Forwarded-For", address, "Cf-Access-Jwt-Assertion", token(keyA, issuerA, nil))
	if resp.Status != 204 {
		t.Errorf("status %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestBrokenPEMBlockIsRefused(t *testing.T) {
	dir, _, _ := files(t)
	good, err := os.ReadFile(filepath.Join(dir, "b.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(filepath.Join(dir, "a.pem"))
	broken := strings.Replace(string(a), "\n-----END", "*\n-----END", 1)
	os.WriteFile(filepath.Join(dir, "a.pem"), []byte(broken+string(good)), 0o600)
	g := gatetest.Run(t, site(dir, blockB))
	if err := g.Reload(t, site(dir, blockA)); err == nil {
		t.Error("a key file with a broken block is accepted, and the broken key left out silently")
	}
}

func TestUnderscoreSourceNeverWorks(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, site(dir, blockA))
	err := g.Reload(t, site(dir, strings.Replace(blockKey, "keys_file", "header X_Api.Key\n\t\t\tkeys_file", 1)))
	if err != nil {
		return
	}
	resp := g.Do(t, "GET", "/", "X-Forwarded-For", address, "X_Api.Key", key)
	if resp.Status != 200 {
		t.Errorf("a header that Caddy drops is accepted as the source: status %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestKeyThatFitsNoAlgorithmIsRefused(t *testing.T) {
	dir, _, _ := files(t)
	g := gatetest.Run(t, site(dir, blockA))
	if err := g.Reload(t, site(dir, strings.Replace(blockA, "key_file", "algorithms RS256\n\t\t\tkey_file", 1))); err == nil {
		t.Error("no key of the file can verify any of the algorithms, and it is accepted")
	}
}

func TestMethodInTheQuery(t *testing.T) {
	dir, _, _ := files(t)
	c := strings.Replace(site(dir, blockA), "reverse_proxy", "access_rules {\nrule del {\nmethods DELETE\nrequire role admin\n}\nrule post {\nmethods POST\nrequire method jwt\n}\n}\nreverse_proxy", 1)
	g := gatetest.Run(t, c)
	got := seen(g)
	resp := g.Do(t, "POST", "/orders/1?_method=DELETE", append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)...)
	if resp.Status < 400 {
		t.Errorf("status %d: the backend got %s %s", resp.Status, got.Method, got.RequestURI)
	}
}

// RFC 6750 section 2.3.
func TestAnswerToTokenInQueryIsPrivate(t *testing.T) {
	dir, _, _ := files(t)
	g := gatetest.Run(t, site(dir, strings.Replace(blockA, "key_file", "from query access_token\n\t\t\tkey_file", 1)))
	resp := g.Do(t, "GET", "/?access_token="+token(keyA, issuerA, nil), "X-Forwarded-For", address)
	if resp.Status != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "private") {
		t.Errorf("status %d, Cache-Control %q", resp.Status, resp.Header.Get("Cache-Control"))
	}
}

func TestWellKnownIdentityHeadersAreRemoved(t *testing.T) {
	dir, _, _ := files(t)
	g := gatetest.Run(t, site(dir, blockA))
	got := seen(g)
	h := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	for _, name := range []string{"Impersonate-User", "Impersonate-Group", "X-Id-Token", "X-Role", "X-Group", "X-Scope", "X-Scopes", "X-Email", "X-Authenticated", "X-Proxy-User"} {
		h = append(h, name, "admin")
	}
	g.Do(t, "GET", "/", h...)
	for i := 4; i < len(h); i += 2 {
		if v := got.Header.Get(h[i]); v != "" {
			t.Errorf("%s: the backend got %q", h[i], v)
		}
	}
}

// A guard in front of auth refuses, and the site's error page comes from a backend.
func TestErrorRoutesForwardNoIdentityOfARequestRefusedInFrontOfAuth(t *testing.T) {
	t.Setenv("TEST_PEPPER", "0123456789abcdef0123456789abcdef")
	keys := t.TempDir() + "/keys.json"
	if err := os.WriteFile(keys, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, `{$ADDR} {
	allowlist {
		deny 192.0.2.66
	}
	auth {
		api_key {
			keys_file `+keys+`
			pepper {env.TEST_PEPPER}
		}
	}
	respond ok
	handle_errors {
		rewrite * /errors/{err.status_code}
		reverse_proxy {$BACKEND}
	}
}
`)
	var seen http.Header
	g.Backend(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })
	for name, request := range map[string][2]string{"by auth": {"192.0.2.1", "/"}, "by the allowlist": {"192.0.2.66", "/"}, "by the canonical check": {"192.0.2.1", "/%2e%2e/x"}} {
		seen = nil
		g.Do(t, "GET", request[1], "X-Forwarded-For", request[0], "X-User-Id", "root", "X-Original-Url", "/admin")
		if seen == nil {
			t.Fatalf("%s: the error page was not asked for", name)
		}
		if seen.Get("X-User-Id") != "" || seen.Get("X-Original-Url") != "" {
			t.Errorf("refused %s: the backend sees X-User-Id %q, X-Original-Url %q", name, seen.Get("X-User-Id"), seen.Get("X-Original-Url"))
		}
	}
}
