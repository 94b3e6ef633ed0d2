package ratelimiter

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dunglas/httpsfv"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

func init() {
	caddy.RegisterModule(testAuth{})
	httpcaddyfile.RegisterHandlerDirective("test_auth", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return testAuth{}, nil
	})
}

// testAuth stands in for auth: the caller is whom "Test-Principal: method,issuer,id"
// names, of the tier behind that.
type testAuth struct{}

func (testAuth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_auth", New: func() caddy.Module { return new(testAuth) }}
}

func (testAuth) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (testAuth) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if header := r.Header.Get("Test-Principal"); header != "" {
		parts := append(strings.SplitN(header, ",", 4), "")
		guard.From(r).Principal = &principal.Principal{Method: parts[0], Issuer: parts[1], ID: parts[2], Tier: parts[3]}
	}
	return next.ServeHTTP(w, r)
}

// site is a site with these directives in front of the backend.
func site(directives string) string {
	return "{$ADDR} {\n" + directives + "\n\treverse_proxy {$BACKEND}\n}\n"
}

// limited is a rate_limiter with one zone that gives each key one request an hour.
func limited(name, key string) string {
	return "rate_limiter {\n\t\tzone " + name + " {\n\t\t\tkey " + key + "\n\t\t\trate 1/h\n\t\t}\n\t}\n"
}

// nameOf is a name that no other test uses: buckets belong to names.
func nameOf(t *testing.T) string {
	return strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "."), "#", "-")[:min(64, len(t.Name()))]
}

const client = "192.0.2.7"

// get asks for / as client.
func get(t *testing.T, g *gatetest.Gate, header ...string) *gatetest.Response {
	t.Helper()
	return g.Do(t, "GET", "/", append(header, "X-Forwarded-For", client)...)
}

// fields parses the RateLimit fields of a response, and fails if they do not
// conform to the draft.
func fields(t *testing.T, resp *gatetest.Response) (policies, limits map[string]map[string]int64) {
	t.Helper()
	policies = parseList(t, resp.Header["Ratelimit-Policy"], "q", "w")
	limits = parseList(t, resp.Header["Ratelimit"], "r", "t")
	retry := int64(-1)
	if values := resp.Header["Retry-After"]; len(values) > 0 {
		n, err := strconv.ParseUint(values[0], 10, 32)
		if err != nil || len(values) > 1 || n == 0 {
			t.Fatalf("Retry-After: %q", values)
		}
		retry = int64(n)
	}
	for name, limit := range limits {
		policy, ok := policies[name]
		if !ok {
			t.Errorf("no policy of %s", name)
			continue
		}
		if policy["w"] < 1 || limit["r"] > policy["q"] {
			t.Errorf("%s: policy %v, limit %v", name, policy, limit)
		}
		// Section 6: the ratio of r to t does not exceed the rate.
		if limit["r"]*policy["w"] > policy["q"]*limit["t"] {
			t.Errorf("%s: policy %v, limit %v: r in t is faster than q in w", name, policy, limit)
		}
		if retry >= 0 && retry < limit["t"] {
			t.Errorf("%s: Retry-After %d before the end of the effective window %d", name, retry, limit["t"])
		}
	}
	return policies, limits
}

func parseList(t *testing.T, lines []string, params ...string) map[string]map[string]int64 {
	t.Helper()
	if len(lines) != 1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		t.Fatalf("%q: %v", lines[0], err)
	}
	items := make(map[string]map[string]int64)
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			t.Fatalf("%q has a member that is no Item", lines[0])
		}
		name, ok := item.Value.(string)
		if _, twice := items[name]; !ok || twice {
			t.Fatalf("%q names %v, or names it twice", lines[0], item.Value)
		}
		items[name] = make(map[string]int64)
		for _, param := range params {
			value, _ := item.Params.Get(param)
			n, ok := value.(int64)
			if !ok || n < 0 {
				t.Fatalf("%q: %s is %v", lines[0], param, value)
			}
			items[name][param] = n
		}
		if names := item.Params.Names(); !slices.Equal(names, params) {
			t.Errorf("%q: parameters %v", lines[0], names)
		}
	}
	return items
}

