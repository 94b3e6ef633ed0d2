package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// verdict is what the gateway says to a token: a status, and a reason.
func verdict(t *testing.T, g *gatetest.Gate, token string) string {
	t.Helper()
	resp := g.Do(t, "GET", "/", append(bearer(token), "X-Forwarded-For", address)...)
	if resp.Status == 503 && (resp.Header.Get("Retry-After") != "5" || resp.Header["Www-Authenticate"] != nil) {
		t.Errorf("503 with %v", resp.Header)
	}
	if resp.Status == 401 && !strings.Contains(resp.Header.Get("Www-Authenticate"), `error="invalid_token"`) {
		t.Errorf("401 with %v", resp.Header)
	}
	return strings.TrimSpace(fmt.Sprint(resp.Status, " ", resp.Header.Get("X-Test-Reason")))
}

const (
	passes  = "200"
	revoked = "401 auth.token_revoked"
	unknown = "503 auth.revocations_unavailable"
)

// becomes waits for a verdict.
func becomes(t *testing.T, g *gatetest.Gate, token, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if got = verdict(t, g, token); got == want {
			return
		}
	}
	t.Fatalf("it is %s, and does not become %s", got, want)
}

func is(t *testing.T, g *gatetest.Gate, what, token, want string) {
	t.Helper()
	if got := verdict(t, g, token); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// withRevocation is a Caddyfile of a site whose tokens can be revoked.
func withRevocation(dir, options, more string) string {
	return strings.Replace(site(dir, blockA+blockB+more+"\n\t\tfailures off\n\t\trevocation {\n\t\t\t"+options+"\n\t\t}"), "\troute {", "\troute {\n\t\thealth\n\t\tmetrics /metrics", 1)
}

func TestTokensAreRevokedByAFile(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	list := filepath.Join(dir, "revoked.json")
	if err := os.WriteFile(list, []byte(`{"revocations": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, withRevocation(dir, "file DIR/revoked.json", blockKey))
	claims := func(change map[string]any) string { return token(keyA, issuerA, change) }
	one, other := claims(map[string]any{"jti": "1"}), claims(map[string]any{"jti": "2"})
	session, bob := claims(map[string]any{"sid": "s"}), claims(map[string]any{"sub": "bob"})
	byB := token(keyB, issuerB, map[string]any{"jti": "1", "sid": "s", "sub": "bob"})
	all := map[string]string{"one": one, "other": other, "session": session, "bob": bob, "B's": byB}
	expect := func(what string, refused ...string) {
		t.Helper()
		for name, token := range all {
			want := passes
			for _, r := range refused {
				if name == r {
					want = revoked
				}
			}
			is(t, g, what+": "+name, token, want)
		}
	}
	expect("nothing is revoked") // and all are remembered
	mustRun(t, "revoke", "add", "--file", list, "--issuer", issuerA, "--jti", "1", "--until", "1h", "--reason", "lost")
	becomes(t, g, one, revoked)
	expect("a jti", "one")
	mustRun(t, "revoke", "add", "--file", list, "--issuer", issuerA, "--sid", "s")
	mustRun(t, "revoke", "add", "--file", list, "--issuer", issuerA, "--sub", "bob")
	becomes(t, g, session, revoked)
	becomes(t, g, bob, revoked)
	expect("a session and a subject", "one", "session", "bob")

	good, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{"empty": "", "half": string(good[:len(good)/2]), "a wrong record": `{"revocations": [{"jti": "1"}]}`} {
		before := failuresOf(t, g, "file "+list)
		if err := os.WriteFile(list, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is read", func() bool { return failuresOf(t, g, "file "+list) > before })
		expect(name, "one", "session", "bob")
		if err := g.Reload(t, withRevocation(dir, "file DIR/revoked.json", blockKey)); err == nil || !strings.Contains(err.Error(), "revoked.json") {
			t.Errorf("%s: a reload with it: %v", name, err)
		}
		expect(name+", after a rejected reload", "one", "session", "bob")
	}
	if err := os.WriteFile(list, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t, withRevocation(dir, "file DIR/revoked.json", blockKey)); err != nil {
		t.Fatal(err)
	}
	expect("after a reload", "one", "session", "bob")
	mustRun(t, "revoke", "remove", "--file", list, "--issuer", issuerA, "--sub", "bob")
	becomes(t, g, bob, passes)
	mustRun(t, "revoke", "add", "--file", list, "--issuer", issuerA, "--issued-before", time.Now().Add(time.Minute).Format(time.RFC3339))
	becomes(t, g, bob, revoked)
	expect("all of an issuer", "one", "other", "session", "bob")
	is(t, g, "one that says nothing of when", claims(map[string]any{"iat": nil, "sub": "dora"}), revoked)
	mustRun(t, "revoke", "add", "--file", list, "--issuer", "*", "--issued-before", time.Now().Add(time.Minute).Format(time.RFC3339))
	becomes(t, g, byB, revoked)
	if resp := g.Do(t, "GET", "/", "X-Api-Key", key, "X-Forwarded-For", address); resp.Status != 200 {
		t.Errorf("an API key: %d", resp.Status)
	}
	metrics := g.Do(t, "GET", "/metrics", "X-Forwarded-For", address).Body
	for _, want := range []string{`sallyport_revocations{kind="jti",source="file ` + list + `"} 1`, `reason="auth.token_revoked"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, secret := range []string{one, "alice", "bob"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("metrics show %s", secret)
		}
	}
}

func failuresOf(t *testing.T, g *gatetest.Gate, source string) string {
	t.Helper()
	_, rest, _ := strings.Cut(g.Do(t, "GET", "/metrics", "X-Forwarded-For", address).Body, `sallyport_revocations_failures_total{source="`+source+`"} `)
	number, _, _ := strings.Cut(rest, "\n")
	return fmt.Sprintf("%012s", number)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happens: %s", what)
		}
	}
}

