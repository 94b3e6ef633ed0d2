package access

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func compile(t testing.TB, otherwise bool, rules ...Rule) *Policy {
	t.Helper()
	p, err := Compile(rules, otherwise)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scope(s ...string) []Requirement { return []Requirement{{Scope: s}} }

// shop is the reference configuration's policy and a deny rule.
var shop = []Rule{
	{Name: "write", Methods: []string{"POST", "PUT", "DELETE"}, Path: []string{"/orders/*"}, Require: scope("orders:write")},
	{Name: "read", Methods: []string{"GET"}, Path: []string{"/orders/*"}, Require: scope("orders:read", "orders:write")},
	{Name: "admin", Path: []string{"/admin/*", "/pki/ca/prod/*"}, Require: []Requirement{{Role: []string{"admin", "owner"}}, {Method: []string{"jwt"}}}},
	{Name: "retired", Path: []string{"/admin/legacy/*"}, Deny: true},
}

func TestDecide(t *testing.T) {
	var (
		reader  = &principal.Principal{Method: "api_key", Scopes: []string{"orders:read"}}
		writer  = &principal.Principal{Method: "jwt", Scopes: []string{"orders:write"}}
		owner   = &principal.Principal{Method: "jwt", Roles: []string{"owner"}}
		keyed   = &principal.Principal{Method: "api_key", Roles: []string{"owner"}}
		nothing = &principal.Principal{Method: "jwt"}
	)
	tests := []struct {
		name         string
		method, path string
		caller       *principal.Principal
		deny, allow  Verdict // under otherwise deny, otherwise allow
	}{
		{"a reader reads", "GET", "/orders/1", reader, Allowed, Allowed},
		{"a writer reads: the words of a line are alternatives", "GET", "/orders/1", writer, Allowed, Allowed},
		{"a reader may not write", "POST", "/orders", reader, MissingScope, MissingScope},
		{"a writer writes", "POST", "/orders", writer, Allowed, Allowed},
		{"nobody known may not read", "GET", "/orders", nil, NoPrincipal, NoPrincipal},
		{"a caller without scopes may not read", "GET", "/orders", nothing, MissingScope, MissingScope},
		{"a scope in another case is another scope", "GET", "/orders", &principal.Principal{Scopes: []string{"Orders:Read"}}, MissingScope, MissingScope},
		{"a scope that begins alike is another scope", "GET", "/orders", &principal.Principal{Scopes: []string{"orders:read2", "orders"}}, MissingScope, MissingScope},
		{"two scopes in one text are none", "GET", "/orders", &principal.Principal{Scopes: []string{"orders:read orders:write"}}, MissingScope, MissingScope},
		{"a role is no scope", "GET", "/orders", &principal.Principal{Roles: []string{"orders:read"}}, MissingScope, MissingScope},

		{"HEAD does not evade the rule about GET", "HEAD", "/orders/1", nothing, MissingScope, MissingScope},
		{"HEAD is allowed to who may GET", "HEAD", "/orders/1", reader, Allowed, Allowed},
		{"a method no rule names", "PATCH", "/orders/1", writer, NotAllowed, Allowed},
		{"a method in lower case is another method", "post", "/orders/1", reader, NotAllowed, Allowed},

		{"another case does not evade a rule", "POST", "/Orders/1", reader, MissingScope, MissingScope},
		{"a trailing slash does not evade a rule", "POST", "/orders/", reader, MissingScope, MissingScope},
		{"a longer name is not below", "GET", "/orders2", nil, NotAllowed, Allowed},
		{"a longer name is not below, under the other rule", "GET", "/pki/ca/prod2/key", nil, NotAllowed, Allowed},
		{"the name itself is", "GET", "/pki/ca/prod", reader, MissingRole, MissingRole},

		{"an owner with a token administrates", "GET", "/admin/users", owner, Allowed, Allowed},
		{"an owner with a key does not: all lines have to hold", "GET", "/admin/users", keyed, MissingMethod, MissingMethod},
		{"a writer does not administrate", "GET", "/admin", writer, MissingRole, MissingRole},
		{"a role that is two texts in one is none", "GET", "/admin", &principal.Principal{Method: "jwt", Roles: []string{"user,admin"}}, MissingRole, MissingRole},
		{"deny wins over a rule that is satisfied", "GET", "/admin/legacy/x", owner, Denied, Denied},
		{"deny wins over nobody known", "GET", "/admin/legacy", nil, Denied, Denied},
		{"deny wins in another case", "GET", "/ADMIN/Legacy/", owner, Denied, Denied},

		{"a path no rule names", "GET", "/health", owner, NotAllowed, Allowed},
		{"a path no rule names, nobody known", "GET", "/", nil, NotAllowed, Allowed},
	}
	strict, open := compile(t, false, shop...), compile(t, true, shop...)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{Method: tt.method, Path: tt.path}
			if got := strict.Decide(r, tt.caller).Verdict; got != tt.deny {
				t.Errorf("otherwise deny: %v, want %v", got, tt.deny)
			}
			if got := open.Decide(r, tt.caller).Verdict; got != tt.allow {
				t.Errorf("otherwise allow: %v, want %v", got, tt.allow)
			}
		})
	}
}

