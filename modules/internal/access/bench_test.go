package access

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// BenchmarkDecide is to be compared with BenchmarkMapLookup, the least that any
// decision by path costs.
func BenchmarkDecide(b *testing.B) {
	many := append([]Rule(nil), shop...)
	for i := range 500 {
		many = append(many, Rule{
			Name: fmt.Sprintf("r%d", i), Methods: []string{"GET", "POST"},
			Path: []string{fmt.Sprintf("/api/v1/resource%d/*/items/*", i)}, Require: scope("read", "write"),
		})
	}
	caller := &principal.Principal{Method: "jwt", Scopes: []string{"openid", "orders:read", "write"}}
	for _, bb := range []struct {
		name  string
		rules []Rule
		path  string
		want  Verdict
	}{
		{"4 rules", shop, "/orders/18446744073709551615/items", Allowed},
		{"4 rules, no rule named", shop, "/catalogue/18446744073709551615/items", NotAllowed},
		{"504 rules", many, "/api/v1/resource250/18446744073709551615/items/7", Allowed},
		{"504 rules, another case", many, "/API/V1/Resource250/18446744073709551615/Items/7", Allowed},
		{"504 rules, no rule named", many, "/api/v1/resourceX/18446744073709551615/items/7", NotAllowed},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := compile(b, false, bb.rules...)
			r := Request{Method: "GET", Host: "api.example.com", Path: bb.path}
			b.ReportAllocs()
			for b.Loop() {
				if got := p.Decide(r, caller).Verdict; got != bb.want {
					b.Fatal(got)
				}
			}
		})
	}
}

// BenchmarkDryRun is to be compared with the four rules of BenchmarkDecide: what a
// rule in dry_run adds to a request that is allowed.
func BenchmarkDryRun(b *testing.B) {
	caller := &principal.Principal{Method: "jwt", Scopes: []string{"openid", "orders:read"}}
	for _, bb := range []struct {
		name string
		rule Rule
	}{
		{"about other requests", Rule{Name: "try", Path: []string{"/bills/*"}, Require: scope("bills")}},
		{"satisfied", Rule{Name: "try", Path: []string{"/orders/*"}, Require: scope("orders:read")}},
		{"not satisfied", Rule{Name: "try", Path: []string{"/orders/*"}, Require: scope("orders:all")}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := compile(b, false, append(slices.Clone(shop), dry(bb.rule))...)
			r := Request{Method: "GET", Host: "api.example.com", Path: "/orders/18446744073709551615/items"}
			b.ReportAllocs()
			for b.Loop() {
				if got := p.Decide(r, caller).Verdict; got != Allowed {
					b.Fatal(got)
				}
				p.WouldRefuse(r, caller, nil)
			}
		})
	}
}

func BenchmarkMapLookup(b *testing.B) {
	rules := map[string]int{"/orders/18446744073709551615/items": 1}
	path := "/orders/18446744073709551615/items"
	b.ReportAllocs()
	for b.Loop() {
		if rules[path] == 0 {
			b.Fatal("lost")
		}
	}
}
