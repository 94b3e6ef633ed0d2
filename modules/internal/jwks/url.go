package jwks

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// CheckURL says what is wrong with the URL of a key set, or of an issuer's metadata.
// Nothing is fetched or resolved.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("not an absolute URL with a host")
	case u.User != nil:
		return errors.New("the URL contains credentials")
	case u.Fragment != "":
		return errors.New("the URL contains a fragment")
	case !isASCII(u.Hostname()):
		// Some digits and dots of other scripts become an address on the way.
		return errors.New("the host is not ASCII: write it in its xn-- form")
	case isNumber(u.Hostname()):
		return errors.New("the host is a number, which resolvers read as one address or another")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the scheme is not https (http is for loopback addresses only)")
}

// DiscoveryURL is where an issuer has its metadata unless told otherwise (OpenID
// Connect Discovery 1.0 section 4.1).
func DiscoveryURL(issuer string) (string, error) {
	if err := CheckURL(issuer); err != nil {
		return "", err
	}
	if strings.ContainsAny(issuer, "?#") {
		return "", errors.New("an issuer's URL has no query and no fragment")
	}
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration", nil
}

// checkFound says what is wrong with the URL of a key set that the metadata at
// c.URL name. What the operator wrote for the metadata holds for their host only.
func (c Config) checkFound(raw string) error {
	if err := CheckURL(raw); err != nil {
		return err
	}
	found, _ := url.Parse(raw)
	asked, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case found.Scheme == "http" && (asked.Scheme != "http" || found.Hostname() != asked.Hostname()):
		return errors.New("the scheme is not https")
	case c.AllowPrivate:
		return nil
	}
	return checkLiteral(found.Hostname(), asked.Hostname())
}

// checkLiteral refuses a host that is, as it is written, an address which is not of
// the internet. A loopback address is accepted where the operator wrote that very
// host.
func checkLiteral(host, written string) error {
	if host == written && isLoopback(host) {
		return nil
	}
	if isLoopback(host) || isLocalName(host) {
		return errPrivate
	}
	if addr, err := netip.ParseAddr(host); err == nil && !isPublic(addr) {
		return errPrivate
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" { // RFC 6761 section 6.3: never another machine
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isLocalName reports whether a host is a name of this machine, or of a proxy, however
// it is spelled (RFC 6761 section 6.3).
func isLocalName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// isNumber reports whether a resolver may take a host that is no address for one, as
// it does with 0x7f000001, 2130706433 and 127.1: its last label is a number.
func isNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
