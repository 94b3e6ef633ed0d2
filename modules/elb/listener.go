package elb

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/gaissmai/bart"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(ListenerWrapper))
}

const (
	defaultHeaderTimeout        = 3 * time.Second
	maxHeaderTimeout            = time.Minute
	defaultConnectionsPerClient = 1000
)

// ListenerWrapper takes the client's address from the PROXY protocol header of a
// balancer that passes TCP through. Connections from elsewhere, and those whose
// header is not one that the balancer sends, are closed without an answer.
//
// Placeholders, empty where the balancer sent no such id:
//
//	{elb.vpce_id}             AWS: the PrivateLink endpoint
//	{elb.psc_connection_id}   Google: the Private Service Connect connection
//	{elb.link_id}             Azure: the private endpoint
type ListenerWrapper struct {
	// Profile is the balancer: aws_nlb, aws_clb_tcp, gcp_tcp, azure_pls, or
	// proxy_protocol for any other. Required.
	Profile string `json:"profile,omitempty"`

	// From are the addresses and prefixes that the balancer's connections come
	// from. Connections from elsewhere are closed. Required.
	From []string `json:"from,omitempty"`

	// Timeout is for the whole header. Default: 3s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// VPCEIDs are the AWS PrivateLink endpoints whose connections are accepted.
	// Health checks always are. With this, PSCConnectionIDs or LinkIDs, a
	// connection has to bear one of the ids. Default: any, and none.
	VPCEIDs []string `json:"vpce_ids,omitempty"`

	// PSCConnectionIDs are the Google Private Service Connect connections that
	// are accepted, in decimal. Default: any, and none.
	PSCConnectionIDs []string `json:"psc_connection_ids,omitempty"`

	// LinkIDs are the Azure private endpoints that are accepted, in decimal.
	// Default: any, and none.
	LinkIDs []string `json:"link_ids,omitempty"`

	// ConnectionsPerClient is how many connections a client may have open, IPv6
	// clients by /64. More are closed. 0 is no limit. Default: 1000.
	ConnectionsPerClient *int `json:"connections_per_client,omitempty"`

	// ClientIPPreserved is for a Network Load Balancer that leaves the client's
	// address on the connection: From names the clients that may come, and the
	// header has to name the address that the connection comes from. Default:
	// false.
	ClientIPPreserved bool `json:"client_ip_preserved,omitempty"`

	profile *tcpProfile
	from    bart.Lite
	gate    listenerGate
}

// CaddyModule returns the Caddy module information.
func (*ListenerWrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.listeners.elb",
		New: func() caddy.Module { return new(ListenerWrapper) },
	}
}

