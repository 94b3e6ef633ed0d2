package forwarded

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestTheEntryIsCountedFromTheRight(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		n     int
		want  string
	}{
		{"the only entry", []string{"198.51.100.7"}, 1, "198.51.100.7"},
		{"the last of several", []string{"6.6.6.6, 198.51.100.7"}, 1, "198.51.100.7"},
		{"the last but one", []string{"6.6.6.6,198.51.100.7,34.120.1.1"}, 2, "198.51.100.7"},
		{"the tenth", []string{"1.0.0.1, 1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5", "1.0.0.6,1.0.0.7", "1.0.0.8", "1.0.0.9,1.0.0.10"}, 10, "1.0.0.1"},
		{"the last of two lines", []string{"6.6.6.6", "198.51.100.7"}, 1, "198.51.100.7"},
		{"the last but one, in another line", []string{"6.6.6.6,198.51.100.7", "34.120.1.1"}, 2, "198.51.100.7"},
		{"junk to the left of it is not looked at", []string{"unknown,,_x, [, 198.51.100.7"}, 1, "198.51.100.7"},
		{"an empty line to the left of it is not looked at", []string{"", "198.51.100.7"}, 1, "198.51.100.7"},
		{"white space around it", []string{"6.6.6.6,\t 198.51.100.7 \t"}, 1, "198.51.100.7"},

		{"no header", nil, 1, ""},
		{"an empty header", []string{""}, 1, ""},
		{"fewer entries than trusted balancers", []string{"198.51.100.7"}, 2, ""},
		{"fewer entries than trusted balancers, in two lines", []string{"198.51.100.7", "198.51.100.8"}, 3, ""},
		{"an empty last entry", []string{"198.51.100.7,"}, 1, ""},
		{"an empty last entry with white space", []string{"198.51.100.7, "}, 1, ""},
		{"an empty last line", []string{"198.51.100.7", ""}, 1, ""},
		{"junk to the right of it", []string{"198.51.100.7, unknown"}, 2, ""},
		{"an empty entry to the right of it", []string{"198.51.100.7,,34.120.1.1"}, 2, ""},
		{"an empty line to the right of it", []string{"198.51.100.7", "", "34.120.1.1"}, 2, ""},
		{"the entry itself is empty", []string{"6.6.6.6,,34.120.1.1"}, 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkEntry(t, tt.lines, tt.n, Any, tt.want)
		})
	}
}

