package proxyheader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"net/netip"
	"sync"

	proxyproto "github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

// Why a connection is refused. Each is also the word that it is counted under.
var (
	// ErrProbe is a connection that was closed before its first byte, as TCP
	// health checks are.
	ErrProbe = errors.New("probe")
	// ErrMissing is a connection that begins with something else than a header.
	ErrMissing = errors.New("missing")
	// ErrMalformed is a header that is cut off, breaks the protocol's rules or
	// those of this package, or is one that the balancer does not send.
	ErrMalformed = errors.New("malformed")
	// ErrOversized is a header longer than MaxLength, or a line of version 1
	// longer than 107 bytes.
	ErrOversized = errors.New("oversized")
	// ErrRepeated is a second header behind the first.
	ErrRepeated = errors.New("repeated")
	// ErrTimeout is a header that took too long.
	ErrTimeout = errors.New("timeout")
)

// MaxLength is the longest header of version 2, with its TLVs, in bytes. The
// longest that balancers send are a few hundred.
const MaxLength = 4096

// maxLine is the longest line of version 1: section 2.1 counts 107 bytes.
const maxLine = 107

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixed2     = len(signature2) + 4 // and version, family, length
)

// Rules are what a balancer sends.
type Rules struct {
	// Version1 and Version2 are the versions that it sends; others are malformed.
	Version1, Version2 bool
	// UnknownIsLocal takes "PROXY UNKNOWN" without addresses for a connection of
	// the balancer's own. Otherwise it is malformed.
	UnknownIsLocal bool
}

// Header is what a header says. The zero Header says nothing.
type Header struct {
	// Client is where the connection comes from, unmapped. It is invalid when
	// Local.
	Client netip.AddrPort
	// Local says that the balancer opened the connection on its own behalf, to
	// see whether this server is healthy.
	Local bool

	// VPCEndpoint is AWS's id of the PrivateLink endpoint, "" when there is none.
	VPCEndpoint string
	// PSCConnection is Google's id of the Private Service Connect connection;
	// HasPSCConnection says that there is one.
	PSCConnection    uint64
	HasPSCConnection bool
	// Link is Azure's id of the private endpoint; HasLink says that there is one.
	Link    uint32
	HasLink bool
}

// Length returns how long the header is that begins b, 0 while b is too short to
// tell or to hold it, and an error as soon as b cannot begin a header of rules.
func Length(b []byte, rules Rules) (int, error) {
	switch {
	case begins(b, signature2):
		if !rules.Version2 {
			return 0, ErrMalformed
		}
		return length2(b)
	case begins(b, signature1):
		if !rules.Version1 {
			return 0, ErrMalformed
		}
		return length1(b)
	case partly(b):
		return 0, nil
	}
	return 0, ErrMissing
}

func length1(b []byte) (int, error) {
	line := b[:min(len(b), maxLine)]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		return end + 1, nil
	}
	if len(line) == maxLine {
		return 0, ErrOversized
	}
	return 0, nil
}

func length2(b []byte) (int, error) {
	if len(b) < fixed2 {
		return 0, nil
	}
	n := fixed2 + int(binary.BigEndian.Uint16(b[fixed2-2:]))
	if n > MaxLength {
		return 0, ErrOversized
	}
	if len(b) < n {
		return 0, nil
	}
	return n, nil
}

// Begins reports whether b begins with a header's signature, and whether it may
// once more bytes have arrived.
func Begins(b []byte) (is, may bool) {
	return begins(b, signature1) || begins(b, signature2), partly(b)
}

func begins(b []byte, signature string) bool {
	return len(b) >= len(signature) && string(b[:len(signature)]) == signature
}

// partly reports whether b is the beginning of a signature, and not all of it.
func partly(b []byte) bool {
	s := string(b[:min(len(b), len(signature2))])
	return len(s) < len(signature1) && s == signature1[:len(s)] || len(s) < len(signature2) && s == signature2[:len(s)]
}

// readers for the library, which reads a header from a bufio.Reader. One is
// large enough to hold the longest header, so that nothing is split.
var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.buffered = bufio.NewReaderSize(&r.bytes, MaxLength)
	return r
}}

type reader struct {
	bytes    bytes.Reader
	buffered *bufio.Reader
}

