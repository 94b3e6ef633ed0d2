package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func init() {
	caddy.RegisterModule(new(caller))
	httpcaddyfile.RegisterHandlerDirective("test_caller", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(caller), nil
	})
}

// caller stands in for auth: the principal is what the request says, as JSON.
// It shows the reason of a refusal, which callers are not told.
type caller struct{}

func (*caller) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_caller", New: func() caddy.Module { return new(caller) }}
}

func (*caller) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if text := r.Header.Get("X-Test-Caller"); text != "" {
		p := new(principal.Principal)
		if err := json.Unmarshal([]byte(text), p); err != nil {
			return err
		}
		guard.From(r).Principal = p
	}
	err := next.ServeHTTP(w, r)
	var refusal *decision.Refusal
	if errors.As(err, &refusal) {
		w.Header().Set("X-Test-Reason", refusal.Reason.Code)
	}
	return err
}

const address = "192.0.2.7"

// rules wraps access_rules in a site whose callers are what they say.
func rules(block string) string {
	return "{$ADDR} {\n\troute {\n\t\ttest_caller\n\t\taccess_rules {\n" + block + "\n\t\t}\n\t\treverse_proxy {$BACKEND}\n\t}\n}\n"
}

const shopRules = `
	rule write {
		methods POST PUT DELETE
		path /orders/*
		require scope orders:write orders:admin
		require scope orders
	}
	rule read {
		methods GET
		path /orders/*
		require scope orders
	}
	rule admin {
		path /admin/*
		require role admin owner
		require claim mfa true
		require issuer https://issuer.example
		require tier gold
		require method jwt
	}
	rule own {
		path /users/*
		require expression "request.path.startsWith('/users/' + principal.id + '/')"
		require expression "principal.claims.mfa == true"
	}
	rule legacy {
		path /admin/legacy/*
		deny
	}
	rule tenant {
		host *.tenant.example
		require role tenant
	}
`

const (
	holder = `{"Method":"jwt","Scopes":["orders"]}`
	keyed  = `{"Method":"api_key","Scopes":["orders"]}`
	alice  = `{"Method":"jwt","ID":"alice","Claims":{"mfa":true}}`
	writer = `{"Method":"jwt","Scopes":["orders","orders:write"]}`
	admin  = `{"Method":"jwt","Roles":["admin"],"Claims":{"mfa":true},"Issuer":"https://issuer.example","Tier":"gold"}`
)

func TestAdaptAccessRules(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/access_rules_*.caddyfiletest")
}

