package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"

	_ "github.com/sallyport-gateway/sallyport/modules/health"
)

// issuer serves the key set of issuer A on loopback and counts.
type issuer struct {
	*httptest.Server
	fetches atomic.Int64
	answer  atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := new(issuer)
	i.says(200, jwksA)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) says(status int, body string) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	i.answer.Store(&answer)
}

var jwksA = fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":%q}]}`,
	base64.RawURLEncoding.EncodeToString(keyA[32:]))

// blockJWKS is blockA with a fetched key set.
func blockJWKS(i *issuer) string {
	return strings.Replace(blockA, "key_file DIR/a.pem", "jwks "+i.URL, 1)
}

// noLeaks checks, when everything of the test has ended, that no goroutine is left.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before,
			// Caddy's own, which end with the process.
			goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
			goleak.IgnoreAnyFunction("github.com/DeRuina/timberjack.(*Logger).millRun"))
	})
}

// until asks until the answer has another status than 503.
func until(t *testing.T, g *gatetest.Gate, header ...string) *gatetest.Response {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if resp := g.Do(t, "GET", "/", header...); resp.Status != 503 {
			return resp
		}
	}
	t.Fatal("still 503")
	return nil
}

func TestKeySetIsFetchedInTheBackground(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	i := newIssuer(t)
	i.says(500, "")
	g := gatetest.Run(t, site(dir, blockJWKS(i)+blockB+blockKey))
	from := []string{"X-Forwarded-For", address}

	a := append(bearer(token(keyA, issuerA, nil)), from...)
	resp := g.Do(t, "GET", "/", a...)
	if resp.Status != 503 || resp.Header.Get("Retry-After") != "5" || resp.Header["Www-Authenticate"] != nil || resp.Header.Get("X-Test-Reason") != "auth.keys_unavailable" {
		t.Errorf("J5: without keys: got %d %v", resp.Status, resp.Header)
	}
	for name, header := range map[string][]string{"a token of another issuer": bearer(token(keyB, issuerB, nil)), "an API key": {"X-Api-Key", key}} {
		if resp := g.Do(t, "GET", "/", append(header, from...)...); resp.Status != 200 {
			t.Errorf("%s: got %d", name, resp.Status)
		}
	}
	if resp := g.Do(t, "GET", "/", append([]string{"X-Api-Key", key}, a...)...); resp.Status != 400 {
		t.Errorf("a failure falls through to the API key: got %d", resp.Status)
	}
	if resp := g.Do(t, "GET", "/", append(bearer("junk"), from...)...); resp.Status != 401 {
		t.Errorf("junk: got %d", resp.Status)
	}

	// Another configuration of the same key set: what is known stays known.
	i.says(200, jwksA)
	if err := g.Reload(t, site(dir, strings.Replace(blockJWKS(i), i.URL, i.URL+"/good", 1))); err != nil {
		t.Fatal(err)
	}
	if resp := until(t, g, a...); resp.Status != 200 {
		t.Errorf("with keys: got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
	fetches := i.fetches.Load()
	i.says(500, "")
	for range 3 {
		if err := g.Reload(t, site(dir, strings.Replace(blockJWKS(i), i.URL, i.URL+"/good", 1)+blockB)); err != nil {
			t.Fatal(err)
		}
		if err := g.Reload(t, site(dir, strings.Replace(blockJWKS(i), i.URL, i.URL+"/good", 1)+"\n\t\tjwt https://c.example {\n\t\t\taudience c\n\t\t\tkey_file DIR/missing.pem\n\t\t}")); err == nil {
			t.Fatal("a missing key file is accepted")
		}
		if resp := g.Do(t, "GET", "/", a...); resp.Status != 200 {
			t.Errorf("after a reload: got %d", resp.Status)
		}
	}
	if n := i.fetches.Load(); n != fetches {
		t.Errorf("reloads fetched %d times", n-fetches)
	}
}

func TestKeySetIsFetchedBeforeTheFirstRequest(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	fetched := make(chan struct{}, 1)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, jwksA)
		fetched <- struct{}{}
	})
	i.answer.Store(&answer)
	gatetest.Run(t, site(dir, blockJWKS(i)))
	select {
	case <-fetched:
	case <-time.After(30 * time.Second):
		t.Error("nobody asked, so nobody fetched")
	}
}

// J1 through the handler: no request causes a fetch.
func TestFloodOfRandomKeyIDs(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	g := gatetest.Run(t, site(dir, blockJWKS(i)+"\nfailures off"))
	good := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	until(t, g, good...)
	fetches := i.fetches.Load()
	for n := range 300 {
		bad := token(keyB, issuerA, map[string]any{"jti": n})
		_, rest, _ := strings.Cut(bad, ".")
		header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","kid":"random-%d"}`, n))
		if resp := g.Do(t, "GET", "/", append(bearer(header+"."+rest), "X-Forwarded-For", address)...); resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.token_key" {
			t.Fatalf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
		}
	}
	if n := i.fetches.Load() - fetches; n > 1 {
		t.Errorf("300 requests caused %d fetches", n)
	}
	if resp := g.Do(t, "GET", "/", good...); resp.Status != 200 {
		t.Errorf("the good token: got %d", resp.Status)
	}
}