func TestOnlyTheAddressOfAHostIsAnEntry(t *testing.T) {
	tests := []struct{ name, entry, want string }{
		{"IPv4 with a port", "198.51.100.7:4711", "198.51.100.7"},
		{"IPv6", "2001:db8::7", "2001:db8::7"},
		{"IPv6 in brackets", "[2001:db8::7]", "2001:db8::7"},
		{"IPv6 in brackets with a port", "[2001:db8::7]:4711", "2001:db8::7"},
		{"IPv6 in capital letters", "2001:DB8::7", "2001:db8::7"},
		{"the highest port", "198.51.100.7:65535", "198.51.100.7"},
		{"mapped IPv4", "::ffff:198.51.100.7", "198.51.100.7"},
		{"mapped IPv4 in hex", "::ffff:c633:6407", "198.51.100.7"},
		{"mapped IPv4 in brackets with a port", "[::ffff:198.51.100.7]:4711", "198.51.100.7"},
		{"the longest notation", "[0000:0000:0000:0000:0000:ffff:255.255.255.254]:65535", "255.255.255.254"},

		{"a word", "unknown", ""},
		{"an obfuscated identifier", "_hidden", ""},
		{"an obfuscated port", "198.51.100.7:_x", ""},
		{"a quoted entry", `"198.51.100.7"`, ""},
		{"a Forwarded parameter", "for=198.51.100.7", ""},
		{"a name", "client.example.com", ""},
		{"a prefix", "198.51.100.7/32", ""},
		{"a zone", "fe80::1%eth0", ""},
		{"a zone in brackets", "[fe80::1%eth0]:80", ""},
		{"a zone on a mapped address", "::ffff:198.51.100.7%1", ""},
		{"leading zeros", "198.051.100.7", ""},
		{"three octets", "198.51.100", ""},
		{"five octets", "198.51.100.7.1", ""},
		{"hexadecimal octets", "0xc6.51.100.7", ""},
		{"one number", "3325256711", ""},
		{"an octet out of range", "198.51.100.256", ""},
		{"port zero", "198.51.100.7:0", ""},
		{"a port out of range", "198.51.100.7:65536", ""},
		{"a port of six digits", "198.51.100.7:123456", ""},
		{"a port with a leading zero", "198.51.100.7:080", ""},
		{"a signed port", "198.51.100.7:+80", ""},
		{"an empty port", "198.51.100.7:", ""},
		{"two ports", "198.51.100.7:80:80", ""},
		{"no address in front of the port", ":80", ""},
		{"IPv4 in brackets", "[198.51.100.7]", ""},
		{"IPv4 in brackets with a port", "[198.51.100.7]:80", ""},
		{"a bracket that is not closed", "[2001:db8::7", ""},
		{"a bracket that is not opened", "2001:db8::7]", ""},
		{"two brackets", "[[2001:db8::7]]", ""},
		{"empty brackets", "[]", ""},
		{"empty brackets with a port", "[]:80", ""},
		{"brackets with an empty port", "[2001:db8::7]:", ""},
		{"brackets with a port out of range", "[2001:db8::7]:65536", ""},
		{"text behind the bracket", "[2001:db8::7]80", ""},
		{"the unspecified address", "0.0.0.0", ""},
		{"the unspecified IPv6 address", "::", ""},
		{"the unspecified address, mapped", "::ffff:0.0.0.0", ""},
		{"a multicast address", "224.0.0.1", ""},
		{"a multicast IPv6 address", "ff02::1", ""},
		{"the broadcast address", "255.255.255.255", ""},
		{"two addresses without a comma", "198.51.100.7 198.51.100.8", ""},
		{"a semicolon for a comma", "6.6.6.6;198.51.100.7", ""},
		{"a NUL byte", "198.51.100.7\x00", ""},
		{"a no-break space", "198.51.100.7\u00a0", ""},
		{"a vertical tab", "\v198.51.100.7", ""},
		{"full-width digits", "１98.51.100.7", ""},
		{"a long entry", strings.Repeat("1", 1<<16), ""},
		{"long brackets", "[" + strings.Repeat(":", 1<<16) + "]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkEntry(t, []string{tt.entry}, 1, Any, tt.want)
			checkEntry(t, []string{"6.6.6.6, " + tt.entry}, 1, Any, tt.want)
			checkEntry(t, []string{"6.6.6.6", tt.entry}, 1, Any, tt.want)
		})
	}
}

func TestABareIPv6AddressMayHideAPort(t *testing.T) {
	checkEntry(t, []string{"2001:db8::7:4711"}, 1, Bracketed, "")
	checkEntry(t, []string{"2001:db8::7"}, 1, Bracketed, "")
	checkEntry(t, []string{"[2001:db8::7]:4711"}, 1, Bracketed, "2001:db8::7")
	checkEntry(t, []string{"[2001:db8::7]"}, 1, Bracketed, "2001:db8::7")
	checkEntry(t, []string{"198.51.100.7:4711"}, 1, Bracketed, "198.51.100.7")
	checkEntry(t, []string{"198.51.100.7"}, 1, Bracketed, "198.51.100.7")
}

func checkEntry(t *testing.T, lines []string, n int, as Notation, want string) {
	t.Helper()
	addr, _, ok := Entry(lines, n, as)
	if ok != (want != "") || ok && addr.String() != want || !ok && addr.IsValid() {
		t.Errorf("entry %d of %q: got %v, %t; want %q", n, lines, addr, ok, want)
	}
}

func TestASingleAddressStandsAlone(t *testing.T) {
	for want, lines := range map[string][]string{
		"198.51.100.7": {"198.51.100.7"},
		"198.51.100.8": {" ::ffff:198.51.100.8\t"},
		"2001:db8::7":  {"2001:db8::7"},
	} {
		if got, ok := Single(lines); !ok || got.String() != want {
			t.Errorf("%q: got %v, %t", lines, got, ok)
		}
	}
	for _, lines := range [][]string{
		nil, {""}, {"198.51.100.7", "198.51.100.7"}, {"198.51.100.7,198.51.100.7"}, {"198.51.100.7:80"},
		{"[2001:db8::7]"}, {"fe80::1%1"}, {"unknown"}, {strings.Repeat("f", 1<<16)},
	} {
		if got, ok := Single(lines); ok {
			t.Errorf("%q is %v", lines, got)
		}
	}
}

