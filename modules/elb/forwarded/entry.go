package forwarded

import (
	"net/netip"
	"strings"
)

// longestEntry is more than any address with a port needs: a mapped IPv6 address
// of 45 characters, brackets and ":65535".
const longestEntry = 53

// broadcast is nobody's own address, but netip has no word for it.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Notation says how a balancer writes an address and a port.
type Notation uint8

const (
	// Any is an address, bare or with a port: 192.0.2.1, 192.0.2.1:4711,
	// 2001:db8::1, [2001:db8::1], [2001:db8::1]:4711.
	Any Notation = iota
	// Bracketed is Any without a bare IPv6 address: from a balancer that always
	// writes a port and may leave out the brackets, 2001:db8::1:4711 can be read in
	// two ways.
	Bracketed
)

// Entry returns the address in the n-th entry from the right of the lines of an
// X-Forwarded-For header, joined in their order (RFC 9110 section 5.3), unmapped,
// and the entry as it was written. n counts from 1.
//
// ok is false when there are fewer entries, or when that entry or one to the right
// of it is not the address of a host: those were written by trusted balancers, and
// what is not an address tells nothing about how many of them there were. What
// stands further to the left was written by the caller and is not looked at.
func Entry(lines []string, n int, as Notation) (addr netip.Addr, text string, ok bool) {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; ; {
			comma := strings.LastIndexByte(rest, ',')
			text = trim(rest[comma+1:])
			if addr, ok = parse(text, as); !ok {
				return netip.Addr{}, "", false
			}
			if n--; n == 0 {
				return addr, text, true
			}
			if comma < 0 {
				break
			}
			rest = rest[:comma]
		}
	}
	return netip.Addr{}, "", false
}

// Single returns the address, without a port, that is the only value of lines,
// unmapped.
func Single(lines []string) (netip.Addr, bool) {
	if len(lines) != 1 {
		return netip.Addr{}, false
	}
	return host(trim(lines[0]))
}

// Peer returns the address in a connection's remote address, host:port, unmapped
// and without its zone.
func Peer(remote string) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, false
	}
	return peer.Addr().Unmap().WithZone(""), true
}

func parse(s string, as Notation) (netip.Addr, bool) {
	if s == "" || len(s) > longestEntry {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || end+1 < len(s) && !(s[end+1] == ':' && Port(s[end+2:])) {
			return netip.Addr{}, false
		}
		// Brackets are for IPv6 alone (RFC 3986 section 3.2.2).
		if s = s[1:end]; strings.IndexByte(s, ':') < 0 {
			return netip.Addr{}, false
		}
		return host(s)
	}
	colon := strings.IndexByte(s, ':')
	if colon < 0 {
		return host(s)
	}
	if strings.IndexByte(s[colon+1:], ':') >= 0 {
		if as == Bracketed {
			return netip.Addr{}, false
		}
		return host(s)
	}
	if !Port(s[colon+1:]) {
		return netip.Addr{}, false
	}
	return host(s[:colon])
}

// host reads the address of a host: one that a client can call from, with no
// zone, which means something only on the machine that wrote it.
func host(s string) (netip.Addr, bool) {
	if len(s) > longestEntry {
		return netip.Addr{}, false
	}
	// ParseAddr takes no leading zeros in IPv4, which some read as octal.
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	addr = addr.Unmap()
	if addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast {
		return netip.Addr{}, false
	}
	return addr, true
}

// trim removes optional whitespace (RFC 9110 section 5.6.3), which is less than
// what strings.TrimSpace takes for whitespace.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
