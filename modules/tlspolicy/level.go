package tlspolicy

import (
	"crypto/tls"
	"slices"
)

// level is one of the configurations of Mozilla's Server Side TLS guideline 6.0,
// as far as Go leaves a choice: the suites of TLS 1.3 cannot be chosen, and the
// order of suites and curves is Go's own. Read-only.
type level struct {
	name       string
	minVersion uint16
	suites     []uint16 // of TLS 1.2
}

// curves are the same in both configurations. The first is the hybrid of X25519
// and ML-KEM: what is recorded today is not read when there are quantum computers.
var curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}

// alpn are the protocols that clients may ask for. Caddy adds the one of the
// ACME challenge, which serves no request.
var alpn = []string{"h2", "http/1.1"}

var levels = []*level{
	{name: "modern", minVersion: tls.VersionTLS13},
	{name: "intermediate", minVersion: tls.VersionTLS12, suites: []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}},
}

// levelNamed returns nil for a name that no level has.
func levelNamed(name string) *level {
	for _, l := range levels {
		if l.name == name {
			return l
		}
	}
	return nil
}

func levelNames() []string {
	names := make([]string, len(levels))
	for i, l := range levels {
		names[i] = l.name
	}
	return names
}

// holds reports whether a connection was negotiated as the level allows.
func (l *level) holds(c *tls.ConnectionState) bool {
	if c.Version < l.minVersion {
		return false
	}
	if c.Version < tls.VersionTLS13 && !slices.Contains(l.suites, c.CipherSuite) {
		return false
	}
	// A resumed connection of TLS 1.2 has no key exchange of its own.
	return slices.Contains(curves, c.CurveID) || c.DidResume && c.Version < tls.VersionTLS13 && c.CurveID == 0
}
