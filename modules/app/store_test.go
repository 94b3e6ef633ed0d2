package app_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"

	_ "github.com/sallyport-gateway/sallyport/modules/health"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
	_ "github.com/sallyport-gateway/sallyport/modules/storage"
)

func init() {
	caddy.RegisterModule(new(claimer))
	httpcaddyfile.RegisterHandlerDirective("test_claim", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(claimer), nil
	})
}

// claimer claims the path of the request and answers what came of it.
type claimer struct{ store store.Store }

func (*claimer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_claim", New: func() caddy.Module { return new(claimer) }}
}

func (c *claimer) Provision(ctx caddy.Context) error {
	config, err := suite.Of(ctx)
	if err == nil {
		c.store = config.Store()
	}
	return err
}

func (c *claimer) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	answer := "again"
	first, err := c.store.Claim(r.Context(), r.URL.Path, time.Hour)
	switch {
	case err != nil:
		answer = "error: " + err.Error()
	case first:
		answer = "first"
	}
	_, err = io.WriteString(w, answer)
	return err
}

// globalsWith are the global options with further lines.
func globalsWith(lines ...string) string {
	return strings.TrimSuffix(gatetest.Globals, "}\n") + "\t" + strings.Join(lines, "\n\t") + "\n}\n"
}

func redisGlobals(addr string) string {
	return globalsWith("sallyport {", "store redis {", "address "+addr, "timeout 20s", "}", "}")
}

const claimSite = "{$ADDR} {\n\troute {\n\t\thealth\n\t\ttest_claim\n\t}\n}\n"

func answers(t *testing.T, g *gatetest.Gate, path, want string) {
	t.Helper()
	if got := g.Do(t, "GET", path).Body; got != want {
		t.Errorf("%s: %s, want %s", path, got, want)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// connections is how many the gateway has to a server.
func connections(t *testing.T, r *storetest.Server) int {
	t.Helper()
	return strings.Count(r.Command(t, "CLIENT", "LIST"), "name=sallyport")
}

func TestClaimsSurviveReloadsAcceptedAndRejected(t *testing.T) {
	r, other := storetest.Start(t), storetest.Start(t)
	for name, globals := range map[string]string{
		"in memory":        gatetest.Globals,
		"in memory, named": globalsWith("sallyport {", "store memory", "}"),
		"in redis":         redisGlobals(r.Addr),
	} {
		t.Run(name, func(t *testing.T) {
			begin := "/" + strings.ReplaceAll(name, " ", "-")
			g := gatetest.Run(t, globals+claimSite)
			answers(t, g, begin+"/1", "first")
			answers(t, g, begin+"/1", "again")
			for range 2 {
				if err := g.Reload(t, globals+claimSite+"http://127.0.0.1:0 {\n}\n"); err != nil {
					t.Fatal(err)
				}
				answers(t, g, begin+"/1", "again")
			}
			answers(t, g, begin+"/2", "first")

			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			for reason, rejected := range map[string]string{
				"a guard's file is missing":    globals + claimSite + "http://127.0.0.1:0 {\n\tallowlist {\n\t\tdeny file /missing\n\t}\n}\n",
				"the store's file is missing":  redisGlobals("redis://:{file./missing}@"+other.Addr) + claimSite,
				"it has another store, and as": redisGlobals(other.Addr) + claimSite + "http://127.0.0.1:0 {\n\tallowlist {\n\t\tdeny file /missing\n\t}\n}\n",
				"a port is taken":              redisGlobals(other.Addr) + claimSite + "http://" + taken.Addr().String() + " {\n\trespond ok\n}\n",
			} {
				if err := g.Reload(t, rejected); err == nil {
					t.Fatalf("it is not rejected, although %s", reason)
				}
				answers(t, g, begin+"/1", "again")
				answers(t, g, begin+"/2", "again")
			}
			answers(t, g, begin+"/3", "first")
			until(t, "the store of the rejected ones is left alone", func() bool { return connections(t, other) == 0 })
		})
	}
}

func TestAnotherStoreOrPrefixKnowsNothingOfTheClaims(t *testing.T) {
	r := storetest.Start(t)
	g := gatetest.Run(t, claimSite)
	answers(t, g, "/other", "first")
	prefixed := globalsWith("sallyport {", "store redis {", "address "+r.Addr, "timeout 20s", "prefix edge", "}", "}")
	for _, globals := range []string{redisGlobals(r.Addr), prefixed} {
		if err := g.Reload(t, globals+claimSite); err != nil {
			t.Fatal(err)
		}
		answers(t, g, "/other", "first")
		answers(t, g, "/other", "again")
	}
	if names := r.Command(t, "KEYS", "*"); strings.Count(names, "sallyport:claim:") != 1 || strings.Count(names, "edge:claim:") != 1 {
		t.Errorf("its names are %q", names)
	}
}

func TestAStoreThatIsAwayIsNoConditionOfReadiness(t *testing.T) {
	before := goleak.IgnoreCurrent()
	r := storetest.Start(t)
	r.Kill()
	t.Run("gateway", func(t *testing.T) {
		g := gatetest.Run(t, redisGlobals(r.Addr)+claimSite)
		away := func() bool {
			body := g.Do(t, "GET", "/lost").Body
			return strings.HasPrefix(body, "error: the store at "+r.Addr) && !strings.Contains(body, "lost")
		}
		for _, state := range []string{"before it ever answered", "after it was killed"} {
			if !away() {
				t.Errorf("%s: a claim is no error", state)
			}
			if status := g.Do(t, "GET", "/readyz").Status; status != http.StatusOK {
				t.Errorf("%s: not ready: %d", state, status)
			}
			r.Launch(t)
			until(t, "it answers", func() bool { return g.Do(t, "GET", "/back").Body == "first" })
			r.Kill()
			until(t, "it is away", away)
		}
	})
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).watchCtx"))
}

func TestTheStoreIsConnectedAtTheStartAndNotWhileProvisioning(t *testing.T) {
	r := storetest.Start(t)
	before := total(t, r)
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		[]byte(redisGlobals(r.Addr)+strings.ReplaceAll(claimSite, "{$ADDR}", "http://127.0.0.1:0")), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if now := total(t, r); now != before+1 { // that of the question itself
		t.Errorf("%d connections were made", now-before-1)
	}
	gatetest.Run(t, redisGlobals(r.Addr)+claimSite)
	until(t, "it is connected without a request", func() bool { return connections(t, r) == 1 })
}

// total is how many connections the server has had.
func total(t *testing.T, r *storetest.Server) (n int) {
	t.Helper()
	for line := range strings.Lines(r.Command(t, "INFO", "stats")) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "total_connections_received:"); ok {
			if err := json.Unmarshal([]byte(count), &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the server does not say")
	return 0
}

func TestTheStorageAndTheStoreShareAConnectionIfTheirOptionsAreEqual(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout     string
		connections int
	}{
		"equal":             {"timeout 20ms", 1},
		"another timeout":   {"timeout 1s", 2},
		"the other default": {"", 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := storetest.Start(t)
			g := gatetest.Run(t, globalsWith(
				"storage redis {", "address "+r.Addr, "insecure_plaintext", tt.timeout, "}",
				"sallyport {", "store redis {", "address "+r.Addr, "}", "}")+claimSite)
			until(t, "the store is used", func() bool { return g.Do(t, "GET", "/a").Body == "again" })
			storage := caddy.ActiveContext().Storage()
			until(t, "the storage is used", func() bool { return storage.Store(t.Context(), "a", []byte("v")) == nil })
			if n := connections(t, r); n != tt.connections {
				t.Errorf("%d connections, want %d", n, tt.connections)
			}
		})
	}
}