func TestEveryRuleThatNamesARequestHasToHold(t *testing.T) {
	rules := []Rule{
		{Name: "all", Require: []Requirement{{Issuer: []string{"https://a.example"}}}},
		{Name: "orders", Path: []string{"/orders/*"}, Require: scope("orders")},
		{Name: "gold", Path: []string{"/orders/bulk"}, Require: []Requirement{{Tier: []string{"gold"}}}},
	}
	caller := principal.Principal{Issuer: "https://a.example", Scopes: []string{"orders"}, Tier: "gold"}
	change := func(f func(*principal.Principal)) *principal.Principal {
		c := caller
		f(&c)
		return &c
	}
	tests := []struct {
		name   string
		caller *principal.Principal
		want   Decision
	}{
		{"all three hold", &caller, Decision{Verdict: Allowed}},
		{"the widest does not", change(func(p *principal.Principal) { p.Issuer = "https://a.example/" }), Decision{Verdict: MissingIssuer, Rule: "all"}},
		{"the one between does not", change(func(p *principal.Principal) { p.Scopes = nil }), Decision{MissingScope, "orders", "orders"}},
		{"the narrowest does not", change(func(p *principal.Principal) { p.Tier = "" }), Decision{Verdict: MissingTier, Rule: "gold"}},
		{"none does: the first in the configuration is told", change(func(p *principal.Principal) { *p = principal.Principal{} }), Decision{Verdict: MissingIssuer, Rule: "all"}},
	}
	// In whatever order they stand.
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		var ordered []Rule
		for _, i := range order {
			ordered = append(ordered, rules[i])
		}
		p := compile(t, true, ordered...)
		for _, tt := range tests {
			got := p.Decide(Request{Method: "GET", Path: "/orders/bulk"}, tt.caller)
			if tt.name[:4] == "none" {
				if got.Rule != ordered[0].Name || got.Verdict == Allowed {
					t.Errorf("%s: %+v, want rule %s", tt.name, got, ordered[0].Name)
				}
				continue
			}
			if got != tt.want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	p := compile(t, true,
		Rule{Name: "one", Host: []string{"Admin.Example.com"}, Deny: true},
		Rule{Name: "any", Host: []string{"*.tenant.example"}, Require: scope("tenant")},
	)
	for host, want := range map[string]Verdict{
		"admin.example.com": Denied, "example.com": Allowed, "xadmin.example.com": Allowed, "a.admin.example.com": Allowed,
		"a.tenant.example": NoPrincipal, "tenant.example": Allowed, ".tenant.example": Allowed, "a.b.tenant.example": Allowed, "atenant.example": Allowed,
	} {
		if got := p.Decide(Request{Host: host, Path: "/"}, nil).Verdict; got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}

func TestClaims(t *testing.T) {
	p := compile(t, false, Rule{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "level", Values: []string{"high", "true", "9007199254740993"}}}}})
	tests := []struct {
		name   string
		claims string
		want   Verdict
	}{
		{"a text", `{"level":"high"}`, Allowed},
		{"another text", `{"level":"low"}`, MissingClaim},
		{"another case of the value", `{"level":"HIGH"}`, MissingClaim},
		{"another case of the name", `{"Level":"high"}`, MissingClaim},
		{"an element of a list", `{"level":["low","high"]}`, Allowed},
		{"no element of a list", `{"level":["low","highest"]}`, MissingClaim},
		{"an empty list", `{"level":[]}`, MissingClaim},
		{"a list in a list is nothing", `{"level":[["high"]]}`, MissingClaim},
		{"an object is nothing", `{"level":{"high":true}}`, MissingClaim},
		{"null is nothing", `{"level":null}`, MissingClaim},
		{"true", `{"level":true}`, Allowed},
		{"false", `{"level":false}`, MissingClaim},
		{"a number, exactly", `{"level":9007199254740993}`, Allowed},
		{"the number next to it, which floats cannot tell", `{"level":9007199254740992}`, MissingClaim},
		{"several values in one text", `{"level":"low high"}`, MissingClaim},
		{"no such claim", `{}`, MissingClaim},
		{"no claims", `null`, MissingClaim},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			caller := &principal.Principal{Claims: decodeClaims(t, tt.claims)}
			if got := p.Decide(Request{Path: "/"}, caller).Verdict; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
		})
	}
}

