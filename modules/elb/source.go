package elb

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/gaissmai/bart"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/elb/forwarded"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/exposure"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(Source))
}

const (
	mostHops = 10
	// caddyHeaderSize is Caddy's default, which it sets before a source can look.
	caddyHeaderSize = 16 * kib
	// The shortest prefixes that can be a balancer's addresses. Shorter ones trust
	// half of the internet.
	shortestIPv4 = 8
	shortestIPv6 = 16
)

var (
	// uniqueLocal is IPv6's private network (RFC 4193).
	uniqueLocal = netip.MustParsePrefix("fc00::/7")
	// nat64 is the whole of IPv4 in IPv6 (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// Source is a balancer that speaks HTTP and writes the client's address into a
// header. It establishes the client, rewrites the header so that Caddy derives the
// same, and removes what else the request claims about addresses and traces. When
// nothing is established, {client_ip} is 0.0.0.0 and guards refuse.
type Source struct {
	// Profile is the balancer: aws_alb, aws_clb, gcp_alb, azure_appgw,
	// azure_frontdoor, cloudflare, or hops for any other. Required.
	Profile string `json:"profile,omitempty"`

	// From are the addresses and prefixes that the balancer's connections come
	// from. Callers from elsewhere are their own clients. Required.
	From []string `json:"from,omitempty"`

	// Hops is the client's position in X-Forwarded-For, counted from the right, 1 to
	// 10. Required by the profile hops, which alone takes it. Default: none.
	Hops int `json:"hops,omitempty"`

	// FDID is the id of your Front Door, which it writes into X-Azure-FDID. Its
	// addresses are shared with those of all other customers. Required by the profile
	// azure_frontdoor, which alone takes it. Default: none.
	FDID string `json:"fdid,omitempty"`

	// ConnectionsPerClient is how many of the balancer's connections one client has
	// in use at a time, IPv6 by /64; 0 is no limit. Default: 1000.
	ConnectionsPerClient *int `json:"connections_per_client,omitempty"`

	profile *profile
	entry   int
	from    bart.Lite
	counts  requestCounts
}

// CaddyModule returns the Caddy module information.
func (*Source) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.ip_sources.elb",
		New: func() caddy.Module { return new(Source) },
	}
}

// Provision implements caddy.Provisioner. It refuses a server that would not
// derive its clients from this source alone, or that closes connections before
// the balancer does.
func (s *Source) Provision(ctx caddy.Context) error {
	suite.Came(s)
	server, err := edge.Of(ctx)
	if err != nil {
		return err
	}
	errs := []error{s.compile()}
	errs = append(errs, s.check(func(string) bool { return false })...)
	errs = append(errs, s.checkServer(server)...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := server.Behind(s); err != nil {
		return err
	}
	connections := defaultConnectionsPerClient
	if s.ConnectionsPerClient != nil {
		connections = *s.ConnectionsPerClient
	}
	server.LimitConnections(connections)
	precede(server.Caddy())
	if err := metric.Register(ctx, origins); err != nil {
		return err
	}
	s.counts = newRequestCounts(server.Name())
	return warnTLS(ctx, server.Caddy())
}

// warnTLS says when the server does what works only without a balancer that ends
// TLS in front of it.
func warnTLS(ctx caddy.Context, server *caddyhttp.Server) error {
	if len(server.TLSConnPolicies) == 0 {
		return nil
	}
	app, err := ctx.App("tls")
	if err != nil {
		return err
	}
	if names := exposure.Challenged(server, app.(*caddytls.TLS)); len(names) > 0 {
		ctx.Logger().Warn("ACME does not work behind an HTTPS balancer, which gets the challenges: write http:// in the site's address, "+
			"or use tls internal or a mounted certificate", zap.Strings("names", names), zap.Strings("listen", server.Listen))
	}
	if exposure.Redirects(server) {
		ctx.Logger().Warn("redirects to HTTPS loop if the balancer speaks HTTP to this gateway: write http:// in the site's address, "+
			"or set auto_https disable_redirects", zap.Strings("listen", server.Listen))
	}
	return nil
}

// compile reads every value, and returns the errors of all.
func (s *Source) compile() error {
	var errs []error
	if s.profile = profileNamed(s.Profile); s.profile == nil {
		errs = append(errs, fmt.Errorf("profile %q is not one of %s", s.Profile, strings.Join(profileNames(), ", ")))
	} else if s.entry = s.profile.entry; s.entry == 0 {
		s.entry = s.Hops
	}
	for i, text := range s.From {
		prefix, err := parseBalancer(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("from[%d]: %q %w", i, text, err))
			continue
		}
		s.from.Insert(prefix)
	}
	if s.Hops < 0 || s.Hops > mostHops {
		errs = append(errs, fmt.Errorf("hops %d is not between 1 and %d", s.Hops, mostHops))
	}
	if s.FDID != "" {
		if _, err := parseFDID(s.FDID); err != nil {
			errs = append(errs, fmt.Errorf("fdid %w", err))
		}
	}
	if n := s.ConnectionsPerClient; n != nil && *n < 0 {
		errs = append(errs, errors.New("connections_per_client is negative"))
	}
	return errors.Join(errs...)
}