func TestReadinessWaitsForTheFirstKeySet(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	i.says(500, "")
	withHealth := func(block string) string {
		return strings.Replace(site(dir, block), "\troute {", "\troute {\n\t\thealth", 1)
	}
	g := gatetest.Run(t, withHealth(blockJWKS(i)))
	ready := func() int { return g.Do(t, "GET", "/readyz", "X-Forwarded-For", address).Status }
	if got := ready(); got != 503 {
		t.Errorf("without keys: /readyz says %d", got)
	}
	i.says(200, jwksA)
	if err := g.Reload(t, withHealth(strings.Replace(blockJWKS(i), i.URL, i.URL+"/good", 1))); err != nil {
		t.Fatal(err)
	}
	until(t, g, append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)...)
	if got := ready(); got != 200 {
		t.Errorf("with keys: /readyz says %d", got)
	}
}

// validate provisions a configuration as `caddy validate` does.
func validate(t *testing.T, config []byte) error {
	t.Helper()
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&c)
}

func TestValidatingFetchesNothing(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	caddyfile := strings.NewReplacer("{$ADDR}", "http://127.0.0.1:8080", "{$BACKEND}", "127.0.0.1:8081").
		Replace(gatetest.Globals + site(dir, blockJWKS(i)+blockKey))
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, config); err != nil {
		t.Fatal(err)
	}
	if n := i.fetches.Load(); n != 0 {
		t.Errorf("it fetched %d times", n)
	}
}

// G7: what is missing or broken refuses the configuration, and the old one stays.
func TestFilesThatRefuseTheConfiguration(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	good, err := os.ReadFile(filepath.Join(dir, "a.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"broken.pem": strings.Replace(string(good), "\n-----END", "*\n-----END", 1) + string(good),
		"junk":       "junk", "empty": "", "short": "short", "private.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"huge": strings.Repeat(" ", 1<<20) + jwksA,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jwtWith := func(file string) string { return strings.Replace(blockA, "a.pem", file, 1) }
	keyWith := func(old, new string) string { return strings.Replace(blockKey, old, new, 1) }
	tests := []struct {
		name, block string
		want        []string
	}{
		{"a missing key file", jwtWith("missing.pem"), []string{"jwt https://a.example", dir + "/missing.pem", "no such file"}},
		{"a directory", jwtWith(""), []string{dir, "not a regular file"}},
		{"a key file with junk", jwtWith("junk"), []string{dir + "/junk", "neither PEM nor a JWK set"}},
		{"an empty key file", jwtWith("empty"), []string{dir + "/empty", "neither PEM nor a JWK set"}},
		{"a private key", jwtWith("private.pem"), []string{dir + "/private.pem", "is a private key"}},
		{"a broken block in front of a good one", jwtWith("broken.pem"), []string{dir + "/broken.pem", "a PEM block is broken"}},
		{"no key for any of the algorithms", strings.Replace(blockA, "tier_claim tier", "algorithms RS256 ES256", 1), []string{dir + "/a.pem", "no key fits the algorithms RS256, ES256"}},
		{"a huge key file", jwtWith("huge"), []string{dir + "/huge", "larger than"}},
		{"a missing keys file", keyWith("keys.json", "missing.json"), []string{"api_key", dir + "/missing.json", "no such file"}},
		{"a keys file with junk", keyWith("keys.json", "junk"), []string{"api_key", dir + "/junk"}},
		{"a missing pepper file", keyWith("file.DIR/pepper", "file.DIR/nothing"), []string{"pepper", "no such file"}},
		{"a pepper that is not set", keyWith("file.DIR/pepper", "env.SALLYPORT_TEST_UNSET"), []string{"pepper", "is not set"}},
		{"a pepper that is too short", keyWith("file.DIR/pepper", "file.DIR/short"), []string{"pepper", "fewer than"}},
		{"two missing files are both named", jwtWith("missing.pem") + keyWith("keys.json", "gone.json"), []string{"missing.pem", "gone.json"}},
	}
	g := gatetest.Run(t, site(dir, blockA+blockKey))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := g.Reload(t, site(dir, test.block))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "short\"") {
				t.Errorf("the error shows the pepper: %v", err)
			}
			if resp := g.Do(t, "GET", "/", "X-Api-Key", key, "X-Forwarded-For", address); resp.Status != 200 {
				t.Errorf("the old configuration: got %d", resp.Status)
			}
		})
	}
}

