package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
)

// provider is an issuer over TLS, with metadata, whose certificate is in ca.pem.
type provider struct {
	*httptest.Server
	requests atomic.Int64
	issuer   atomic.Pointer[string] // in the metadata
}

func newProvider(t *testing.T, dir string) *provider {
	t.Helper()
	p := new(provider)
	issuer := issuerA
	p.issuer.Store(&issuer)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		switch r.URL.Path {
		case "/metadata":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, *p.issuer.Load(), "https://"+r.Host+"/keys")
		case "/keys":
			io.WriteString(w, jwksA)
		}
	}))
	t.Cleanup(p.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *provider) block(option string) string {
	return strings.Replace(blockA, "key_file DIR/a.pem", option, 1)
}

func TestKeysAreDiscoveredOverATrustPoolOfItsOwn(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	p := newProvider(t, dir)
	header := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	g := gatetest.Run(t, site(dir, p.block("discovery "+p.URL+"/metadata {\n trust_pool file DIR/ca.pem\n }")))
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}

	// The same place without the pool is another source, which trusts nobody here.
	if err := g.Reload(t, site(dir, p.block("discovery "+p.URL+"/metadata"))); err != nil {
		t.Fatal(err)
	}
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 503 || resp.Header.Get("X-Test-Reason") != "auth.keys_unavailable" {
		t.Errorf("without the pool: got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestMetadataOfAnotherIssuerAreRefused(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	p := newProvider(t, dir)
	other := issuerA + "/"
	p.issuer.Store(&other)
	g := gatetest.Run(t, site(dir, p.block("discovery "+p.URL+"/metadata {\n trust_pool file DIR/ca.pem\n }")))
	header := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 503 {
		t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

// The first request waits for the first fetch instead of being refused.
func TestARequestWaitsForTheFirstKeySet(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	asked, answer := make(chan struct{}, 16), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
		io.WriteString(w, jwksA)
	})
	i.answer.Store(&slow)
	g := gatetest.Run(t, site(dir, blockJWKS(i)))
	<-asked
	go func() { close(answer) }()
	if resp := g.Do(t, "GET", "/", append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)...); resp.Status != 200 {
		t.Errorf("got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
}

func TestTrustPoolsAreChecked(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	p := newProvider(t, dir)
	for name, content := range map[string]string{"junk.pem": "junk", "empty.pem": "", "key.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := gatetest.Run(t, site(dir, blockA))
	for file, want := range map[string]string{"missing.pem": "no such file", "junk.pem": "PEM", "empty.pem": "PEM", "key.pem": "no certificate", "": "not a regular file"} {
		err := g.Reload(t, site(dir, p.block("jwks "+p.URL+"/keys {\n trust_pool file DIR/ca.pem DIR/"+file+"\n }")))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir+"/"+file) {
			t.Errorf("%q: got %v, want %q", file, err, want)
		}
	}
}

// A gateway that starts while the issuer is down has the keys of the one before.
func TestAStartInAnOutageHasTheLastGoodKeys(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	own := "{\n\tstorage file_system " + filepath.Join(dir, "storage") + strings.TrimPrefix(gatetest.Globals, "{")
	header := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	g := gatetest.Run(t, own+site(dir, blockJWKS(i)))
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	i.says(500, "")
	if err := g.Reload(t, own+site(dir, blockJWKS(i))); err != nil { // nothing of the first run is left
		t.Fatal(err)
	}
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Errorf("in the outage: got %d %s", resp.Status, resp.Header.Get("X-Test-Reason"))
	}
	if state := jwks.States(time.Now()); len(state) != 1 || !state[0].Stored {
		t.Errorf("got %+v", state)
	}
}

// G9 for sources of keys, with every other configuration rejected.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	noLeaks(t)
	dir, _, _ := files(t)
	i := newIssuer(t)
	const reloads = 50
	good := site(dir, blockJWKS(i))
	bad := site(dir, strings.Replace(blockJWKS(i), "jwks "+i.URL, "jwks "+i.URL+" {\n max_stale 1h\n }", 1)+"\n jwt https://c.example {\n audience c\n key_file DIR/missing.pem\n }")
	g := gatetest.Run(t, good)
	header := append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)
	if resp := g.Do(t, "GET", "/", header...); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	fetches, before := i.fetches.Load(), runtime.NumGoroutine()
	for range reloads {
		if err := g.Reload(t, bad); err == nil {
			t.Fatal("accepted")
		}
		if err := g.Reload(t, good); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.fetches.Load() - fetches; n != 0 {
		t.Errorf("%d reloads fetched %d times", 2*reloads, n)
	}
	if states := jwks.States(time.Now()); len(states) != 1 {
		t.Errorf("%d sources are open", len(states))
	}
	if after := runtime.NumGoroutine(); after > before+reloads/2 {
		t.Errorf("%d goroutines, %d before the reloads", after, before)
	}
}

// run runs `caddy sallyport <words>`.
func sallyport(t *testing.T, words ...string) (string, error) {
	t.Helper()
	for _, cmd := range command.All() {
		if cmd.Name() != words[0] {
			continue
		}
		var out bytes.Buffer
		cmd.SetArgs(words[1:])
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.Execute()
		return out.String(), err
	}
	t.Fatalf("no command %s", words[0])
	return "", nil
}

func TestTheCommandShowsEverySourceOfKeys(t *testing.T) {
	dir, _, _ := files(t)
	p := newProvider(t, dir)
	i := newIssuer(t)
	i.says(200, strings.Replace(jwksA, `"kid":"a"`, `"kid":"a\u001b[2J","use":"sig","alg":"EdDSA"`, 1))
	admin := filepath.Join(dir, "admin.sock")
	globals := strings.Replace(gatetest.Globals, "admin off", "admin unix/"+admin, 1)
	down := strings.Replace(blockB, "key_file DIR/b.pem", "jwks "+i.URL+"/keys?a=b", 1)
	g := gatetest.Run(t, globals+site(dir, p.block("discovery "+p.URL+"/metadata {\n trust_pool file DIR/ca.pem\n }")+down+
		"\n jwt https://c.example {\n audience c\n key_file DIR/a.pem\n }"))
	until(t, g, append(bearer(token(keyA, issuerA, nil)), "X-Forwarded-For", address)...)
	until(t, g, append(bearer(token(keyB, issuerB, nil)), "X-Forwarded-For", address)...)

	text, err := sallyport(t, "jwks", "--address", "unix/"+admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{p.URL + "/metadata", "discovery", issuerA, p.URL + "/keys", i.URL + "/keys?a=b", `"a\x1b[2J"`, "OKP, Ed25519, alg EdDSA, use sig", filepath.Join(dir, "a.pem"), "stale", "next fetch"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if strings.ContainsRune(text, '\x1b') {
		t.Error("an issuer writes to the terminal")
	}
	text, err = sallyport(t, "jwks", "--address", "unix/"+admin, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Sources []jwks.State }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range answer.Sources {
		kinds = append(kinds, s.Kind+" "+s.State)
	}
	if got := strings.Join(kinds, ", "); got != "discovery ok, file ok, jwks ok" {
		t.Errorf("got %s", got)
	}

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialUnix(admin)}}
	resp, err := client.Post("http://127.0.0.1/sallyport/jwks", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", resp.StatusCode)
	}
	if _, err := sallyport(t, "jwks", "--address", "unix/"+filepath.Join(dir, "nobody.sock")); err == nil {
		t.Error("nobody answered")
	}
	if err := g.Reload(t, site(dir, blockA)); err != nil { // ends the admin endpoint
		t.Fatal(err)
	}
}

func dialUnix(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}
