// Package trustpool reads the certificates of authorities whom an option trusts, from
// PEM. What is not wholly certificates is refused: crypto/x509's own reader passes over
// what it does not understand, and would trust the rest. It imports no Caddy package.
package trustpool

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

// maxFile is the largest file that is read.
const maxFile = 1 << 20

// Parse returns the certificates in text, of which there is at least one.
func Parse(text string) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("has a PEM block that is no certificate")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("has a certificate that cannot be read")
		}
		pool.AddCert(certificate)
		n++
	}
	// pem.Decode passes over a block that is broken.
	if n == 0 || n != strings.Count(text, "-----BEGIN ") {
		return nil, errors.New("is not PEM with certificates")
	}
	return pool, nil
}

// Read returns the text of all the files, each of which Parse takes. The errors name
// every file that is bad.
func Read(paths []string) (string, error) {
	var all strings.Builder
	var errs []error
	for _, path := range paths {
		text, _, err := wholefile.Read(path, maxFile)
		if err == nil {
			_, err = Parse(string(text))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("trust pool %s: %w", path, err))
			continue
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return all.String(), errors.Join(errs...)
}
