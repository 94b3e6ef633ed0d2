package gatetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Authority issues certificates for a test.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
	above       [][]byte // what clients send behind their certificate
}

var lastSerial atomic.Int64

// NewAuthority returns an authority with the common name.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := new(Authority)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.Certificate, a.key = issue(t, template, template, nil)
	return a
}

// Below returns an authority whose certificate a has signed.
func (a *Authority) Below(t testing.TB, name string) *Authority {
	t.Helper()
	return a.BelowWith(t, x509.Certificate{Subject: pkix.Name{CommonName: name}})
}

// BelowWith is Below with what else the template says.
func (a *Authority) BelowWith(t testing.TB, template x509.Certificate) *Authority {
	t.Helper()
	below := &Authority{above: append([][]byte{}, a.above...)}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	below.Certificate, below.key = issue(t, &template, a.Certificate, a.key)
	below.above = append([][]byte{below.Certificate.Raw}, below.above...)
	return below
}

// Issue makes a certificate of a template, whose dates default to an hour before
// and after now, for clients and servers.
func (a *Authority) Issue(t testing.TB, template x509.Certificate) tls.Certificate {
	t.Helper()
	return a.IssueFor(t, template, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

// IssueFor is Issue for these uses.
func (a *Authority) IssueFor(t testing.TB, template x509.Certificate, uses ...x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	template.ExtKeyUsage = uses
	leaf, key := issue(t, &template, a.Certificate, a.key)
	return tls.Certificate{Certificate: append([][]byte{leaf.Raw}, a.above...), PrivateKey: key, Leaf: leaf}
}

func issue(t testing.TB, template, parent *x509.Certificate, signer crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	template.SerialNumber = big.NewInt(lastSerial.Add(1))
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// PutPEM writes the authorities' certificates to a file in dir.
func PutPEM(t testing.TB, dir, name string, authorities ...*Authority) string {
	t.Helper()
	var content []byte
	for _, a := range authorities {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})...)
	}
	return putFile(t, dir, name, content)
}

// PutPair writes a certificate and its key to files in dir.
func PutPair(t testing.TB, dir string, pair tls.Certificate) (cert, key string) {
	t.Helper()
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return putFile(t, dir, "tls.crt", chain), putFile(t, dir, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func putFile(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