func TestAccessRules(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules))
	tests := []struct {
		name, method, target, caller, reason string // no reason: allowed
		header                               []string
	}{
		{"a caller with the scope", "GET", "/orders/1", holder, "", nil},
		{"a caller with both lines of scopes", "POST", "/orders/1", writer, "", nil},
		{"a caller with one of two lines", "POST", "/orders/1", holder, "access.scope", nil},
		{"nobody known", "GET", "/orders/1", "", "access.no_principal", nil},
		{"a path no rule names", "GET", "/", admin, "access.not_allowed", nil},
		{"a method no rule names", "PATCH", "/orders/1", writer, "access.not_allowed", nil},
		{"HEAD instead of GET", "HEAD", "/orders/1", admin, "access.scope", nil},
		{"HEAD of who may GET", "HEAD", "/orders/1", holder, "", nil},

		{"everything the admin rule asks for", "GET", "/admin/users", admin, "", nil},
		{"no role", "GET", "/admin/users", strings.Replace(admin, `"admin"`, `"user,admin"`, 1), "access.role", nil},
		{"another claim", "GET", "/admin/users", strings.Replace(admin, "true", `false`, 1), "access.claim", nil},
		{"the claim inside another one", "GET", "/admin/users", strings.Replace(admin, "true", `{"mfa":true}`, 1), "access.claim", nil},
		{"another issuer that begins alike", "GET", "/admin/users", strings.Replace(admin, "issuer.example", "issuer.example.evil", 1), "access.issuer", nil},
		{"another tier", "GET", "/admin/users", strings.Replace(admin, `"gold"`, `"silver"`, 1), "access.tier", nil},
		{"another way to authenticate", "GET", "/admin/users", strings.Replace(admin, `"jwt"`, `"api_key"`, 1), "access.method", nil},
		{"everything the expressions ask for", "GET", "/users/alice/orders", alice, "", nil},
		{"an expression about the request is false", "GET", "/users/bob/orders", alice, "access.expression", nil},
		{"the path of a caller whose name begins alike", "GET", "/users/alice2/orders", alice, "access.expression", nil},
		{"an expression about the caller is false", "GET", "/users/alice/orders", strings.Replace(alice, "true", "false", 1), "access.expression", nil},
		{"an expression cannot be evaluated", "GET", "/users/alice/orders", strings.Replace(alice, "mfa", "amr", 1), "access.expression", nil},
		{"an expression about nobody known", "GET", "/users/alice/orders", "", "access.no_principal", nil},
		{"deny wins", "GET", "/admin/legacy/x", admin, "access.denied", nil},

		{"another case", "POST", "/ORDERS/1", holder, "access.scope", nil},
		{"a trailing slash", "POST", "/orders/", holder, "access.scope", nil},
		{"an encoded letter", "GET", "/%61dmin/users", holder, "access.role", nil},
		{"an encoded letter in a denied path", "GET", "/admin/leg%61cy", admin, "access.denied", nil},
		{"a longer name is another path", "GET", "/orders2", holder, "access.not_allowed", nil},
		{"two slashes", "GET", "/admin//legacy", admin, "request.path_empty_segment", nil},
		{"dot segments", "GET", "/orders/../admin/users", holder, "request.path_dot_segment", nil},
		{"encoded dot segments", "GET", "/orders/%2e%2e/admin", holder, "request.path_dot_segment", nil},
		{"an encoded slash", "GET", "/orders%2f1", holder, "request.path_slash", nil},
		{"a backslash", "GET", `/admin\legacy`, admin, "request.path_slash", nil},
		{"a path parameter", "GET", "/admin;x=1/legacy", admin, "request.path_parameter", nil},
		{"double encoding", "GET", "/admin/%256cegacy", admin, "request.path_encoding", nil},
		{"a query is no path", "GET", "/orders/1?/admin", holder, "", nil},
		{"an override of the method", "GET", "/orders/1", holder, "request.method_override", []string{"X-HTTP-Method-Override", "DELETE"}},
		{"another path in a header", "GET", "/orders/1", holder, "", []string{"X-Original-URL", "/admin/legacy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := append([]string{"X-Forwarded-For", address, "X-Test-Caller", tt.caller}, tt.header...)
			resp := g.Do(t, tt.method, tt.target, header...)
			want := http.StatusForbidden
			switch {
			case tt.reason == "":
				want = http.StatusOK
			case strings.HasPrefix(tt.reason, "request."):
				want = http.StatusBadRequest // by the front, which has no caller to show a reason to
			}
			if got := resp.Header.Get("X-Test-Reason"); resp.Status != want || want == 403 && got != tt.reason {
				t.Errorf("got %d %s, want %d %s", resp.Status, got, want, tt.reason)
			}
		})
	}
}

// Expressions are about the request that the guards see, not what Go or a backend
// makes of it.
func TestExpressionsSeeTheCanonicalRequest(t *testing.T) {
	g := gatetest.Run(t, rules(`
	rule office {
		path /office/*
		require expression "cidr('192.0.2.0/24').containsIP(request.client_ip)"
	}
	rule own {
		path /users/*
		require expression "request.path.startsWith('/users/' + principal.id + '/') && request.method == 'GET'"
	}
	rule here {
		path /here
		require expression "request.host == '127.0.0.1'"
	}`))
	tests := []struct {
		name, target, client string
		status               int
	}{
		{"an address in the network", "/office/x", address, 200},
		{"an address outside of it", "/office/x", "198.51.100.1", 403},
		{"an address in another form", "/office/x", "::ffff:192.0.2.7", 200},
		{"the caller's path", "/users/alice/x", address, 200},
		{"an encoded letter", "/users/%61lice/x", address, 200},
		{"another caller's", "/users/bob/x", address, 403},
		{"another caller's, encoded", "/users/b%6fb/x", address, 403},
		{"a query that looks like the path", "/users/bob/x?/users/alice/", address, 403},
		{"the host is without port", "/here", address, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", tt.client, "X-Test-Caller", alice); resp.Status != tt.status {
				t.Errorf("got %d %s, want %d", resp.Status, resp.Header.Get("X-Test-Reason"), tt.status)
			}
		})
	}
}

