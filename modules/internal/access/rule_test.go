package access

import (
	"strings"
	"testing"
)

var known = []Requirement{{Method: AuthMethods}}

func TestBadRulesAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		rules []Rule
		want  []string
	}{
		{"no rule at all", nil, []string{"no rule"}},
		{"a rule without a name", []Rule{{Require: known}}, []string{`name ""`}},
		{"a name with a space", []Rule{{Name: "a b", Require: known}}, []string{`name "a b"`}},
		{"two rules of one name", []Rule{{Name: "r", Require: known}, {Name: "r", Require: known}}, []string{"rule r is given twice"}},
		{"an empty rule", []Rule{{Name: "r"}}, []string{"rule r: it neither requires anything nor denies"}},
		{"a rule that names requests and asks for nothing", []Rule{{Name: "r", Path: []string{"/a"}}}, []string{"neither requires"}},
		{"deny and require together", []Rule{{Name: "r", Path: []string{"/a"}, Deny: true, Require: known}}, []string{"exclude each other"}},
		{"a deny rule about everything", []Rule{{Name: "r", Deny: true}}, []string{"denies every request"}},

		{"a method in lower case", []Rule{{Name: "r", Methods: []string{"post"}, Require: known}}, []string{`methods "post"`, "capitals"}},
		{"a mistyped method", []Rule{{Name: "r", Methods: []string{"DELTE"}, Require: known}}, []string{`methods "DELTE"`}},
		{"a method that never gets here", []Rule{{Name: "r", Methods: []string{"TRACE"}, Require: known}}, []string{`methods "TRACE"`}},
		{"a star as a method", []Rule{{Name: "r", Methods: []string{"*"}, Require: known}}, []string{`methods "*"`}},
		{"a method twice", []Rule{{Name: "r", Methods: []string{"GET", "GET"}, Require: known}}, []string{`methods "GET" is given twice`}},
		{"a path that cannot match", []Rule{{Name: "r", Path: []string{"/a", "b"}, Require: known}}, []string{`path "b": a path begins with /`}},
		{"a path twice", []Rule{{Name: "r", Path: []string{"/a", "/a"}, Require: known}}, []string{`path "/a" is given twice`}},
		{"a host with a port", []Rule{{Name: "r", Host: []string{"a.example:8080"}, Require: known}}, []string{`host "a.example:8080"`, "without scheme, port"}},
		{"a host with a scheme", []Rule{{Name: "r", Host: []string{"https://a.example"}, Require: known}}, []string{"without scheme"}},
		{"a host with a trailing dot, which canonical hosts lack", []Rule{{Name: "r", Host: []string{"a.example."}, Require: known}}, []string{"not a host name"}},
		{"a star inside a host", []Rule{{Name: "r", Host: []string{"a.*.example"}, Require: known}}, []string{"first label only"}},
		{"a star alone as a host", []Rule{{Name: "r", Host: []string{"*"}, Require: known}}, []string{"first label only"}},
		{"an international host that is not encoded", []Rule{{Name: "r", Host: []string{"bücher.example"}, Require: known}}, []string{"xn--"}},
		{"an IPv6 host, which has many spellings", []Rule{{Name: "r", Host: []string{"[::1]"}, Require: known}}, []string{"IPv6"}},
		{"an empty host", []Rule{{Name: "r", Host: []string{""}, Require: known}}, []string{"not a host name"}},

		{"a requirement without a kind", []Rule{{Name: "r", Require: []Requirement{{}}}}, []string{"require[0] has 0 kinds"}},
		{"a requirement of two kinds", []Rule{{Name: "r", Require: []Requirement{{Scope: []string{"a"}, Role: []string{"b"}}}}}, []string{"require[0] has 2 kinds"}},
		{"an empty list of scopes", []Rule{{Name: "r", Require: []Requirement{{Scope: []string{}}}}}, []string{"scope has no values"}},
		{"a scope with a space", []Rule{{Name: "r", Require: []Requirement{{Scope: []string{"a b"}}}}}, []string{`require scope "a b"`}},
		{"a scope twice", []Rule{{Name: "r", Require: []Requirement{{Scope: []string{"a", "a"}}}}}, []string{`require scope "a" is given twice`}},
		{"an empty scope", []Rule{{Name: "r", Require: []Requirement{{Scope: []string{""}}}}}, []string{`require scope ""`}},
		{"a role that was meant as two", []Rule{{Name: "r", Require: []Requirement{{Role: []string{"admin,owner"}}}}}, []string{`require role "admin,owner"`}},
		{"a way to authenticate that does not exist", []Rule{{Name: "r", Require: []Requirement{{Method: []string{"GET"}}}}}, []string{`require method "GET"`, "jwt, api_key"}},
		{"a claim without a name", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Values: []string{"a"}}}}}}, []string{`name ""`}},
		{"a claim that begins with a dot", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Name: ".a", Values: []string{"a"}}}}}}, []string{`name ".a"`, "dots"}},
		{"a claim that ends in a dot", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "a.", Values: []string{"a"}}}}}}, []string{`name "a."`}},
		{"two dots in a claim", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "a..b", Values: []string{"a"}}}}}}, []string{`name "a..b"`}},
		{"a claim without values", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "mfa"}}}}}, []string{"require claim mfa: no values"}},
		{"an empty claim value", []Rule{{Name: "r", Require: []Requirement{{Claim: &Claim{Name: "mfa", Values: []string{""}}}}}}, []string{`require claim mfa ""`}},
		{
			"two tiers at once, which nobody has",
			[]Rule{{Name: "r", Require: []Requirement{{Tier: []string{"gold", "silver"}}, {Tier: []string{"bronze"}}}}},
			[]string{"no caller satisfies its lines `require tier`"},
		},
		{
			"two issuers at once, which nobody has",
			[]Rule{{Name: "r", Require: []Requirement{{Issuer: []string{"a"}}, {Scope: []string{"s"}}, {Issuer: []string{"b"}}}}},
			[]string{"`require issuer`"},
		},
		{
			"two ways of authentication at once, which nobody has",
			[]Rule{{Name: "r", Require: []Requirement{{Method: []string{"jwt"}}, {Method: []string{"api_key"}}}}},
			[]string{"`require method`"},
		},

		{
			"a rule that a deny rule makes dead",
			[]Rule{{Name: "read", Methods: []string{"GET"}, Path: []string{"/admin/users", "/admin/*/keys"}, Require: known}, {Name: "off", Path: []string{"/admin/*"}, Deny: true}},
			[]string{"rule read never decides: rule off denies everything it is about"},
		},
		{
			"a rule about HEAD that a deny rule about GET makes dead",
			[]Rule{{Name: "read", Methods: []string{"HEAD"}, Path: []string{"/a"}, Require: known}, {Name: "off", Methods: []string{"GET"}, Path: []string{"/a"}, Deny: true}},
			[]string{"rule read never decides"},
		},
		{
			"a rule about a host that a deny rule with a wildcard makes dead",
			[]Rule{{Name: "read", Host: []string{"A.example.com"}, Require: known}, {Name: "off", Host: []string{"*.example.com"}, Deny: true}},
			[]string{"rule read never decides"},
		},
		{
			"a deny rule inside another one",
			[]Rule{{Name: "wide", Path: []string{"/a/*"}, Deny: true}, {Name: "narrow", Path: []string{"/a/b"}, Deny: true}},
			[]string{"rule narrow never decides"},
		},
		{
			"two deny rules that say the same",
			[]Rule{{Name: "one", Path: []string{"/a"}, Deny: true}, {Name: "two", Path: []string{"/A"}, Deny: true}},
			[]string{"rule two never decides"},
		},
		{
			"all errors are told",
			[]Rule{{Name: "a", Methods: []string{"get"}, Path: []string{"x"}}, {Name: "b"}},
			[]string{`rule a: methods "get"`, `path "x"`, "neither", "rule b: it neither"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile(tt.rules, false)
			if err == nil || p != nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestOfTwoDenyRulesThatSayTheSameOneIsAtFault(t *testing.T) {
	_, err := Compile([]Rule{{Name: "one", Path: []string{"/a"}, Deny: true}, {Name: "two", Path: []string{"/A"}, Deny: true}}, false)
	if err == nil || strings.Contains(err.Error(), "rule one never") {
		t.Errorf("Compile = %v", err)
	}
}

func TestRulesThatOnlyOverlapAreAccepted(t *testing.T) {
	tests := map[string][]Rule{
		"a deny rule inside a rule":      {{Name: "a", Path: []string{"/a/*"}, Require: known}, {Name: "b", Path: []string{"/a/b"}, Deny: true}},
		"a deny rule about some methods": {{Name: "a", Path: []string{"/a"}, Require: known}, {Name: "b", Path: []string{"/a"}, Methods: []string{"DELETE"}, Deny: true}},
		"a deny rule about some hosts":   {{Name: "a", Path: []string{"/a"}, Require: known}, {Name: "b", Path: []string{"/a"}, Host: []string{"x.example"}, Deny: true}},
		"a deny rule about one path":     {{Name: "a", Path: []string{"/a", "/b"}, Require: known}, {Name: "b", Path: []string{"/a"}, Deny: true}},
		"two rules about the same":       {{Name: "a", Path: []string{"/a"}, Require: known}, {Name: "b", Path: []string{"/a"}, Require: known}},
		"a path and all below it":        {{Name: "a", Path: []string{"/a", "/a/*"}, Require: known}},
		"two lines of roles":             {{Name: "a", Require: []Requirement{{Role: []string{"x"}}, {Role: []string{"y"}}}}},
		"tiers that have one in common":  {{Name: "a", Require: []Requirement{{Tier: []string{"x", "y"}}, {Tier: []string{"y"}}}}},
	}
	for name, rules := range tests {
		if _, err := Compile(rules, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
