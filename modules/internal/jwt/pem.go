package jwt

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// parsePEM reads one or more PEM blocks. Unlike a fetched JWK set, a file is
// written by whoever configures the gateway: anything in it that cannot be used
// is an error.
func parsePEM(data []byte) (*KeySet, error) {
	set := &KeySet{raw: data}
	rest := data
	for n := 1; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		k, err := pemKey(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n, err)
		}
		set.keys = append(set.keys, k)
	}
	switch {
	// pem.Decode passes over what it cannot read.
	case bytes.Count(data, []byte("-----BEGIN")) != len(set.keys):
		return nil, errors.New("a PEM block is broken")
	case len(set.keys) == 0:
		return nil, errors.New("neither PEM nor a JWK set")
	case len(set.keys) > maxAttempts:
		// They have no ids, so each would be tried for each token.
		return nil, fmt.Errorf("%d keys without ids, at most %d are taken: use a JWK set", len(set.keys), maxAttempts)
	}
	return set, nil
}

func pemKey(block *pem.Block) (key, error) {
	var public crypto.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		p, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return key{}, errors.New("not a PKIX public key")
		}
		public = p
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return key{}, errors.New("not an X.509 certificate")
		}
		public = cert.PublicKey
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return key{}, errors.New("is a private key, which does not belong on a gateway; give the public key")
	default:
		return key{}, fmt.Errorf("type %q is neither PUBLIC KEY nor CERTIFICATE", block.Type)
	}
	return newKey(public)
}
