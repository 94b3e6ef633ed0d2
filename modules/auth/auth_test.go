package auth_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	issuerA = "https://a.example"
	issuerB = "https://b.example"
)

var (
	keyA = ed25519.NewKeyFromSeed([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	keyB = ed25519.NewKeyFromSeed([]byte("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"))
)

// files writes what the tests' configurations name to a directory of their own
// and returns it, with two API keys: one that is good, one that is revoked.
func files(t testing.TB) (dir, key, revoked string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, private := range map[string]ed25519.PrivateKey{"a.pem": keyA, "b.pem": keyB} {
		der, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		write(name, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	}
	write("mixed.json", strings.Replace(jwksA, `{"keys":[`, `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},`, 1))
	const pepper = "a pepper of enough bytes"
	write("pepper", pepper+"\n")
	path := filepath.Join(dir, "keys.json")
	key, _, err := apikey.Create(path, []byte(pepper), apikey.Record{Owner: "acme", Scopes: []string{"orders:read"}, Roles: []string{"buyer"}, Tier: "gold"})
	if err != nil {
		t.Fatal(err)
	}
	revoked, record, err := apikey.Create(path, []byte(pepper), apikey.Record{Owner: "former"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apikey.Revoke(path, record.ID); err != nil {
		t.Fatal(err)
	}
	return dir, key, revoked
}

// site is a Caddyfile with auth in front of the backend. DIR in block is dir.
func site(dir, block string) string {
	return strings.ReplaceAll("{$ADDR} {\n\troute {\n\t\ttest_caller\n\t\tauth {\n"+block+"\n\t\t}\n\t\treverse_proxy {$BACKEND}\n\t}\n}\n", "DIR", dir)
}

const (
	blockA = `
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			roles_claim realm_access.roles
			tier_claim tier
		}`
	blockB = `
		jwt https://b.example {
			audience api
			key_file DIR/b.pem
		}`
	blockKey = `
		api_key {
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}`
)

// token signs claims with key; change replaces members of good claims, and nil
// removes one.
func token(key ed25519.PrivateKey, issuer string, change map[string]any) string {
	now := time.Now()
	claims := map[string]any{"iss": issuer, "aud": "api", "sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	encoded, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." + b64(encoded)
	return text + "." + b64(ed25519.Sign(key, []byte(text)))
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// seen records what the backend got.
func seen(g *gatetest.Gate) *http.Request {
	got := new(http.Request)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		*got = *r
		w.WriteHeader(http.StatusNoContent)
	})
	return got
}

func TestAdaptAuth(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/auth_*.caddyfiletest")
}

func TestCredentials(t *testing.T) {
	dir, key, revoked := files(t)
	g := gatetest.Run(t, site(dir, blockA+blockB+blockKey+`
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			from cookie session
		}
		jwt https://a.example {
			audience api
			key_file DIR/a.pem
			from query access_token
		}
		jwt https://b.example {
			audience api
			key_file DIR/b.pem
			from header X-Internal-Token
		}`))
	a, b := token(keyA, issuerA, nil), token(keyB, issuerB, nil)
	expired := token(keyA, issuerA, map[string]any{"exp": 1})
	tests := []struct {
		name   string
		target string
		header []string
		status int
		reason string
	}{
		{"a token of the first issuer", "/", bearer(a), 204, ""},
		{"a token of the second issuer", "/", bearer(b), 204, ""},
		{"an API key", "/", []string{"X-Api-Key", key}, 204, ""},
		{"a token in the cookie", "/", []string{"Cookie", "theme=dark; session=" + a}, 204, ""},
		{"a token in the query", "/?access_token=" + a, nil, 204, ""},
		{"a token in a header of its own", "/", []string{"X-Internal-Token", b}, 204, ""},
		{"the name of the header in another case", "/", []string{"x-internal-TOKEN", b}, 204, ""},

		{"nothing", "/", nil, 401, "auth.no_credential"},
		{"another scheme", "/", []string{"Authorization", "Basic YTpi"}, 401, "auth.no_credential"},
		{"a query parameter of another name", "/?token=" + a, nil, 401, "auth.no_credential"},
		{"a token in a cookie of another name", "/", []string{"Cookie", "Session=" + a}, 401, "auth.no_credential"},

		{"an empty bearer token", "/", []string{"Authorization", "Bearer "}, 401, "auth.token_malformed"},
		{"junk", "/", bearer("junk"), 401, "auth.token_malformed"},
		{"an expired token", "/", bearer(expired), 401, "auth.token_expired"},
		{"a token for another service", "/", bearer(token(keyA, issuerA, map[string]any{"aud": "other"})), 401, "auth.token_audience"},
		{"a token from tomorrow", "/", bearer(token(keyA, issuerA, map[string]any{"nbf": time.Now().Unix() + 86400})), 401, "auth.token_not_yet_valid"},
		{"a token without exp", "/", bearer(token(keyA, issuerA, map[string]any{"exp": nil})), 401, "auth.token_claims"},
		{"a token of an unknown issuer", "/", bearer(token(keyA, "https://evil.example", nil)), 401, "auth.token_issuer"},
		{"C5: A's name under B's key", "/", bearer(token(keyB, issuerA, nil)), 401, "auth.token_signature"},
		{"C5: B's name under A's key", "/", bearer(token(keyA, issuerB, nil)), 401, "auth.token_signature"},
		{"S15: expired and under another key", "/", bearer(token(keyB, issuerA, map[string]any{"exp": 1})), 401, "auth.token_signature"},
		{"an issuer that another source has", "/?access_token=" + b, nil, 401, "auth.token_issuer"},
		{"an issuer that the header does not have", "/", []string{"X-Internal-Token", a}, 401, "auth.token_issuer"},
		{"a percent-encoded token", "/?access_token=" + strings.Replace(a, ".", "%2E", 1), nil, 401, "auth.token_malformed"},

		{"an unknown API key", "/", []string{"X-Api-Key", "sp_0000_" + strings.Repeat("0", 32) + "_0000000"}, 401, "auth.key_malformed"},
		{"a revoked API key", "/", []string{"X-Api-Key", revoked}, 401, "auth.key_revoked"},
		{"a token as API key", "/", []string{"X-Api-Key", a}, 401, "auth.key_malformed"},
		{"an API key as token", "/", bearer(key), 401, "auth.token_malformed"},
		{"an empty API key", "/", []string{"X-Api-Key", ""}, 401, "auth.key_malformed"},

		{"G3: two tokens in two places", "/", append(bearer(a), "Cookie", "session="+a), 400, "auth.several_credentials"},
		{"G3: a token in header and query", "/?access_token=" + a, bearer(a), 400, "auth.several_credentials"},
		{"G3: a good token and a bad one", "/", append(bearer(a), "X-Internal-Token", "junk"), 400, "auth.several_credentials"},
		{"a token and an API key", "/", append(bearer(a), "X-Api-Key", key), 400, "auth.several_credentials"},
		{"a bad token and a good API key do not fall through", "/", append(bearer(expired), "X-Api-Key", key), 400, "auth.several_credentials"},
		{"an empty token and a good API key", "/", []string{"Authorization", "Bearer", "X-Api-Key", key}, 400, "auth.several_credentials"},
		{"a header twice", "/", []string{"X-Api-Key", key, "X-Api-Key", key}, 400, "auth.several_credentials"},
		{"a list in a header", "/", []string{"X-Api-Key", key + ", " + revoked}, 400, "auth.several_credentials"},
		{"a list of schemes", "/", []string{"Authorization", "Bearer " + a + ", Bearer " + b}, 400, "auth.several_credentials"},
		{"a cookie twice", "/", []string{"Cookie", "session=" + a + "; session=" + a}, 400, "auth.several_credentials"},
		{"a cookie and one that a lenient reader takes for it", "/", []string{"Cookie", "session=" + a + "; session =x"}, 400, "auth.several_credentials"},
		{"a parameter and one that PHP takes for it", "/?access_token=" + a + "&access.token=x", nil, 400, "auth.several_credentials"},
		{"a parameter twice", "/?access_token=" + a + "&access_token=" + a, nil, 400, "auth.several_credentials"},
		{"a parameter twice, once encoded", "/?access_token=" + a + "&access%5Ftoken=" + a, nil, 400, "auth.several_credentials"},
		{"Authorization twice", "/", append(bearer(a), "Authorization", "Bearer "+b), 400, ""}, // by the canonical check
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := seen(g)
			resp := g.Do(t, "GET", test.target, append(test.header, "X-Forwarded-For", address)...)
			if resp.Status != test.status || resp.Header.Get("X-Test-Reason") != test.reason {
				t.Errorf("got %d %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), test.status, test.reason)
			}
			if (got.URL != nil) != (test.status == 204) {
				t.Errorf("the backend saw the request: %v", got.URL != nil)
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	dir, key, revoked := files(t)
	jwtChallenge, keyChallenge := `Bearer realm="api"`, `ApiKey realm="api"`
	both := append(bearer("junk"), "X-Api-Key", key)
	tests := []struct {
		name, block string
		header      []string
		status      int
		want        []string
	}{
		{"no credential: each scheme, without an error", blockA + blockB + blockKey, nil, 401, []string{jwtChallenge, keyChallenge}},
		{"in the order of the alternatives", blockKey + blockA, nil, 401, []string{keyChallenge, jwtChallenge}},
		{"only tokens", blockA, nil, 401, []string{jwtChallenge}},
		{"only keys", blockKey, nil, 401, []string{keyChallenge}},
		{"a bad token", blockA + blockKey, bearer("junk"), 401, []string{jwtChallenge + `, error="invalid_token"`, keyChallenge}},
		{"a bad key", blockA + blockKey, []string{"X-Api-Key", revoked}, 401, []string{jwtChallenge, keyChallenge}},
		{"two credentials", blockA + blockKey, both, 400, []string{jwtChallenge + `, error="invalid_request"`}},
		{"two keys", blockKey, []string{"X-Api-Key", key, "X-Api-Key", key}, 400, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// The error route edits the header, which must not reach the next response.
			g := gatetest.Run(t, strings.TrimSuffix(site(dir, test.block), "}\n")+`	handle_errors {
				@edit header X-Edit 1
				header @edit >WWW-Authenticate realm edited
				respond "no"
			}
			}`)
			g.Do(t, "GET", "/", append(test.header, "X-Forwarded-For", address, "X-Edit", "1")...)
			resp := g.Do(t, "GET", "/", append(test.header, "X-Forwarded-For", address)...)
			if got := resp.Header["Www-Authenticate"]; resp.Status != test.status || !slices.Equal(got, test.want) {
				t.Errorf("got %d %q, want %d %q", resp.Status, got, test.status, test.want)
			}
		})
	}
}

func TestLeewayAndAlgorithms(t *testing.T) {
	dir, _, _ := files(t)
	with := func(option string) string { return strings.Replace(blockA, "tier_claim tier", option, 1) }
	past := func(seconds int) []string {
		return bearer(token(keyA, issuerA, map[string]any{"exp": time.Now().Unix() - int64(seconds)}))
	}
	tests := []struct {
		name, block string
		header      []string
		reason      string
	}{
		{"30 seconds by default", blockA, past(15), ""},
		{"and no more", blockA, past(60), "auth.token_expired"},
		{"a minute more", with("leeway 2m"), past(60), ""},
		{"none", with("leeway 0s"), past(1), "auth.token_expired"},
		{"an algorithm that is not in the list", strings.Replace(with("algorithms RS256 ES256"), "a.pem", "mixed.json", 1), bearer(token(keyA, issuerA, nil)), "auth.token_algorithm"},
		{"an algorithm that is in the list", with("algorithms EdDSA"), bearer(token(keyA, issuerA, nil)), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := gatetest.Run(t, site(dir, test.block))
			resp := g.Do(t, "GET", "/", append(test.header, "X-Forwarded-For", address)...)
			if got := resp.Header.Get("X-Test-Reason"); got != test.reason || (resp.Status == 200) != (test.reason == "") {
				t.Errorf("got %d %s, want %s", resp.Status, got, test.reason)
			}
		})
	}
}

// G12: nothing in the answer tells one refusal from another.
func TestRefusalsOfCredentialsLookAlike(t *testing.T) {
	dir, _, revoked := files(t)
	g := gatetest.Run(t, site(dir, blockA+blockKey))
	g.Do(t, "GET", "/", "X-Forwarded-For", address)
	answer := func(header ...string) string {
		resp := g.Do(t, "GET", "/", append(header, "X-Forwarded-For", address)...)
		for _, name := range []string{"Date", "X-Test-Reason", "Content-Length"} {
			resp.Header.Del(name)
		}
		body, _, _ := strings.Cut(resp.Body, `,"request_id"`)
		return fmt.Sprint(resp.Status, resp.Header, body)
	}
	want := answer(bearer("junk")...)
	for _, bad := range []string{
		token(keyA, issuerA, map[string]any{"exp": 1}), token(keyB, issuerA, nil), token(keyA, "https://evil.example", nil),
		token(keyA, issuerA, map[string]any{"aud": "other"}), token(keyA, issuerA, map[string]any{"sub": "a\nb"}),
	} {
		got := answer(bearer(bad)...)
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if strings.Contains(got, bad) || strings.Contains(got, "alice") || strings.Contains(got, issuerA) {
			t.Errorf("the answer shows the token: %s", got)
		}
	}
	want = answer("X-Api-Key", revoked)
	if got := answer("X-Api-Key", "junk"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// G1, G2: whatever happens to a request, no identity of the client's reaches the backend.
func TestIdentityHeadersNeverReachTheBackend(t *testing.T) {
	dir, key, _ := files(t)
	claims := map[string]any{"email": nil}
	forged := []string{
		"X-User", "root", "X-User-Id", "root", "x-user-roles", "admin", "X-User", "twice", "X-Auth-Request-Email", "root@example.com",
		"Remote-User", "root", "X-Forwarded-User", "root", "X-Forwarded-Email", "root@example.com", "X-Consumer-Id", "1",
		"X-Amzn-Oidc-Data", "a.b.c", "X-Amzn-Oidc-Identity", "root", "X-Goog-Iap-Jwt-Assertion", "a.b.c", "Cf-Access-Jwt-Assertion", "a.b.c",
		"X-Ms-Client-Principal", "e30", "X-Client-Cert", "cert", "X-SSL-Client-Verify", "SUCCESS", "X-Tenant", "other", "X-Acme-Role", "admin",
	}
	clean := []string{"X-Forwarded-Proto", "https", "X-Request-Id", "1", "X-User-Agent", "grpc-web", "X-Tenant-Name", "kept"}
	block := blockA + blockKey + "\n\t\tidentity_headers X-Tenant X-Acme-*"
	dry := block + "\n\t\tmode dry_run"
	bypass := strings.Replace(site(dir, block), "auth {", "auth /private/* {", 1)
	tests := []struct {
		name, caddyfile string
		header          []string
		status          int
	}{
		{"a valid token", site(dir, block), bearer(token(keyA, issuerA, claims)), 204},
		{"a valid key", site(dir, block), []string{"X-Api-Key", key}, 204},
		{"dry_run, anonymous", site(dir, dry), nil, 204},
		{"dry_run, a bad token", site(dir, dry), bearer("junk"), 204},
		{"past the matcher", bypass, nil, 204},
		{"refused, with an error route that asks the backend", site(dir, block), nil, 401},
		{"refused by the canonical check, with that error route", site(dir, block), []string{"Connection", "X-Secret"}, 400},
		{"refused by a guard in front, with that error route", strings.Replace(site(dir, block), "test_caller", "test_caller\n\t\tallowlist {\n\t\t\tdeny 192.0.2.7\n\t\t}", 1), nil, 403},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			caddyfile := test.caddyfile
			if test.status >= 400 {
				caddyfile = strings.TrimSuffix(caddyfile, "}\n") + "\thandle_errors {\n\t\treverse_proxy {$BACKEND} {\n\t\t\theader_up U-Id {http.auth.user.id}\n\t\t\t@any status 2xx\n\t\t\thandle_response @any {\n\t\t\t\trespond {err.status_code}\n\t\t\t}\n\t\t}\n\t}\n}\n"
			}
			// Caddy drops such names by itself unless it is told not to.
			globals := strings.Replace(gatetest.Globals, "trusted_proxies_strict",
				"trusted_proxies_strict\n\t\texpected_underscore_headers x_user x_forwarded_user remote_user x_tenant\n\t\texpected_dot_headers x.user x.user.id", 1)
			g := gatetest.Run(t, globals+caddyfile)
			got := seen(g)
			header := slices.Concat(test.header, forged, clean, []string{"X_User", "root", "X_Forwarded_User", "root", "Remote_User", "root",
				"X_Tenant", "other", "X.User", "root", "X.User.Id", "root", "X-Forwarded-For", address})
			if resp := g.Do(t, "POST", "/", header...); resp.Status != test.status && test.status >= 400 {
				t.Errorf("got %d, want %d", resp.Status, test.status)
			}
			if got.Header == nil {
				t.Fatal("the backend was not asked")
			}
			for name := range got.Header {
				folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
				for i := 0; i < len(forged); i += 2 {
					if folded == strings.ToLower(forged[i]) {
						t.Errorf("%s: %s reached the backend", name, got.Header[name])
					}
				}
			}
			if got.Header.Get("U-Id") != "" {
				t.Errorf("the backend is told of the user %q", got.Header.Get("U-Id"))
			}
			for i := 0; i < len(clean); i += 2 {
				if got.Header.Get(clean[i]) == "" {
					t.Errorf("%s did not reach the backend", clean[i])
				}
			}
		})
	}
}

// A header that carries identity elsewhere and a credential here is passed on only
// when it was accepted and is forwarded, whichever auth handler comes first.
func TestIdentityHeaderAsCredential(t *testing.T) {
	dir, _, _ := files(t)
	const name = "Cf-Access-Jwt-Assertion"
	block := strings.Replace(blockA, "tier_claim tier", "from header "+name, 1)
	forward := block + "\n\t\tMODE"
	forward = strings.Replace(forward, "from header", "forward\n\t\t\tfrom header", 1)
	two := func(block string) string {
		return strings.Replace(site(dir, block), "auth {", "auth /other/* {"+strings.ReplaceAll(blockB, "DIR", dir)+"\n\t\t}\n\t\tauth /api/* {", 1)
	}
	good, bad := token(keyA, issuerA, nil), token(keyB, issuerA, nil)
	tests := []struct {
		name, caddyfile, path, value string
		status                       int
		want                         string
	}{
		{"accepted and removed", two(block), "/api/x", good, 204, ""},
		{"accepted and forwarded", two(strings.Replace(forward, "MODE", "", 1)), "/api/x", good, 204, good},
		{"not judged", two(strings.Replace(forward, "MODE", "", 1)), "/public", bad, 204, ""},
		{"refused", two(strings.Replace(forward, "MODE", "", 1)), "/api/x", bad, 401, ""},
		{"accepted in dry_run", two(strings.Replace(block+"\nMODE", "MODE", "mode dry_run", 1)), "/api/x", good, 204, good},
		{"not accepted in dry_run", two(strings.Replace(forward, "MODE", "mode dry_run", 1)), "/api/x", bad, 204, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := gatetest.Run(t, strings.TrimSuffix(test.caddyfile, "}\n")+"\thandle_errors {\n\t\treverse_proxy {$BACKEND}\n\t}\n}\n")
			got := seen(g)
			resp := g.Do(t, "GET", test.path, name, test.value, "X-Forwarded-For", address)
			if test.status == 204 && resp.Status != 204 {
				t.Fatalf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
			}
			if test.status == 401 && resp.Header.Get("X-Test-Reason") != "auth.token_signature" {
				t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
			}
			if got.Header == nil || got.Header.Get(name) != test.want {
				t.Errorf("the backend got %q, want %q", got.Header.Get(name), test.want)
			}
		})
	}
}

func TestARemovedCredentialIsGoneForASecondHandlerToo(t *testing.T) {
	dir, _, _ := files(t)
	for _, place := range []string{"header Authorization", "header X-Token", "header Cf-Access-Jwt-Assertion", "cookie session", "query access_token"} {
		t.Run(place, func(t *testing.T) {
			block := strings.Replace(blockA, "tier_claim tier", "from "+place, 1)
			g := gatetest.Run(t, strings.Replace(site(dir, block), "reverse_proxy", "auth {"+strings.ReplaceAll(block, "DIR", dir)+"\n\t\t}\n\t\treverse_proxy", 1))
			a := token(keyA, issuerA, nil)
			target, header := "/", []string{"X-Forwarded-For", address}
			switch kind, name, _ := strings.Cut(place, " "); {
			case name == "Authorization":
				header = append(header, name, "Bearer "+a)
			case kind == "header":
				header = append(header, name, a)
			case kind == "cookie":
				header = append(header, "Cookie", name+"="+a)
			default:
				target = "/?" + name + "=" + a
			}
			if resp := g.Do(t, "GET", target, header...); resp.Status != 401 || resp.Header.Get("X-Test-Reason") != "auth.no_credential" {
				t.Errorf("%s: got %d %s", place, resp.Status, resp.Header.Get("X-Test-Reason"))
			}
		})
	}
}

func TestTrailersNeverReachTheBackend(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, site(dir, blockKey))
	var trailer http.Header
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 64)
		for n := 1; n > 0; {
			n, _ = r.Body.Read(buf)
		}
		trailer = r.Trailer
	})
	answer := g.Raw(t, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: "+address+"\r\nX-Api-Key: "+key+
		"\r\nTrailer: X-User\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-User: root\r\nX-User-Id: root\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") || len(trailer) != 0 {
		t.Errorf("got %q, trailers %v", answer, trailer)
	}
}

func TestCredentialIsRemoved(t *testing.T) {
	dir, key, _ := files(t)
	from := func(place, more string) string {
		return strings.Replace(blockA, "tier_claim tier", "from "+place+"\n"+more, 1)
	}
	a := token(keyA, issuerA, nil)
	keyForward := strings.Replace(blockKey, "pepper", "forward\n\t\t\tpepper", 1)
	tests := []struct {
		name, block, target string
		header              []string
		wantTarget, name2   string
		want                []string
	}{
		{"the Authorization header", blockA, "/x?a=%2f", bearer(a), "/x?a=%2f", "Authorization", nil},
		{"but not where it is forwarded", from("header Authorization", "forward"), "/", bearer(a), "/", "Authorization", []string{"Bearer " + a}},
		{"the API key", blockKey, "/", []string{"X-Api-Key", key}, "/", "X-Api-Key", nil},
		{"but not where it is forwarded", keyForward, "/", []string{"X-Api-Key", key}, "/", "X-Api-Key", []string{key}},
		{"a header of its own", from("header x-token", ""), "/", []string{"X-Token", a}, "/", "X-Token", nil},
		{"another scheme in Authorization stays", blockA + blockKey, "/", []string{"X-Api-Key", key, "Authorization", "Basic YTpi"}, "/", "Authorization", []string{"Basic YTpi"}},
		{"a header that is no identity although it begins like one", from("header X-Auth-Key", "forward"), "/", []string{"X-Auth-Key", a}, "/", "X-Auth-Key", []string{a}},
		{"the cookie and no other", from("cookie session", ""), "/", []string{"Cookie", `a="1"; session=` + a + "; b=2"}, "/", "Cookie", []string{`a="1"; b=2`}},
		{"the only cookie", from("cookie session", ""), "/", []string{"Cookie", "session=" + a}, "/", "Cookie", nil},
		{"the cookie is forwarded", from("cookie session", "forward"), "/", []string{"Cookie", "session=" + a}, "/", "Cookie", []string{"session=" + a}},
		{"the parameter and no other byte", from("query access_token", ""), "/x%20y?a=%2f&b=+%2F&access_token=" + a + "&c", nil, "/x%20y?a=%2f&b=+%2F&c", "", nil},
		{"the only parameter", from("query access_token", ""), "/?access_token=" + a, nil, "/", "", nil},
		{"the parameter under an encoded name", from("query access_token", ""), "/?%61ccess_token=" + a + "&b", nil, "/?b", "", nil},
		{"the parameter is forwarded", from("query access_token", "forward"), "/?access_token=" + a, nil, "/?access_token=" + a, "", nil},
		{"dry_run leaves it, the backend may rely on it", blockA + "\n\t\tmode dry_run", "/", bearer(a), "/", "Authorization", []string{"Bearer " + a}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := gatetest.Run(t, strings.Replace(site(dir, test.block), "reverse_proxy {$BACKEND}",
				"reverse_proxy {$BACKEND} {\n\t\t\theader_up X-Orig \"{http.request.orig_uri}|{http.request.orig_uri.query}|{http.request.uri}\"\n\t\t}", 1))
			got := seen(g)
			resp := g.Do(t, "GET", test.target, append(test.header, "X-Forwarded-For", address)...)
			if resp.Status != 204 {
				t.Fatalf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
			}
			if got.RequestURI != test.wantTarget {
				t.Errorf("the backend got %s, want %s", got.RequestURI, test.wantTarget)
			}
			if test.name2 != "" && !slices.Equal(got.Header[test.name2], test.want) {
				t.Errorf("the backend got %s: %q, want %q", test.name2, got.Header[test.name2], test.want)
			}
			if private := resp.Header.Get("Cache-Control") == "private"; private != strings.Contains(test.block, "from query") {
				t.Errorf("Cache-Control %q", resp.Header["Cache-Control"])
			}
			if !strings.Contains(test.block, "forward") && strings.Contains(got.Header.Get("X-Orig"), a) {
				t.Errorf("the original URI shows the token: %s", got.Header.Get("X-Orig"))
			}
		})
	}
}

