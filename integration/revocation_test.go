package integration

import (
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestATokenThatIsRevokedAtOneGatewayIsRefusedAtAll has two gateways of one store, in
// two processes, and a third that starts when the store has forgotten everything.
func TestATokenThatIsRevokedAtOneGatewayIsRefusedAtAll(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	redis := freeAddr(t)
	kill := startRedis(t, redis)
	store := `
	sallyport {
		store redis {
			address ` + redis + `
			timeout 2s
		}
	}
}
`
	list := write(t, dir, "list.Caddyfile", "{"+store)
	conf := write(t, dir, "Caddyfile", `{
	admin {$ADMIN}
	persist_config off`+store+`
http://{$SITE} {
	auth {
		jwt https://issuer.example {
			audience https://api.example.com
			algorithms ES256
			key_file issuer.pub.pem
		}
		revocation {
			store
			max_age 5s
		}
	}
	respond ok
}
`)
	one, other := tokenFor(t, dir, "alice"), tokenFor(t, dir, "alice") // each has a jti of its own
	gateway := func() (site string) {
		site = freeAddr(t)
		start(t, dir, conf, map[string]string{"SITE": site})
		waitFor(t, "the list", func() bool { return status(t, site, other) == http.StatusOK })
		return site
	}
	a, b := gateway(), gateway()
	revoke := func(token string) {
		cmd := exec.Command(binary, "sallyport", "revoke", "add", "--config", list, "--adapter", "caddyfile", "--token", "-")
		cmd.Stdin = strings.NewReader(token)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("revoke: %v\n%s", err, out)
		}
	}
	expect := func(what string, wanted map[string]int, sites ...string) {
		t.Helper()
		for _, site := range sites {
			for token, want := range wanted {
				waitFor(t, what+": "+strconv.Itoa(want)+" at "+site, func() bool {
					got := status(t, site, token)
					if token == one && got == http.StatusOK && what != "at first" {
						t.Fatalf("%s: a revoked token is allowed at %s", what, site)
					}
					return got == want
				})
			}
		}
	}
	expect("at first", map[string]int{one: 200, other: 200}, a, b)
	revoke(one)
	for _, site := range []string{a, b} {
		waitFor(t, "the revocation at "+site, func() bool { return status(t, site, one) == http.StatusUnauthorized })
	}
	expect("revoked", map[string]int{one: 401, other: 200}, a, b)

	kill()
	expect("the store is away", map[string]int{one: 401, other: 503}, a, b)
	startRedis(t, redis) // it has nothing any more
	expect("the store is back", map[string]int{one: 401, other: 200}, a, b)
	waitFor(t, "what it lost to be given back", func() bool {
		return strings.Contains(caddy(t, dir, "sallyport", "revoke", "list", "--config", list, "--adapter", "caddyfile"), "jti")
	})
	c := gateway()
	expect("a gateway that starts then", map[string]int{one: 401, other: 200}, a, b, c)
}

// status is that of an answer to a token.
func status(t *testing.T, site, token string) int {
	t.Helper()
	return send(t, http.DefaultClient, "GET", "http://"+site+"/", "Authorization", token).status
}

// startRedis starts a server at addr, with nothing in it, and returns once it answers.
// kill ends it; so does the end of the test.
func startRedis(t *testing.T, addr string) (kill func()) {
	t.Helper()
	server := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port(addr), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	server.Dir = t.TempDir()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if !ended {
			ended = true
			server.Process.Kill()
			server.Wait()
		}
	}
	t.Cleanup(kill)
	waitFor(t, "redis", func() bool {
		out, err := exec.Command("redis-cli", "-h", "127.0.0.1", "-p", port(addr), "PING").Output()
		return err == nil && strings.TrimSpace(string(out)) == "PONG"
	})
	return kill
}
