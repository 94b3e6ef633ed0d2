package jwks

import (
	"errors"
	"net/netip"
	"net/url"
)

// CheckURL says what is wrong with the URL of a key set. Nothing is fetched or
// resolved.
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
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the scheme is not https (http is for loopback addresses only)")
}

func isLoopback(host string) bool {
	if host == "localhost" { // RFC 6761 section 6.3: never another machine
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
