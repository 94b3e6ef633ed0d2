package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Most of these cannot be had from a gateway whose own settings hold: the handler
// is the second line.
func TestAConnectionHoldsWhatThePolicySays(t *testing.T) {
	verified := [][]*x509.Certificate{{new(x509.Certificate)}}
	good := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768}
	old := tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, CurveID: tls.X25519}
	with := func(c tls.ConnectionState, change func(*tls.ConnectionState)) *tls.ConnectionState {
		change(&c)
		return &c
	}
	tests := []struct {
		name, level, clientAuth string
		connection              *tls.ConnectionState
		want                    bool
	}{
		{"TLS 1.3", "modern", "", &good, true},
		{"no TLS at all", "intermediate", "", nil, false},
		{"TLS 1.2 where 1.3 is asked for", "modern", "", &old, false},
		{"TLS 1.2", "intermediate", "", &old, true},
		{"TLS 1.1", "intermediate", "", with(old, func(c *tls.ConnectionState) { c.Version = tls.VersionTLS11 }), false},
		{"a suite without forward secrecy", "intermediate", "", with(old, func(c *tls.ConnectionState) { c.CipherSuite = tls.TLS_RSA_WITH_AES_128_GCM_SHA256 }), false},
		{"a suite with CBC", "intermediate", "", with(old, func(c *tls.ConnectionState) { c.CipherSuite = tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA }), false},
		{"another curve", "modern", "", with(good, func(c *tls.ConnectionState) { c.CurveID = tls.CurveP521 }), false},
		{"no curve in a full handshake", "intermediate", "", with(old, func(c *tls.ConnectionState) { c.CurveID = 0 }), false},
		{"no curve in a resumed one of TLS 1.2", "intermediate", "", with(old, func(c *tls.ConnectionState) { c.CurveID, c.DidResume = 0, true }), true},
		{"no curve in a resumed one of TLS 1.3", "modern", "", with(good, func(c *tls.ConnectionState) { c.CurveID, c.DidResume = 0, true }), false},
		{"a client without a certificate", "modern", clientRequire, &good, false},
		{"a client whose certificate nobody verified", "modern", clientRequire, with(good, func(c *tls.ConnectionState) { c.PeerCertificates = verified[0] }), false},
		{"a client with a certificate", "modern", clientRequire, with(good, func(c *tls.ConnectionState) { c.PeerCertificates, c.VerifiedChains = verified[0], verified }), true},
		{"a client without one that it need not have", "modern", clientIfGiven, &good, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Handler{Level: tt.level, ClientAuth: tt.clientAuth, level: levelNamed(tt.level)}
			mode := map[string]string{clientRequire: "require_and_verify", clientIfGiven: clientIfGiven}[tt.clientAuth]
			h.clients = clientsOf([]*caddytls.ConnectionPolicy{{ClientAuthentication: &caddytls.ClientAuthentication{Mode: mode}}})
			if got := h.holds(tt.connection); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func BenchmarkHolds(b *testing.B) {
	h := Handler{level: levelNamed("intermediate"), clients: clients{asked: true, verified: true}}
	c := &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, CurveID: tls.CurveP384}
	b.ReportAllocs()
	for b.Loop() {
		if !h.holds(c) {
			b.Fatal("it does not")
		}
	}
}
