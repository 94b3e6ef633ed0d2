package ratelimiter

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func TestKindsOfOneValueAreDifferentKeys(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.7")
	keys := map[string]func(*keyBytes){
		"nothing":          func(*keyBytes) {},
		"address":          func(b *keyBytes) { b.addAddress(addr, 32, 64) },
		"address as value": func(b *keyBytes) { b.addString(addr.String()) },
		"address bytes": func(b *keyBytes) {
			raw := addr.As16()
			b.addString(string(raw[:]))
		},
		"principal":          func(b *keyBytes) { b.addPrincipal("", "", "192.0.2.7") },
		"principal's issuer": func(b *keyBytes) { b.addPrincipal("", "192.0.2.7", "") },
		"absent":             func(b *keyBytes) { b.addString("") },
		"repeated":           func(b *keyBytes) { b.addHeader([]string{"a", "b"}) },
		"value of a kind":    func(b *keyBytes) { b.addString("-") },
		"absent twice":       func(b *keyBytes) { b.addHeader(nil); b.addHeader(nil) },
		"IPv6 in the place":  func(b *keyBytes) { b.addAddress(netip.MustParseAddr("::c000:207"), 32, 128) },
		"unknown address":    func(b *keyBytes) { b.addAddress(netip.Addr{}, 32, 64); b.addHeader([]string{"x", "y"}) },
	}
	seen := make(map[uint64]string)
	for name, add := range keys {
		var b keyBytes
		add(&b)
		if other, ok := seen[b.sum()]; ok {
			t.Errorf("%s and %s are one key", name, other)
		}
		seen[b.sum()] = name
	}
}

func TestAKeyOfEveryPartFits(t *testing.T) {
	var b keyBytes
	for range maxParts {
		b.addAddress(netip.MustParseAddr("2001:db8::1"), 32, 64)
	}
	if b.n != len(b.parts) {
		t.Errorf("%d bytes of %d", b.n, len(b.parts))
	}
}

// request is one whose key has every kind of part that needs no replacer.
func request() (*http.Request, *guard.Request) {
	r := &http.Request{Header: http.Header{"X-Tenant": {strings.Repeat("long ", 1000)}}}
	req := &guard.Request{
		Client:    netip.MustParseAddr("2001:db8::1"),
		Principal: &principal.Principal{Method: "jwt", Issuer: "https://issuer.example", ID: "alice"},
	}
	req.Host, req.Path = "api.example.com", "/orders"
	return r, req
}

func keyOf(tb testing.TB, parts ...string) *key {
	tb.Helper()
	z := Zone{Name: "z", Key: parts, Rate: "1/s"}
	compiled, err := z.compile(true)
	k := compiled.key
	if err != nil {
		tb.Fatal(err)
	}
	return &k
}

func TestMakingAKeyAllocatesNothing(t *testing.T) {
	r, req := request()
	for _, parts := range [][]string{
		{"client_ip"},
		{"principal"},
		{"header X-Tenant", "{http.request.host}", "{http.request.method}", "{http.request.uri.path}"},
	} {
		k := keyOf(t, parts...)
		if n := testing.AllocsPerRun(1000, func() { k.hash(r, req) }); n != 0 {
			t.Errorf("%v: %v allocations", parts, n)
		}
	}
}

func TestAPlaceholderWithoutAReplacerIsAbsent(t *testing.T) {
	r, req := request()
	if keyOf(t, "{a}").hash(r, req) != keyOf(t, "{b}").hash(r, req) {
		t.Error("two placeholders that nothing defines are two keys")
	}
}

func BenchmarkKeyClientIP(b *testing.B) {
	benchmarkKey(b, "client_ip")
}

func BenchmarkKeyPrincipal(b *testing.B) {
	benchmarkKey(b, "principal")
}

func BenchmarkKeyComposite(b *testing.B) {
	benchmarkKey(b, "client_ip", "{http.request.host}", "{http.request.method}")
}

func benchmarkKey(b *testing.B, parts ...string) {
	b.ReportAllocs()
	r, req := request()
	k := keyOf(b, parts...)
	for b.Loop() {
		k.hash(r, req)
	}
}
