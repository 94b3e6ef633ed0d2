package auth_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	guesser   = "198.51.100.1"
	bystander = "198.51.100.2"
)

// ask sends one request and returns its status and reason.
func ask(t *testing.T, g *gatetest.Gate, client string, header ...string) (int, string) {
	t.Helper()
	resp := g.Do(t, "GET", "/", append([]string{"X-Forwarded-For", client}, header...)...)
	return resp.Status, resp.Header.Get("X-Test-Reason")
}

func expect(t *testing.T, g *gatetest.Gate, what, client string, header []string, status int, reason string) {
	t.Helper()
	if got, why := ask(t, g, client, header...); got != status || why != reason {
		t.Errorf("%s: got %d %s, want %d %s", what, got, why, status, reason)
	}
}

func TestAGuesserIsStoppedAndItsNeighboursGoOn(t *testing.T) {
	dir, key, revoked := files(t)
	other, _, err := apikey.Create(dir+"/keys.json", []byte("a pepper of enough bytes"), apikey.Record{Owner: "other"})
	if err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, site(dir, blockA+blockKey+"\nfailures 1/h burst 3"))
	a, forged := bearer(token(keyA, issuerA, nil)), bearer(token(keyB, issuerA, nil))
	fresh := bearer(token(keyA, issuerA, map[string]any{"jti": "fresh"}))
	expect(t, g, "a token is seen", guesser, a, 200, "")
	expect(t, g, "a key is seen", guesser, []string{"X-Api-Key", key}, 200, "")
	for range 10 {
		expect(t, g, "nothing is no failure", guesser, nil, 401, "auth.no_credential")
		expect(t, g, "two credentials are none", guesser, append(forged, "X-Api-Key", key), 400, "auth.several_credentials")
		expect(t, g, "an expired token is none", guesser, bearer(token(keyA, issuerA, map[string]any{"exp": 1})), 401, "auth.token_expired")
	}
	expect(t, g, "a guess", guesser, forged, 401, "auth.token_signature")
	expect(t, g, "a guess", guesser, bearer("junk"), 401, "auth.token_malformed")
	expect(t, g, "a guess", guesser, []string{"X-Api-Key", revoked}, 401, "auth.key_revoked")

	resp := g.Do(t, "GET", "/", append(bearer("junk"), "X-Forwarded-For", guesser)...)
	wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.Status != 429 || wait < 3500 || wait > 3600 || resp.Header["Www-Authenticate"] != nil ||
		resp.Header.Get("X-Test-Reason") != "auth.too_many_failures" || !strings.Contains(resp.Body, "too many failed attempts") {
		t.Errorf("a guess too many: got %d %v %s", resp.Status, resp.Header, resp.Body)
	}
	expect(t, g, "a token that was not seen", guesser, fresh, 429, "auth.too_many_failures")
	expect(t, g, "a key that was not seen", guesser, []string{"X-Api-Key", other}, 429, "auth.too_many_failures")
	expect(t, g, "the token that was seen", guesser, a, 200, "")
	expect(t, g, "the key that was seen", guesser, []string{"X-Api-Key", key}, 200, "")
	expect(t, g, "nothing", guesser, nil, 401, "auth.no_credential")
	expect(t, g, "somebody else", bystander, fresh, 200, "")
	expect(t, g, "seen meanwhile by somebody else", guesser, fresh, 200, "")

	t.Run("a key that was seen is judged all the same", func(t *testing.T) {
		if _, err := apikey.Revoke(dir+"/keys.json", strings.Split(key, "_")[1]); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
			if status, reason := ask(t, g, bystander, "X-Api-Key", key); status == 401 && reason == "auth.key_revoked" {
				break
			}
		}
		expect(t, g, "revoked", guesser, []string{"X-Api-Key", key}, 401, "auth.key_revoked")
	})
}