// check returns an error for each option that is missing, or that the profile
// does not have. given says that an option was there, but could not be read.
func (s *Source) check(given func(option string) bool) []error {
	var errs []error
	if len(s.From) == 0 && !given("from") {
		errs = append(errs, errors.New("elb needs from: the addresses that the balancer's connections come from"))
	}
	for _, o := range []struct {
		option, profile, why string
		set                  bool
	}{
		{"hops", "hops", "how many entries from the right of X-Forwarded-For the client is", s.Hops != 0},
		{"fdid", "azure_frontdoor", "the id of your Front Door, whose addresses all customers share", s.FDID != ""},
	} {
		set := o.set || given(o.option)
		switch {
		case s.Profile == o.profile && !set:
			errs = append(errs, fmt.Errorf("profile %s needs %s: %s", o.profile, o.option, o.why))
		case s.Profile != o.profile && set && profileNamed(s.Profile) != nil:
			errs = append(errs, fmt.Errorf("%s is an option of the profile %s, not of %s: remove it", o.option, o.profile, s.Profile))
		}
	}
	return errs
}

// checkServer refuses a server on which Caddy would come to another client than
// this source, or on which the balancer runs into errors. It sets what is not
// configured.
func (s *Source) checkServer(around *edge.Server) []error {
	var errs []error
	server := around.Caddy()
	if server.TrustedProxiesStrict <= 0 {
		errs = append(errs, errors.New("elb needs trusted_proxies_strict beside it: without, Caddy takes the leftmost address of X-Forwarded-For"))
	}
	if server.TrustedProxiesUnix {
		errs = append(errs, errors.New("trusted_proxies_unix trusts every header of a Unix socket: remove it, or elb"))
	}
	for _, name := range server.ClientIPHeaders {
		if !strings.EqualFold(name, "X-Forwarded-For") {
			errs = append(errs, fmt.Errorf("client_ip_headers %s is not what elb writes the client to: remove client_ip_headers", name))
		}
	}
	if err := checkProtocols(server); err != nil {
		errs = append(errs, err)
	}
	if s.profile == nil {
		return errs
	}
	if err := keepIdle(around, s.Profile, s.profile.idle); err != nil {
		errs = append(errs, err)
	}
	// A balancer may open a connection long before it has a request for it, and
	// sends whole headers.
	around.AwaitRequests(s.profile.idle + idleMargin)
	switch size := server.MaxHeaderBytes; {
	case size >= s.profile.head:
	case size == caddyHeaderSize:
		server.MaxHeaderBytes = s.profile.head
	default:
		errs = append(errs, fmt.Errorf("max_header_size %d is less than the %d bytes that %s passes on: raise it, or leave it unset",
			size, s.profile.head, s.Profile))
	}
	return errs
}

