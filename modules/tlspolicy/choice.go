package tlspolicy

import (
	"crypto/tls"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// choices are the connection policies of a server, as Caddy chooses among them.
type choices []choice

type choice struct {
	policy *caddytls.ConnectionPolicy
	names  caddytls.MatchServerName // nil for all
	always bool                     // nothing else than the name decides
}

func choicesOf(policies caddytls.ConnectionPolicies) choices {
	all := make(choices, 0, len(policies))
	for _, p := range policies {
		c := choice{policy: p, always: true}
		for module, raw := range p.MatchersRaw {
			if module != "sni" || json.Unmarshal(raw, &c.names) != nil {
				c.always = false
			}
		}
		all = append(all, c)
	}
	return all
}

// isOf reports whether a name in a handshake is one of the patterns'. Caddy itself
// is asked: they may be in Unicode, and have placeholders.
func isOf(name string, patterns ...string) bool {
	return caddytls.MatchServerName(patterns).Match(&tls.ClientHelloInfo{ServerName: name})
}

func expand(name string) string { return caddy.NewReplacer().ReplaceAll(name, "") }

// matches reports whether a client that names name can get the policy.
func (c choice) matches(name string) bool { return c.names == nil || isOf(name, c.names...) }

// isFor reports whether a name is in the policy as it stands, and for no wildcard.
func (c choice) isFor(name string) bool {
	return slices.ContainsFunc(c.names, func(pattern string) bool { return !strings.ContainsAny(pattern, "*{") && isOf(name, pattern) })
}

// indexed is how many connection policies a server has at most if Caddy goes
// through them in order. Of more it takes only those for exactly the name in the
// handshake, if there are any.
const indexed = 30

// reach returns which policies a client can get that names name, and whether it
// gets one of them in any case.
func (all choices) reach(name string) (found []int, complete bool) {
	exactly := len(all) > indexed && slices.ContainsFunc(all, func(c choice) bool { return c.isFor(name) })
	for i, c := range all {
		if !c.matches(name) || exactly && !c.isFor(name) {
			continue
		}
		found = append(found, i)
		if c.always {
			return found, true
		}
	}
	return found, false
}

// foreign returns the names, wildcards among them, that are in a site's and have a
// connection policy of their own, which asks something else of clients than those
// that the site uses. Requests for them are another site's, but for those that this
// one has no route for: sites can have a path in their address.
func (all choices) foreign(hosts []string, used []*caddytls.ConnectionPolicy) []string {
	ours := func(p *caddytls.ConnectionPolicy) bool {
		return p.Drop || slices.ContainsFunc(used, func(o *caddytls.ConnectionPolicy) bool {
			return o == p || reflect.DeepEqual(o.ClientAuthentication, p.ClientAuthentication)
		})
	}
	var names []string
	for _, c := range all {
		if ours(c.policy) {
			continue
		}
		for _, name := range c.names {
			name = expand(name)
			inSite := slices.Contains(hosts, "") || isOf(name, hosts...)
			reached, _ := all.reach(name)
			if inSite && slices.ContainsFunc(reached, func(i int) bool { return !ours(all[i].policy) }) {
				names = append(names, name)
			}
		}
	}
	return names
}

// isForeign reports whether a connection for a name was made as another site asks
// of its clients.
func (c clients) isForeign(name string) bool {
	if len(c.foreign) == 0 || slices.ContainsFunc(c.own, func(own string) bool { return strings.EqualFold(own, name) }) {
		return false
	}
	return isOf(name, c.foreign...)
}

// handshakeName is what a handshake says that is for a site.
type handshakeName struct{ host, sent string }

func (n handshakeName) String() string {
	switch {
	case n.host == "":
		return "all names"
	case n.sent == "":
		return n.host + ", which handshakes do not name (write the site without a name)"
	}
	return n.host
}

// handshakeNames are what handshakes for a site's hosts say: nothing for an
// address, though some clients do all the same.
func handshakeNames(hosts []string) []handshakeName {
	var names []handshakeName
	for _, host := range hosts {
		names = append(names, handshakeName{host, host})
		if isAddress(host) {
			names = append(names, handshakeName{host, ""})
		}
	}
	return names
}
