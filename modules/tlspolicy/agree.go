package tlspolicy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// agree returns an error for everything that is weaker than the policy in a
// connection policy that a client of the site can get. They are judged as Caddy
// will use them, after the site's directives were merged and with what
// automatic HTTPS and other sites added: that is where settings get lost.
func (h *Handler) agree(server *caddyhttp.Server, hosts []string) error {
	if len(server.TLSConnPolicies) == 0 {
		return errors.New("tls_policy is for sites with TLS: this server has none")
	}
	choices := choicesOf(server.TLSConnPolicies)
	var errs []error
	judged := make(map[int]bool)
	var used []*caddytls.ConnectionPolicy
	for _, name := range handshakeNames(hosts) {
		reached, complete := choices.reach(name.sent)
		for _, i := range reached {
			if judged[i] {
				continue
			}
			judged[i] = true
			used = append(used, choices[i].policy)
			for _, err := range h.weaker(choices[i].policy) {
				errs = append(errs, fmt.Errorf("connection policy %d, for %s: %w", i, name, err))
			}
		}
		if !complete {
			errs = append(errs, fmt.Errorf("no connection policy is for %s", name))
		}
	}
	h.clients = clientsOf(used)
	h.clients.own, h.clients.foreign = hosts, choices.foreign(hosts, used)
	h.clients.required = h.clients.required || h.ClientAuth == clientRequire
	h.clients.verified = h.clients.verified || h.ClientAuth != ""
	if h.clients.asked && (server.StrictSNIHost == nil || !*server.StrictSNIHost) {
		errs = append(errs, errors.New("client_auth needs strict_sni_host: without, the certificate may have been verified for another site"))
	}
	return errors.Join(errs...)
}

// clients is what the connection policies of a site ask of its clients, whichever
// directive says so.
type clients struct {
	asked    bool // some ask for a certificate
	required bool // all insist on one
	verified bool // all that ask verify what they get

	own     []string // the site's names
	foreign []string // names of its clients whose connections others vouch for
}

func clientsOf(policies []*caddytls.ConnectionPolicy) clients {
	c := clients{required: true, verified: true}
	for _, p := range policies {
		if p.Drop {
			continue
		}
		a := p.ClientAuthentication
		if a == nil || !a.Active() {
			c.required = false
			continue
		}
		c.asked = true
		switch a.Mode {
		case "require_and_verify":
		case clientIfGiven:
			c.required = false
		case "":
			// Caddy verifies then if it knows whom to trust: it does where there is
			// anything but verifiers.
			c.verified = c.verified && (a.CARaw != nil || len(a.VerifiersRaw) == 0)
		case "require":
			c.verified = false
		default:
			c.required, c.verified = false, false
		}
	}
	c.required = c.required && c.asked
	return c
}

// hold reports whether a connection was made as the site asks of its clients.
// That it was made for another site, whose clients others vouch for, is for
// strict_sni_host to find; but that compares names as Unicode does, where "ſ" is
// an "s", and the choice of the connection policy does not. No client has a
// reason to send such a name (RFC 6066 section 3).
func (c clients) hold(s *tls.ConnectionState) bool {
	if !c.asked {
		return true
	}
	for i := range len(s.ServerName) {
		if s.ServerName[i] >= utf8.RuneSelf {
			return false
		}
	}
	if c.isForeign(s.ServerName) {
		return false
	}
	if len(s.PeerCertificates) == 0 {
		return !c.required
	}
	return !c.verified || len(s.VerifiedChains) > 0
}

// weaker returns what p allows and the policy does not.
func (h *Handler) weaker(p *caddytls.ConnectionPolicy) []error {
	if p.Drop {
		return nil
	}
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if p.InsecureSecretsLog != "" {
		refuse("insecure_secrets_log writes the keys of every connection to a file: remove it")
	}
	lowest, known := caddytls.SupportedProtocols[p.ProtocolMin]
	if p.ProtocolMin == "" {
		lowest, known = tls.VersionTLS12, true
	}
	if !known || lowest < h.level.minVersion {
		refuse("protocol_min %q is below %s of %s", p.ProtocolMin, caddytls.ProtocolName(h.level.minVersion), h.level.name)
	}
	if p.ProtocolMax != "" && p.ProtocolMax != caddytls.ProtocolName(tls.VersionTLS13) {
		refuse("protocol_max %s leaves out TLS 1.3", p.ProtocolMax)
	}
	for _, suite := range p.CipherSuites {
		if lowest == tls.VersionTLS13 {
			refuse("cipher suite %s: the suites of TLS 1.3 cannot be chosen, remove ciphers", suite)
		} else if !slices.Contains(h.level.suites, caddytls.CipherSuiteID(suite)) {
			refuse("cipher suite %s is not one of %s", suite, h.level.name)
		}
	}
	for _, curve := range p.Curves {
		if !slices.Contains(curves, caddytls.SupportedCurves[curve]) {
			refuse("curve %s is not one of %s", curve, h.level.name)
		}
	}
	for _, protocol := range p.ALPN {
		if !slices.Contains(alpn, protocol) {
			refuse("alpn %s is not one of %s", protocol, h.level.name)
		}
	}
	if err := h.weakerClientAuth(p.ClientAuthentication); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// weakerClientAuth guards against losing client_auth on the way: for a wildcard
// beside other names, of the same site or of another, Caddy's adapter copies the
// connection policy without it, in front of the original, when a tls directive
// beside it configures no connection.
func (h *Handler) weakerClientAuth(a *caddytls.ClientAuthentication) error {
	if h.ClientAuth == "" {
		return nil
	}
	if a == nil {
		return errors.New("client_auth got lost: for a wildcard beside other names, Caddy's adapter drops what a tls directive does not say itself; write client_auth into the tls directive")
	}
	switch a.Mode {
	case "", "require_and_verify":
		return nil
	case clientIfGiven:
		if h.ClientAuth == clientIfGiven {
			return nil
		}
	}
	return fmt.Errorf("client_auth mode %s is weaker than %s", a.Mode, h.ClientAuth)
}

// hostsOf are the names of the site whose handlers are being provisioned: Caddy
// provisions routes in order, and drops a route's raw handlers when they are
// loaded. The empty one means all names.
func hostsOf(server *caddyhttp.Server) []string {
	for i := range server.Routes {
		if len(server.Routes[i].HandlersRaw) == 0 {
			continue
		}
		var names []string
		for _, set := range server.Routes[i].MatcherSets {
			named := false
			for _, m := range set {
				if hosts, ok := m.(*caddyhttp.MatchHost); ok {
					named = true
					for _, host := range *hosts {
						names = append(names, expand(host))
					}
				}
			}
			if !named {
				names = append(names, "")
			}
		}
		if names != nil {
			return names
		}
		break
	}
	return []string{""}
}