func TestTokenInTheQueryIsNotShownToErrorRoutes(t *testing.T) {
	dir, _, _ := files(t)
	a := token(keyA, issuerA, nil)
	g := gatetest.Run(t, strings.Replace(strings.Replace(site(dir, strings.Replace(blockA, "tier_claim tier", "from query access_token", 1)),
		"reverse_proxy {$BACKEND}", "error 503", 1), "\t}\n}\n", "\t}\n\thandle_errors {\n\t\trespond \"{http.request.uri} {http.request.orig_uri}\"\n\t}\n}\n", 1))
	resp := g.Do(t, "GET", "/x?a=1&access_token="+a, "X-Forwarded-For", address)
	if resp.Status != 503 || resp.Body != "/x?a=1 /x?a=1" {
		t.Errorf("got %d %s", resp.Status, resp.Body)
	}
}

func TestPlaceholders(t *testing.T) {
	dir, key, _ := files(t)
	up := "reverse_proxy {$BACKEND} {\n"
	names := []string{"id", "issuer", "method", "scopes", "roles", "tier", "claims.id", "claims.address.city", "claims.list", "claims.flag", "claims.nothing", "claims.breaks", "claims.deep", "claims.key_id"}
	for _, name := range names {
		up += "\t\t\theader_up U-" + strings.ReplaceAll(name, ".", "-") + " {http.auth.user." + name + "}\n"
	}
	up += "\t\t}"
	claims := map[string]any{
		"scope": "orders:read orders:write", "realm_access": map[string]any{"roles": []string{"user,admin", "buyer"}}, "tier": "silver",
		"id": json.Number("9007199254740993"), "address": map[string]any{"city": "Bern"}, "list": []any{"a", 1}, "flag": true,
		"breaks": "a\r\nX-Role: admin", "deep": []any{"\x7f"},
	}
	tests := []struct {
		name, mode string
		header     []string
		want       map[string]string
	}{
		{"of a token", "", bearer(token(keyA, issuerA, claims)), map[string]string{
			"id": "alice", "issuer": issuerA, "method": "jwt", "scopes": "orders:read orders:write", "roles": `["user,admin","buyer"]`, "tier": "silver",
			"claims-id": "9007199254740993", "claims-address-city": "Bern", "claims-list": `["a",1]`, "claims-flag": "true",
		}},
		{"of an API key", "", []string{"X-Api-Key", key}, map[string]string{
			"id": "acme", "method": "api_key", "scopes": "orders:read", "roles": `["buyer"]`, "tier": "gold", "claims-key_id": strings.Split(key, "_")[1],
		}},
		{"of a valid token in dry_run", "mode dry_run", bearer(token(keyA, issuerA, nil)), map[string]string{"id": "alice", "issuer": issuerA, "method": "jwt"}},
		{"of a bad token in dry_run they are empty", "mode dry_run", bearer(token(keyB, issuerA, claims)), nil},
		{"of nobody in dry_run they are empty", "mode dry_run", nil, nil},
		{"past the matcher they are empty", "MATCHER", bearer(token(keyA, issuerA, claims)), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			caddyfile := strings.Replace(site(dir, blockA+blockKey+"\n"+test.mode), "reverse_proxy {$BACKEND}", up, 1)
			if test.mode == "MATCHER" {
				caddyfile = strings.NewReplacer("MATCHER", "", "auth {", "auth /private/* {").Replace(caddyfile)
			}
			g := gatetest.Run(t, caddyfile)
			got := seen(g)
			if resp := g.Do(t, "GET", "/", append(test.header, "X-Forwarded-For", address)...); resp.Status != 204 {
				t.Fatalf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
			}
			for _, name := range names {
				name = strings.ReplaceAll(name, ".", "-")
				if value := got.Header.Get("U-" + name); value != test.want[name] {
					t.Errorf("%s: got %q, want %q", name, value, test.want[name])
				}
			}
		})
	}
}

