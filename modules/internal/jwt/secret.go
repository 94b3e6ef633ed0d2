package jwt

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256" // the hashes of the HS algorithms
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// maxSecrets is how many secrets an issuer may have: a token without kid is tried
// with each of them.
const maxSecrets = maxAttempts

// Secret is a secret that an issuer shares with this gateway, for the HS
// algorithms. Make one with NewSecret. The value cannot be printed: it is only in a
// function.
type Secret struct {
	name  string
	value func() []byte
}

// NewSecret names a secret. The name is the kid of the tokens that it signs. The
// value is taken as it is: base64 and hexadecimal digits are not decoded. Errors
// never contain it.
func NewSecret(name, value string) (Secret, error) {
	if err := CheckSecretName(name); err != nil {
		return Secret{}, err
	}
	// Somebody mistook the issuer's public key for a secret: whoever can read it
	// could make tokens.
	if strings.Contains(value, "-----BEGIN ") {
		return Secret{}, fmt.Errorf("secret %s is a PEM block: a key is no secret for HS algorithms", name)
	}
	kept := []byte(value)
	return Secret{name, func() []byte { return kept }}, nil
}

// CheckSecretName refuses what cannot be the kid of a token.
func CheckSecretName(name string) error {
	if name == "" || len(name) > maxKeyID || hasControl(name) {
		return fmt.Errorf("the name, which is the kid of its tokens, has 1 to %d bytes without control characters", maxKeyID)
	}
	return nil
}

// newSecretSet makes keys of secrets, one for each algorithm. A secret must be as
// long as the algorithm's hash (RFC 7518 section 3.2).
func newSecretSet(secrets []Secret, names []string) (*KeySet, []error) {
	var errs []error
	if len(secrets) > maxSecrets {
		errs = append(errs, fmt.Errorf("has %d secrets, at most %d are taken", len(secrets), maxSecrets))
	}
	set := new(KeySet)
	seen := make(map[string]bool)
	for _, s := range secrets {
		if s.value == nil {
			errs = append(errs, errors.New("has a secret without value"))
			continue
		}
		if seen[s.name] {
			errs = append(errs, fmt.Errorf("has two secrets with the name %q", s.name))
		}
		seen[s.name] = true
		for _, name := range names {
			alg := algorithms[name]
			if alg == nil || alg.kty != ktySecret {
				continue
			}
			if size := alg.hash.Size(); len(s.value()) < size {
				errs = append(errs, fmt.Errorf("secret %s is shorter than the %d bytes that %s needs", s.name, size, name))
				continue
			}
			set.keys = append(set.keys, key{id: s.name, kty: ktySecret, alg: name, mac: newMAC(alg.hash, s.value())})
		}
	}
	return set, errs
}

// mac is one HMAC in use, with its secret in it.
type mac struct {
	hash.Hash
	chunk [512]byte
	sum   [64]byte
}

// newMAC returns a function that checks signatures under secret, in constant time
// for all of one length, and without allocating.
func newMAC(h crypto.Hash, secret []byte) func(signed string, signature []byte) bool {
	pool := sync.Pool{New: func() any { return &mac{Hash: hmac.New(h.New, secret)} }}
	return func(signed string, signature []byte) bool {
		m := pool.Get().(*mac)
		defer pool.Put(m)
		m.Reset()
		for len(signed) > 0 {
			n := copy(m.chunk[:], signed)
			m.Write(m.chunk[:n])
			signed = signed[n:]
		}
		return hmac.Equal(m.Sum(m.sum[:0]), signature)
	}
}