func TestFailuresAreNoneOfThese(t *testing.T) {
	dir, key, _ := files(t)
	i := newIssuer(t)
	i.says(500, "")
	down := strings.Replace(blockJWKS(i), "https://a.example", "https://down.example", 1)
	t.Run("failures of ours", func(t *testing.T) {
		g := gatetest.Run(t, site(dir, blockA+down+"\nfailures 1/h burst 1"))
		for range 5 {
			expect(t, g, "no keys", guesser, bearer(token(keyA, "https://down.example", nil)), 503, "auth.keys_unavailable")
		}
		expect(t, g, "a guess", guesser, bearer("junk"), 401, "auth.token_malformed")
		expect(t, g, "beyond the limit", guesser, bearer(token(keyA, "https://down.example", nil)), 429, "auth.too_many_failures")
	})
	t.Run("off", func(t *testing.T) {
		g := gatetest.Run(t, site(dir, blockA+"\nfailures off"))
		for range 200 {
			expect(t, g, "a guess", guesser, bearer("junk"), 401, "auth.token_malformed")
		}
	})
	t.Run("by default there are 120 of them", func(t *testing.T) {
		g := gatetest.Run(t, site(dir, blockA))
		n := 0
		for range 1000 {
			if status, _ := ask(t, g, guesser, bearer("junk")...); status == 429 {
				break
			}
			n++
		}
		if n < 120 || n == 1000 {
			t.Errorf("refused after %d", n)
		}
	})
	t.Run("dry_run blocks nobody", func(t *testing.T) {
		g := gatetest.Run(t, site(dir, blockA+blockKey+"\nfailures 1/h burst 1\nmode dry_run"))
		for range 5 {
			expect(t, g, "a guess", guesser, bearer("junk"), 200, "")
			expect(t, g, "a good key", guesser, []string{"X-Api-Key", key}, 200, "")
		}
		resp := g.Do(t, "GET", "/", append(bearer("junk"), "X-Forwarded-For", guesser)...)
		if resp.Header["Retry-After"] != nil {
			t.Error("callers see the trial")
		}
	})
}

func TestFailuresSurviveReloads(t *testing.T) {
	dir, key, _ := files(t)
	config := site(dir, blockA+blockKey+"\nfailures 1/h burst 2")
	g := gatetest.Run(t, config)
	fresh := bearer(token(keyA, issuerA, nil))
	expect(t, g, "a key is seen", guesser, []string{"X-Api-Key", key}, 200, "")
	for range 2 {
		expect(t, g, "a guess", guesser, bearer("junk"), 401, "auth.token_malformed")
	}
	expect(t, g, "beyond the limit", guesser, fresh, 429, "auth.too_many_failures")
	if err := g.Reload(t, config); err != nil {
		t.Fatal(err)
	}
	expect(t, g, "after a reload", guesser, fresh, 429, "auth.too_many_failures")
	expect(t, g, "what was seen, after a reload", guesser, []string{"X-Api-Key", key}, 200, "")
	if err := g.Reload(t, strings.Replace(config, "DIR", dir, -1)+"\nhttp://127.0.0.1:1 {\n\tauth {\n\t\tjwt https://x.example {\n\t\t\taudience a\n\t\t\tkey_file /nowhere.pem\n\t\t}\n\t}\n}\n"); err == nil {
		t.Fatal("the reload is not rejected")
	}
	expect(t, g, "after a rejected reload", guesser, fresh, 429, "auth.too_many_failures")
	if err := g.Reload(t, strings.Replace(config, "1/h burst 2", "off", 1)); err != nil {
		t.Fatal(err)
	}
	expect(t, g, "off", guesser, fresh, 200, "")
}

// A site's failures are its own, whatever address they come from.
func TestFailuresAreCountedBySite(t *testing.T) {
	dir, _, _ := files(t)
	auth := strings.ReplaceAll("auth {"+blockA+"\n\t\tfailures 1/h burst 1\n\t}\n", "DIR", dir)
	g := gatetest.Run(t, "http://a.example:{$PORT} {\n\troute {\n\t\ttest_caller\n\t\t"+auth+"\t\trespond ok\n\t}\n}\nhttp://b.example:{$PORT} {\n\troute {\n\t\ttest_caller\n\t\t"+auth+"\t\trespond ok\n\t}\n}\n")
	expect(t, g, "a guess", guesser, append(bearer("junk"), "Host", "a.example"), 401, "auth.token_malformed")
	expect(t, g, "one more", guesser, append(bearer("junk"), "Host", "a.example"), 429, "auth.too_many_failures")
	expect(t, g, "at another site", guesser, append(bearer("junk"), "Host", "b.example"), 401, "auth.token_malformed")
}