func TestDryRunCountsAndLetsPass(t *testing.T) {
	dir, key, _ := files(t)
	g := gatetest.Run(t, strings.Replace(site(dir, blockA+blockKey+"\n\t\tmode dry_run"), "\troute {", "\troute {\n\t\tmetrics /metrics", 1))
	for _, header := range [][]string{nil, bearer("junk"), {"X-Api-Key", key}, append(bearer("a"), "X-Api-Key", key)} {
		resp := g.Do(t, "GET", "/", append(header, "X-Forwarded-For", address)...)
		if resp.Status != 200 || resp.Header["Www-Authenticate"] != nil || resp.Header["Retry-After"] != nil {
			t.Errorf("%v: got %d %v", header, resp.Status, resp.Header)
		}
	}
	metrics := g.Do(t, "GET", "/metrics", "X-Forwarded-For", address).Body
	for _, want := range []string{
		`guard="auth",reason="auth.no_credential",site="127.0.0.1",verdict="would_deny"`,
		`guard="auth",reason="auth.token_malformed",site="127.0.0.1",verdict="would_deny"`,
		`guard="auth",reason="auth.several_credentials",site="127.0.0.1",verdict="would_deny"`,
		`guard="auth",reason="",site="127.0.0.1",verdict="allow"`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}
