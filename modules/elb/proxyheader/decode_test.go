package proxyheader

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The signature, and a builder of headers that does not check anything.

type tlv struct {
	kind  byte
	value []byte
}

func v2(versionCommand, family byte, addresses []byte, tlvs ...tlv) []byte {
	payload := slices.Clone(addresses)
	for _, t := range tlvs {
		payload = append(payload, t.kind, byte(len(t.value)>>8), byte(len(t.value)))
		payload = append(payload, t.value...)
	}
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), versionCommand, family, byte(len(payload)>>8), byte(len(payload)))
	return append(b, payload...)
}

func addresses(source, destination string, sourcePort, destinationPort uint16) []byte {
	b := append(netip.MustParseAddr(source).AsSlice(), netip.MustParseAddr(destination).AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, sourcePort)
	return binary.BigEndian.AppendUint16(b, destinationPort)
}

// proxied4 is a header for 192.0.2.7:4711.
func proxied4(tlvs ...tlv) []byte {
	return v2(0x21, 0x11, addresses("192.0.2.7", "10.0.0.1", 4711, 443), tlvs...)
}

// sealed fills in the checksum of a header that ends with its TLV.
func sealed(b []byte) []byte {
	b = slices.Clone(b)
	copy(b[len(b)-4:], "\x00\x00\x00\x00")
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// decoded is what the independent decoder reads.
type decoded struct {
	length int
	header Header
}

// decode reads one header at the start of b without the library: the oracle.
// ok is false for whatever is not one that bothVersions allow.
func decode(b []byte) (d decoded, ok bool) {
	if bytes.HasPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
		return decode2(b)
	}
	return decode1(b)
}

var (
	line1 = regexp.MustCompile(`^PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n`)
	bare1 = regexp.MustCompile(`^PROXY UNKNOWN\r\n`)
)

func decode1(b []byte) (d decoded, ok bool) {
	if bare1.Match(b) {
		return decoded{length: 15, header: Header{Local: true}}, true
	}
	m := line1.FindSubmatch(b)
	if m == nil || len(m[0]) > 107 {
		return d, false
	}
	source, err1 := netip.ParseAddr(string(m[2]))
	destination, err2 := netip.ParseAddr(string(m[3]))
	port, err3 := strconv.ParseUint(string(m[4]), 10, 16)
	_, err4 := strconv.ParseUint(string(m[5]), 10, 16)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return d, false
	}
	if four := string(m[1]) == "TCP4"; source.Is4() != four || destination.Is4() != four {
		return d, false
	}
	d.length = len(m[0])
	d.header.Client = netip.AddrPortFrom(source.Unmap(), uint16(port))
	return d, caller(source.Unmap())
}

func caller(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a.String() != "255.255.255.255"
}

func decode2(b []byte) (d decoded, ok bool) {
	if len(b) < 16 {
		return d, false
	}
	d.length = 16 + int(b[14])<<8 + int(b[15])
	if len(b) < d.length || d.length > 4096 {
		return d, false
	}
	families := map[byte]int{0x11: 4, 0x21: 16}
	if b[12] == 0x20 && strings.ContainsRune("\x00\x11\x12\x21\x22\x31\x32", rune(b[13])) {
		d.header.Local = true
		return d, true
	}
	size, known := families[b[13]]
	if b[12] != 0x21 || !known || d.length < 16+2*size+4 {
		return d, false
	}
	source, _ := netip.AddrFromSlice(b[16 : 16+size])
	d.header.Client = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(b[16+2*size:]))
	seen := make(map[string]bool)
	for at := 16 + 2*size + 4; at < d.length; {
		if at+3 > d.length {
			return d, false
		}
		kind, end := b[at], at+3+int(b[at+1])<<8+int(b[at+2])
		if end > d.length {
			return d, false
		}
		value := b[at+3 : end]
		name := ""
		switch {
		case kind == 0x03:
			name = "crc"
			if len(value) != 4 {
				return d, false
			}
			zeroed := slices.Clone(b[:d.length])
			copy(zeroed[at+3:], "\x00\x00\x00\x00")
			if crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(value) {
				return d, false
			}
		case kind == 0xEA && regexp.MustCompile(`^\x01[A-Za-z0-9-]+$`).Match(value):
			name = "aws"
			d.header.VPCEndpoint = string(value[1:])
		case kind == 0xE0 && len(value) == 8:
			name = "gcp"
			d.header.PSCConnection, d.header.HasPSCConnection = binary.BigEndian.Uint64(value), true
		case kind == 0xEE && len(value) == 5 && value[0] == 1:
			name = "azure"
			d.header.Link, d.header.HasLink = binary.LittleEndian.Uint32(value[1:]), true
		}
		if name != "" && seen[name] {
			return d, false
		}
		seen[name] = true
		at = end
	}
	return d, caller(source.Unmap())
}