// metricSum adds up the counters of a family that have these labels.
func metricSum(t *testing.T, family string, labels map[string]string) (sum float64) {
	t.Helper()
	active := caddy.ActiveContext()
	families, err := active.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, m := range f.GetMetric() {
			matching := 0
			for _, l := range m.GetLabel() {
				if value, ok := labels[l.GetName()]; ok && value == l.GetValue() {
					matching++
				}
			}
			if matching == len(labels) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestAClientThatCallsTooOftenIsRefused(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(`rate_limiter {
		zone `+name+` {
			key client_ip
			rate 60/h
			burst 3
		}
	}`))
	for want := int64(2); want >= 0; want-- {
		resp := get(t, g)
		policies, limits := fields(t, resp)
		if resp.Status != 200 || resp.Header["Retry-After"] != nil {
			t.Fatalf("got %d, Retry-After %q", resp.Status, resp.Header["Retry-After"])
		}
		if policies[name]["q"] != 3 || policies[name]["w"] != 180 {
			t.Errorf("policy %v", policies)
		}
		if limits[name]["r"] != want {
			t.Errorf("%d left, want %d", limits[name]["r"], want)
		}
	}
	resp := get(t, g)
	if resp.Status != 429 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d, %s", resp.Status, resp.Body)
	}
	if !strings.Contains(resp.Body, `"title":"Too many requests."`) || strings.Contains(resp.Body, name) {
		t.Errorf("body %s", resp.Body)
	}
	_, limits := fields(t, resp)
	if limit := limits[name]; limit["r"] != 0 || limit["t"] < 55 || limit["t"] > 60 {
		t.Errorf("limit %v of a refusal", limit)
	}
	if retry := resp.Header.Get("Retry-After"); retry != strconv.FormatInt(limits[name]["t"], 10) {
		t.Errorf("Retry-After %s, t %d", retry, limits[name]["t"])
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.8"); resp.Status != 200 {
		t.Errorf("another client got %d", resp.Status)
	}
}

func TestZonesAreDecidedTogether(t *testing.T) {
	g := gatetest.Run(t, site(`rate_limiter {
		zone together.wide {
			key client_ip
			rate 100/h
		}
		zone together.tighter {
			key header X-Tenant
			rate 10/d
			burst 2
		}
		zone together.tight {
			key header X-Tenant
			rate 2/h
		}
	}`))
	for range 2 {
		if resp := get(t, g); resp.Status != 200 {
			t.Fatalf("got %d", resp.Status)
		}
	}
	for range 10 {
		resp := get(t, g)
		policies, limits := fields(t, resp)
		if resp.Status != 429 {
			t.Fatalf("got %d", resp.Status)
		}
		if len(policies) != 3 {
			t.Errorf("policies %v", policies)
		}
		if _, wide := limits["together.wide"]; wide || len(limits) != 2 {
			t.Errorf("a refusal names %v", limits)
		}
		// The longest of the waits, a tenth of a day.
		if retry := resp.Header.Get("Retry-After"); retry != strconv.FormatInt(limits["together.tighter"]["t"], 10) {
			t.Errorf("Retry-After %s of %v", retry, limits)
		}
	}
	resp := get(t, g, "X-Tenant", "other")
	_, limits := fields(t, resp)
	if resp.Status != 200 || limits["together.wide"]["r"] != 97 {
		t.Errorf("got %d; refused requests counted: %v", resp.Status, limits)
	}
}

