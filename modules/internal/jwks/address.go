package jwks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
)

var errPrivate = errors.New("the address is not of the internet; allow_private lets it be asked")

// special are the ranges that are not of the internet, beside those that netip
// knows (RFC 6890 and the registries of IANA that it began).
var special = func() []netip.Prefix {
	texts := []string{
		"0.0.0.0/8",
		"100.64.0.0/10",    // carriers' networks, metadata of Alibaba Cloud
		"168.63.129.16/32", // Azure's metadata
		"192.0.0.0/24",
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
		"192.88.99.0/24",
		"198.18.0.0/15",
		"240.0.0.0/4",
		"2001::/23", // Teredo, ORCHID
		"2001:db8::/32", "3fff::/20",
	}
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}()

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour     = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// isPublic reports whether an address is one of the internet. What is not known to
// be is not.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is6() {
		b := addr.As16()
		switch {
		case addr.Zone() != "":
			return false
		case nat64.Contains(addr):
			return isPublic(netip.AddrFrom4([4]byte(b[12:16])))
		case !globalUnicast.Contains(addr):
			return false
		case sixToFour.Contains(addr):
			return isPublic(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	if !addr.IsValid() || addr.IsPrivate() || !addr.IsGlobalUnicast() {
		return false
	}
	for _, prefix := range special {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}

// gate is a transport that asks only addresses which a source may ask. It looks at
// the address to which a connection is about to be opened, so that a name cannot
// mean one address when it is checked and another one when it is used.
type gate struct {
	config    Config
	written   string // the host that the operator wrote
	transport *http.Transport
	proxy     func(*http.Request) (*url.URL, error)
}

// proxyKey is the key, among the values of a request's context, of the proxy that it
// goes through.
type proxyKey struct{}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	proxy, err := g.proxy(r)
	if err != nil {
		return nil, errors.New("the proxy's URL is not valid")
	}
	if !g.config.AllowPrivate {
		// All that can be checked where a proxy resolves the name.
		if err := checkLiteral(r.URL.Hostname(), g.written); err != nil {
			return nil, err
		}
	}
	return g.transport.RoundTrip(r.WithContext(context.WithValue(r.Context(), proxyKey{}, proxy)))
}

func chosenProxy(r *http.Request) (*url.URL, error) {
	proxy, _ := r.Context().Value(proxyKey{}).(*url.URL)
	return proxy, nil
}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: fetchTimeout}
	proxy, _ := ctx.Value(proxyKey{}).(*url.URL)
	if proxy == nil && !g.config.AllowPrivate { // the proxy's own address is the operator's
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		dialer.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			return g.check(host, resolved)
		}
	}
	return dialer.DialContext(ctx, network, address)
}

// check refuses a connection to resolved, which host means at the moment.
func (g *gate) check(host, resolved string) error {
	to, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return errPrivate
	}
	addr := to.Addr()
	if isPublic(addr) || addr.Unmap().IsLoopback() && host == g.written && isLoopback(host) {
		return nil
	}
	return fmt.Errorf("%s: %w", addr, errPrivate)
}
