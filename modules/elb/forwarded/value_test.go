package forwarded

import (
	"strings"
	"testing"
)

func TestProto(t *testing.T) {
	for s, want := range map[string]string{
		"http": "http", "https": "https", "HTTPS": "https", "Http": "http",
		"": "", "ws": "", "wss": "", "https, http": "", "https ": "", "http\x00": "", "ftp": "", "httpſ": "",
	} {
		if got, ok := Proto(s); ok != (want != "") || got != want {
			t.Errorf("%q: got %q, %t; want %q", s, got, ok, want)
		}
	}
}

func TestPort(t *testing.T) {
	check(t, Port, []string{"1", "80", "443", "8080", "65535"},
		[]string{"", "0", "00", "080", "65536", "99999", "100000", "-1", "+80", "80 ", "8o", "80,443", "٣"})
}

func TestHost(t *testing.T) {
	check(t, Host,
		[]string{"api.example.com", "API.example.com:8443", "localhost", "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:443",
			"my_service.internal", "xn--bcher-kva.example", strings.Repeat("a", 253)},
		[]string{"", ":80", "a:", "a:0", "a:99999", "a b", "a/b", "a@b", "a,b", "a..b", ".a", "-a", "2001:db8::1", "[192.0.2.1]", "[fe80::1%1]",
			"[2001:db8::1", "[2001:db8::1]x", "[2001:db8::1]:", "a\r\nb", "<script>", "bücher.example", strings.Repeat("a", 254)})
}

func TestTrace(t *testing.T) {
	check(t, Trace,
		[]string{
			"Root=1-67891233-abcdef012345678912345678",
			"Self=1-67891233-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678;CalledFrom=app",
			"105445aa7843bc8bf206b12000100000/1;o=1",
			"0zxV+XAAAAABKMMOjBv2NT4TY6SQVjC0zV1NURURHRTA2MTkANDM3YzgyY2QtMzYwYS00YTU0LTk0YzMtNWZmNzA3NjQ3Nzgz",
			"ac882cd65a2712a0fe1289ec2bb6aee7", "230b030023ae2822-SJC", strings.Repeat("a", 256),
		},
		[]string{"", " ", "a b", "a,b", "a\"b", "a\nb", "a\x00", "ä", "a%0a", "a{b}", "a<b", "$(a)", "a\\b", strings.Repeat("a", 257)})
}

func TestTraceparent(t *testing.T) {
	check(t, Traceparent,
		[]string{
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
			"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds",
		},
		[]string{
			"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
			"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
			"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
			"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
			"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
			"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-a b",
			"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
			"0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
			"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + strings.Repeat("a", 256),
		})
}

func TestTracestate(t *testing.T) {
	members := func(n int) string { return strings.TrimSuffix(strings.Repeat("a=1,", n), ",") }
	check(t, Tracestate,
		[]string{"rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "tenant@vendor=1, a/b*c_d-e=~!", "a=1,,b=2", members(32)},
		[]string{"", ",", "a", "a=", "=1", "A=1", "_a=1", "a b=1", "a=1=2", "a=\x01", "a=ä", "ä=1", members(33),
			"a=" + strings.Repeat("1", 257), strings.Repeat("a", 257) + "=1", "a=" + strings.Repeat("1", 255) + ",b=" + strings.Repeat("1", 254)})
}

func check(t *testing.T, valid func(string) bool, good, bad []string) {
	t.Helper()
	for _, s := range good {
		if !valid(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range bad {
		if valid(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

// FuzzValues checks that what is taken can go into a header field and a log line
// as it is.
func FuzzValues(f *testing.F) {
	for _, s := range []string{
		"https", "443", "api.example.com:443", "[2001:db8::1]:443", "Root=1-67891233-abcdef012345678912345678",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a\r\nb", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, valid := range map[string]func(string) bool{
			"port": Port, "host": Host, "trace": Trace, "traceparent": Traceparent, "tracestate": Tracestate,
		} {
			if !valid(s) {
				continue
			}
			if s == "" || len(s) > longestTracestate {
				t.Errorf("%s takes %d bytes", name, len(s))
			}
			for _, c := range s {
				list := name == "tracestate" && (c == ' ' || c == '\t' || c == ',')
				if !list && (c <= ' ' || c > '~' || c == ',') {
					t.Errorf("%s takes %q", name, s)
				}
			}
		}
		if proto, ok := Proto(s); ok && proto != strings.ToLower(s) {
			t.Errorf("%q becomes %q", s, proto)
		}
	})
}