// Vendor implements edge.Vendor.
func (s *Source) Vendor() string { return s.Profile }

// Identify implements edge.Balancer.
func (s *Source) Identify(r *http.Request, req *edge.Request) {
	// A TCP balancer in front of this one checks our health: on behalf of nobody.
	if conn := clientOf(r); conn != nil && conn.Local {
		count(s.counts.local)
		removeClaims(r.Header)
		return
	}
	peer, ok := forwarded.Peer(r.RemoteAddr)
	if !ok {
		count(s.counts.unknown)
		removeClaims(r.Header)
		return
	}
	if !s.from.Contains(peer) {
		count(s.counts.pastBalancer)
		req.Client = peer
		removeClaims(r.Header)
		return
	}
	if s.FDID != "" && !s.isOurs(r.Header["X-Azure-Fdid"]) {
		// Front Door, but somebody else's: nothing that it writes is about our clients.
		count(s.counts.foreign)
		removeClaims(r.Header)
		return
	}
	req.Balanced = true
	lines := r.Header["X-Forwarded-For"]
	client, text, ok := s.profile.client(r.Header, lines, s.entry)
	req.Client = client
	req.Trace = s.profile.keepClaims(r.Header)
	if !ok {
		count(s.counts.unknown)
		delete(r.Header, "X-Forwarded-For")
		return
	}
	count(s.counts.established)
	// Most entries are in the one form that addresses are written in already.
	var buf [48]byte
	if string(client.AppendTo(buf[:0])) != text {
		text = client.String()
	}
	lines[0] = text
	if len(lines) > 1 {
		r.Header["X-Forwarded-For"] = lines[:1]
	}
}

func (s *Source) isOurs(lines []string) bool {
	return len(lines) == 1 && lines[0] == s.FDID
}

// GetIPRanges implements caddyhttp.IPRangeSource. It trusts the peer alone, and
// only when the header holds the client that the edge established: no other
// address in the header is ever skipped. Caddy calls it twice for each request.
func (s *Source) GetIPRanges(r *http.Request) []netip.Prefix {
	req := edge.From(r)
	if req == nil || !req.Balanced || !req.Client.IsValid() {
		return nil
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	// Caddy compares the peer in the form it came in, without its zone. Of a
	// balancer that is its own client it skips the header, and takes the peer.
	peer := remote.Addr().WithZone("")
	return []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen())}
}

// parseBalancer reads an address or prefix that is a balancer's and nobody else's.
func parseBalancer(s string) (netip.Prefix, error) {
	p, err := parseFrom(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	shortest := shortestIPv4
	switch {
	case nat64.Contains(p.Addr()):
		shortest = nat64.Bits() + shortestIPv4
	case p.Addr().Is6():
		shortest = shortestIPv6
	}
	if p.Bits() < shortest && p != uniqueLocal {
		return netip.Prefix{}, errors.New("lets everyone name their own address: name the balancer's subnets")
	}
	return p, nil
}

// parseFDID reads a UUID as Front Door writes it.
func parseFDID(s string) (string, error) {
	if len(s) != len("00000000-0000-0000-0000-000000000000") {
		return "", errors.New("is not a UUID in lower case")
	}
	for i := range len(s) {
		c := s[i]
		switch hyphen := i == 8 || i == 13 || i == 18 || i == 23; {
		case hyphen && c == '-':
		case !hyphen && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f'):
		default:
			return "", errors.New("is not a UUID in lower case")
		}
	}
	return s, nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*Source)(nil)
	_ caddyhttp.IPRangeSource = (*Source)(nil)
	_ edge.Balancer           = (*Source)(nil)
	_ edge.Vendor             = (*Source)(nil)
)
