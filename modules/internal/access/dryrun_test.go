package access

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func dry(r Rule) Rule {
	r.DryRun = true
	return r
}

func TestARuleInDryRunRefusesNothingAndNamesNothing(t *testing.T) {
	read := Rule{Name: "read", Path: []string{"/orders/*"}, Require: scope("read")}
	gold := Rule{Name: "gold", Path: []string{"/orders/bulk"}, Require: []Requirement{{Tier: []string{"gold"}}}}
	closed := Rule{Name: "closed", Path: []string{"/orders/old/*"}, Deny: true}
	all := Rule{Name: "all", Require: []Requirement{{Method: []string{"jwt"}}}}
	late := Rule{Name: "late", Path: []string{"/orders/*"}, Require: []Requirement{{Expression: "principal.claims.mfa == true"}}}
	reader, nobody := &principal.Principal{Method: "jwt", Scopes: []string{"read"}}, &principal.Principal{Method: "api_key"}
	tests := []struct {
		name      string
		rules     []Rule
		otherwise bool
		path      string
		caller    *principal.Principal
		want      Decision
		would     string
	}{
		{"it would refuse what another rule allows", []Rule{read, dry(gold)}, false, "/orders/bulk", reader, Decision{Verdict: Allowed}, "gold 8"},
		{"it would not, where the caller has what it requires", []Rule{read, dry(gold)}, false, "/orders/bulk", &principal.Principal{Scopes: []string{"read"}, Tier: "gold"}, Decision{Verdict: Allowed}, ""},
		{"it is about other requests", []Rule{read, dry(gold)}, false, "/orders/1", reader, Decision{Verdict: Allowed}, ""},
		{"it opens nothing: only it names the request", []Rule{read, dry(Rule{Name: "more", Path: []string{"/more"}, Require: scope("read")})}, false, "/more", reader, Decision{Verdict: NotAllowed}, ""},
		{"a deny rule would refuse", []Rule{read, dry(closed)}, false, "/orders/old/1", reader, Decision{Verdict: Allowed}, "closed 2"},
		{"a deny rule in dry_run stands before no other rule", []Rule{read, dry(closed)}, false, "/orders/old/1", nobody, Decision{MissingScope, "read", "read"}, ""},
		{"a caller nobody knows", []Rule{dry(all)}, true, "/", nil, Decision{Verdict: Allowed}, "all 3"},
		{"an expression that cannot be evaluated", []Rule{read, dry(late)}, false, "/orders/1", reader, Decision{Verdict: Allowed}, "late 11"},
		{"several of them", []Rule{read, dry(gold), dry(closed), dry(late)}, false, "/orders/bulk", reader, Decision{Verdict: Allowed}, "gold 8, late 11"},
		{"with all rules in dry_run, otherwise decides", []Rule{dry(read), dry(closed)}, true, "/orders/old/1", nobody, Decision{Verdict: Allowed}, "closed 2, read 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, tt.otherwise, tt.rules...)
			r := Request{Method: "GET", Path: tt.path}
			got := p.Decide(r, tt.caller)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.Verdict != Allowed {
				return
			}
			var would []string
			for _, d := range p.WouldRefuse(r, tt.caller, nil) {
				would = append(would, d.Rule+" "+strconv.Itoa(int(d.Verdict)))
			}
			slices.Sort(would)
			if got := strings.Join(would, ", "); got != tt.would {
				t.Errorf("would refuse: %s, want %s", got, tt.would)
			}
		})
	}
}