func TestRulesAboutHosts(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules))
	_, port, _ := strings.Cut(strings.TrimPrefix(g.URL, "http://"), ":")
	if err := g.Reload(t, strings.Replace(rules(shopRules), "{$ADDR}", "http://:"+port, 1)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, host string
		status     int
	}{
		{"the host of a rule", "a.tenant.example", 403},
		{"in another case, with a port and a dot", "A.Tenant.Example.:8443", 403},
		{"two labels in front", "a.b.tenant.example", 200},
		{"no label in front", "tenant.example", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, "GET", "/orders/1", "X-Forwarded-For", address, "X-Test-Caller", holder, "Host", tt.host)
			if resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestRefusalsTellTheCallerNothing(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules))
	bodies := make(map[string]bool)
	for _, request := range [][3]string{
		{"GET", "/", admin}, {"GET", "/admin/legacy", admin}, {"GET", "/admin/users", holder}, {"POST", "/orders/1", keyed}, {"GET", "/orders/1", ""}, {"GET", "/users/bob/1", alice},
	} {
		resp := g.Do(t, request[0], request[1], "X-Forwarded-For", address, "X-Test-Caller", request[2])
		var problem map[string]any
		if err := json.Unmarshal([]byte(resp.Body), &problem); err != nil || resp.Status != 403 {
			t.Fatalf("%v: %d %s", request, resp.Status, resp.Body)
		}
		delete(problem, "request_id")
		body, err := json.Marshal(problem)
		if err != nil {
			t.Fatal(err)
		}
		bodies[string(body)] = true
		if strings.Contains(resp.Body, "orders") || strings.Contains(resp.Body, "legacy") || strings.Contains(resp.Body, "access.") {
			t.Errorf("the refusal tells about the rules: %s", resp.Body)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("refusals can be told apart: %v", bodies)
	}
}

