package ratelimiter

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// rejected are configurations that a running gateway rejects, and where: each
// has the zone of the running one as well.
func rejected(name string) map[string]string {
	block := limited(name, "client_ip")
	return map[string]string{
		"before its zones are provisioned": "http://127.0.0.1:{$PORT} {\n" + block + "\treverse_proxy {$BACKEND} {\n\t\thealth_uri :bad\n\t}\n}\n",
		"between two of its guards": site(block) + "http://second.example:{$PORT} {\n" +
			strings.Replace(block, "1/h", "2/h", 1) + "}\n",
		"when it binds": "http://127.0.0.1:{$PORT} {\n\tbind 203.0.113.1\n" + block + "}\n",
	}
}

func TestBucketsOutliveReloads(t *testing.T) {
	name := nameOf(t)
	config := site(limited(name, "client_ip"))
	g := gatetest.Run(t, config)
	if resp := get(t, g); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	exhausted := func(when string) {
		t.Helper()
		if resp := get(t, g); resp.Status != 429 {
			t.Errorf("%s: got %d, want 429", when, resp.Status)
		}
	}
	exhausted("at first")
	for range 2 {
		if err := g.Reload(t, config); err != nil {
			t.Fatal(err)
		}
		exhausted("after a reload")
	}
	for when, bad := range rejected(name) {
		// Twice: a Cleanup that releases what it did not take would have freed
		// the zone of the running configuration by the second.
		for range 2 {
			if err := g.Reload(t, bad); err == nil {
				t.Fatalf("%s: not rejected", when)
			}
			exhausted("rejected " + when)
		}
		if err := g.Reload(t, config); err != nil {
			t.Fatal(err)
		}
		exhausted("rejected " + when + ", then reloaded")
	}
	if err := g.Reload(t, site(limited(name+".other", "client_ip"))); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("a zone of another name: got %d, want 200", resp.Status)
	}
	if err := g.Reload(t, config); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("a zone that no configuration had was kept: got %d", resp.Status)
	}
}

func TestARejectedReloadDoesNotLoosenALimit(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(limited(name, "client_ip")))
	if resp := get(t, g); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	loose := "http://127.0.0.1:{$PORT} {\n\tbind 203.0.113.1\n" + strings.Replace(limited(name, "client_ip"), "1/h", "1000/s", 1) + "}\n"
	for range 2 {
		if err := g.Reload(t, loose); err == nil {
			t.Fatal("not rejected")
		}
		resp := get(t, g)
		policies, _ := fields(t, resp)
		if resp.Status != 429 || policies[name]["w"] != 3600 {
			t.Errorf("got %d, %v", resp.Status, policies)
		}
	}
}

func TestAReloadChangesTheRateAndKeepsTheBuckets(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(limited(name, "client_ip")))
	if resp := get(t, g); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	// A bucket of ten that comes back in ten hours: one hour of it is used.
	wider := strings.Replace(limited(name, "client_ip"), "rate 1/h", "rate 1/h\n\t\t\tburst 10", 1)
	if err := g.Reload(t, site(wider)); err != nil {
		t.Fatal(err)
	}
	resp := get(t, g)
	policies, limits := fields(t, resp)
	if resp.Status != 200 || policies[name]["q"] != 10 || limits[name]["r"] != 8 {
		t.Errorf("got %d, %v, %v", resp.Status, policies, limits)
	}
	// And a narrower one counts as empty, not as shut for two hours.
	narrower := strings.Replace(limited(name, "client_ip"), "1/h", "1/m", 1)
	if err := g.Reload(t, site(narrower)); err != nil {
		t.Fatal(err)
	}
	resp = get(t, g)
	_, limits = fields(t, resp)
	if resp.Status != 429 || limits[name]["t"] > 60 {
		t.Errorf("got %d, %v", resp.Status, limits)
	}
}

func TestStoppingFreesTheBuckets(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(limited(name, "client_ip")))
	// Stopping waits for connections that are kept.
	if resp := get(t, g, "Connection", "close"); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t, site(limited(name, "client_ip"))); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("got %d, want 200: the zone was not freed", resp.Status)
	}
}

func TestOneNameIsOneZone(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	first := limited("one", "client_ip")
	quota := "quota {\n\t\tzone one {\n\t\t\tkey principal\n\t\t\trate 1/h\n\t\t}\n\t}\n"
	for name, second := range map[string]string{
		"another rate":    strings.Replace(first, "1/h", "2/h", 1),
		"another key":     strings.Replace(first, "client_ip", "header X-Tenant", 1),
		"another burst":   strings.Replace(first, "1/h", "1/h\n\t\t\tburst 2", 1),
		"another bound":   strings.Replace(first, "1/h", "1/h\n\t\t\tmax_keys 5000", 1),
		"another prefix":  strings.Replace(first, "1/h", "1/h\n\t\t\tipv6_prefix 56", 1),
		"the other guard": quota,
	} {
		err := g.Reload(t, site(first)+"http://second.example:{$PORT} {\n"+second+"}\n")
		if err == nil || !strings.Contains(err.Error(), "zone one is defined twice and differently") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
