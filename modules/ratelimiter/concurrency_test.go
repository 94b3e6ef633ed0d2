package ratelimiter

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func TestNoMoreThanTheLimitIsEverUnderWay(t *testing.T) {
	u := newUnderWay()
	var now, most, refused atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5000 {
				if !u.enter(hashOf(1), 5, false) {
					refused.Add(1)
					continue
				}
				n := now.Add(1)
				for before := most.Load(); n > before && !most.CompareAndSwap(before, n); before = most.Load() {
				}
				now.Add(-1)
				u.leave(hashOf(1))
			}
		})
	}
	wg.Wait()
	if most.Load() > 5 {
		t.Errorf("%d were under way at once, want at most 5", most.Load())
	}
	for i := range 5 {
		if !u.enter(hashOf(1), 5, false) {
			t.Fatalf("only %d may enter after all have left", i)
		}
	}
	if u.enter(hashOf(1), 5, false) {
		t.Error("a sixth entered")
	}
}

func TestKeysWithoutRequestsTakeNoMemory(t *testing.T) {
	u := newUnderWay()
	for i := range uint64(100_000) {
		u.enter(hashOf(i), 1, false)
		u.enter(hashOf(i), 1, false) // refused
		u.leave(hashOf(i))
	}
	for i := range u.shards {
		if n := len(u.shards[i].counts); n != 0 {
			t.Fatalf("a shard still has %d keys", n)
		}
	}
}

// held is a gate whose backend answers /wait when the test says so, and tells of
// each request that came.
func held(t *testing.T, caddyfile string) (g *gatetest.Gate, came, release chan struct{}) {
	t.Helper()
	came, release = make(chan struct{}, 16), make(chan struct{})
	g = gatetest.Run(t, caddyfile)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			came <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "ok")
	})
	return g, came, release
}

// concurrent is a rate_limiter that lets two requests of a key be under way.
func concurrent(name, key, more string) string {
	return "rate_limiter {\n\t\tconcurrency " + name + " {\n\t\t\tkey " + key + "\n\t\t\tmax 2\n\t\t}\n" + more + "\t}\n"
}

// wait asks for /wait in the background, as client.
func wait(t *testing.T, g *gatetest.Gate, wg *sync.WaitGroup, status *atomic.Int32) {
	wg.Go(func() { status.Store(int32(g.Do(t, "GET", "/wait", "X-Forwarded-For", client).Status)) })
}

func TestAThirdRequestIsRefusedUntilOneHasEnded(t *testing.T) {
	name := nameOf(t)
	g, came, release := held(t, site(concurrent(name, "client_ip", "")))
	var wg sync.WaitGroup
	var status [2]atomic.Int32
	for i := range status {
		wait(t, g, &wg, &status[i])
		<-came
	}
	resp := get(t, g)
	if resp.Status != 429 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(resp.Body, "Too many requests at a time.") {
		t.Errorf("the third: %d %v %s", resp.Status, resp.Header, resp.Body)
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.8"); resp.Status != 200 {
		t.Errorf("another client: %d", resp.Status)
	}
	// A reload forgets nobody who is under way.
	if err := g.Reload(t, site(concurrent(name, "client_ip", ""))); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 429 {
		t.Errorf("the third after a reload: %d", resp.Status)
	}
	if err := g.Reload(t, site(concurrent(name, "client_ip", "\t\tzone x {\n\t\t\trate 1/s\n\t\t}\n"))); err == nil {
		t.Error("a bad configuration is taken")
	}
	if resp := get(t, g); resp.Status != 429 {
		t.Errorf("the third after a rejected reload: %d", resp.Status)
	}
	close(release)
	wg.Wait()
	for i := range status {
		if got := status[i].Load(); got != 200 {
			t.Errorf("request %d: %d", i, got)
		}
	}
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("after both have ended: %d", resp.Status)
	}
}

func TestARequestThatIsRefusedForConcurrencyCostsNothingInZones(t *testing.T) {
	name := nameOf(t)
	g, came, release := held(t, site(concurrent(name, "client_ip", "\t\tzone "+name+" {\n\t\t\tkey client_ip\n\t\t\trate 3/h\n\t\t}\n")))
	var wg sync.WaitGroup
	var status [2]atomic.Int32
	for i := range status {
		wait(t, g, &wg, &status[i])
		<-came
	}
	for range 5 {
		if resp := get(t, g); resp.Status != 429 || resp.Header.Get("RateLimit") != "" {
			t.Fatalf("%d %v", resp.Status, resp.Header)
		}
	}
	close(release)
	wg.Wait()
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("the third of three: %d", resp.Status)
	}
	// And one that a zone refuses is not left under way.
	for range 5 {
		if resp := get(t, g); resp.Status != 429 || !strings.Contains(resp.Body, "Too many requests.") {
			t.Errorf("the fourth of three: %d %s", resp.Status, resp.Body)
		}
	}
}

func TestRequestsThatEndBadlyAreNotLeftUnderWay(t *testing.T) {
	g := gatetest.Run(t, site(concurrent(nameOf(t), "client_ip", "")))
	g.Backend(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for range 5 {
		if resp := get(t, g); resp.Status != 502 {
			t.Fatalf("%d, want 502", resp.Status)
		}
	}
	g.Backend(nil)
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("%d", resp.Status)
	}
}

