package integration

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestAServiceTakesNothingThatDidNotComeThroughTheGateway has a gateway and a service
// behind a Caddy of its own, in two processes, and somebody between them who sees
// every assertion and can reach the service.
func TestAServiceTakesNothingThatDidNotComeThroughTheGateway(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	service, front, health := freeAddr(t), freeAddr(t), freeAddr(t)
	var mu sync.Mutex
	var seen []string
	between := serve(t, func() http.Handler {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: service})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen = append(seen, r.Header.Get("Sallyport-Assertion"))
			mu.Unlock()
			r.Host = service
			proxy.ServeHTTP(w, r)
		})
	}())
	last := func() string {
		mu.Lock()
		defer mu.Unlock()
		if len(seen) == 0 {
			return ""
		}
		return seen[len(seen)-1]
	}

	gate := write(t, dir, "gateway.Caddyfile", fmt.Sprintf(`{
	admin {$ADMIN}
	persist_config off
	servers :%[1]s {
		trusted_proxies elb hops {
			from 127.0.0.1/32
			hops 1
		}
		trusted_proxies_strict
	}
}
http://%[2]s {
	health
}
http://%[3]s {
	auth {
		jwt https://issuer.example {
			audience https://api.example.com
			algorithms ES256
			key_file issuer.pub.pem
			roles_claim roles
		}
	}
	handle /elsewhere/* {
		reverse_proxy %[4]s {
			transport sallyport {
				assertion {
					audience billing
				}
			}
		}
	}
	reverse_proxy %[4]s {
		transport sallyport {
			assertion {
				audience orders
			}
		}
	}
}
`, port(front), health, front, between))
	start(t, dir, gate, nil)
	waitFor(t, "the gateway's keys", func() bool { return get("http://"+health+"/.well-known/sallyport/jwks.json") == nil })

	guarded := write(t, dir, "service.Caddyfile", fmt.Sprintf(`{
	admin {$ADMIN}
	persist_config off
}
http://%s {
	verify_gateway {
		audience orders
		jwks http://%s/.well-known/sallyport/jwks.json
		rule read {
			methods GET
			path /orders /orders/*
			require role reader
		}
		rule write {
			methods POST
			path /orders
			require role writer
		}
	}
	respond "hello {http.auth.user.id}"
}
`, service, health))
	verifier := start(t, dir, guarded, nil)
	reader := tokenFor(t, dir, "ada", "--role", "reader")
	through := func(method, target, token string) answer {
		return send(t, http.DefaultClient, method, "http://"+front+target, "X-Forwarded-For", "198.51.100.1", "Authorization", token)
	}
	waitFor(t, "the service to have the gateway's keys", func() bool { return through("GET", "/orders/0", reader).status == 200 })

	if got := through("GET", "/orders/7?page=2", reader); got.status != 200 || got.body != "hello ada" {
		t.Fatalf("through the gateway: %d %s", got.status, got.body)
	}
	used := last()
	if got := through("POST", "/orders", reader); got.status != 403 {
		t.Errorf("a reader writes: %d", got.status)
	}
	if got := through("GET", "/elsewhere/orders", reader); got.status != 401 {
		t.Errorf("an assertion for another service: %d", got.status)
	}
	if got := through("GET", "/orders/7", "Bearer x"); got.status != 401 {
		t.Errorf("without a credential at the gateway: %d", got.status)
	}
	past := func(method, target string, header ...string) int {
		return send(t, http.DefaultClient, method, "http://"+service+target, header...).status
	}
	for name, got := range map[string]int{
		"no assertion":                     past("GET", "/orders/7"),
		"a replay":                         past("GET", "/orders/7?page=2", "Sallyport-Assertion", used),
		"another path":                     past("GET", "/orders/8", "Sallyport-Assertion", used),
		"another query":                    past("GET", "/orders/7?page=3", "Sallyport-Assertion", used),
		"another method":                   past("DELETE", "/orders/7?page=2", "Sallyport-Assertion", used),
		"a changed signature":              past("GET", "/orders/7?page=2", "Sallyport-Assertion", used[:len(used)-4]+"AAAA"),
		"no signature":                     past("GET", "/orders/7?page=2", "Sallyport-Assertion", used[:strings.LastIndexByte(used, '.')+1]),
		"an assertion in another spelling": past("GET", "/orders/7?page=2", "Sallyport_Assertion", used),
		"a client's own token":             past("GET", "/orders/7?page=2", "Sallyport-Assertion", strings.TrimPrefix(reader, "Bearer ")),
	} {
		if got != 401 {
			t.Errorf("past the gateway with %s: %d, want 401", name, got)
		}
	}
	if got := verifier.metric(t, `sallyport_decisions_total{guard="verify_gateway",reason="verify_gateway.replay",site="127.0.0.1",verdict="deny"}`); got != 1 {
		t.Errorf("%v replays counted, want 1", got)
	}
	if strings.Contains(verifier.log.String(), used) {
		t.Error("the service logs an assertion")
	}
}