func TestBothGuardsShareTheFields(t *testing.T) {
	g := gatetest.Run(t, site(`rate_limiter {
		zone share.client {
			key client_ip
			rate 10000/h
		}
	}
	quota {
		zone share.consumer {
			key principal
			rate 60/h
			burst 1
		}
	}`))
	resp := get(t, g)
	policies, limits := fields(t, resp)
	if resp.Status != 200 || len(policies) != 2 || len(limits) != 2 || limits["share.client"]["r"] != 9999 || limits["share.consumer"]["r"] != 0 {
		t.Errorf("got %d, %v, %v", resp.Status, policies, limits)
	}
	resp = get(t, g)
	policies, limits = fields(t, resp)
	if resp.Status != 429 || len(policies) != 2 {
		t.Errorf("got %d, %v", resp.Status, policies)
	}
	// The client has hours to spread its other limit over: that is no reason to
	// come back later.
	if _, ok := limits["share.client"]; ok || len(limits) != 1 {
		t.Errorf("the quota's refusal names %v", limits)
	}
}

func TestABackendsFieldsAreDropped(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(strings.Replace(limited(name, "client_ip"), "1/h", "60/h", 1)+`
	quota {
		zone `+name+`.quota {
			key principal
			rate 60/h
		}
	}`))
	for _, status := range []int{200, 404, 503} {
		g.Backend(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("RateLimit", `limit=100, remaining=50, reset=5`)
			w.Header().Add("RateLimit-Policy", `100;w=60`)
			w.Header().Add("RateLimit-Policy", `"`+name+`";q=1;w=1`)
			w.Header().Set("X-RateLimit-Remaining", "7")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(status)
		})
		resp := get(t, g)
		policies, limits := fields(t, resp)
		if resp.Status != status || len(policies) != 2 || len(limits) != 2 || policies[name]["q"] != 60 {
			t.Errorf("got %d, %v, %v", resp.Status, policies, limits)
		}
		if resp.Header.Get("X-RateLimit-Remaining") != "7" {
			t.Error("a field that is not ours was dropped")
		}
	}
}

func TestALaterRefusalHasTheFields(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, "{$ADDR} {\n"+strings.Replace(limited(name, "client_ip"), "1/h", "60/h", 1)+"\terror 401\n}\n")
	resp := get(t, g)
	_, limits := fields(t, resp)
	if resp.Status != 401 || limits[name]["r"] != 59 {
		t.Errorf("got %d, %v", resp.Status, limits)
	}
}

func TestADirectiveOutsideCanRemoveTheFields(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site("header {\n\t\tdefer\n\t\t-RateLimit\n\t\t-RateLimit-Policy\n\t}\n\t"+limited(name, "client_ip")))
	resp := get(t, g)
	if resp.Status != 200 || resp.Header["Ratelimit"] != nil || resp.Header["Ratelimit-Policy"] != nil {
		t.Errorf("got %d, %v", resp.Status, resp.Header)
	}
}

func TestFieldsThatAreReplacedInPlaceAreNotShared(t *testing.T) {
	name := nameOf(t)
	limiter := strings.Replace(limited(name, "client_ip"), "1/h", "60/h", 1)
	g := gatetest.Run(t, site("@tampered header X-Tamper yes\n\theader @tampered >RateLimit-Policy w= v=\n\t"+limiter))
	if resp := get(t, g, "X-Tamper", "yes"); !strings.Contains(resp.Header.Get("RateLimit-Policy"), ";v=") {
		t.Fatalf("the header directive did not replace: %q", resp.Header.Get("RateLimit-Policy"))
	}
	fields(t, get(t, g))
}

