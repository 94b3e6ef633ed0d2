package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadinessFollowsAMountedCertificate starts a gateway before its certificate
// is there, as beside a sidecar that has yet to fetch it.
func TestReadinessFollowsAMountedCertificate(t *testing.T) {
	dir := t.TempDir()
	addr, health := freeAddr(t), freeAddr(t)
	file := write(t, dir, "Caddyfile", `{
	admin {$ADMIN}
	auto_https off
	persist_config off
}
http://`+health+` {
	health
}
https://`+site+`:`+port(addr)+` {
	bind 127.0.0.1
	tls {
		get_certificate mounted {
			cert secret/tls.crt
			key secret/tls.key
			poll 50ms
		}
	}
	tls_policy modern
	respond ok
}
`)
	g := start(t, dir, file, nil)
	ready := func() int { return send(t, http.DefaultClient, "GET", "http://"+health+"/readyz").status }
	expiry := func() float64 {
		return g.metric(t, `sallyport_certificate_expiry_timestamp_seconds{subject="`+site+`"}`)
	}

	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("without a certificate: %d", got)
	}
	waitFor(t, "the log to say why", func() bool { return strings.Contains(g.log.String(), site+" has no certificate") })
	expired := time.Now().Add(-time.Hour)
	mount(t, filepath.Join(dir, "secret"), expired)
	waitFor(t, "the expired certificate", func() bool { return expiry() == float64(expired.Unix()) })
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("with an expired certificate: %d", got)
	}
	valid := time.Now().Add(time.Hour)
	mount(t, filepath.Join(dir, "secret"), valid)
	waitFor(t, "readiness", func() bool { return ready() == http.StatusOK })
	if expiry() != float64(valid.Unix()) {
		t.Errorf("it expires at %v", expiry())
	}
	if got := ask(t, addr, &tls.Config{ServerName: site, InsecureSkipVerify: true}); got != "ok" {
		t.Errorf("got %q", got)
	}
	// A bad renewal changes nothing but the metric.
	if err := os.WriteFile(filepath.Join(dir, "secret", "tls.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the bad renewal to be seen", func() bool {
		return g.metric(t, `sallyport_mounted_certificate_refused{certificate="secret/tls.crt"}`) == 1
	})
	if ready() != http.StatusOK || ask(t, addr, &tls.Config{ServerName: site, InsecureSkipVerify: true}) != "ok" {
		t.Error("the good certificate is gone")
	}
}

// mount writes a certificate and its key as a Kubernetes secret has them.
func mount(t *testing.T, dir string, expires time.Time) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{site}, NotBefore: expires.Add(-24 * time.Hour), NotAfter: expires,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}
