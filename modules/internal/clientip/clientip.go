// Package clientip is the one place that knows who is calling. It takes the
// address that Caddy derived and refuses it where Caddy had to guess: limits,
// lists and bans rest on it, so no address is better than a chosen one.
package clientip

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

// ErrUnknown says that the peer is a trusted balancer and that its header does
// not establish a client.
var ErrUnknown = errors.New("the balancer's header does not establish a client")

// FromRequest returns the client's address, unmapped and without zone. The peer
// itself is the client unless it is a trusted proxy.
//
// Behind a balancer of the suite, the client is who its edge says. Behind
// another trusted proxy it is whom Caddy derived, unless Caddy had to guess: it
// skips entries of X-Forwarded-For that it cannot parse and goes on to the
// left, where the caller wrote, and takes the balancer's own address when
// nothing is left. Both are errors here. So is a server that trusts proxies
// without trusted_proxies_strict, which takes the leftmost entry.
func FromRequest(r *http.Request, e *edge.Server) (netip.Addr, error) {
	if e.Balancer() != nil {
		if seen := edge.From(r); seen != nil && seen.Client.IsValid() {
			return seen.Client, nil
		}
		return netip.Addr{}, ErrUnknown
	}
	ctx := r.Context()
	derived, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(derived)
	if err != nil {
		return netip.Addr{}, ErrUnknown
	}
	if trusted, _ := caddyhttp.GetVar(ctx, caddyhttp.TrustedProxyVarKey).(bool); trusted {
		server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
		if !ok || server.TrustedProxiesStrict <= 0 || isPeer(r.RemoteAddr, addr) ||
			!established(r.Header, server.ClientIPHeaders, addr) {
			return netip.Addr{}, ErrUnknown
		}
	}
	return addr.Unmap().WithZone(""), nil
}

// isPeer reports whether addr is the trusted proxy's own: what Caddy takes when
// its header names nobody else.
func isPeer(remote string, addr netip.Addr) bool {
	peer, err := netip.ParseAddrPort(remote)
	return err == nil && peer.Addr().Unmap().WithZone("") == addr.Unmap()
}

// established reports whether derived stands in the first of headers that the
// request has, with nothing but addresses to its right: the entries there were
// written by trusted proxies, and it by the outermost of them.
func established(h http.Header, headers []string, derived netip.Addr) bool {
	for _, name := range headers {
		lines := h.Values(name)
		for i := len(lines) - 1; i >= 0; i-- {
			for rest := lines[i]; ; {
				comma := strings.LastIndexByte(rest, ',')
				entry, ok := parseEntry(rest[comma+1:])
				if !ok {
					return false
				}
				if entry == derived {
					return true
				}
				if comma < 0 {
					break
				}
				rest = rest[:comma]
			}
		}
		if len(lines) > 0 {
			return false
		}
	}
	return false
}

// parseEntry reads one entry as Caddy does, so that the two agree on what is an
// address. Most entries are a bare address, which is tried first because the
// error for a missing port is dear.
func parseEntry(s string) (netip.Addr, bool) {
	if addr, ok := parseAddr(s); ok {
		return addr, true
	}
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return parseAddr(host)
}

func parseAddr(s string) (netip.Addr, bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "%")
	addr, err := netip.ParseAddr(s)
	return addr, err == nil
}

// CheckServer refuses a server that trusts proxies in Caddy's default way, in
// which any caller behind an appending balancer chooses its own address.
func CheckServer(server *caddyhttp.Server) error {
	if TrustsProxies(server) && server.TrustedProxiesStrict <= 0 {
		return errors.New("trusted_proxies without trusted_proxies_strict takes the leftmost address of " +
			"X-Forwarded-For, which the caller writes: add trusted_proxies_strict")
	}
	return nil
}

// TrustsProxies reports whether the server has trusted_proxies of any kind. They
// are loaded before listener wrappers and handlers; there is no exported way to
// ask.
func TrustsProxies(server *caddyhttp.Server) bool {
	sources := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	return sources.IsValid() && !sources.IsNil()
}