func TestDryRunRefusesNobodyAndShowsNothing(t *testing.T) {
	name := nameOf(t)
	dry := strings.Replace(limited(name, "client_ip"), "\t\tzone", "\t\tmode dry_run\n\t\tzone", 1)
	g := gatetest.Run(t, site(dry))
	count := func(verdict string) float64 {
		return metricSum(t, "sallyport_decisions_total", map[string]string{"guard": "rate_limiter", "verdict": verdict})
	}
	allowed, would, denied := count("allow"), count("would_deny"), count("deny")
	for range 3 {
		resp := get(t, g)
		if resp.Status != 200 {
			t.Errorf("got %d", resp.Status)
		}
		for _, field := range []string{"Ratelimit", "Ratelimit-Policy", "Retry-After"} {
			if resp.Header[field] != nil {
				t.Errorf("%s: %s", field, resp.Header.Get(field))
			}
		}
	}
	if a, w, d := count("allow")-allowed, count("would_deny")-would, count("deny")-denied; a != 1 || w != 2 || d != 0 {
		t.Errorf("%g allowed, %g would be denied, %g denied", a, w, d)
	}
	// The trial charged the zone as enforcing it would have.
	if err := g.Reload(t, site(limited(name, "client_ip"))); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, g); resp.Status != 429 {
		t.Errorf("got %d after the trial, want 429", resp.Status)
	}
}

func TestAMatcherLimitsTheGuard(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(strings.Replace(limited(name, "client_ip"), "rate_limiter", "rate_limiter /login", 1)))
	for _, tt := range []struct {
		target string
		status int
	}{{"/", 200}, {"/", 200}, {"/login", 200}, {"/login", 429}, {"/%6cogin", 429}, {"/", 200}} {
		resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", client)
		if resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.target, resp.Status, tt.status)
		}
		if limited := resp.Header["Ratelimit"] != nil; limited != (tt.target != "/") {
			t.Errorf("%s: RateLimit %v", tt.target, limited)
		}
	}
}

func TestSitesShareAZone(t *testing.T) {
	name := nameOf(t)
	block := limited(name, "client_ip")
	g := gatetest.Run(t, "http://a.example:{$PORT} {\n"+block+"\trespond a\n}\nhttp://b.example:{$PORT} {\n"+block+"\trespond b\n}\n")
	if resp := get(t, g, "Host", "a.example"); resp.Status != 200 {
		t.Fatalf("got %d", resp.Status)
	}
	if resp := get(t, g, "Host", "b.example"); resp.Status != 429 {
		t.Errorf("the other site got %d, want 429", resp.Status)
	}
}

func TestAFullZoneIsCounted(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(`rate_limiter {
		zone `+name+` {
			key header X-Tenant
			rate 1/h
			burst 2
			max_keys 2048
		}
	}`))
	count := func() float64 {
		return metricSum(t, "sallyport_zone_full_total", map[string]string{"zone": name})
	}
	newcomer := 0
	ask := func() int {
		newcomer++
		return get(t, g, "X-Tenant", strconv.Itoa(newcomer)).Status
	}
	if got := ask(); got != 200 || count() != 0 {
		t.Errorf("an empty zone: got %d, counted %g", got, count())
	}
	// The table fills behind the handler's back: each key once, then each until
	// it is refused.
	leased, err := tables.Take(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := mustLimit(t, "1/h", 2, minKeys)
	for n := range uint64(6 * minKeys) {
		take(leased.Value(), l, hashOf(n), at(monotonic()))
	}
	if got := ask(); count() != 1 {
		t.Errorf("a full zone: got %d, counted %g, want 1", got, count())
	}
	for n := range uint64(20 * minKeys) {
		take(leased.Value(), l, hashOf(n), at(monotonic()))
	}
	if err := leased.Release(); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 429 || count() != 2 {
		t.Errorf("a zone that is used up: got %d, counted %g, want 429 and 2", got, count())
	}
}

func TestTablesAreLockedInOneOrder(t *testing.T) {
	a, b, c := newTable(), newTable(), newTable()
	for _, tables := range [][]*table{{a, b, c}, {c, b, a}, {b, c, a}} {
		var zones []zone
		for _, table := range tables {
			zones = append(zones, zone{table: table})
		}
		lockOrder(zones)
		if zones[0].table != a || zones[1].table != b || zones[2].table != c {
			t.Errorf("%d, %d, %d", zones[0].table.id, zones[1].table.id, zones[2].table.id)
		}
	}
}
