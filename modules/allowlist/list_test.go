package allowlist

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParsePrefix(t *testing.T) {
	tests := []struct{ text, prefix string }{
		{"192.0.2.1", "192.0.2.1/32"},
		{"192.0.2.0/24", "192.0.2.0/24"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.0/120", "192.0.2.0/24"},
		{"192.0.2.1/24", ""},
		{"192.0.2", ""},
		{"192.0.2.0/33", ""},
		{"192.0.2.0/24/8", ""},
		{"192.000.2.1", ""},
		{"::ffff:0:0/90", ""},
		{"fe80::1%eth0", ""},
		{"fe80::%eth0/64", ""},
		{"localhost", ""},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			p, err := parsePrefix(tt.text)
			if (err != nil) != (tt.prefix == "") || err == nil && p.String() != tt.prefix {
				t.Errorf("got %v, %v; want %q", p, err, tt.prefix)
			}
		})
	}
}

func TestAnInvalidAddressNeverPasses(t *testing.T) {
	var l list
	if v := l.judge(netip.Addr{}); v != denied {
		t.Errorf("got %v", v)
	}
}

// FuzzParseFile: every prefix of an accepted file is one that a client can be
// compared with, and reading back what was read gives the same.
func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"192.0.2.1\n", "# x\n\n10.0.0.0/8 # y\r\n", "::ffff:1.2.3.4", "bad", "1.2.3.4/33"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		prefixes, err := parseFile(content)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range prefixes {
			if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() || p.Addr().Zone() != "" {
				t.Errorf("%v", p)
			}
			fmt.Fprintln(&again, p)
		}
		reread, err := parseFile([]byte(again.String()))
		if err != nil || fmt.Sprint(reread) != fmt.Sprint(prefixes) {
			t.Errorf("%v read back as %v, %v", prefixes, reread, err)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	for _, size := range []int{1, 1000, 1_000_000} {
		l := list{closed: true}
		for i := range size {
			addr := netip.AddrFrom4([4]byte{byte(i >> 12), byte(i >> 4), byte(i << 4), 0})
			l.allowed.Insert(netip.PrefixFrom(addr, 28))
		}
		addr := netip.MustParseAddr("198.51.100.7")
		b.Run(fmt.Sprintf("prefixes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.judge(addr)
			}
		})
	}
}