// Parse reads b, which has to be one whole header, as long as Length says.
func Parse(b []byte, rules Rules) (Header, error) {
	if n, err := Length(b, rules); err != nil || n != len(b) {
		return Header{}, ErrMalformed
	}
	r := readers.Get().(*reader)
	r.bytes.Reset(b)
	r.buffered.Reset(&r.bytes)
	read, err := proxyproto.Read(r.buffered)
	left := r.buffered.Buffered() + r.bytes.Len()
	r.bytes.Reset(nil)
	readers.Put(r)
	if err != nil || left != 0 {
		return Header{}, ErrMalformed
	}
	if read.Command.IsLocal() {
		return local(read, b, rules)
	}
	return proxied(read, b)
}

// local judges a header without a client. The library takes UNKNOWN with
// whatever follows it in the line for one; only the bare word is.
func local(read *proxyproto.Header, b []byte, rules Rules) (Header, error) {
	if read.Version == 1 && (!rules.UnknownIsLocal || string(b) != "PROXY UNKNOWN\r\n") {
		return Header{}, ErrMalformed
	}
	return Header{Local: true}, nil
}

// proxied judges what the library accepts of a header with a client: also
// datagrams and Unix sockets, any address, and TLVs that it has not looked at.
func proxied(read *proxyproto.Header, b []byte) (Header, error) {
	source, ok := read.SourceAddr.(*net.TCPAddr)
	if !ok {
		return Header{}, ErrMalformed
	}
	// The library has read both in the family that the header names. An IPv4
	// address in IPv6 form may stand beside an IPv6 one: that is how two families
	// share a header.
	from, ok := netip.AddrFromSlice(source.IP)
	if from = from.Unmap(); !ok || !isClient(from) {
		return Header{}, ErrMalformed
	}
	h := Header{Client: netip.AddrPortFrom(from, uint16(source.Port))}
	if read.Version == 1 {
		return h, nil
	}
	return h, h.readTLVs(read, b)
}

// isClient reports whether addr can open a connection.
func isClient(addr netip.Addr) bool {
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// readTLVs takes the ids of private endpoints from the TLVs, and checks the
// checksum where there is one. A second TLV of a kind is refused: each reader
// would take another one. TLVs that are not known are passed over, as are those
// in a form that is not the vendor's: their types are free for other uses.
func (h *Header) readTLVs(read *proxyproto.Header, b []byte) error {
	tlvs, err := read.TLVs()
	if err != nil {
		return ErrMalformed
	}
	var vpce, psc, link, sum int
	for i, tlv := range tlvs {
		one := tlvs[i : i+1]
		switch tlv.Type {
		case proxyproto.PP2_TYPE_CRC32C:
			if sum++; !checksum(b, tlv.Value) {
				return ErrMalformed
			}
		case tlvparse.PP2_TYPE_AWS:
			if id := tlvparse.FindAWSVPCEndpointID(one); id != "" {
				vpce++
				h.VPCEndpoint = id
			}
		case tlvparse.PP2_TYPE_GCP:
			if id, ok := tlvparse.ExtractPSCConnectionID(one); ok {
				psc++
				h.PSCConnection, h.HasPSCConnection = id, true
			}
		case tlvparse.PP2_TYPE_AZURE:
			if id, ok := tlvparse.FindAzurePrivateEndpointLinkID(one); ok {
				link++
				h.Link, h.HasLink = id, true
			}
		}
	}
	if max(vpce, psc, link, sum) > 1 {
		return ErrMalformed
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum reports whether sum, the value of the TLV PP2_TYPE_CRC32C of the
// header b, is the sum of b with that value zero (section 2.2.4).
func checksum(b, sum []byte) bool {
	if len(sum) != crc32.Size {
		return false
	}
	at := checksumAt(b)
	if at < 0 {
		return false
	}
	var zero [crc32.Size]byte
	c := crc32.Update(0, castagnoli, b[:at])
	c = crc32.Update(c, castagnoli, zero[:])
	c = crc32.Update(c, castagnoli, b[at+crc32.Size:])
	return c == binary.BigEndian.Uint32(sum)
}

// checksumAt returns where in the header b the value of its first checksum
// stands, or -1. The library hands TLVs out as copies.
func checksumAt(b []byte) int {
	at := fixed2 + 12
	if b[fixed2-3]&0xF0 == 0x20 {
		at = fixed2 + 36
	}
	for at+3 <= len(b) {
		length := int(binary.BigEndian.Uint16(b[at+1:]))
		if proxyproto.PP2Type(b[at]) == proxyproto.PP2_TYPE_CRC32C {
			if at+3+length > len(b) {
				return -1
			}
			return at + 3
		}
		at += 3 + length
	}
	return -1
}