func TestClaimsInsideOthers(t *testing.T) {
	tests := []struct {
		name, claim, claims string
		want                Verdict
	}{
		{"a list in an object", "realm_access.roles", `{"realm_access":{"roles":["user","admin"]}}`, Allowed},
		{"a text in objects", "a.b.c", `{"a":{"b":{"c":"admin"}}}`, Allowed},
		{"another value", "realm_access.roles", `{"realm_access":{"roles":["user"]}}`, MissingClaim},
		{"another case of a step", "realm_access.roles", `{"realm_access":{"Roles":["admin"]}}`, MissingClaim},
		{"no such step", "realm_access.roles", `{"realm_access":{}}`, MissingClaim},
		{"a step too few", "realm_access", `{"realm_access":{"roles":["admin"]}}`, MissingClaim},
		{"a step too many", "a.b", `{"a":"admin"}`, MissingClaim},
		{"a step into a list", "a.b", `{"a":[{"b":"admin"}]}`, MissingClaim},
		{"a step into null", "a.b", `{"a":null}`, MissingClaim},
		{"a member called like its index", "a.0", `{"a":["admin"]}`, MissingClaim},
		{"a claim with the whole name", "a.b", `{"a.b":"admin"}`, Allowed},
		{"a claim with the whole name wins", "a.b", `{"a.b":"admin","a":{"b":"user"}}`, Allowed},
		{"a claim with the whole name wins, also with another value", "a.b", `{"a.b":"user","a":{"b":"admin"}}`, MissingClaim},
		{"a claim with the whole name wins, also if it is null", "a.b", `{"a.b":null,"a":{"b":"admin"}}`, MissingClaim},
		{"a member with a dot further inside is not found", "a.b.c", `{"a":{"b.c":"admin"}}`, MissingClaim},
		{"a URL", "https://x.example/roles", `{"https://x.example/roles":["admin"]}`, Allowed},
		{"a number, exactly", "a.b", `{"a":{"b":9007199254740993}}`, Allowed},
		{"the number next to it", "a.b", `{"a":{"b":9007199254740992}}`, MissingClaim},
		{"no claims", "a.b", `null`, MissingClaim},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, false, Rule{Name: "r", Require: []Requirement{{Claim: &Claim{Name: tt.claim, Values: []string{"admin", "9007199254740993"}}}}})
			caller := &principal.Principal{Claims: decodeClaims(t, tt.claims)}
			if got := p.Decide(Request{Path: "/"}, caller).Verdict; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
		})
	}
}

// Claims are whatever the issuer wrote: a kind of value that nobody expected is
// refused, and nothing panics (C11).
func TestClaimsOfAnyKindAreJudged(t *testing.T) {
	kinds := []string{`"x"`, `""`, `7`, `-1e400`, `true`, `null`, `[]`, `{}`, `[null]`, `[[["x"]]]`, `[{"a":1},7,"x",null,true]`, `{"a":{"a":{"a":7}}}`, `18446744073709551616`}
	requirements := []Requirement{
		{Claim: &Claim{Name: "a", Values: []string{"wanted"}}}, {Claim: &Claim{Name: "a.a.a", Values: []string{"wanted"}}},
	}
	for _, text := range []string{
		"principal.claims.a == 'wanted'", "principal.claims.a.a.a == 'wanted'", "principal.claims.a.startsWith('wanted')", "principal.claims.a > 7000",
		"'wanted' in principal.claims.a", "principal.claims.a.exists(x, x == 'wanted')", "principal.claims.a[0] == 'wanted'", "principal.claims['a']['wanted'] == 1",
		"principal.claims.a && principal.id != ''", "!principal.claims.a && principal.id != ''", "principal.claims.a + 1 == 7001", "principal.claims.a.size() == 7000",
		"int(principal.claims.a) == 7000", "principal.claims.a.matches('^wanted$')", "cidr(principal.claims.a).containsIP('192.0.2.1')",
		"timestamp(principal.claims.a).getFullYear() == 7000", "principal.claims.a[principal.claims.a] == 'wanted'", "has(principal.claims.a.wanted)",
		"duration(principal.claims.a) > duration('7000h')", "-principal.claims.a == 7000", "principal.claims.a % principal.claims.a == 7000",
		"principal.claims.a in principal.roles", "principal.claims.a == principal.claims", "principal.claims.a.a.exists_one(x, x.a == 7000)",
	} {
		requirements = append(requirements, Requirement{Expression: text})
	}
	for _, q := range requirements {
		p := compile(t, true, Rule{Name: "r", Require: []Requirement{q}})
		for _, kind := range kinds {
			caller := &principal.Principal{Claims: decodeClaims(t, `{"a":`+kind+`}`)}
			if got := p.Decide(Request{Path: "/"}, caller).Verdict; got == Allowed {
				t.Errorf("%s, %v: %s is allowed", q.Expression, q.Claim, kind)
			}
		}
	}
}