func TestInADryRunManyAreUnderWay(t *testing.T) {
	g, came, release := held(t, site(concurrent(nameOf(t), "client_ip", "\t\tmode dry_run\n")))
	var wg sync.WaitGroup
	var status [4]atomic.Int32
	for i := range status {
		wait(t, g, &wg, &status[i])
		<-came
	}
	close(release)
	wg.Wait()
	for i := range status {
		if got := status[i].Load(); got != 200 {
			t.Errorf("request %d: %d", i, got)
		}
	}
}

// TestInADryRunARequestHasOneVerdict, and what concurrency would refuse costs
// nothing in the zones, as when it is enforced.
func TestInADryRunARequestHasOneVerdict(t *testing.T) {
	for _, zone := range []string{"", "\t\tzone " + nameOf(t) + "_z {\n\t\t\tkey client_ip\n\t\t\trate 2/h\n\t\t}\n"} {
		g, came, release := held(t, site(concurrent(nameOf(t), "client_ip", zone+"\t\tmode dry_run\n")))
		count := func(verdict string) float64 {
			return metricSum(t, "sallyport_decisions_total", map[string]string{"guard": "rate_limiter", "verdict": verdict})
		}
		allowed, would := count("allow"), count("would_deny")
		var wg sync.WaitGroup
		var status [4]atomic.Int32
		for i := range status {
			wait(t, g, &wg, &status[i])
			<-came
		}
		close(release)
		wg.Wait()
		if a, w := count("allow")-allowed, count("would_deny")-would; a != 2 || w != 2 {
			t.Errorf("zone %q: %g allowed, %g would be denied", zone, a, w)
		}
	}
}

func TestConcurrencyIsDefinedOnce(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(concurrent(name, "client_ip", "")))
	two := strings.Replace(concurrent(name, "client_ip", ""), "max 2", "max 3", 1)
	if err := g.Reload(t, site(concurrent(name, "client_ip", "")+two)); err == nil || !strings.Contains(err.Error(), "defined twice and differently") {
		t.Errorf("got %v", err)
	}
}

func TestTiersHaveTheirOwnLimit(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site("route {\n\ttest_auth\n\tquota {\n\t\tzone "+name+" {\n\t\t\tkey principal\n\t\t\trate 1/h\n\t\t\ttier gold {\n\t\t\t\trate 3/h\n\t\t\t}\n\t\t}\n\t\tzone "+
		name+"2 {\n\t\t\tkey principal\n\t\t\tlimit 2/month\n\t\t\ttier gold {\n\t\t\t\tlimit 5/month\n\t\t\t}\n\t\t}\n\t}\n\treverse_proxy {$BACKEND}\n\t}\n"))
	tests := []struct {
		name, caller, policy string
		admitted             int
	}{
		{"a caller without a tier", "jwt,a,ada", `"` + name + `";q=1;w=3600, "` + name + `2";q=2`, 1},
		{"a caller of a tier that the zone has", "jwt,a,bob,gold", `"` + name + `";q=3;w=3600, "` + name + `2";q=5`, 3},
		{"a caller of another tier", "jwt,a,eve,bronze", `"` + name + `";q=1;w=3600, "` + name + `2";q=2`, 1},
		{"nobody", "", `"` + name + `";q=1;w=3600, "` + name + `2";q=2`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 5 {
				resp := get(t, g, "Test-Principal", tt.caller)
				if want := map[bool]int{true: 200, false: 429}[i < tt.admitted]; resp.Status != want {
					t.Fatalf("request %d: %d, want %d", i, resp.Status, want)
				}
				if got := resp.Header.Get("RateLimit-Policy"); got != tt.policy {
					t.Errorf("request %d: policy %s, want %s", i, got, tt.policy)
				}
			}
		})
	}
}

func BenchmarkConcurrency(b *testing.B) {
	u := newUnderWay()
	b.ReportAllocs()
	for b.Loop() {
		u.enter(hashOf(1), 5, false)
		u.leave(hashOf(1))
	}
}

func TestARequestThatOneConcurrencyRefusesIsNotUnderWayInAnother(t *testing.T) {
	wide, tight := newUnderWay(), newUnderWay()
	sources := key{sources: []source{{kind: fromClientIP}}, ipv4: 32, ipv6: 64}
	l := &limiter{crowds: []crowd{{underWay: wide, max: 10, key: sources}, {underWay: tight, max: 1, key: sources}}}
	req := &guard.Request{Client: netip.MustParseAddr(client)}
	first, full := l.enter(nil, req, false)
	if full != nil {
		t.Fatal("the first is refused")
	}
	for range 50 {
		if _, full := l.enter(nil, req, false); full != &l.crowds[1] {
			t.Fatalf("refused by %v, want the tight one", full)
		}
	}
	l.leave(&first)
	if n := len(wide.shards[first.hashes[0]>>(64-shardBits)].counts); n != 0 {
		t.Errorf("%d keys are under way in the wide one", n)
	}
}

func TestAZoneThatChangesBetweenLimitAndRateBeginsAnew(t *testing.T) {
	zone := func(limit string) string {
		return site("rate_limiter {\n\t\tzone " + nameOf(t) + " {\n\t\t\tkey client_ip\n\t\t\t" + limit + "\n\t\t}\n\t}\n")
	}
	g := gatetest.Run(t, zone("limit 1/month"))
	if first, second := get(t, g).Status, get(t, g).Status; first != 200 || second != 429 {
		t.Fatalf("%d, %d", first, second)
	}
	if err := g.Reload(t, zone("rate 5/h")); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 200 {
		t.Errorf("by the rate: %d", resp.Status)
	}
}
