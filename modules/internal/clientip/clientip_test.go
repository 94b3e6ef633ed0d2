package clientip

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

// derived is a request as Caddy hands it to handlers, behind a trusted proxy or
// not, with the address that Caddy took for the client's.
func derived(server *caddyhttp.Server, trusted bool, client string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, line := range lines {
		r.Header.Add("X-Forwarded-For", line)
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, server)
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, trusted)
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, client)
	return r
}

func TestOnlyEstablishedClients(t *testing.T) {
	strict := &caddyhttp.Server{TrustedProxiesStrict: 1, ClientIPHeaders: []string{"X-Forwarded-For"}}
	lax := &caddyhttp.Server{ClientIPHeaders: []string{"X-Forwarded-For"}}
	tests := []struct {
		name   string
		r      *http.Request
		client string
	}{
		{"no proxy: the peer", derived(strict, false, "198.51.100.1"), "198.51.100.1"},
		{"no proxy: the header is not read", derived(strict, false, "198.51.100.1", "192.0.2.1"), "198.51.100.1"},
		{"no proxy: mapped", derived(strict, false, "::ffff:198.51.100.1"), "198.51.100.1"},
		{"no proxy: zone", derived(strict, false, "fe80::1%eth0"), "fe80::1"},
		{"no peer address", derived(strict, false, ""), ""},
		{"unix socket without a header", derived(strict, true, "@"), ""},
		{"the last entry", derived(strict, true, "198.51.100.1", "192.0.2.66, 198.51.100.1"), "198.51.100.1"},
		{"the last entry with a port", derived(strict, true, "198.51.100.1", "198.51.100.1:4711"), "198.51.100.1"},
		{"the last entry, mapped", derived(strict, true, "::ffff:198.51.100.1", "::ffff:198.51.100.1"), "198.51.100.1"},
		{"the entry in front of trusted ones", derived(strict, true, "198.51.100.1", "198.51.100.1, 10.0.0.1"), "198.51.100.1"},
		{"the last line of several", derived(strict, true, "198.51.100.1", "192.0.2.66", "198.51.100.1"), "198.51.100.1"},
		{"junk to the right of what Caddy took", derived(strict, true, "192.0.2.66", "192.0.2.66, unknown"), ""},
		{"an empty last entry", derived(strict, true, "192.0.2.66", "192.0.2.66,"), ""},
		{"an empty last line", derived(strict, true, "192.0.2.66", "192.0.2.66", ""), ""},
		{"IPv6 with a port, which Caddy skips", derived(strict, true, "192.0.2.66", "192.0.2.66, [2001:db8::1]:4242"), ""},
		{"the balancer's own address", derived(strict, true, "10.0.0.1"), ""},
		{"the balancer's own address, trusted entries only", derived(strict, true, "10.0.0.1", "10.0.0.2"), ""},
		{"the balancer's own address in its header", derived(strict, true, "192.0.2.1", "unknown, 192.0.2.1"), ""},
		{"leftmost entry of a server that is not strict", derived(lax, true, "192.0.2.66", "192.0.2.66"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FromRequest(tt.r, new(edge.Server))
			if (err != nil) != (tt.client == "") || err == nil && got.String() != tt.client {
				t.Errorf("got %v, %v; want %q", got, err, tt.client)
			}
		})
	}
}

func BenchmarkFromRequest(b *testing.B) {
	server := &caddyhttp.Server{TrustedProxiesStrict: 1, ClientIPHeaders: []string{"X-Forwarded-For"}}
	for name, r := range map[string]*http.Request{
		"peer":   derived(server, false, "198.51.100.1"),
		"header": derived(server, true, "198.51.100.1", "192.0.2.66, 198.51.100.1"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = FromRequest(r, new(edge.Server))
			}
		})
	}
}