// A configuration in JSON is checked as strictly as a Caddyfile.
func TestJSONIsRefused(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	good := `"issuer":"i","audience":["a"],"key_file":"` + dir + `/a.pem"`
	tests := []struct{ name, alternatives, want string }{
		{"no alternative", ``, "no alternative"},
		{"an empty alternative", `{}`, "alternatives[0]: not exactly one"},
		{"two in one", `{"jwt":{` + good + `},"api_key":{"keys_file":"k","pepper":"{env.P}"}}`, "alternatives[0]: not exactly one"},
		{"no issuer", `{"jwt":{"audience":["a"],"key_file":"k"}}`, "issuer: is empty"},
		{"no audience", `{"jwt":{"issuer":"i","key_file":"k"}}`, "audience is missing"},
		{"an empty audience", `{"jwt":{"issuer":"i","audience":["a",""],"key_file":"k"}}`, "audience: is empty"},
		{"no keys", `{"jwt":{"issuer":"i","audience":["a"]}}`, "one of jwks, discovery <url>, key_file and secret is needed"},
		{"two sources of keys", `{"jwt":{` + good + `,"jwks":{"url":"https://i.example/"}}}`, "only one of jwks, discovery, key_file and secret"},
		{"HS256", `{"jwt":{` + good + `,"algorithms":["HS256"]}}`, "needs a secret"},
		{"none", `{"jwt":{` + good + `,"algorithms":["none"]}}`, "proves nothing"},
		{"an algorithm in lower case", `{"jwt":{` + good + `,"algorithms":["rs256"]}}`, "not one of"},
		{"plain http", `{"jwt":{"issuer":"i","audience":["a"],"jwks":{"url":"http://i.example/"}}}`, "not https"},
		{"a URL with a password", `{"jwt":{"issuer":"i","audience":["a"],"jwks":{"url":"https://u:hunter2@i.example/"}}}`, "credentials"},
		{"a URL with a placeholder", `{"jwt":{"issuer":"i","audience":["a"],"jwks":{"url":"https://{http.request.host}/"}}}`, "not a URL"},
		{"a leeway of an hour", `{"jwt":{` + good + `,"leeway":"1h"}}`, "leeway"},
		{"a negative leeway", `{"jwt":{` + good + `,"leeway":"-1s"}}`, "leeway"},
		{"two places", `{"jwt":{` + good + `,"from":{"header":"A","cookie":"b"}}}`, "only one of header, cookie and query"},
		{"a header that Caddy drops", `{"jwt":{` + good + `,"from":{"header":"X_Token"}}}`, "dropped by Caddy"},
		{"a bad header", `{"jwt":{` + good + `,"from":{"header":"A B"}}}`, "from:"},
		{"a bad cookie", `{"jwt":{` + good + `,"from":{"cookie":"a=b"}}}`, "from:"},
		{"a bad parameter", `{"jwt":{` + good + `,"from":{"query":"a&b"}}}`, "from:"},
		{"a bad claim", `{"jwt":{` + good + `,"roles_claim":".roles"}}`, "roles"},
		{"an issuer twice", `{"jwt":{` + good + `}},{"jwt":{` + good + `}}`, "given twice"},
		{"a group of none", `{"all":[]}`, "alternatives[0]: all has 0 members, not 2 to 4"},
		{"a group of one", `{"all":[{"jwt":{` + good + `}}]}`, "alternatives[0]: all has 1 members, not 2 to 4"},
		{"a group of five", `{"all":[{},{},{},{},{}]}`, "alternatives[0]: all has 5 members, not 2 to 4"},
		{"a group in a group", `{"all":[{"mtls":{}},{"all":[{"jwt":{` + good + `}}]}]}`, "alternatives[0]: all[1]: a group in a group"},
		{"a group with an empty member", `{"all":[{"mtls":{}},{}]}`, "alternatives[0]: all[1]: not exactly one"},
		{"a bad member", `{"all":[{"mtls":{}},{"jwt":{"issuer":"i","key_file":"k"}}]}`, "audience is missing"},
		{"a group beside another method", `{"mtls":{},"all":[{"jwt":{` + good + `}}]}`, "alternatives[0]: not exactly one"},
		{"two members of one place", `{"all":[{"jwt":{` + good + `}},{"jwt":{"issuer":"j","audience":["a"],"key_file":"k"}}]}`, "two members are read from Authorization"},
		{"an issuer in a group and alone", `{"jwt":{` + good + `}},{"all":[{"mtls":{}},{"jwt":{` + good + `}}]}`, "the same issuer and source are given twice"},
		{"a key's place in a group and alone", `{"api_key":{"keys_file":"k","pepper":"{env.P}"}},{"all":[{"mtls":{}},{"api_key":{"keys_file":"l","pepper":"{env.P}"}}]}`, "X-Api-Key is given twice"},
		{"certificates in a group and alone", `{"mtls":{}},{"all":[{"mtls":{}},{"jwt":{` + good + `}}]}`, "mtls is given twice"},
		{"failures at a bad rate", `{"jwt":{` + good + `}}],"failures":{"rate":"60"},"match":[`, "failures: rate \"60\": not a rate"},
		{"failures off at a rate", `{"jwt":{` + good + `}}],"failures":{"rate":"60/m","off":true},"match":[`, "failures: off has no rate"},
		{"failures with a negative burst", `{"jwt":{` + good + `}}],"failures":{"burst":-1},"match":[`, "failures: burst -1"},
		{"failures that take long to be forgiven", `{"jwt":{` + good + `}}],"failures":{"rate":"1/d","burst":2},"match":[`, "more than a day"},
		{"no keys file", `{"api_key":{"pepper":"{env.P}"}}`, "keys_file is missing"},
		{"no pepper", `{"api_key":{"keys_file":"k"}}`, "pepper is missing"},
		{"a literal pepper", `{"api_key":{"keys_file":"k","pepper":"hunter2"}}`, "not as its value"},
		{"keys in Authorization", `{"api_key":{"keys_file":"k","pepper":"{env.P}","header":"authorization"}}`, "Authorization"},
		{"keys in the cookie header", `{"api_key":{"keys_file":"k","pepper":"{env.P}","header":"Cookie"}}`, "Cookie"},
		{"an unknown member", `{"jwt":{` + good + `,"typ":"at+jwt"}}`, "typ"},
		{"an identity header with a space", `{"jwt":{` + good + `}}],"identity_headers":["X Y"],"mode":"enforce","match":[`, "identity_headers[0]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"trusted_proxies":{"source":"static","ranges":["127.0.0.1/32"]},"trusted_proxies_strict":1,
				"automatic_https":{"disable":true},"routes":[{"handle":[{"handler":"auth","alternatives":[` + test.alternatives + `]}]}]}}}}}`
			err := validate(t, []byte(config))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestErrorsOfACaddyfileShowNoSecret(t *testing.T) {
	content, err := os.ReadFile("testdata/adapt/auth_refused.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	caddyfile, _, _ := strings.Cut(string(content), "\n----------\n")
	_, _, err = caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	for _, secret := range []string{"hunter2", "literal-secret-value"} {
		if !strings.Contains(caddyfile, secret) || err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func TestRevokedKeyStopsWorkingWithoutAReload(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	g := gatetest.Run(t, site(dir, blockKey))
	header := []string{"X-Api-Key", key, "X-Forwarded-For", address}
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	if _, err := apikey.Revoke(filepath.Join(dir, "keys.json"), strings.Split(key, "_")[1]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		resp := g.Do(t, "GET", "/", header...)
		if resp.Status == 401 && resp.Header.Get("X-Test-Reason") == "auth.key_revoked" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d", resp.Status)
		}
	}
}

func TestWithdrawnKeyStopsWorkingWithoutAReload(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	g := gatetest.Run(t, site(dir, blockA))
	header := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	if err := os.Rename(filepath.Join(dir, "b.pem"), filepath.Join(dir, "a.pem")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		resp := g.Do(t, "GET", "/", header...)
		if resp.Status == 401 && resp.Header.Get("X-Test-Reason") == "auth.token_signature" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d", resp.Status)
		}
	}
}

func TestAccessLogNamesTheUserAndNoCredential(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	path := filepath.Join(dir, "access.log")
	g := gatetest.Run(t, strings.Replace(site(dir, blockA), "\troute {", "\tlog {\n\t\toutput file "+path+"\n\t\tformat json\n\t}\n\troute {", 1))
	good, bad := token(keyA, issuerA, nil), token(keyB, issuerA, nil)
	g.Do(t, "GET", "/good", append(bearer(good), "X-Forwarded-For", address)...)
	g.Do(t, "GET", "/bad", append(bearer(bad), "X-Forwarded-For", address)...)
	if err := g.Reload(t, site(dir, blockA)); err != nil { // ends the log
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var entry struct {
			UserID  string `json:"user_id"`
			Reason  string
			Request struct{ URI string }
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		switch entry.Request.URI {
		case "/good":
			if entry.UserID != "alice" {
				t.Errorf("user_id %q", entry.UserID)
			}
		case "/bad":
			if entry.UserID != "" || entry.Reason != "auth.token_signature" {
				t.Errorf("user_id %q, reason %q", entry.UserID, entry.Reason)
			}
		}
	}
	if strings.Contains(string(content), good) || strings.Contains(string(content), bad) || !strings.Contains(string(content), "/good") {
		t.Errorf("the log shows a token, or nothing:\n%s", content)
	}
}