func TestPeer(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.1.5:4711":               "10.0.1.5",
		"[2001:db8::5]:4711":          "2001:db8::5",
		"[::ffff:10.0.1.5]:4711":      "10.0.1.5",
		"[fe80::5%eth0]:4711":         "fe80::5",
		"[::ffff:10.0.1.5%eth0]:4711": "10.0.1.5",
		"@":                           "",
		"":                            "",
		"10.0.1.5":                    "",
	} {
		if got, ok := Peer(remote); ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: got %v, %t; want %q", remote, got, ok, want)
		}
	}
}

// naive is another reading of the same header: all lines joined and split.
func naive(lines []string, n int) (netip.Addr, bool) {
	if len(lines) == 0 {
		return netip.Addr{}, false
	}
	entries := strings.Split(strings.Join(lines, ","), ",")
	if n > len(entries) {
		return netip.Addr{}, false
	}
	var first netip.Addr
	for _, entry := range entries[len(entries)-n:] {
		entry = strings.Trim(entry, " \t")
		text, port, err := net.SplitHostPort(entry)
		switch {
		case err == nil && strings.HasPrefix(entry, "[") != strings.Contains(text, ":"):
			return netip.Addr{}, false
		case err != nil:
			text, port = entry, "1"
			if inner, ok := strings.CutPrefix(entry, "["); ok {
				if text, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(text, ":") {
					return netip.Addr{}, false
				}
			}
		}
		withPort, err := netip.ParseAddrPort("192.0.2.1:" + port)
		if err != nil || withPort.Port() == 0 || port[0] == '0' || len(port) > 5 {
			return netip.Addr{}, false
		}
		addr, err := netip.ParseAddr(text)
		if addr = addr.Unmap(); err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() ||
			addr == netip.MustParseAddr("255.255.255.255") {
			return netip.Addr{}, false
		}
		if !first.IsValid() {
			first = addr
		}
	}
	return first, true
}

func FuzzEntry(f *testing.F) {
	for _, seed := range []string{
		"198.51.100.7", "6.6.6.6, 198.51.100.7", "6.6.6.6,198.51.100.7\n34.120.1.1", "[2001:db8::7]:4711", "198.51.100.7:4711",
		"::ffff:198.51.100.7", "198.51.100.7,", "\n", ",,", "unknown, 198.51.100.7", "[::1], [::2]:3", "2001:db8::1:4711",
		"fe80::1%eth0", "198.51.100.07", "[198.51.100.7]:80", "0.0.0.0", "ff02::1", "255.255.255.255", "1.2.3.4:00080",
	} {
		f.Add(seed, uint8(1))
		f.Add(seed, uint8(2))
	}
	f.Fuzz(func(t *testing.T, header string, position uint8) {
		n := int(position%10) + 1
		lines := strings.Split(header, "\n")
		addr, text, ok := Entry(lines, n, Any)
		want, established := naive(lines, n)
		if ok != established || addr != want {
			t.Fatalf("entry %d of %q is %v, %t; the naive split has %v, %t", n, lines, addr, ok, want, established)
		}
		bracketed, _, _ := Entry(lines, n, Bracketed)
		if bracketed.IsValid() && bracketed != addr {
			t.Fatalf("%q is %v with brackets and %v without", lines, bracketed, addr)
		}
		if !ok {
			return
		}
		if addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("%v has two readings", addr)
		}
		if again, _, ok := Entry([]string{addr.String()}, 1, Any); !ok || again != addr {
			t.Errorf("%q written again is %v", lines, again)
		}
		if again, _, ok := Entry([]string{text}, 1, Any); !ok || again != addr {
			t.Errorf("the text %q is %v, the entry %v", text, again, addr)
		}
		for _, left := range []string{"6.6.6.6", "", "unknown", "[", "6.6.6.6, 7.7.7.7"} {
			more := slices.Concat([]string{left}, lines)
			if got, _, _ := Entry(more, n, Any); got != addr {
				t.Errorf("a line %q on the left changes %v to %v", left, addr, got)
			}
			more = slices.Clone(lines)
			more[0] = left + "," + more[0]
			if got, _, _ := Entry(more, n, Any); got != addr {
				t.Errorf("entries %q on the left change %v to %v", left, addr, got)
			}
		}
	})
}

func BenchmarkEntry(b *testing.B) {
	for name, lines := range map[string][]string{
		"bare":     {"6.6.6.6, 198.51.100.7"},
		"port":     {"6.6.6.6, 198.51.100.7:4711"},
		"IPv6":     {"6.6.6.6, [2001:db8::7]:4711"},
		"unknown":  {"6.6.6.6, unknown"},
		"attacked": {strings.Repeat("6.6.6.6, ", 1<<12) + "198.51.100.7"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Entry(lines, 1, Any)
			}
		})
	}
}
