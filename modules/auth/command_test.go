package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

// result is what a run of `sallyport …` left.
type result struct {
	stdout, stderr string
	err            error
}

func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	root := &cobra.Command{Use: "sallyport", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(command.All()...)
	var out, errs bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err := root.Execute()
	return result{out.String(), errs.String(), err}
}

func mustRun(t *testing.T, args ...string) result {
	t.Helper()
	r := run(t, "", args...)
	if r.err != nil {
		t.Fatalf("%v: %v", args, r.err)
	}
	return r
}

// refused expects each of wants in the error, and nothing on stdout.
func refused(t *testing.T, r result, wants ...string) {
	t.Helper()
	if r.err == nil || r.stdout != "" {
		t.Fatalf("not refused: %q, %v", r.stdout, r.err)
	}
	for _, want := range wants {
		if !strings.Contains(r.err.Error(), want) {
			t.Errorf("error %q does not contain %q", r.err, want)
		}
	}
}

const pepper = "a pepper of more than sixteen bytes"

// keyFiles returns the paths of a key file that does not exist and of a pepper.
func keyFiles(t *testing.T) (keys, pepperFile string) {
	t.Helper()
	dir := t.TempDir()
	pepperFile = filepath.Join(dir, "pepper")
	if err := os.WriteFile(pepperFile, []byte(pepper+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "keys.json"), pepperFile
}

func verify(t *testing.T, file, key string) error {
	t.Helper()
	s, err := apikey.Open(file, []byte(pepper))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Verify(key, netip.MustParseAddr("192.0.2.7"), time.Now())
	return err
}

func TestGroupsOfCommandsFailWithoutAKnownSubcommand(t *testing.T) {
	for _, args := range [][]string{{"key"}, {"token"}, {"key", "creat"}, {"key", "rotate"}, {"token", "verify"}, {"key", "list", "extra"}, {"token", "sign", "extra"}} {
		if r := run(t, "", args...); r.err == nil {
			t.Errorf("%v succeeds", args)
		}
	}
}

func TestKeyCreatePrintsAKeyThatWorksOnce(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	r := mustRun(t, "key", "create", "--file", keys, "--pepper-file", pepperFile, "--owner", "acme", "--scope", "orders:read", "--expires", "90d")
	key := strings.TrimSuffix(r.stdout, "\n")
	if err := verify(t, keys, key); err != nil {
		t.Errorf("the printed key %q: %v", key, err)
	}
	if strings.Contains(r.stderr, key) || !strings.Contains(r.stderr, "acme, good until ") {
		t.Errorf("stderr: %q", r.stderr)
	}
	if content, err := os.ReadFile(keys); err != nil || strings.Contains(string(content), strings.Split(key, "_")[2]) {
		t.Errorf("the secret is in the file, or %v", err)
	}
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestKeyCreateAsJSON(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	r := mustRun(t, "key", "create", "--file", keys, "--pepper-file", pepperFile, "--owner", "acme", "--id", "demo", "--role", "buyer", "--role", "seller",
		"--tier", "gold", "--allow", "192.0.2.0/24", "--allow", "2001:db8::1", "--not-before", "2026-01-01T01:00:00+01:00", "--expires", "2999-01-01T00:00:00Z", "--json")
	var got map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	key, _ := got["key"].(string)
	delete(got, "key")
	want := map[string]any{
		"id": "demo", "owner": "acme", "roles": []any{"buyer", "seller"}, "tier": "gold", "allow": []any{"192.0.2.0/24", "2001:db8::1"},
		"not_before": "2026-01-01T00:00:00Z", "expires": "2999-01-01T00:00:00Z", "status": "active",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !strings.HasPrefix(key, "sp_demo_") || verify(t, keys, key) != nil {
		t.Errorf("the key %q does not work", key)
	}
	if r.stderr != "" {
		t.Errorf("stderr: %q", r.stderr)
	}
}

func TestThePepperComesFromFileEnvironmentOrStdinAlike(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	t.Setenv("TEST_PEPPER", pepper)
	for name, args := range map[string][]string{
		"file": {"--pepper-file", pepperFile}, "environment": {"--pepper-env", "TEST_PEPPER"}, "stdin": {"--pepper-file", "-"},
	} {
		r := run(t, pepper+"\r\n", append([]string{"key", "create", "--file", keys, "--owner", "acme"}, args...)...)
		if r.err != nil {
			t.Errorf("%s: %v", name, r.err)
		} else if err := verify(t, keys, strings.TrimSpace(r.stdout)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyCreateRefuses(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	mustRun(t, "key", "create", "--file", keys, "--pepper-file", pepperFile, "--owner", "acme", "--id", "taken")
	before, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no owner", nil, "owner is not"},
		{"an id that exists", []string{"--owner", "a", "--id", "taken"}, "id taken already"},
		{"a bad id", []string{"--owner", "a", "--id", "A_1"}, "id is not"},
		{"scopes in one value", []string{"--owner", "a", "--scope", "a,b"}, "give --scope once for each"},
		{"scopes with a space", []string{"--owner", "a", "--scope", "a b"}, "scopes[0]"},
		{"a scope twice", []string{"--owner", "a", "--scope", "a", "--scope", "a"}, `scopes[1] repeats "a"`},
		{"a bad prefix", []string{"--owner", "a", "--allow", "192.0.2.7/24"}, "write 192.0.2.0/24"},
		{"an expiry that is no time", []string{"--owner", "a", "--expires", "soon"}, `"soon" is neither`},
		{"an expiry in the past", []string{"--owner", "a", "--expires", "2020-01-01T00:00:00Z"}, "expires is in the past"},
		{"a negative lifetime", []string{"--owner", "a", "--expires", "-1h"}, "not in the future"},
		{"a beginning behind the end", []string{"--owner", "a", "--expires", "1h", "--not-before", "2h"}, "never be good"},
		{"a pepper as an argument", []string{"--owner", "a", "--pepper", "hunter2"}, "unknown flag: --pepper"},
		{"two peppers", []string{"--owner", "a", "--pepper-env", "HOME"}, "exclude each other"},
		{"a word too much", []string{"--owner", "a", "b"}, "unknown command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, run(t, "", append([]string{"key", "create", "--file", keys, "--pepper-file", pepperFile}, tt.args...)...), tt.want)
		})
	}
	for name, args := range map[string][]string{
		"--pepper-file or --pepper-env": {}, "fewer than 16 bytes": {"--pepper-file", short}, "no such file": {"--pepper-file", short + ".missing"},
		"is not set": {"--pepper-env", "SALLYPORT_TEST_UNSET"}, "stdin is empty": {"--pepper-file", "-"},
	} {
		r := run(t, "\n", append([]string{"key", "create", "--file", keys, "--owner", "a"}, args...)...)
		refused(t, r, name)
		if r.err != nil && strings.Contains(r.err.Error(), "hunter2") {
			t.Errorf("the error shows the pepper: %v", r.err)
		}
	}
	if after, err := os.ReadFile(keys); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, or %v", err)
	}
}

func TestKeyListShowsNoSecretAndNoHash(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	for _, args := range [][]string{
		{"--id", "one", "--owner", "acme", "--scope", "a", "--scope", "b", "--tier", "gold"},
		{"--id", "two", "--owner", "other", "--not-before", "1h", "--role", "r"},
		{"--id", "three", "--owner", "other"},
	} {
		mustRun(t, append([]string{"key", "create", "--file", keys, "--pepper-file", pepperFile}, args...)...)
	}
	mustRun(t, "key", "revoke", "three", "--file", keys)
	table := mustRun(t, "key", "list", "--file", keys).stdout
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 4 {
		t.Fatalf("the table:\n%s", table)
	}
	for i, want := range [][]string{{"ID", "OWNER", "STATUS"}, {"one", "acme", "active", "gold", "a,b"}, {"two", "other", "not", "yet", "-", "-", "r"}, {"three", "other", "revoked"}} {
		if got := strings.Fields(lines[i]); !reflect.DeepEqual(got[:len(want)], want) {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
	asJSON := mustRun(t, "key", "list", "--file", keys, "--json").stdout
	var list struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(asJSON), &list); err != nil || len(list.Keys) != 3 || list.Keys[2]["status"] != "revoked" {
		t.Errorf("JSON %s, %v", asJSON, err)
	}
	for name, text := range map[string]string{"table": table, "JSON": asJSON} {
		if strings.Contains(text, "hmac") || strings.Contains(text, "sp_") {
			t.Errorf("the %s shows a hash or a key:\n%s", name, text)
		}
	}
	refused(t, run(t, "", "key", "list", "--file", keys+".missing"), keys+".missing", "no such file")
}

func TestKeyRevoke(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	key := strings.TrimSpace(mustRun(t, "key", "create", "--file", keys, "--pepper-file", pepperFile, "--owner", "acme", "--id", "demo").stdout)
	refused(t, run(t, "", "key", "revoke", "--file", keys), "one id")
	refused(t, run(t, "", "key", "revoke", "demo", "other", "--file", keys), "one id")
	refused(t, run(t, "", "key", "revoke", "other", "--file", keys), "no key with id other")
	r := run(t, "", "key", "revoke", key, "--file", keys)
	refused(t, r, "not the id of a key")
	if strings.Contains(r.err.Error(), key) {
		t.Errorf("the error repeats the key: %v", r.err)
	}
	if err := verify(t, keys, key); err != nil {
		t.Fatalf("still: %v", err)
	}
	mustRun(t, "key", "revoke", "demo", "--file", keys)
	if err := verify(t, keys, key); err != apikey.ErrRevoked {
		t.Errorf("Verify = %v, want ErrRevoked", err)
	}
	if r := mustRun(t, "key", "revoke", "demo", "--file", keys); !strings.Contains(r.stdout, "revoked before") {
		t.Errorf("a second time: %q", r.stdout)
	}
}

// signArgs are the flags that `token sign` needs, besides the key.
var signArgs = []string{"token", "sign", "--issuer", "https://issuer.example", "--subject", "alice", "--audience", "api"}

func TestTokensAreVerifiedByAnotherLibrarysRules(t *testing.T) {
	for _, algorithm := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS384"} {
		t.Run(algorithm, func(t *testing.T) {
			dir := t.TempDir()
			private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem")
			mustRun(t, "token", "keygen", "--out", private, "--public", public, "--algorithm", algorithm)
			if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			args := append(signArgs[:len(signArgs):len(signArgs)], "--key", private, "--kid", "k1", "--audience", "other", "--scope", "a", "--scope", "b",
				"--role", "admin", "--roles-claim", "realm_access.roles", "--claim", "mfa=true", "--claim", "n=9007199254740993", "--claim", "mail=a@b.example", "--claim", `list=["x"]`)
			if strings.HasPrefix(algorithm, "PS") {
				args = append(args, "--algorithm", algorithm)
			}
			token := strings.TrimSpace(mustRun(t, args...).stdout)
			claims := golangjwt.MapClaims{}
			parsed, err := golangjwt.NewParser(golangjwt.WithValidMethods([]string{algorithm}), golangjwt.WithIssuer("https://issuer.example"), golangjwt.WithAudience("api"),
				golangjwt.WithSubject("alice"), golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(), golangjwt.WithJSONNumber()).
				ParseWithClaims(token, claims, func(*golangjwt.Token) (any, error) { return readPublic(t, public), nil })
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Header["kid"] != "k1" || claims["scope"] != "a b" || claims["mfa"] != true || claims["n"] != json.Number("9007199254740993") || claims["mail"] != "a@b.example" {
				t.Errorf("header %v, claims %v", parsed.Header, claims)
			}
			if roles := claims["realm_access"].(map[string]any)["roles"]; !reflect.DeepEqual(roles, []any{"admin"}) {
				t.Errorf("roles %v", roles)
			}
		})
	}
}

func readPublic(t *testing.T, path string) crypto.PublicKey {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTokenSignReadsEveryFormOfPrivateKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	for kind, der := range map[string][]byte{"EC PRIVATE KEY": sec1, "RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(rsaKey), "PRIVATE KEY": pkcs8} {
		// OpenSSL writes the curve in front of an EC key.
		text := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		if r := run(t, text, append(signArgs, "--key", "-")...); r.err != nil {
			t.Errorf("%s: %v", kind, r.err)
		}
	}
}

func TestTokenSignRefuses(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem")
	mustRun(t, "token", "keygen", "--out", private, "--public", public)
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"everything missing, all at once", []string{"token", "sign"}, []string{"--key is needed", "--issuer is needed", "--subject is needed", "--audience is needed"}},
		{"a key that does not exist", append(signArgs, "--key", private+".missing"), []string{"no such file"}},
		{"a public key", append(signArgs, "--key", public), []string{"no private key"}},
		{"an algorithm of another key", append(signArgs, "--key", private, "--algorithm", "RS256"), []string{"does not fit the key: ES256"}},
		{"no signature", append(signArgs, "--key", private, "--algorithm", "none"), []string{"does not fit the key"}},
		{"an HMAC", append(signArgs, "--key", private, "--algorithm", "HS256"), []string{"does not fit the key"}},
		{"a lifetime that is none", append(signArgs, "--key", private, "--expires", "soon"), []string{`--expires "soon"`}},
		{"a claim without a value", append(signArgs, "--key", private, "--claim", "mfa"), []string{"not NAME=VALUE"}},
		{"a claim that a flag sets", append(signArgs, "--key", private, "--claim", "exp=1"), []string{"exp: the claim is set already"}},
		{"a claim twice", append(signArgs, "--key", private, "--claim", "a=1", "--claim", "a=2"), []string{"a: the claim is set already"}},
		{"broken JSON", append(signArgs, "--key", private, "--claim", `a={"b":`), []string{"begins like JSON"}},
		{"scopes in one value", append(signArgs, "--key", private, "--scope", "a,b"), []string{"give --scope once"}},
		{"roles inside a text", append(signArgs, "--key", private, "--role", "a", "--roles-claim", "sub.roles"), []string{"the claim sub is no object"}},
		{"roles in place of the subject", append(signArgs, "--key", private, "--role", "a", "--roles-claim", "sub"), []string{"names no claim of its own"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, run(t, "", tt.args...), tt.want...) })
	}
	broken := strings.Replace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hunter2 is the secret")})), "\r", "", 1)
	r := run(t, broken, append(signArgs, "--key", "-")...)
	refused(t, r, "cannot be read")
	if strings.Contains(r.err.Error(), "hunter2") {
		t.Errorf("the error shows the key: %v", r.err)
	}
	refused(t, run(t, strings.Replace(broken, "PRIVATE", "ENCRYPTED PRIVATE", 2), append(signArgs, "--key", "-")...), "encrypted")
}