func decodeClaims(t *testing.T, s string) (claims map[string]any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	if err := dec.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTheChallengeNamesTheScopesOfTheRule(t *testing.T) {
	p := compile(t, false, Rule{Name: "r", Require: []Requirement{
		{Scope: []string{"a", "b"}}, {Role: []string{"x"}}, {Scope: []string{"c"}}, {Scope: []string{"a", "d"}},
	}})
	if got := p.Decide(Request{Path: "/"}, &principal.Principal{}); got != (Decision{MissingScope, "r", "a c"}) {
		t.Errorf("decision %+v, want the scopes a c", got)
	}
	if got := p.Decide(Request{Path: "/"}, &principal.Principal{Scopes: []string{"a", "c"}}); got != (Decision{MissingRole, "r", ""}) {
		t.Errorf("decision %+v, want no scopes where none is missing", got)
	}
}

// TestTreeAgreesWithRuleByRule holds the tree against the obvious: each rule by
// itself, for random policies and paths of few different segments.
func TestTreeAgreesWithRuleByRule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	path := func(words ...string) (s string) {
		for range 1 + random.IntN(4) {
			s += "/" + pick(words...)
		}
		return s
	}
	for range 2000 {
		var rules []Rule
		for i := range 1 + random.IntN(6) {
			r := Rule{Name: "r" + strconv.Itoa(i), Path: []string{path("a", "B", "*", "a*c", "ab")}}
			if random.IntN(3) == 0 {
				r.Methods = []string{pick("GET", "POST")}
			}
			if r.Deny = random.IntN(4) == 0; !r.Deny {
				r.Require = scope(pick("x", "y"))
			}
			rules = append(rules, r)
		}
		otherwise := random.IntN(2) == 0
		p, err := Compile(rules, otherwise)
		if err != nil {
			continue // ends in a*c and the like, or a dead rule
		}
		caller := &principal.Principal{Scopes: []string{pick("x", "y")}}
		for range 20 {
			r := Request{Method: pick("GET", "POST", "HEAD"), Path: path("a", "b", "abc", "AB", "c")}
			if got, want := p.Decide(r, caller).Verdict, ruleByRule(rules, otherwise, r, caller); got != want {
				t.Fatalf("%+v on %+v: %v, want %v", rules, r, got, want)
			}
		}
	}
}

func ruleByRule(rules []Rule, otherwise bool, r Request, caller *principal.Principal) Verdict {
	verdict := NotAllowed
	if otherwise {
		verdict = Allowed
	}
	var denied, missing, named bool
	for _, rule := range rules {
		method := r.Method
		if method == "HEAD" {
			method = "GET"
		}
		if len(rule.Methods) > 0 && !slices.Contains(rule.Methods, method) || !oracle(rule.Path[0]).MatchString(r.Path) {
			continue
		}
		named = true
		denied = denied || rule.Deny
		missing = missing || !rule.Deny && !caller.HasScope(rule.Require[0].Scope[0])
	}
	switch {
	case denied:
		return Denied
	case missing:
		return MissingScope
	case named:
		return Allowed
	}
	return verdict
}

func TestDecideDoesNotAllocate(t *testing.T) {
	p := compile(t, false, shop...)
	caller := &principal.Principal{Method: "jwt", Scopes: []string{"orders:read"}, Roles: []string{"admin"}}
	for _, path := range []string{"/orders/1", "/ORDERS/ÄÖÜ", "/admin/legacy", "/nowhere/at/all"} {
		if n := testing.AllocsPerRun(100, func() { p.Decide(Request{Method: "GET", Path: path}, caller) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