func TestOptionsOfTheStoreOutOfJSONAreCheckedToo(t *testing.T) {
	for options, want := range map[string]string{
		`{"provider":"etcd"}`:                                              `store: provider "etcd" is not memory or redis`,
		`{"address":["redis.internal"]}`:                                   "store: the provider memory has no options",
		`{"provider":"memory","prefix":"p"}`:                               "store: the provider memory has no options",
		`{"provider":"memory","timeout":1000000}`:                          "store: the provider memory has no options",
		`{"provider":"redis"}`:                                             "store: address is missing",
		`{"provider":"redis","address":["a"],"prefix":"a b"}`:              "prefix is not 1 to 64 letters",
		`{"provider":"redis","address":["a"],"timeout":-1}`:                "timeout is not between",
		`{"provider":"redis","address":["a"],"password":"hunter2"}`:        "store: password: write a secret as",
		`{"provider":"redis","address":["redis://:{env.SP_UNSET}@a"]}`:     "store: credentials of the store",
		`{"provider":"redis","address":["rediss://a"],"ca":"/missing"}`:    "store: ca: open /missing",
		`{"provider":"redis","address":["a"],"key":[{"id":"a"}]}`:          `unknown field "key"`,
		`{"provider":"redis","address":["a"],"prefix":"` + long65() + `"}`: "prefix is not 1 to 64 letters",
	} {
		var config caddy.Config
		if err := json.Unmarshal([]byte(`{"admin":{"disabled":true},"apps":{"sallyport":{"store":`+options+`}}}`), &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %s", options, err, want)
		}
	}
}

func long65() string { return strings.Repeat("p", 65) }

func TestThePasswordOfTheStoreIsNotLogged(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_PASSWORD", "hunter2")
	r := storetest.Start(t)
	r.Command(t, "CONFIG", "SET", "requirepass", "hunter2")
	log := t.TempDir() + "/log"
	globals := redisGlobals("redis://:{env.SALLYPORT_TEST_PASSWORD}@" + r.Addr)
	g := gatetest.Run(t, strings.Replace(globals, "output discard", "output file "+log, 1)+claimSite)
	answers(t, g, "/a", "first")
	raw, err := os.ReadFile(log)
	if err != nil || strings.Contains(string(raw), "hunter2") {
		t.Errorf("%v, the log:\n%s", err, raw)
	}
}
