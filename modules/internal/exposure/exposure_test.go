package exposure

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Caddy serves plain HTTP on the HTTP port of a server with connection policies too.
func TestPlainAddressesAreFound(t *testing.T) {
	tls := caddytls.ConnectionPolicies{{}}
	tests := []struct {
		name     string
		listen   []string
		policies caddytls.ConnectionPolicies
		balanced bool
		want     []string
	}{
		{"without TLS", []string{":8080", "127.0.0.1:8081"}, nil, false, []string{":8080"}},
		{"with TLS", []string{":443", ":8443"}, tls, false, nil},
		{"the HTTP port of a server with TLS", []string{":80", ":443"}, tls, false, []string{":80"}},
		{"a range with the HTTP port", []string{":79-81"}, tls, false, []string{":79-81"}},
		{"the HTTP port, of this machine alone", []string{"127.0.0.1:80", ":443"}, tls, false, nil},
		{"the HTTP port, behind a balancer", []string{":80", ":443"}, tls, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Plain(&caddyhttp.Server{Listen: tt.listen, TLSConnPolicies: tt.policies}, tt.balanced); !slices.Equal(got, tt.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}
