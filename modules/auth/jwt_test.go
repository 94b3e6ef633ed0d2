package auth_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// The secrets of the issuer in blockSecret.
var (
	oldSecret = strings.Repeat("old-", 16)
	newSecret = strings.Repeat("new+", 16)
)

const blockSecret = `
		jwt https://a.example {
			audience api
			algorithms HS256 HS512
			secret 2026-10 {env.SALLYPORT_TEST_HS}
			secret 2026-11 {file.DIR/hs}
		}`

// secretFiles writes what blockSecret names.
func secretFiles(t *testing.T) string {
	t.Helper()
	dir, _, _ := files(t)
	t.Setenv("SALLYPORT_TEST_HS", oldSecret)
	if err := os.WriteFile(filepath.Join(dir, "hs"), []byte(newSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hsToken signs claims, good ones but for change, with a secret.
func hsToken(alg, kid, secret string, change map[string]any) string {
	return signedToken(map[string]any{"alg": alg, "kid": kid}, change, func(text string) []byte {
		h := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
		mac := hmac.New(h, []byte(secret))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	})
}

// signedToken makes a token; nil removes a member.
func signedToken(header, change map[string]any, sign func(text string) []byte) string {
	now := time.Now()
	claims := map[string]any{"iss": issuerA, "aud": "api", "sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(claims, change)
	encode := func(m map[string]any) string {
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil || v == "" })
		text, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := encode(header) + "." + encode(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

func TestSecretsOfAnIssuer(t *testing.T) {
	dir := secretFiles(t)
	g := gatetest.Run(t, site(dir, blockSecret))
	public, err := os.ReadFile(filepath.Join(dir, "a.pem"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		status      int
		reason      string
	}{
		{"from the environment", hsToken("HS256", "2026-10", oldSecret, nil), 200, ""},
		{"from a file, without its line break", hsToken("HS512", "2026-11", newSecret, nil), 200, ""},
		{"without kid", hsToken("HS256", "", newSecret, nil), 200, ""},
		{"with the line break", hsToken("HS256", "2026-11", newSecret+"\n", nil), 401, "auth.token_signature"},
		{"under the name of the other", hsToken("HS256", "2026-10", newSecret, nil), 401, "auth.token_signature"},
		{"under an unknown name", hsToken("HS256", "2026-12", newSecret, nil), 401, "auth.token_key"},
		{"HS384, which is not named", hsToken("HS384", "2026-11", newSecret, nil), 401, "auth.token_algorithm"},
		{"S2: under a public key", hsToken("HS256", "", string(public), nil), 401, "auth.token_signature"},
		{"S4: under the placeholder", hsToken("HS256", "2026-10", "{env.SALLYPORT_TEST_HS}", nil), 401, "auth.token_signature"},
		{"signed with a private key", token(keyA, issuerA, nil), 401, "auth.token_algorithm"},
		{"expired", hsToken("HS256", "2026-10", oldSecret, map[string]any{"exp": 1}), 401, "auth.token_expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp := g.Do(t, "GET", "/", append(bearer(test.token), "X-Forwarded-For", address)...)
			if resp.Status != test.status || resp.Header.Get("X-Test-Reason") != test.reason {
				t.Errorf("got %d %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), test.status, test.reason)
			}
		})
	}
}

// HS256 is the default beside a secret, and only there.
func TestSecretBringsItsAlgorithm(t *testing.T) {
	dir := secretFiles(t)
	g := gatetest.Run(t, site(dir, strings.Replace(blockSecret, "algorithms HS256 HS512", "", 1)))
	for alg, want := range map[string]int{"HS256": 200, "HS512": 401} {
		if resp := g.Do(t, "GET", "/", append(bearer(hsToken(alg, "2026-11", newSecret, nil)), "X-Forwarded-For", address)...); resp.Status != want {
			t.Errorf("%s: got %d", alg, resp.Status)
		}
	}
	if err := g.Reload(t, site(dir, blockA)); err != nil {
		t.Fatal(err)
	}
	if resp := g.Do(t, "GET", "/", append(bearer(hsToken("HS256", "", newSecret, nil)), "X-Forwarded-For", address)...); resp.Header.Get("X-Test-Reason") != "auth.token_algorithm" {
		t.Errorf("HS256 with public keys: %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestBadSecretIsRefusedAtLoad(t *testing.T) {
	dir := secretFiles(t)
	g := gatetest.Run(t, site(dir, blockSecret))
	t.Setenv("SALLYPORT_TEST_SHORT", oldSecret[:31])
	t.Setenv("SALLYPORT_TEST_47", oldSecret[:47])
	t.Setenv("SALLYPORT_TEST_PEM", "-----BEGIN PUBLIC KEY-----\n"+oldSecret)
	block := func(algorithms, secrets string) string {
		return "jwt https://a.example {\naudience api\nalgorithms " + algorithms + "\n" + secrets + "\n}"
	}
	var five strings.Builder
	for i := range 5 {
		fmt.Fprintf(&five, "secret s%d {env.SALLYPORT_TEST_HS}\n", i)
	}
	for name, test := range map[string]struct{ block, want string }{
		"shorter than the hash":     {block("HS256", "secret a {env.SALLYPORT_TEST_SHORT}"), "secret a is shorter than the 32 bytes that HS256 needs"},
		"too short for one of two":  {block("HS256 HS384", "secret a {env.SALLYPORT_TEST_47}"), "the 48 bytes that HS384 needs"},
		"a variable that is unset":  {block("HS256", "secret a {env.SALLYPORT_TEST_UNSET}"), "secret a: {env.SALLYPORT_TEST_UNSET} is not set"},
		"a file that is not there":  {block("HS256", "secret a {file.DIR/none}"), "none"},
		"a public key":              {block("HS256", "secret a {env.SALLYPORT_TEST_PEM}"), "a key is no secret"},
		"five of them":              {block("HS256", five.String()), "at most 4"},
		"without a secret":          {block("HS256", "key_file DIR/a.pem"), "HS256 needs a secret"},
		"another kind of algorithm": {block("HS256 RS256", "secret a {env.SALLYPORT_TEST_HS}"), "RS256 does not work with a secret"},
	} {
		err := g.Reload(t, site(dir, test.block))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "old-old-") {
			t.Errorf("%s: the secret stands in the error", name)
		}
	}
	if resp := g.Do(t, "GET", "/", append(bearer(hsToken("HS256", "2026-10", oldSecret, nil)), "X-Forwarded-For", address)...); resp.Status != 200 {
		t.Errorf("after the refused configurations: %d", resp.Status)
	}
}

func TestJWTOptions(t *testing.T) {
	dir := secretFiles(t)
	with := func(options string) string {
		return "jwt https://a.example {\naudience api\nkey_file DIR/a.pem\n" + options + "\n}\n"
	}
	typed := func(typ string, change map[string]any) string {
		header := map[string]any{"alg": "EdDSA", "typ": typ}
		return signedToken(header, change, func(text string) []byte { return ed25519.Sign(keyA, []byte(text)) })
	}
	access := map[string]any{"client_id": "web", "jti": "1"}
	tests := []struct {
		name, options, token string
		reason, id, roles    string
		scopes               string
	}{
		{"an access token", "type access_token", typed("at+jwt", access), "", "alice", "", ""},
		{"C6: without its typ", "type access_token", typed("JWT", access), "auth.token_header", "", "", ""},
		{"C6: without its claims", "type access_token", typed("at+jwt", nil), "auth.token_claims", "", "", ""},
		{"an ID token", "type id_token", typed("", nil), "", "alice", "", ""},
		{"C6: an access token as an ID token", "type id_token", typed("at+jwt", access), "auth.token_header", "", "", ""},
		{"C6: an ID token of another client", "type id_token", typed("JWT", map[string]any{"azp": "other"}), "auth.token_claims", "", "", ""},
		{"any takes both", "type any", typed("at+jwt", access), "", "alice", "", ""},
		{"C6: but no logout token", "", typed("logout+jwt", nil), "auth.token_header", "", "", ""},
		{"C6: nor the suite's own assertion", "", typed("sallyport-assertion+jwt", nil), "auth.token_header", "", "", ""},

		{"another subject", "subject_claim oid", typed("", map[string]any{"oid": "o-1", "sub": nil}), "", "o-1", "", ""},
		{"C8: a number as subject", "subject_claim uid", typed("", map[string]any{"uid": json.Number("9007199254740993")}), "", "9007199254740993", "", ""},
		{"without it", "subject_claim oid", typed("", nil), "auth.token_claims", "", "", ""},
		{"scopes of two claims", "scopes_claim scope scp", typed("", map[string]any{"scope": "a b", "scp": []string{"c"}}), "", "alice", "", "a b c"},
		{"roles of two claims", "roles_claim groups\nroles_claim x.my\\.api", typed("", map[string]any{"groups": []string{"g"}, "x": map[string]any{"my.api": []string{"h"}}}), "", "alice", `["g","h"]`, ""},
		{"a required claim", "require_claim email_verified true", typed("", map[string]any{"email_verified": true}), "", "alice", "", ""},
		{"without it", "require_claim email_verified true", typed("", nil), "auth.token_claims", "", "", ""},
		{"with another value", "require_claim email_verified true", typed("", map[string]any{"email_verified": false}), "auth.token_claims", "", "", ""},
		{"two required claims, one of which is there", "require_claim a\nrequire_claim b", typed("", map[string]any{"a": 1}), "auth.token_claims", "", "", ""},
	}
	g := gatetest.Run(t, site(dir, blockA))
	for _, test := range tests {
		t.Run(test.name+", "+test.options, func(t *testing.T) {
			// What the placeholders say is in a header to the backend.
			config := strings.Replace(site(dir, with(test.options)), "reverse_proxy {$BACKEND}", `reverse_proxy {$BACKEND} {
				header_up X-Seen "{http.auth.user.id}|{http.auth.user.roles}|{http.auth.user.scopes}"
			}`, 1)
			if err := g.Reload(t, config); err != nil {
				t.Fatal(err)
			}
			got := seen(g)
			resp := g.Do(t, "GET", "/", append(bearer(test.token), "X-Forwarded-For", address)...)
			if resp.Header.Get("X-Test-Reason") != test.reason || (resp.Status == 204) != (test.reason == "") {
				t.Fatalf("got %d %s, want %s", resp.Status, resp.Header.Get("X-Test-Reason"), test.reason)
			}
			if want := test.id + "|" + test.roles + "|" + test.scopes; test.reason == "" && got.Header.Get("X-Seen") != want {
				t.Errorf("got %s, want %s", got.Header.Get("X-Seen"), want)
			}
		})
	}
}

func TestErrorsOfSecretsShowNone(t *testing.T) {
	for _, option := range []string{"secret hunter2", "secret a hunter2", "secret hunter2 hunter2 {env.A}", "secret a hunter2{env.A}", `secret "" hunter2`} {
		caddyfile := "http://localhost {\n\tauth {\n\t\tjwt a {\n\t\t\taudience x\n\t\t\t" + option + "\n\t\t}\n\t}\n}\n"
		_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
