package tlspolicy

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// forNames is a connection policy for names, in JSON; for none it is for all.
func forNames(names ...string) *caddytls.ConnectionPolicy {
	if names == nil {
		return &caddytls.ConnectionPolicy{}
	}
	raw, _ := json.Marshal(names)
	return &caddytls.ConnectionPolicy{MatchersRaw: caddy.ModuleMap{"sni": raw}}
}

func TestPoliciesAreReachedAsCaddyChoosesThem(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_NAME", "env.example")
	from := forNames("a.example")
	from.MatchersRaw["remote_ip"] = []byte("{}")
	unreadable := forNames()
	unreadable.MatchersRaw = caddy.ModuleMap{"sni": []byte("1")}
	many := func(policies ...*caddytls.ConnectionPolicy) caddytls.ConnectionPolicies {
		for i := range indexed {
			policies = append(policies, forNames(fmt.Sprintf("other%d.example", i)))
		}
		return policies
	}
	type policies = caddytls.ConnectionPolicies
	tests := []struct {
		name     string
		policies policies
		sent     string
		want     []int
		complete bool
	}{
		{"the first for the name", policies{forNames("b.example"), forNames("A.example"), forNames("a.example")}, "a.example", []int{1}, true},
		{"a wildcard before the name", policies{forNames("*.example"), forNames("a.example")}, "a.example", []int{0}, true},
		{"one that also looks at something else, and what follows", policies{from, forNames()}, "a.example", []int{0, 1}, true},
		{"only one that also looks at something else", policies{from}, "a.example", []int{0}, false},
		{"names that cannot be read", policies{unreadable, forNames()}, "a.example", []int{0, 1}, true},
		{"none", policies{forNames("b.example")}, "a.example", nil, false},
		{"no name in the handshake", policies{forNames("a.example"), forNames()}, "", []int{1}, true},
		{"in Unicode", policies{forNames("b\u00fccher.example"), forNames()}, "xn--bcher-kva.example", []int{0}, true},
		{"a placeholder", policies{forNames("{env.SALLYPORT_TEST_NAME}"), forNames()}, "env.example", []int{0}, true},
		{"of more than 30, one for exactly the name goes first", many(forNames("*.example"), forNames("a.example")), "a.example", []int{1}, true},
		{"of more than 30 without one for exactly the name, the first", many(forNames("*.example"), forNames()), "a.example", []int{0}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, complete := choicesOf(tt.policies).reach(tt.sent)
			if !slices.Equal(got, tt.want) || complete != tt.complete {
				t.Errorf("got %v, %t", got, complete)
			}
		})
	}
}

func TestConnectionsForOtherSitesNamesAreForeign(t *testing.T) {
	asks := func(mode string, names ...string) *caddytls.ConnectionPolicy {
		p := forNames(names...)
		p.ClientAuthentication = &caddytls.ClientAuthentication{Mode: mode}
		return p
	}
	const ours, theirs = "require_and_verify", "request"
	dropped := asks(theirs, "dropped.example")
	dropped.Drop = true
	policies := caddytls.ConnectionPolicies{
		asks(theirs, "b\u00fccher.example"), asks(theirs, "other.test"), asks(ours, "same.example"), dropped, asks(ours, "*.example"),
		asks(theirs, "never.example"),
	}
	all := choicesOf(policies)
	used := []*caddytls.ConnectionPolicy{policies[4]}
	c := clients{own: []string{"*.example", "own.example"}, foreign: all.foreign([]string{"*.example", "own.example"}, used)}
	for name, want := range map[string]bool{
		"xn--bcher-kva.example": true, "XN--BCHER-KVA.example": true, "other.test": false, "same.example": false,
		"dropped.example": false, "never.example": false, "x.example": false, "own.example": false,
	} {
		if got := c.isForeign(name); got != want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	// A wildcard is in a site for all names; a name of the site's own is not its.
	c = clients{own: []string{"", "Own.example"}, foreign: choicesOf(caddytls.ConnectionPolicies{asks(ours, "own.example"), asks(theirs, "*.example"), asks(ours)}).
		foreign([]string{"", "own.example"}, []*caddytls.ConnectionPolicy{asks(ours)})}
	if !c.isForeign("x.example") || c.isForeign("own.example") || c.isForeign("x.test") {
		t.Errorf("foreign are %q", c.foreign)
	}
}