func TestATokenCanBeExpired(t *testing.T) {
	private := filepath.Join(t.TempDir(), "key.pem")
	mustRun(t, "token", "keygen", "--out", private)
	token := strings.TrimSpace(mustRun(t, append(signArgs, "--key", private, "--expires", "-5m")...).stdout)
	claims := golangjwt.MapClaims{}
	if _, _, err := golangjwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || time.Until(expires.Time) > -4*time.Minute {
		t.Errorf("exp %v, %v", expires, err)
	}
	if issued, err := claims.GetIssuedAt(); err != nil || !issued.Before(expires.Time) {
		t.Errorf("iat %v is not before exp %v", issued, expires)
	}
}

func TestKeygenOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem")
	mustRun(t, "token", "keygen", "--out", private, "--public", public)
	before, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, run(t, "", "token", "keygen", "--out", private), "exists")
	refused(t, run(t, "", "token", "keygen", "--out", filepath.Join(dir, "new.pem"), "--public", public), "exists")
	refused(t, run(t, "", "token", "keygen", "--out", filepath.Join(dir, "new.pem"), "--public", filepath.Join(dir, "new.pem")), "exists")
	refused(t, run(t, "", "token", "keygen"), "--out is needed")
	refused(t, run(t, "", "token", "keygen", "--out", filepath.Join(dir, "new.pem"), "--algorithm", "HS256"), `"HS256" is none of`)
	if after, err := os.ReadFile(private); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the private key was changed, or %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.pem")); err == nil {
		t.Error("a private key without its public key was left behind")
	}
}
