package storage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// authority issues certificates at once.
type authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	issued atomic.Int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}}
}

// IssuerKey implements certmagic.Issuer.
func (*authority) IssuerKey() string { return "authority" }

// Issue implements certmagic.Issuer.
func (a *authority) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.issued.Add(1)), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
	}, a.cert, csr.PublicKey, a.key)
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// server is a gateway's certificates.
func (a *authority) server(t *testing.T, s *Storage) *certmagic.Config {
	t.Helper()
	var config *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return config, nil },
		Logger:           zap.NewNop(),
	})
	t.Cleanup(cache.Stop)
	config = certmagic.New(cache, certmagic.Config{
		Storage: s, Issuers: []certmagic.Issuer{a}, Logger: zap.NewNop(),
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, DisableARI: true,
	})
	return config
}

const siteName = "site.example"

// shows returns the number of the certificate that a client is shown, 0 for none.
func shows(c *certmagic.Config) int64 {
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	cert, err := c.GetCertificate(&tls.ClientHelloInfo{
		Conn: conn, ServerName: siteName, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	})
	if err != nil {
		return 0
	}
	return cert.Leaf.SerialNumber.Int64()
}

func TestACertificateIsServedWhileTheStoreIsAwayAtItsRenewal(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			r := newServer(t)
			a := newAuthority(t)
			s := open(t, r.Addr)
			gateway, other := a.server(t, s), a.server(t, open(t, r.Addr))
			for _, g := range []*certmagic.Config{gateway, other} {
				if err := g.ManageSync(t.Context(), []string{siteName}); err != nil {
					t.Fatal(err)
				}
			}
			if a.issued.Load() != 1 || shows(gateway) != 2 || shows(other) != 2 {
				t.Fatalf("issued %d, shown %d and %d", a.issued.Load(), shows(gateway), shows(other))
			}
			outage.away(t, r)
			err := gateway.RenewCertSync(t.Context(), siteName, true)
			if err == nil || !strings.Contains(err.Error(), r.Addr) || !strings.Contains(err.Error(), "gave up after") {
				t.Errorf("renewing: %v", err)
			}
			if shows(gateway) != 2 || a.issued.Load() != 1 {
				t.Errorf("issued %d, shown %d", a.issued.Load(), shows(gateway))
			}
			// A gateway that begins meanwhile has nothing to serve, and asks for nothing.
			late := a.server(t, open(t, r.Addr))
			if err := late.ManageSync(t.Context(), []string{siteName}); err == nil || shows(late) != 0 || a.issued.Load() != 1 {
				t.Errorf("a new gateway: %v, shown %d, issued %d", err, shows(late), a.issued.Load())
			}
			outage.back(t, r)
			until(t, "it is back", func() bool { return s.Reachable() == nil })
			if !outage.forgets {
				if all, err := s.List(t.Context(), "certificates", true); err != nil || !slices.ContainsFunc(all, func(n string) bool { return strings.HasSuffix(n, ".key") }) {
					t.Errorf("left of the certificate: %q, %v", all, err)
				}
			}
			until(t, "it is renewed", func() bool { return gateway.RenewCertSync(t.Context(), siteName, true) == nil })
			if _, err := other.CacheManagedCertificate(t.Context(), siteName); err != nil || shows(gateway) < 2 {
				t.Errorf("after the outage: %v, shown %d", err, shows(gateway))
			}
			if locks := keysOf(t, r, s.names.lock); len(locks) != 0 {
				t.Errorf("locked: %q", locks)
			}
		})
	}
}