func TestTheChallengeForAMissingScope(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules))
	tests := []struct{ name, method, target, caller, want string }{
		{"a token's holder is told the scopes of the rule", "POST", "/orders/1", holder, `Bearer error="insufficient_scope", scope="orders:write orders"`},
		{"a key's holder is told nothing", "POST", "/orders/1", keyed, ""},
		{"nobody known is told nothing", "POST", "/orders/1", "", ""},
		{"a missing role is not told", "GET", "/admin/users", holder, ""},
		{"an allowed request gets no challenge", "POST", "/orders/1", writer, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, tt.method, tt.target, "X-Forwarded-For", address, "X-Test-Caller", tt.caller)
			if got := resp.Header.Get("WWW-Authenticate"); got != tt.want {
				t.Errorf("challenge %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDryRunOfAccessRulesLetsPassWithoutAChallenge(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules+"\nmode dry_run\n"))
	for _, request := range [][3]string{{"POST", "/orders/1", holder}, {"GET", "/admin/legacy", admin}, {"GET", "/", ""}, {"GET", "/users/bob/1", alice}, {"GET", "/users/alice/1", keyed}} {
		resp := g.Do(t, request[0], request[1], "X-Forwarded-For", address, "X-Test-Caller", request[2])
		if resp.Status != 200 || resp.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: %d, challenge %q", request, resp.Status, resp.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestOtherwiseAllowLetsUnnamedRequestsPass(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules+"\notherwise allow\n"))
	for target, want := range map[string]int{"/": 200, "/orders2": 200, "/orders": 403, "/admin/legacy": 403} {
		if resp := g.Do(t, "GET", target, "X-Forwarded-For", address); resp.Status != want {
			t.Errorf("%s: %d, want %d", target, resp.Status, want)
		}
	}
}

// Where an option lets a request have two readings, both have to be allowed.
func TestEveryReadingHasToBeAllowed(t *testing.T) {
	globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t\tcanonical {\n\t\t\tallow method_override encoded_slash\n\t\t}\n\t}\n", 1)
	g := gatetest.Run(t, globals+rules(shopRules+"\notherwise allow\n"))
	override := func(name, value string) []string { return []string{name, value} }
	tests := []struct {
		name, method, target, caller string
		header                       []string
		status                       int
	}{
		{"POST that is DELETE to the backend, by a writer", "POST", "/orders/1", writer, override("X-HTTP-Method-Override", "DELETE"), 200},
		{"the same in lower case, by a writer", "POST", "/orders/1", writer, override("X-HTTP-Method-Override", " delete "), 200},
		{"GET that is DELETE to the backend", "GET", "/orders/1", holder, override("X-HTTP-Method-Override", "DELETE"), 403},
		{"the same in lower case", "GET", "/orders/1", holder, override("X-HTTP-Method-Override", " delete "), 403},
		{"the same by another header", "GET", "/orders/1", holder, override("X-Method-Override", "PUT"), 403},
		{"the same by the third header", "GET", "/orders/1", holder, override("X-HTTP-Method", "PUT"), 403},
		{"POST that says it is GET is judged as both", "POST", "/orders/1", holder, override("X-HTTP-Method-Override", "GET"), 403},
		{"a second header behind a harmless one", "GET", "/orders/1", holder, []string{"X-HTTP-Method-Override", "GET", "X-HTTP-Method-Override", "DELETE"}, 403},
		{"two methods in one header", "GET", "/orders/1", holder, override("X-HTTP-Method-Override", "GET, DELETE"), 403},
		{"no method at all", "GET", "/orders/1", holder, override("X-HTTP-Method-Override", ""), 403},
		{"an encoded slash in a path no rule names", "GET", "/files/a%2Fb", "", nil, 200},
		{"an encoded slash hides the path that a rule names", "GET", "/admin%2Fusers", holder, nil, 403},
		{"an encoded slash in a denied path", "GET", "/admin%2flegacy", admin, nil, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := append([]string{"X-Forwarded-For", address, "X-Test-Caller", tt.caller}, tt.header...)
			if resp := g.Do(t, tt.method, tt.target, header...); resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestAccessRulesInJSONAreCheckedToo(t *testing.T) {
	tests := map[string]struct{ config, want string }{
		"a bad rule":      {`{"rule":[{"name":"r","path":["orders"]}]}`, `rule r: path "orders"`},
		"a matcher":       {`{"rule":[{"name":"r","require":[{"scope":["a"]}]}],"match":[{"path":["/x"]}]}`, "takes no matcher"},
		"a bad otherwise": {`{"rule":[{"name":"r","require":[{"scope":["a"]}]}],"otherwise":"Allow"}`, `otherwise "Allow"`},
		"no rule":         {`{"otherwise":"allow"}`, "no rule"},
		"an unknown kind": {`{"rule":[{"name":"r","require":[{"group":["a"]}]}]}`, "group"},
		"an expression":   {`{"rule":[{"name":"r","require":[{"expression":"principal.id"}]}]}`, "of type string, not bool"},
		"two kinds":       {`{"rule":[{"name":"r","require":[{"expression":"principal.id == 'a'","role":["a"]}]}]}`, "2 kinds of conditions"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[` +
				strings.Replace(tt.config, "{", `{"handler":"access_rules",`, 1) + `]}]}}}}}`
			var parsed caddy.Config
			if err := json.Unmarshal([]byte(config), &parsed); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&parsed); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestARejectedReloadLeavesTheOldRulesInForce(t *testing.T) {
	g := gatetest.Run(t, rules(shopRules))
	if err := g.Reload(t, rules("rule all {\n path /*\n require scope orders\n }\n rule dead {\n path orders\n deny\n }")); err == nil {
		t.Fatal("accepted")
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", address, "X-Test-Caller", holder); resp.Status != 403 {
		t.Errorf("got %d, want 403", resp.Status)
	}
	if err := g.Reload(t, rules("rule all {\n path /*\n require scope orders\n }")); err != nil {
		t.Fatal(err)
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", address, "X-Test-Caller", holder); resp.Status != 200 {
		t.Errorf("got %d, want 200", resp.Status)
	}
}
