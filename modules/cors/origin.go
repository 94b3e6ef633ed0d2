package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Bounds of the parts of an origin. A host name has at most 253 bytes and a
// label 63 (RFC 1035 section 2.3.4, without the root); the scheme's bound is
// ours.
const (
	maxScheme = 64
	maxHost   = 253
	maxLabel  = 63
)

// pattern is one entry of allow_origins, taken apart.
type pattern struct {
	scheme string
	// host is in the form in which browsers serialise it; IPv6 has brackets.
	// Of a subdomain wildcard it is what follows "*.".
	host string
	// port is "" for the scheme's default port, which browsers leave out.
	port string
	// subdomains: host is the base of a wildcard, which covers the names below
	// it at any depth but not the base itself.
	subdomains bool
}

// parsePattern takes an entry of allow_origins apart. It accepts only what a
// browser could send, byte for byte (Fetch, "serializing a request origin"): an
// entry that can never match is a mistake in a policy, and one that is repaired
// silently hides it.
func parsePattern(s string) (pattern, error) {
	if err := checkSpelling(s); err != nil {
		return pattern{}, err
	}
	scheme, authority, ok := strings.Cut(s, "://")
	if !ok {
		return pattern{}, errors.New("an origin is scheme://host or scheme://host:port")
	}
	if err := checkScheme(scheme); err != nil {
		return pattern{}, err
	}
	if strings.ContainsAny(authority, "/?#") {
		return pattern{}, errors.New("an origin ends after the host and port: no slash, path, query or fragment")
	}
	if strings.Contains(authority, "@") {
		return pattern{}, errors.New("an origin has no user name or password")
	}
	p := pattern{scheme: scheme}
	host, port, hasPort := splitPort(authority)
	if hasPort {
		if err := checkPort(scheme, port); err != nil {
			return pattern{}, err
		}
		p.port = port
	}
	p.host, p.subdomains = strings.CutPrefix(host, "*.")
	return p, checkHost(p.host, p.subdomains)
}

// checkSpelling refuses what is not a matter of one part of the origin.
func checkSpelling(s string) error {
	if s == "null" {
		return errors.New("every sandboxed frame and data: page has the origin null, so anyone can have it")
	}
	for i := range len(s) {
		if c := s[i]; c >= 0x80 {
			return errors.New("browsers send international names in Punycode (xn--…)")
		} else if 'A' <= c && c <= 'Z' {
			return errors.New("browsers send origins in lower case, and they are compared byte for byte")
		}
	}
	return nil
}

// opaqueSchemes are schemes whose pages have no origin of their own: browsers
// send null for them (HTML, "origin"). WebSocket URLs are never an origin
// either; the page that opens the connection is.
var opaqueSchemes = []string{"about", "blob", "data", "file", "javascript", "ws", "wss"}

func checkScheme(scheme string) error {
	if slices.Contains(opaqueSchemes, scheme) {
		return fmt.Errorf("no page has an origin with the scheme %s", scheme)
	}
	if scheme == "" || len(scheme) > maxScheme || scheme[0] < 'a' || scheme[0] > 'z' {
		return errors.New("the scheme is not valid")
	}
	for i := range len(scheme) {
		c := scheme[i]
		if !isLowerAlnum(c) && c != '+' && c != '-' && c != '.' {
			return errors.New("the scheme is not valid")
		}
	}
	return nil
}

// splitPort cuts off what follows the host's colon; a bracketed IPv6 address
// has colons of its own.
func splitPort(authority string) (host, port string, hasPort bool) {
	bracket := strings.LastIndexByte(authority, ']') + 1
	host, port, hasPort = strings.Cut(authority[bracket:], ":")
	return authority[:bracket] + host, port, hasPort
}

func checkPort(scheme, port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port[0] < '1' || port[0] > '9' {
		return errors.New("a port is a number from 1 to 65535 without leading zeros")
	}
	if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
		return errors.New("browsers leave out the scheme's default port")
	}
	return nil
}

func checkHost(host string, subdomains bool) error {
	if strings.Contains(host, "*") {
		return errors.New("a wildcard is the whole first label: https://*.example.com")
	}
	if host == "" {
		return errors.New("the host is missing")
	}
	if strings.HasPrefix(host, "[") || endsInNumber(host) {
		if subdomains {
			return errors.New("an IP address has no subdomains")
		}
		return checkIP(host)
	}
	longest := maxHost
	if subdomains {
		longest -= len("a.")
	}
	if len(host) > longest || !validLabels(host) {
		return errors.New("the host is not a valid name")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("the host is not a valid name")
		}
	}
	return nil
}

// endsInNumber reports whether browsers read host as an IPv4 address: its last
// label is a decimal or hexadecimal number (URL Standard, "ends in a number").
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits, hexadecimal := strings.CutPrefix(last, "0x")
	if hexadecimal {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func checkIP(host string) error {
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed {
			return errors.New("the IPv6 address is not valid")
		}
	}
	addr, err := netip.ParseAddr(inner)
	switch {
	case !bracketed && (err != nil || !addr.Is4()):
		return errors.New("the IPv4 address is not four decimal numbers")
	case !bracketed:
		return nil
	case err != nil || !addr.Is6() || addr.Zone() != "":
		return errors.New("the IPv6 address is not valid")
	case addr.Is4In6():
		return errors.New("write an IPv4-mapped address as IPv4")
	case addr.String() != inner:
		return fmt.Errorf("browsers send this address as [%s]", addr)
	}
	return nil
}

// secure reports whether nobody between browser and server can make up a page
// of this origin: it came over TLS, or never left the machine. The names below
// localhost are loopback by RFC 6761 section 6.3.
func (p pattern) secure() bool {
	if p.scheme == "https" || p.host == "localhost" || strings.HasSuffix(p.host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(p.host, "[]"))
	return err == nil && addr.IsLoopback()
}

// spansRegistrants reports whether a wildcard covers names of different owners:
// its base is a public suffix (com, github.io), or each name below it is one
// (compute.amazonaws.com, by a wildcard rule of the list).
func (p pattern) spansRegistrants() bool {
	for _, name := range []string{p.host, "any." + p.host} {
		if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
			return p.subdomains
		}
	}
	return false
}

// validLabels reports whether host consists of labels of the characters that
// browsers leave in a name.
func validLabels(host string) bool {
	length := 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if length == 0 {
				return false
			}
			length = 0
		case (isLowerAlnum(c) || c == '-' || c == '_') && length < maxLabel:
			length++
		default:
			return false
		}
	}
	return length > 0
}

func isLowerAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
}