// J9, S11: a signature can be written in two ways, and a revoked token stays revoked.
func TestAnotherSignatureOfARevokedTokenIsRevoked(t *testing.T) {
	dir, _, _ := files(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "revoked.json")
	for name, content := range map[string][]byte{"a.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "revoked.json": []byte(`{"revocations": []}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := gatetest.Run(t, withRevocation(dir, "file DIR/revoked.json", ""))
	claims, err := json.Marshal(map[string]any{"iss": issuerA, "aud": "api", "sub": "alice", "jti": "1", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"ES256"}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	with := func(s *big.Int) string {
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return text + "." + b64(signature)
	}
	one, other := with(s), with(new(big.Int).Sub(elliptic.P256().Params().N, s))
	is(t, g, "the token", one, passes)
	is(t, g, "its other signature", other, passes)
	if r := run(t, one, "revoke", "add", "--file", list, "--token", "-"); r.err != nil {
		t.Fatal(r.err)
	}
	becomes(t, g, one, revoked)
	is(t, g, "the other signature of a revoked token", other, revoked)
}

func TestTokensAreRevokedByTheStore(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	r := storetest.Start(t)
	globals := strings.TrimSuffix(gatetest.Globals, "}\n") + "\tsallyport {\n\t\tstore redis {\n\t\t\taddress " + r.Addr + "\n\t\t\ttimeout 2s\n\t\t}\n\t}\n}\n"
	conf := filepath.Join(dir, "store.Caddyfile")
	if err := os.WriteFile(conf, []byte("{\n\tsallyport {\n\t\tstore redis {\n\t\t\taddress "+r.Addr+"\n\t\t}\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	caddyfile := globals + withRevocation(dir, "store\n\t\t\tmax_age 5s", "")
	one, other := token(keyA, issuerA, map[string]any{"jti": "1"}), token(keyA, issuerA, map[string]any{"jti": "2", "sub": "bob"})
	revoke := func(t *testing.T, args ...string) {
		t.Helper()
		mustRun(t, append([]string{"revoke", "add", "--config", conf, "--adapter", "caddyfile", "--issuer", issuerA}, args...)...)
	}
	r.Kill()
	g := gatetest.Run(t, caddyfile)
	is(t, g, "before the list was read", one, unknown)
	if got := g.Do(t, "GET", "/readyz", "X-Forwarded-For", address).Status; got != 503 {
		t.Errorf("before the list was read: /readyz says %d", got)
	}
	r.Launch(t)
	becomes(t, g, one, passes)
	if got := g.Do(t, "GET", "/readyz", "X-Forwarded-For", address).Status; got != 200 {
		t.Errorf("/readyz says %d", got)
	}
	revoke(t, "--jti", "1")
	becomes(t, g, one, revoked)
	is(t, g, "another", other, passes)

	// A reload, and one that is rejected, keep what is known and ask no one again.
	if err := g.Reload(t, caddyfile+"http://127.0.0.1:0 {\n}\n"); err != nil {
		t.Fatal(err)
	}
	is(t, g, "after a reload", one, revoked)
	is(t, g, "another after a reload", other, passes)
	if err := g.Reload(t, caddyfile+"http://127.0.0.1:0 {\n\tallowlist {\n\t\tdeny file /missing\n\t}\n}\n"); err == nil {
		t.Fatal("it is not rejected")
	}
	is(t, g, "after a rejected reload", one, revoked)
	is(t, g, "another after a rejected reload", other, passes)

	// The store loses everything: what was known stays, and it gets it back.
	r.Command(t, "FLUSHALL")
	eventually(t, "the store has it again", func() bool { return strings.Contains(r.Command(t, "KEYS", "*"), "revocations}:entries") })
	is(t, g, "after FLUSHALL", one, revoked)

	r.Kill()
	is(t, g, "the store is away", one, revoked)
	becomes(t, g, other, unknown)
	is(t, g, "away for long, and known", one, revoked)
	if err := g.Reload(t, caddyfile); err != nil {
		t.Fatal(err)
	}
	is(t, g, "a reload meanwhile", one, revoked)
	is(t, g, "a reload meanwhile, another", other, unknown)
	if got := g.Do(t, "GET", "/readyz", "X-Forwarded-For", address).Status; got != 200 {
		t.Errorf("the store is away: /readyz says %d", got)
	}
	r.Launch(t) // with an empty memory
	becomes(t, g, other, passes)
	is(t, g, "the store is back", one, revoked)
	revoke(t, "--sub", "bob")
	becomes(t, g, other, revoked)
	eventually(t, "the new server has both", func() bool {
		list := mustRun(t, "revoke", "list", "--config", conf, "--adapter", "caddyfile", "--json").stdout
		return strings.Count(list, `"kind"`) == 2
	})
	mustRun(t, "revoke", "remove", "--config", conf, "--adapter", "caddyfile", "--issuer", issuerA, "--sub", "bob")
	becomes(t, g, other, passes)
	is(t, g, "not taken off", one, revoked)
	if dump := r.Command(t, "HGETALL", "{sallyport:revocations}:entries"); strings.Contains(dump, "bob") || strings.Contains(dump, issuerA) {
		t.Errorf("the store has names: %s", dump)
	}
}

// What a balancer says can be revoked as tokens can, where it lives for hours.
func TestAssertionsAreRevoked(t *testing.T) {
	s := newSigners(t)
	list := filepath.Join(t.TempDir(), "revoked.json")
	records := `{"revocations": [
		{"issuer": "https://cloud.google.com/iap", "sub": "accounts.google.com:1234"},
		{"issuer": "https://team.cloudflareaccess.com", "sub": "e367.access"},
		{"issuer": "https://team.cloudflareaccess.com", "issued_before": "` + time.Now().Add(-time.Hour).Format(time.RFC3339) + `"}
	]}`
	if err := os.WriteFile(list, []byte(records), 0o600); err != nil {
		t.Fatal(err)
	}
	const google, cloudflare = "X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion"
	service := map[string]any{"sub": "", "common_name": "e367.access", "email": nil}
	for _, m := range []struct {
		vendor, block string
		tests         []said
	}{
		{"gcp_alb", "gcp_iap {\n audience " + googleAudience + "\n jwks " + s.URL + "/google\n}", []said{
			{"a user", google, s.googleSays(nil), 401, "auth.token_revoked", ""},
			{"another user", google, s.googleSays(map[string]any{"sub": "x", "email": nil}), 204, "", "x https://cloud.google.com/iap gcp_iap"},
		}},
		{"cloudflare", "cloudflare_access team {\n audience " + accessTag + "\n jwks " + s.URL + "/cloudflare\n}", []said{
			{"a service", cloudflare, s.cloudflareSays(service), 401, "auth.token_revoked", ""},
			{"an old one", cloudflare, s.cloudflareSays(map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix()}), 401, "auth.token_revoked", ""},
			{"a new one", cloudflare, s.cloudflareSays(map[string]any{"sub": "x", "email": nil}), 204, "", "x https://team.cloudflareaccess.com cloudflare_access"},
		}},
	} {
		g := gatetest.Run(t, behindELB(m.vendor, "127.0.0.1/32")+told("", m.block+"\nrevocation {\n file "+list+"\n}"))
		got := seen(g)
		for i := range m.tests {
			m.tests[i].run(t, g, got, m.vendor)
		}
	}
}

func TestRevocationIsRefusedWhereItWouldDoNothing(t *testing.T) {
	dir, _, _ := files(t)
	if err := os.WriteFile(filepath.Join(dir, "revoked.json"), []byte(`{"revocations": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, site(dir, blockA))
	for name, test := range map[string]struct{ caddyfile, want string }{
		"the store is this process's memory": {withRevocation(dir, "store", ""), "store redis"},
		"no tokens":                          {strings.Replace(withRevocation(dir, "file DIR/revoked.json", blockKey), strings.ReplaceAll(blockA+blockB, "DIR", dir), "", 1), "no tokens"},
		"a missing file":                     {withRevocation(dir, "file DIR/missing.json", ""), "missing.json"},
	} {
		if err := g.Reload(t, test.caddyfile); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		is(t, g, name, token(keyA, issuerA, nil), passes)
	}
}

func TestAssertionsOfBalancersAreRevoked(t *testing.T) {
	s := newSigners(t)
	dir := t.TempDir()
	list := filepath.Join(dir, "revoked.json")
	for _, r := range [][2]string{{"https://idp.example", "alice"}, {"https://cloud.google.com/iap", "accounts.google.com:1234"}, {"https://team.cloudflareaccess.com", "7335d417-61da-459d-899c-0a01c76a2f94"}} {
		mustRun(t, "revoke", "add", "--file", list, "--issuer", r[0], "--sub", r[1])
	}
	const google, access = "https://cloud.google.com/iap gcp_iap", "https://team.cloudflareaccess.com cloudflare_access"
	for _, vendor := range []struct {
		name, block string
		tests       []said
	}{
		{"aws_alb", "aws_alb_oidc " + albARN + " {\n client c1\n keys " + s.URL + "/keys\n}", []said{
			{"a user who was revoked", "X-Amzn-Oidc-Data", s.albSays(nil), 401, "auth.token_revoked", ""},
			{"one of that name elsewhere", "X-Amzn-Oidc-Data", s.albSays(map[string]any{"iss": "https://other.example"}), 204, "", "alice https://other.example aws_alb_oidc  alice@example.com"},
		}},
		{"gcp_alb", "gcp_iap {\n audience " + googleAudience + "\n jwks " + s.URL + "/google\n}", []said{
			{"a user who was revoked", "X-Goog-Iap-Jwt-Assertion", s.googleSays(nil), 401, "auth.token_revoked", ""},
			{"another", "X-Goog-Iap-Jwt-Assertion", s.googleSays(map[string]any{"sub": "accounts.google.com:5"}), 204, "", "accounts.google.com:5 " + google + "  alice@example.com"},
		}},
		{"cloudflare", "cloudflare_access team {\n audience " + accessTag + "\n jwks " + s.URL + "/cloudflare\n}", []said{
			{"a user who was revoked", "Cf-Access-Jwt-Assertion", s.cloudflareSays(nil), 401, "auth.token_revoked", ""},
			{"another", "Cf-Access-Jwt-Assertion", s.cloudflareSays(map[string]any{"sub": "5"}), 204, "", "5 " + access + "  alice@example.com"},
		}},
	} {
		g := gatetest.Run(t, behindELB(vendor.name, "127.0.0.1/32")+told(dir, vendor.block+"\nrevocation {\n file DIR/revoked.json\n}"))
		got := seen(g)
		for _, test := range vendor.tests {
			test.name = vendor.name + ", " + test.name
			test.run(t, g, got, vendor.name)
		}

	}
}
