package access

import (
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func claims(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var c map[string]any
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func expressions(texts ...string) Rule {
	r := Rule{Name: "expression"}
	for _, text := range texts {
		r.Require = append(r.Require, Requirement{Expression: text})
	}
	return r
}

func TestExpressions(t *testing.T) {
	caller := &principal.Principal{
		ID: "alice", Issuer: "https://issuer.example", Method: "jwt", Scopes: []string{"orders", "orders:read"}, Roles: []string{"admin"}, Tier: "gold",
		Claims: claims(t, `{"mfa":true,"no":false,"level":3,"half":0.5,"big":9007199254740993,"bigger":18446744073709551615,"huge":18446744073709551616,
			"rounded":9007199254740993e0,"fraction":9007199254740993.0,"thousand":1e3,"ids":[9007199254740993],"texted":"9007199254740993",
			"groups":["a","b"],"org":{"id":"acme","depth":{"n":1}},"nothing":null,"text":"true","https://x/y":"z"}`),
	}
	const met, unmet, failed = "met", "unmet", "failed"
	tests := []struct{ name, expression, want string }{
		{"a claim that is true", `principal.claims.mfa == true`, met},
		{"a claim that is false", `principal.claims.no == true`, unmet},
		{"a claim that is not there", `principal.claims.absent == true`, failed},
		{"the negation of a claim that is not there", `!(principal.claims.absent == true)`, failed},
		{"a claim that is not there and is not another value", `principal.claims.absent != true`, failed},
		{"asking first whether it is there", `has(principal.claims.absent) && principal.claims.absent == true`, unmet},
		{"asking whether it is not there", `!has(principal.claims.absent)`, met},
		{"a text is no boolean", `principal.claims.text == true`, unmet},
		{"a claim inside another", `principal.claims.org.depth.n == 1`, met},
		{"a claim inside one that is no object", `principal.claims.mfa.x == 1`, failed},
		{"a claim whose name is a URL", `principal.claims['https://x/y'] == 'z'`, met},
		{"a claim that is null", `principal.claims.nothing == null`, met},
		{"a list has an element", `'a' in principal.claims.groups`, met},
		{"a list has not", `'c' in principal.claims.groups`, unmet},
		{"some element", `principal.claims.groups.exists(g, g.startsWith('b'))`, met},
		{"every element", `principal.claims.groups.all(g, g == 'b')`, unmet},
		{"what is no list", `principal.claims.mfa.exists(g, g == 'b')`, failed},
		{"a number", `principal.claims.level >= 3`, met},
		{"a number with a fraction", `principal.claims.half < 0.6`, met},
		{"a whole number beyond 2^53 is exact", `principal.claims.big == 9007199254740993`, met},
		{"its neighbour is another one", `principal.claims.big == 9007199254740992`, unmet},
		{"a whole number beyond 2^63", `principal.claims.bigger == 18446744073709551615u`, met},
		{"a whole number beyond 2^64 is not rounded", `principal.claims.huge > 1.0`, failed},
		{"an exponent makes no neighbours equal", `principal.claims.rounded == 9007199254740993`, failed},
		{"nor does a fraction", `principal.claims.fraction == 9007199254740992`, failed},
		{"a whole number with an exponent", `principal.claims.thousand == 1000`, met},
		{"a whole number in a list", `9007199254740993 in principal.claims.ids`, met},
		{"its neighbour in a list", `9007199254740992 in principal.claims.ids`, unmet},
		{"a whole number in a text is a text", `principal.claims.texted == 9007199254740993`, unmet},
		{"a boolean among conditions", `principal.claims.mfa && principal.id == 'alice'`, met},
		{"a text among conditions", `principal.claims.text && principal.id == 'alice'`, failed},
		{"the negation of a text", `!principal.claims.text`, failed},
		{"types that cannot be compared", `principal.claims.groups < 3`, failed},

		{"the id", `principal.id == 'alice'`, met},
		{"the issuer", `principal.issuer.endsWith('.example')`, met},
		{"the method", `principal.method == 'mtls'`, unmet},
		{"a scope", `'orders' in principal.scopes`, met},
		{"the beginning of a scope", `principal.scopes.exists_one(s, s.matches('^orders:'))`, met},
		{"a role or a tier", `'owner' in principal.roles || principal.tier == 'gold'`, met},
		{"the method of the request", `request.method == 'GET'`, met},
		{"the host", `request.host == 'api.example.com'`, met},
		{"the path names the caller", `request.path.startsWith('/users/' + principal.id + '/')`, met},
		{"the path names another caller", `request.path.startsWith('/users/bob/')`, unmet},
		{"the client is in a network", `cidr('198.51.100.0/24').containsIP(request.client_ip)`, met},
		{"the client is in another", `cidr('192.0.2.0/24').containsIP(request.client_ip)`, unmet},
		{"an error beside what is enough", `principal.claims.absent == 1 || principal.tier == 'gold'`, met},
	}
	request := Request{Method: "GET", Host: "api.example.com", Path: "/users/alice/orders", Client: netip.MustParseAddr("198.51.100.7")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := compile(t, false, expressions(tt.expression)).Decide(request, caller)
			want := map[string]Decision{
				met: {Verdict: Allowed}, unmet: {Verdict: UnmetExpression, Rule: "expression"}, failed: {Verdict: FailedExpression, Rule: "expression"},
			}[tt.want]
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestExpressionsAmongOtherLines(t *testing.T) {
	caller := &principal.Principal{Method: "jwt", Roles: []string{"admin"}, Claims: map[string]any{"mfa": true}}
	mfa, gold, role := Requirement{Expression: "principal.claims.mfa == true"}, Requirement{Expression: "principal.tier == 'gold'"}, Requirement{Role: []string{"admin"}}
	owner := Requirement{Role: []string{"owner"}}
	tests := []struct {
		name   string
		lines  []Requirement
		caller *principal.Principal
		want   Verdict
	}{
		{"all hold", []Requirement{mfa, role}, caller, Allowed},
		{"one of two expressions does not", []Requirement{mfa, gold}, caller, UnmetExpression},
		{"neither does the other one", []Requirement{gold, mfa}, caller, UnmetExpression},
		{"the other line does not", []Requirement{mfa, owner}, caller, MissingRole},
		{"both do not: the other line is judged first", []Requirement{gold, owner}, caller, MissingRole},
		{"a caller nobody knows, whatever the request", []Requirement{{Expression: "request.method == 'GET'"}}, nil, NoPrincipal},
		{"a caller without claims", []Requirement{mfa}, new(principal.Principal), FailedExpression},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, true, Rule{Name: "r", Require: tt.lines})
			if got := p.Decide(Request{Method: "GET", Path: "/"}, tt.caller).Verdict; got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAnUnknownAddressIsInNoNetwork(t *testing.T) {
	for _, text := range []string{
		"cidr('0.0.0.0/0').containsIP(request.client_ip)", "!cidr('192.0.2.0/24').containsIP(request.client_ip)", "request.client_ip != '192.0.2.1'",
	} {
		got := compile(t, true, expressions(text)).Decide(Request{Method: "GET", Path: "/"}, new(principal.Principal))
		if got.Verdict != FailedExpression {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	tests := []struct{ name, expression, want string }{
		{"nothing", " ", "is empty"},
		{"a syntax error", "principal.claims.mfa ==", "column 24: Syntax error"},
		{"one on another line", "principal.id == 'a' &&\n ==", "line 2 of it, column 2: Syntax error"},
		{"a name that nobody knows", "user.id == 'a'", "undeclared reference to 'user'"},
		{"a field that nobody knows", "principal.role == 'a'", "undeclared reference to 'principal'"},
		{"a header", "request.header == 'a'", "undeclared reference to 'request'"},
		{"a function that nobody knows", "now() > 1", "undeclared reference to 'now'"},
		{"no boolean", "principal.id", "of type string, not bool"},
		{"a claim alone", "principal.claims.mfa", "of type dyn, not bool"},
		{"types that do not fit", "principal.id == 5", "no matching overload"},
		{"a question about nobody", "1 < 2", "asks nothing"},
		{"a bad regular expression", "principal.id.matches('(')", "invalid matches argument"},
		{"a regular expression that explodes", "principal.id.matches('a{600}b{600}')", "too large"},
		{"two that do so together", "principal.id.matches('a{300}') && principal.id.matches('b{300}')", "too large"},
		{"a repetition of repetitions", "principal.id.matches('((a{100}){100}){100}')", "invalid matches argument"},
		{"a number that a double cannot hold", "principal.claims.id == 9007199254740993.0", "not exact"},
		{"a negative one", "principal.claims.id == -1e300", "not exact"},
		{"a text that grows", "(" + strings.Repeat("principal.claims.a + ", 42) + "'') == ''", "too costly"},
		{"a list that grows", "(" + strings.Repeat("principal.claims.a + ", 45) + "[]).all(r, r in principal.roles)", "too costly"},
		{"a macro of two names", "principal.roles.all(i, r, r == 'a')", "undeclared reference"},
		{"a variable of its own", "cel.bind(x, principal.id + principal.id, x + x == '')", "undeclared reference"},
		{"a field of a message", "google.rpc.context.AttributeContext{}.source == principal.id", "undeclared reference"},
		{"an unknown name, with its place", "principal.tier == 'gold' &&\n  user.id == 'a'", "line 2 of it, column 3: undeclared reference to 'user'"},
		{"a regular expression from the request", "principal.id.matches(request.path)", "has to be written out"},
		{"one in the other notation", "matches(principal.id, principal.claims.pattern)", "has to be written out"},
		{"a macro that builds a list", "principal.scopes.map(s, s + s).size() > 1", "undeclared reference"},
		{"another", "principal.scopes.filter(s, s == 'a').size() > 1", "undeclared reference"},
		{"lists in lists in lists", "principal.roles.all(a, principal.roles.all(b, principal.roles.all(c, a + b != c)))", "too costly"},
		{"a claim against a claim, often", "principal.claims.a.all(a, principal.claims.b.exists(b, a == b))", "too costly"},
		{"too deep", strings.Repeat("(", 60) + "principal.id == 'a'" + strings.Repeat(")", 60), "recursion"},
		{"too long", "principal.id == '" + strings.Repeat("a", maxExpression) + "'", "size"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseExpression(tt.expression)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want %q on one line", err, tt.want)
			}
			if _, compiled := Compile([]Rule{expressions(tt.expression)}, false); tt.name != "nothing" && (compiled == nil || !strings.Contains(compiled.Error(), err.Error())) {
				t.Errorf("Compile: %v", compiled)
			}
		})
	}
	if _, err := Compile([]Rule{expressions("")}, false); err == nil {
		t.Error("no expression at all compiles")
	}
}

// What the estimate at load did not expect is cut while it is evaluated.
func TestACallerWithHugeClaimsIsDenied(t *testing.T) {
	p := compile(t, true, expressions("principal.claims.groups.all(g, g.startsWith('a'))"))
	groups := func(n int) *principal.Principal {
		list := make([]any, n)
		for i := range list {
			list[i] = "a"
		}
		return &principal.Principal{Claims: map[string]any{"groups": list}}
	}
	if got := p.Decide(Request{Method: "GET", Path: "/"}, groups(200)).Verdict; got != Allowed {
		t.Errorf("200 groups: %d", got)
	}
	if got := p.Decide(Request{Method: "GET", Path: "/"}, groups(maxCost)); got.Verdict != FailedExpression {
		t.Errorf("%d groups: %+v", maxCost, got)
	}
}

// Many operations about large claims are cut too, though none of them is a loop.
func TestManyWalksThroughHugeClaimsAreCut(t *testing.T) {
	list := make([]any, 8000)
	for i := range list {
		list[i] = "a"
	}
	huge := &principal.Principal{Claims: map[string]any{"a": list, "b": list, "t": strings.Repeat("a", 16<<10)}}
	for range 50 {
		huge.Scopes = append(huge.Scopes, "s")
	}
	for _, tt := range []struct {
		name, term string
		times      int
		want       Verdict
	}{
		{"a few comparisons", "principal.claims.a == principal.claims.b", maxWalks, Allowed},
		{"many comparisons", "principal.claims.a == principal.claims.b", 80, FailedExpression},
		{"many searches", "!('b' in principal.claims.a)", 60, FailedExpression},
		{"many concatenations", "principal.claims.t + principal.claims.t != ''", 60, FailedExpression},
		{"many sizes", "principal.claims.t.size() > principal.tier.size()", 30, FailedExpression},
		{"a loop that searches", "['s', 't', 'u'].all(s, !(s in principal.claims.a))", 1, FailedExpression},
		{"a loop that concatenates", "principal.scopes.all(s, s + principal.claims.t != s)", 1, FailedExpression},
		{"many comparisons with what is written out", "principal.claims.t != 'b'", 60, Allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.TrimSuffix(strings.Repeat("("+tt.term+") && ", tt.times), " && ")
			if got := compile(t, true, expressions(text)).Decide(Request{Path: "/"}, huge).Verdict; got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAHugePathIsNotLookedAt(t *testing.T) {
	p := compile(t, true, expressions("request.path.endsWith('/a')"))
	for path, want := range map[string]Verdict{
		strings.Repeat("/a", maxText/2): Allowed, strings.Repeat("/a", maxText/2+1): FailedExpression,
	} {
		if got := p.Decide(Request{Method: "GET", Path: path}, new(principal.Principal)).Verdict; got != want {
			t.Errorf("%d bytes: got %d, want %d", len(path), got, want)
		}
	}
}

func TestOneExpressionJudgesManyCallersAtOnce(t *testing.T) {
	p := compile(t, true, expressions("principal.id == request.path"))
	var wg sync.WaitGroup
	for _, id := range []string{"/a", "/b", "/c", "/d"} {
		wg.Go(func() {
			caller := &principal.Principal{ID: id}
			for range 500 {
				if got := p.Decide(Request{Path: id}, caller).Verdict; got != Allowed {
					t.Errorf("%s: got %d", id, got)
					return
				}
				if got := p.Decide(Request{Path: "/x"}, caller).Verdict; got != UnmetExpression {
					t.Errorf("%s: got %d for another path", id, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkExpression is to be compared with BenchmarkClaim, the same question
// without CEL.
func BenchmarkExpression(b *testing.B) {
	caller := &principal.Principal{ID: "alice", Method: "jwt", Scopes: []string{"a", "b"}, Claims: map[string]any{"mfa": true, "groups": []any{"a", "b", "c", "d"}}}
	request := Request{Method: "GET", Host: "api.example.com", Path: "/users/alice", Client: netip.MustParseAddr("192.0.2.1")}
	for _, text := range []string{
		"principal.claims.mfa == true", "request.path.startsWith('/users/' + principal.id)", "principal.claims.groups.exists(g, g == 'd')",
	} {
		b.Run(text, func(b *testing.B) {
			p := compile(b, false, expressions(text))
			b.ReportAllocs()
			for b.Loop() {
				if got := p.Decide(request, caller).Verdict; got != Allowed {
					b.Fatal(got)
				}
			}
		})
	}
}

func TestAnExpressionWithoutLoopsAllocatesNothingAboutClaims(t *testing.T) {
	p := compile(t, false, expressions("principal.claims.mfa == true"))
	caller := &principal.Principal{Claims: map[string]any{"mfa": true}}
	if n := testing.AllocsPerRun(100, func() { p.Decide(Request{Method: "GET", Path: "/"}, caller) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkClaim(b *testing.B) {
	p := compile(b, false, Rule{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "mfa", Values: []string{"true"}}}}})
	caller := &principal.Principal{Claims: map[string]any{"mfa": true}}
	b.ReportAllocs()
	for b.Loop() {
		if got := p.Decide(Request{Method: "GET", Path: "/users/alice"}, caller).Verdict; got != Allowed {
			b.Fatal(got)
		}
	}
}

// FuzzClaims: whatever a token says, conditions on its claims are judged without a
// panic, and `require claim` and an expression agree about a text inside objects.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":"x"}}`, `{"a":{"b":["x"]}}`, `{"a.b":"x","a":{"b":"y"}}`, `{"a":[{"b":"x"}]}`, `{"a":null}`, `{"a":{"b":9007199254740993}}`,
		`{"a":{"b":1e400}}`, `{"a":"x","b":{"a":{"b":"x"}}}`, `{}`, `{"a":{"b":{"x":"x"}}}`, `{"a":{"b":"\u0078"}}`,
	} {
		f.Add(seed)
	}
	claim := compile(f, true, Rule{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "a.b", Values: []string{"x"}}}}})
	same := compile(f, true, expressions(`principal.claims.a.b == 'x' || 'x' in principal.claims.a.b`))
	var others []*Policy
	for _, text := range []string{
		"principal.claims.a > 7", "principal.claims.a.exists(x, x == principal.claims.b)", "principal.claims.a + principal.claims.b == principal.claims.c",
		"principal.claims.a.matches('^x+$') || principal.claims[principal.claims.a] == 1", "int(principal.claims.a.b) == 9007199254740993",
	} {
		others = append(others, compile(f, true, expressions(text)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var c map[string]any
		if d.Decode(&c) != nil {
			return
		}
		caller := &principal.Principal{Claims: c}
		for _, p := range others {
			p.Decide(Request{Path: "/"}, caller)
		}
		if _, whole := c["a.b"]; whole {
			return
		}
		byClaim, byExpression := claim.Decide(Request{Path: "/"}, caller).Verdict, same.Decide(Request{Path: "/"}, caller).Verdict
		object, _ := c["a"].(map[string]any)
		if _, inside := object["b"].(map[string]any); inside { // of which in asks for a name
			return
		}
		if (byClaim == Allowed) != (byExpression == Allowed) {
			t.Errorf("%s: the claim says %d, the expression %d", text, byClaim, byExpression)
		}
	})
}
