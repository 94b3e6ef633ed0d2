package ratelimiter

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// What a part of a key is made of. The kind is hashed with the value, so that a
// missing header and a header that says the same are different keys.
const (
	kindAddress   = 'a' // the client's address, cut to its prefix
	kindPrincipal = 'p' // who calls
	kindValue     = 'v' // a header's or placeholder's value
	kindAbsent    = '-' // a value that is not there, or empty
	kindRepeated  = '+' // a header in several lines
)

const (
	maxParts = 4
	// partSize is what every part of a key occupies: kinds and values of fixed
	// width cannot run into each other.
	partSize = 1 + 16
)

// keyBytes collects the parts of one key. It lives on the stack: a value is
// hashed where it is, whatever its length, and never copied.
type keyBytes struct {
	parts [maxParts * partSize]byte
	n     int
}

func (k *keyBytes) next(kind byte) []byte {
	part := k.parts[k.n : k.n+partSize]
	k.n += partSize
	part[0] = kind
	return part[1:]
}

// addAddress adds the network of the client: attackers have a whole IPv6 prefix
// to call from, and only one IPv4 address.
func (k *keyBytes) addAddress(addr netip.Addr, ipv4, ipv6 int) {
	bits := ipv6
	if addr.Is4() {
		bits = ipv4
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		// No address: the guard runs dry, or else refused the request.
		k.next(kindAbsent)
		return
	}
	network := prefix.Addr().As16()
	copy(k.next(kindAddress), network[:])
}

// addString adds a value that may be missing.
func (k *keyBytes) addString(value string) {
	if value == "" {
		k.next(kindAbsent)
		return
	}
	binary.LittleEndian.PutUint64(k.next(kindValue), maphash.String(seed, value))
}

// addPrincipal adds who calls. Two issuers can name different callers alike.
func (k *keyBytes) addPrincipal(method, issuer, id string) {
	var parts [24]byte
	binary.LittleEndian.PutUint64(parts[0:], maphash.String(seed, method))
	binary.LittleEndian.PutUint64(parts[8:], maphash.String(seed, issuer))
	binary.LittleEndian.PutUint64(parts[16:], maphash.String(seed, id))
	binary.LittleEndian.PutUint64(k.next(kindPrincipal), maphash.Bytes(seed, parts[:]))
}

// addHeader adds the value of a header that has one line. A caller could choose
// between two, and its backend reads the other.
func (k *keyBytes) addHeader(lines []string) {
	switch len(lines) {
	case 0:
		k.next(kindAbsent)
	case 1:
		k.addString(lines[0])
	default:
		k.next(kindRepeated)
	}
}

func (k *keyBytes) sum() uint64 {
	return maphash.Bytes(seed, k.parts[:k.n])
}