// TestDecisionsAreAsIfARuleInDryRunWereNotThere: for random policies. What such a
// rule would refuse is what it refuses when it is enforced.
func TestDecisionsAreAsIfARuleInDryRunWereNotThere(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	path := func(words ...string) (s string) {
		for range 1 + random.IntN(3) {
			s += "/" + pick(words...)
		}
		return s
	}
	judged, would := 0, 0
	for range 3000 {
		var rules, enforced []Rule
		for i := range 1 + random.IntN(6) {
			r := Rule{Name: "r" + strconv.Itoa(i), Path: []string{path("a", "B", "*", "ab"), path("a", "b") + "/c"}, DryRun: random.IntN(2) == 0}
			if random.IntN(3) == 0 {
				r.Methods = []string{pick("GET", "POST")}
			}
			if r.Deny = random.IntN(4) == 0; !r.Deny {
				r.Require = scope(pick("x", "y"))
			}
			rules = append(rules, r)
			if !r.DryRun {
				enforced = append(enforced, r)
			}
		}
		otherwise := random.IntN(2) == 0
		p, err := Compile(rules, otherwise)
		if err != nil {
			continue
		}
		without := &Policy{otherwise: otherwise, deny: new(node), require: new(node)}
		if len(enforced) > 0 {
			without = compile(t, otherwise, enforced...)
		}
		if p.ByMethod() != without.ByMethod() {
			t.Fatalf("%+v: the rules in dry_run look at the method", rules)
		}
		caller := &principal.Principal{Scopes: []string{pick("x", "y")}}
		for range 20 {
			r := Request{Method: pick("GET", "POST", "HEAD"), Path: path("a", "b", "ab", "c")}
			got := p.Decide(r, caller)
			if want := without.Decide(r, caller); got != want {
				t.Fatalf("%+v on %+v: %+v, want %+v", rules, r, got, want)
			}
			found := p.WouldRefuse(r, caller, p.WouldRefuse(r, caller, nil)) // in two readings, say
			for _, rule := range rules {
				if !rule.DryRun {
					continue
				}
				rule.DryRun = false
				alone := compile(t, true, rule).Decide(r, caller)
				alone.Scope = "" // which is for the caller
				n := 0
				for _, d := range found {
					if d == alone {
						n++
					}
				}
				if refuses := alone.Verdict != Allowed; refuses && n != 1 || !refuses && n != 0 {
					t.Fatalf("%+v on %+v: %d of %+v in %+v", rules, r, n, alone, found)
				}
				judged++
				would += n
			}
		}
	}
	if judged < 1000 || would < 100 {
		t.Errorf("%d rules were judged, %d refused", judged, would)
	}
}

func TestRulesInDryRunAtLoad(t *testing.T) {
	wide := Rule{Name: "wide", Path: []string{"/a/*"}, Deny: true}
	narrow := Rule{Name: "narrow", Path: []string{"/a/b"}, Require: known}
	same := Rule{Name: "same", Path: []string{"/A/*"}, Deny: true}
	other := Rule{Name: "other", Path: []string{"/b"}, Require: known}
	tests := []struct {
		name      string
		rules     []Rule
		otherwise bool
		want      string
	}{
		{"none is enforced, and the rest is refused", []Rule{dry(narrow)}, false, "every rule is in dry_run"},
		{"none is enforced, and the rest is allowed", []Rule{dry(narrow)}, true, ""},
		{"a deny rule takes nothing from others yet", []Rule{narrow, dry(wide)}, false, ""},
		{"a deny rule leaves another nothing to try", []Rule{dry(narrow), wide}, false, "rule narrow never decides"},
		{"a deny rule beside one that says the same", []Rule{dry(wide), same, other}, false, "rule wide never decides"},
		{"and the other way round", []Rule{wide, dry(same), other}, false, "rule same never decides"},
		{"two deny rules that say the same", []Rule{dry(wide), dry(same), other}, false, ""},
		{"a bad rule", []Rule{other, dry(Rule{Name: "bad", Path: []string{"a"}, Require: known})}, false, "a path begins with /"},
		{"an empty rule", []Rule{other, dry(Rule{Name: "empty"})}, false, "neither requires anything nor denies"},
		{"a name that another rule has", []Rule{other, dry(Rule{Name: "other", Path: []string{"/c"}, Deny: true})}, false, "rule other is given twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile(tt.rules, tt.otherwise)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || p != nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRulesInDryRunThatAreSatisfiedAllocateNothing(t *testing.T) {
	p := compile(t, false, append(slices.Clone(shop), dry(Rule{Name: "try", Path: []string{"/orders/*"}, Require: scope("orders:read")}))...)
	caller := &principal.Principal{Method: "jwt", Scopes: []string{"orders:read"}}
	r := Request{Method: "GET", Path: "/orders/1"}
	if n := testing.AllocsPerRun(100, func() {
		if p.Decide(r, caller).Verdict != Allowed || p.WouldRefuse(r, caller, nil) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