// Provision implements caddy.Provisioner.
func (l *ListenerWrapper) Provision(ctx caddy.Context) error {
	suite.Came(l)
	server, err := edge.Of(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(l.check(), l.compile()); err != nil {
		return err
	}
	if err := checkServer(server, l.profile); err != nil {
		return err
	}
	if err := metric.Register(ctx, connections); err != nil {
		return err
	}
	l.gate.preserved = l.ClientIPPreserved
	l.gate.count = newConnectionCounts(server.Name())
	l.gate.logger = ctx.Logger()
	l.gate.crowd.Limit = defaultConnectionsPerClient
	if l.ConnectionsPerClient != nil {
		l.gate.crowd.Limit = *l.ConnectionsPerClient
	}
	if l.Timeout == 0 {
		l.Timeout = caddy.Duration(defaultHeaderTimeout)
	}
	keepConnections(server.Caddy())
	precede(server.Caddy())
	switch balancer := server.Balancer().(type) {
	case nil:
		return server.Behind(passthrough{})
	case *Source:
		l.gate.cdn = &balancer.from
	}
	return nil
}

// WrapListener implements caddy.ListenerWrapper.
func (l *ListenerWrapper) WrapListener(ln net.Listener) net.Listener {
	return &balancedListener{
		Listener: ln, from: &l.from, rules: l.profile.rules, timeout: time.Duration(l.Timeout), gate: &l.gate,
	}
}

// check returns what cannot be seen in one option alone.
func (l *ListenerWrapper) check() error {
	var errs []error
	if len(l.From) == 0 {
		errs = append(errs, errors.New("from is missing: where the balancer's connections come from"))
	}
	p := tcpProfileOf(l.Profile)
	if p == nil {
		return errors.Join(append(errs, fmt.Errorf("profile %q is not one of %s", l.Profile, strings.Join(tcpProfileNames(), ", ")))...)
	}
	for _, rule := range []struct {
		name string
		ids  []string
	}{{ruleVPCE, l.VPCEIDs}, {rulePSC, l.PSCConnectionIDs}, {ruleLink, l.LinkIDs}} {
		if len(rule.ids) > 0 && !slices.Contains(p.ids, rule.name) {
			errs = append(errs, fmt.Errorf("%s: headers of %s do not carry them", rule.name, p.name))
		}
	}
	switch {
	case l.ClientIPPreserved && !p.preserves:
		errs = append(errs, fmt.Errorf("client_ip_preserved: %s does not preserve it", p.name))
	case l.ClientIPPreserved && len(l.VPCEIDs) > 0:
		errs = append(errs, errors.New("client_ip_preserved with vpce_ids: connections through PrivateLink come from the "+
			"balancer's address, so none would be accepted"))
	case !l.ClientIPPreserved:
		for _, s := range l.From {
			if _, err := parseFrom(s); err != nil {
				continue // that is said elsewhere
			}
			if _, err := parseBalancer(s); err != nil {
				errs = append(errs, fmt.Errorf("from %q %w", s, err))
			}
		}
	}
	return errors.Join(errs...)
}

// compile reads every value, and returns the errors of all.
func (l *ListenerWrapper) compile() error {
	var errs []error
	l.profile = tcpProfileOf(l.Profile)
	for i, s := range l.From {
		prefix, err := parseFrom(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("from[%d]: %q %w", i, s, err))
			continue
		}
		l.from.Insert(prefix)
	}
	ids := make(map[string]struct{})
	for _, rule := range []struct {
		name  string
		ids   []string
		parse func(string) (string, error)
	}{{ruleVPCE, l.VPCEIDs, parseVPCE}, {rulePSC, l.PSCConnectionIDs, parsePSC}, {ruleLink, l.LinkIDs, parseLink}} {
		for i, s := range rule.ids {
			id, err := rule.parse(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %q %w", rule.name, i, s, err))
				continue
			}
			ids[rule.name+id] = struct{}{}
		}
	}
	if len(ids) > 0 {
		l.gate.ids = ids
	}
	if l.Timeout < 0 || time.Duration(l.Timeout) > maxHeaderTimeout {
		errs = append(errs, fmt.Errorf("timeout is not between 0s and %s", maxHeaderTimeout))
	}
	if l.ConnectionsPerClient != nil && *l.ConnectionsPerClient < 0 {
		errs = append(errs, errors.New("connections_per_client is negative"))
	}
	return errors.Join(errs...)
}

// parseFrom reads an address or a prefix that a balancer's connections come from.
func parseFrom(s string) (netip.Prefix, error) {
	if s == "private_ranges" {
		return netip.Prefix{}, errors.New("is every neighbour in the network: name the balancer's subnets")
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("is not an address or prefix")
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("has bits behind its length, did you mean %s", p.Masked())
	}
	return p, nil
}

// parseVPCE reads the id of an AWS endpoint.
func parseVPCE(s string) (string, error) {
	digits, ok := strings.CutPrefix(s, "vpce-")
	if !ok || digits == "" || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", errors.New("is not vpce- and hexadecimal digits")
	}
	return s, nil
}

func parsePSC(s string) (string, error)  { return parseNumber(s, 64) }
func parseLink(s string) (string, error) { return parseNumber(s, 32) }

// parseNumber reads an id as placeholders show it.
func parseNumber(s string, bits int) (string, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return "", fmt.Errorf("is not a number of %d bits", bits)
	}
	return s, nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*ListenerWrapper)(nil)
	_ caddy.ListenerWrapper = (*ListenerWrapper)(nil)
)
