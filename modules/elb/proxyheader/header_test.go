package proxyheader

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

var bothVersions = Rules{Version1: true, Version2: true, UnknownIsLocal: true}

func client(s string) Header { return Header{Client: netip.MustParseAddrPort(s)} }

// vendor TLVs as the clouds write them.
var (
	aws   = tlv{0xEA, []byte("\x01vpce-0a1b2c3d")}
	azure = tlv{0xEE, []byte{1, 0x44, 0x33, 0x22, 0x11}}
	gcp   = tlv{0xE0, []byte{0xff, 0xff, 0xff, 0xff, 0xc0, 0xa8, 0x64, 0x02}}
	crc   = tlv{0x03, make([]byte, 4)}
)

func TestHeadersOfBalancersAreRead(t *testing.T) {
	withVPCE, withLink, withPSC := client("192.0.2.7:4711"), client("192.0.2.7:4711"), client("192.0.2.7:4711")
	withVPCE.VPCEndpoint = "vpce-0a1b2c3d"
	withLink.Link, withLink.HasLink = 0x11223344, true
	withPSC.PSCConnection, withPSC.HasPSCConnection = 18446744072646845442, true
	tests := []struct {
		name   string
		header []byte
		want   Header
	}{
		{"version 1, IPv4", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"), client("192.0.2.7:4711")},
		{"version 1, IPv6", []byte("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"), client("[2001:db8::7]:4711")},
		{"version 1, IPv4-mapped", []byte("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 4711 443\r\n"), client("192.0.2.7:4711")},
		{"version 1, the longest line", []byte("PROXY TCP6 2001:0db8:aaaa:bbbb:cccc:dddd:eeee:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), client("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535")},
		{"version 1, a health check", []byte("PROXY UNKNOWN\r\n"), Header{Local: true}},
		{"version 2, IPv4", proxied4(), client("192.0.2.7:4711")},
		{"version 2, IPv6", v2(0x21, 0x21, addresses("2001:db8::7", "2001:db8::1", 4711, 443)), client("[2001:db8::7]:4711")},
		{"version 2, IPv4-mapped client of an IPv6 listener", v2(0x21, 0x21, addresses("::ffff:192.0.2.7", "2001:db8::1", 4711, 443)), client("192.0.2.7:4711")},
		{"version 2, a health check", v2(0x20, 0, nil), Header{Local: true}},
		{"version 2, a health check with addresses", v2(0x20, 0x11, addresses("192.0.2.7", "10.0.0.1", 4711, 443)), Header{Local: true}},
		{"version 2, a health check that names a family and has none", v2(0x20, 0x11, nil), Header{Local: true}},
		{"an AWS endpoint", proxied4(aws), withVPCE},
		{"an AWS TLV of another kind", proxied4(tlv{0xEA, []byte("\x02vpce-1")}), client("192.0.2.7:4711")},
		{"an Azure link id is little-endian", proxied4(azure), withLink},
		{"a Google connection id is big-endian", proxied4(gcp), withPSC},
		{"padding, and TLVs that mean nothing here", proxied4(tlv{0x04, []byte("xxx")}, tlv{0x02, []byte("host")}, tlv{0x04, nil}, aws), withVPCE},
		{"a checksum", sealed(proxied4(aws, crc)), withVPCE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n := range tt.header {
				if length, err := Length(tt.header[:n], bothVersions); length != 0 || err != nil {
					t.Fatalf("Length of the first %d bytes: %d, %v", n, length, err)
				}
			}
			if n, err := Length(append(tt.header[:len(tt.header):len(tt.header)], "GET /"...), bothVersions); n != len(tt.header) || err != nil {
				t.Fatalf("Length: %d, %v, want %d", n, err, len(tt.header))
			}
			got, err := Parse(tt.header, bothVersions)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
			if d, ok := decode(tt.header); !ok || d.header != tt.want || d.length != len(tt.header) {
				t.Errorf("the oracle reads %+v, %v", d, ok)
			}
		})
	}
}

func TestHeadersThatBalancersDoNotSendAreRefused(t *testing.T) {
	four := addresses("192.0.2.7", "10.0.0.1", 4711, 443)
	badSum := sealed(proxied4(aws, crc))
	badSum[20]++
	tests := []struct {
		name   string
		header []byte
		want   error
	}{
		{"a request", []byte("GET / HTTP/1.1\r\n\r\n"), ErrMissing},
		{"a TLS handshake", []byte("\x16\x03\x01\x02\x00"), ErrMissing},
		{"a method that begins alike", []byte("PROPFIND / HTTP/1.1\r\n"), ErrMissing},
		{"a word that begins alike", []byte("PROXYjunk TCP4 192.0.2.7 10.0.0.1 1 2\r\n"), ErrMissing},
		{"lower case", []byte("proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n"), ErrMissing},
		{"empty lines in front", []byte("\r\n\r\nGET / HTTP/1.1\r\n"), ErrMissing},
		{"version 1, a bare LF", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n"), ErrMalformed},
		{"version 1, two CR", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\r\n"), ErrMalformed},
		{"version 1, two spaces", []byte("PROXY TCP4  192.0.2.7 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, a tab", []byte("PROXY TCP4\t192.0.2.7 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, a word too much", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443 1\r\n"), ErrMalformed},
		{"version 1, a word too few", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n"), ErrMalformed},
		{"version 1, nothing", []byte("PROXY \r\n"), ErrMalformed},
		{"version 1, families that differ", []byte("PROXY TCP4 192.0.2.7 2001:db8::1 4711 443\r\n"), ErrMalformed},
		{"version 1, IPv6 called IPv4", []byte("PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n"), ErrMalformed},
		{"version 1, IPv4 called IPv6", []byte("PROXY TCP6 192.0.2.7 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, a zone", []byte("PROXY TCP6 fe80::7%eth0 fe80::1 4711 443\r\n"), ErrMalformed},
		{"version 1, an address with a leading zero", []byte("PROXY TCP4 192.0.02.7 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, a port with a leading zero", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 04711 443\r\n"), ErrMalformed},
		{"version 1, a port with a sign", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 +4711 443\r\n"), ErrMalformed},
		{"version 1, a port too high", []byte("PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n"), ErrMalformed},
		{"version 1, UDP", []byte("PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, UNKNOWN with addresses", []byte("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), ErrMalformed},
		{"version 1, a client without address", []byte("PROXY TCP4 0.0.0.0 10.0.0.1 4711 443\r\n"), ErrMalformed},
		{"version 1, a line of 108 bytes", []byte("PROXY TCP4 " + strings.Repeat("1", 95) + "\r\n"), ErrOversized},
		{"version 1, a line without end", []byte("PROXY " + strings.Repeat("x", 5000)), ErrOversized},
		{"version 2, version 1 in it", v2(0x11, 0x11, four), ErrMalformed},
		{"version 2, version 3 in it", v2(0x31, 0x11, four), ErrMalformed},
		{"version 2, an unknown command", v2(0x22, 0x11, four), ErrMalformed},
		{"version 2, no family", v2(0x21, 0x00, four), ErrMalformed},
		{"version 2, no family and nothing", v2(0x21, 0x00, nil), ErrMalformed},
		{"version 2, datagrams", v2(0x21, 0x12, four), ErrMalformed},
		{"version 2, datagrams over IPv6", v2(0x21, 0x22, addresses("2001:db8::7", "2001:db8::1", 1, 2)), ErrMalformed},
		{"version 2, a Unix socket", v2(0x21, 0x31, make([]byte, 216)), ErrMalformed},
		{"version 2, an unknown transport", v2(0x21, 0x13, four), ErrMalformed},
		{"version 2, a health check of an unknown family", v2(0x20, 0x41, four), ErrMalformed},
		{"version 2, addresses cut off", v2(0x21, 0x11, four[:11]), ErrMalformed},
		{"version 2, IPv4 addresses for IPv6", v2(0x21, 0x21, four), ErrMalformed},
		{"version 2, the unspecified address", v2(0x21, 0x11, addresses("0.0.0.0", "10.0.0.1", 1, 2)), ErrMalformed},
		{"version 2, the unspecified IPv6 address", v2(0x21, 0x21, addresses("::", "2001:db8::1", 1, 2)), ErrMalformed},
		{"version 2, the unspecified address, mapped", v2(0x21, 0x21, addresses("::ffff:0.0.0.0", "2001:db8::1", 1, 2)), ErrMalformed},
		{"version 2, multicast", v2(0x21, 0x11, addresses("224.0.0.1", "10.0.0.1", 1, 2)), ErrMalformed},
		{"version 2, multicast over IPv6", v2(0x21, 0x21, addresses("ff02::1", "2001:db8::1", 1, 2)), ErrMalformed},
		{"version 2, multicast, mapped", v2(0x21, 0x21, addresses("::ffff:224.0.0.1", "2001:db8::1", 1, 2)), ErrMalformed},
		{"version 2, broadcast", v2(0x21, 0x11, addresses("255.255.255.255", "10.0.0.1", 1, 2)), ErrMalformed},
		{"a TLV without length", v2(0x21, 0x11, append(four[:12:12], 0xEA, 0)), ErrMalformed},
		{"a TLV longer than the header", v2(0x21, 0x11, append(four[:12:12], 0xEA, 0, 9, 1)), ErrMalformed},
		{"two AWS endpoints", proxied4(aws, tlv{0xEA, []byte("\x01vpce-2")}), ErrMalformed},
		{"the same AWS endpoint twice", proxied4(aws, aws), ErrMalformed},
		{"two Azure link ids", proxied4(azure, azure), ErrMalformed},
		{"two Google connection ids", proxied4(gcp, gcp), ErrMalformed},
		{"a wrong checksum", badSum, ErrMalformed},
		{"a checksum of zero", proxied4(crc), ErrMalformed},
		{"a checksum cut off", proxied4(tlv{0x03, []byte{1, 2}}), ErrMalformed},
		{"two checksums", sealed(proxied4(crc, crc)), ErrMalformed},
		{"a header one byte too long", v2(0x21, 0x11, make([]byte, MaxLength-15)), ErrOversized},
		{"a health check that is too long", v2(0x20, 0x00, make([]byte, 65535)), ErrOversized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Length(tt.header, bothVersions)
			if err == nil {
				_, err = Parse(tt.header[:n], bothVersions)
			}
			if err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if d, ok := decode(tt.header); ok {
				t.Errorf("the oracle reads %+v", d)
			}
		})
	}
}

func TestAnOversizedHeaderIsRefusedBeforeItHasArrived(t *testing.T) {
	header := v2(0x21, 0x11, make([]byte, MaxLength))
	if _, err := Length(header[:16], bothVersions); err != ErrOversized {
		t.Errorf("got %v", err)
	}
}

func TestAVersionThatTheBalancerDoesNotSendIsRefused(t *testing.T) {
	line := []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
	if _, err := Length(line, Rules{Version2: true}); err != ErrMalformed {
		t.Errorf("version 1: got %v", err)
	}
	if _, err := Parse(line, Rules{Version2: true}); err == nil {
		t.Error("version 1 is parsed")
	}
	if _, err := Length(proxied4(), Rules{Version1: true}); err != ErrMalformed {
		t.Errorf("version 2: got %v", err)
	}
	if _, err := Parse([]byte("PROXY UNKNOWN\r\n"), Rules{Version1: true}); err != ErrMalformed {
		t.Errorf("UNKNOWN: got %v", err)
	}
}

func TestParseWantsOneHeaderAndNothingElse(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("PROXY "), proxied4()[:20], append(proxied4(), 'x'), append(proxied4(), proxied4()...)} {
		if _, err := Parse(b, bothVersions); err != ErrMalformed {
			t.Errorf("%q: got %v", b, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, header := range map[string][]byte{
		"v1": []byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"), "v2": proxied4(), "v2TLV": sealed(proxied4(aws, crc)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(header, bothVersions); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFloor is the same header read without any check.
func BenchmarkFloor(b *testing.B) {
	header := proxied4()
	b.ReportAllocs()
	for b.Loop() {
		if !bytes.HasPrefix(header, []byte(signature2)) || netip.AddrFrom4([4]byte(header[16:20])).IsUnspecified() {
			b.Fatal("no")
		}
	}
}
