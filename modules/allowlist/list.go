package allowlist

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// list decides on addresses. The zero value lets everyone pass. It is read-only
// once it is filled and then safe for concurrent use.
type list struct {
	allowed, denied bart.Lite
	closed          bool // only allowed addresses pass
}

// verdict is what a list says about an address.
type verdict int

const (
	pass       verdict = iota
	denied             // a deny names it
	notAllowed         // there are allows, and none names it
)

// judge decides on addr, which has to be unmapped. An invalid address is never
// allowed and always denied.
func (l *list) judge(addr netip.Addr) verdict {
	switch {
	case !addr.IsValid() || l.denied.Contains(addr):
		return denied
	case l.closed && !l.allowed.Contains(addr):
		return notAllowed
	}
	return pass
}

// parsePrefix reads an address or a prefix. Bits behind the prefix's length are
// an error: 10.1.2.3/8 is more often a slip than a wish for all of 10.0.0.0/8.
// IPv4 in IPv6 form is unmapped, so that it matches what clients are judged as.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errors.New("not an address or prefix")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("not an address or prefix")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("covers more than the IPv4-mapped addresses")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("has bits behind its length, did you mean %s", p.Masked())
	}
	return p, nil
}

// parseFile reads one address or prefix a line. Empty lines and what follows a #
// are passed over. Every bad line is named.
func parseFile(content []byte) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	var errs []error
	lines := bufio.NewScanner(bytes.NewReader(content))
	for number := 1; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		p, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %.64q %w", number, text, err))
			continue
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, errors.Join(append(errs, lines.Err())...)
}
