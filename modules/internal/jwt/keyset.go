package jwt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"time"
)

// The key types of RFC 7518 section 6.1 and RFC 8037 that can verify here. Secrets
// come from the configuration only: no key file and no JWK set brings one.
const (
	ktyRSA    = "RSA"
	ktyEC     = "EC"
	ktyOKP    = "OKP"
	ktySecret = "oct"
)

const (
	minRSABits = 2048
	// maxRSABits bounds the work of one check: it grows with the square.
	maxRSABits = 8192
	// maxKeys is how many keys a set may hold.
	maxKeys = 256
	// maxAttempts is how many keys are tried for one token.
	maxAttempts = 4
	// maxKeyID is the longest kid, in bytes.
	maxKeyID = 256
)

// KeySource hands out an issuer's keys. It must be safe for concurrent use.
type KeySource interface {
	// Keys returns the keys in force at now. It must not block: it is asked for
	// every token. An error means that there are none, for reasons that lie with us
	// or the issuer, not with the caller.
	Keys(now time.Time) (*KeySet, error)
	// Missed says that a token could not be verified by the keys in seen: the issuer
	// may have newer ones. seen is nil if there were none at all. Attackers can cause
	// it at will, so it may wait for newer keys only as long, as often and for as many
	// callers at once as the source can afford, and not longer than ctx.
	//
	// It returns other keys than seen, to judge the token once more; or nil if seen is
	// what the token has to be judged by; or an error if nobody can say at the moment
	// whether the issuer has newer keys.
	Missed(ctx context.Context, seen *KeySet) (*KeySet, error)
}

// KeySet is an immutable set of keys, safe for concurrent use. It is a KeySource
// that always returns itself.
type KeySet struct {
	keys []key
	// raw is what the set was read from.
	raw     []byte
	skipped []error
	refused refusals
}

type key struct {
	id     string
	kty    string
	alg    string // if not empty, the only algorithm the key is for
	use    string // what the key says it is for: sig, or nothing
	curve  elliptic.Curve
	public crypto.PublicKey
	// mac checks a signature with a secret, which stays inside of it. It is nil for
	// public keys.
	mac func(signed string, signature []byte) bool
}

// Keys returns s.
func (s *KeySet) Keys(time.Time) (*KeySet, error) { return s, nil }

// Missed returns nothing: this set does not change.
func (s *KeySet) Missed(context.Context, *KeySet) (*KeySet, error) { return nil, nil }

// Len returns the number of usable keys, which is never 0.
func (s *KeySet) Len() int { return len(s.keys) }

// Serves reports whether some key of the set fits one of the algorithms.
func (s *KeySet) Serves(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		alg := algorithms[name]
		return alg != nil && slices.ContainsFunc(s.keys, func(k key) bool { return k.fits(alg) })
	})
}

// Skipped says which keys of a JWK set were left out and why.
func (s *KeySet) Skipped() []error { return s.skipped }

// Source returns what the set was read from. It must not be changed.
func (s *KeySet) Source() []byte { return s.raw }

// IsFrom reports whether s was read from these bytes: then there is no need to
// read them again and to forget which tokens were verified. A nil set is from none.
func (s *KeySet) IsFrom(data []byte) bool {
	return s != nil && bytes.Equal(s.raw, data)
}

// ParseKeys reads a key file: PEM blocks with public keys or certificates, or a
// JWK set, which begins with a brace. A certificate only carries its key; its
// dates and its chain are not looked at.
func ParseKeys(data []byte) (*KeySet, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return ParseJWKS(data)
	}
	return parsePEM(data)
}

// check finds out whether one of the keys signed the token.
func (s *KeySet) check(p *parsed, alg *algorithm) *Failure {
	var fitting [maxAttempts]*key
	n, err := s.candidates(p.kid, alg, &fitting)
	if err != nil {
		return err
	}
	// An HMAC costs no more than to look it up.
	remember := alg.kty != ktySecret
	if remember && s.refused.has(p, alg) {
		return errSignature
	}
	for _, k := range fitting[:n] {
		if k.verifies(p, alg) {
			return nil
		}
	}
	if remember {
		s.refused.add(p, alg)
	}
	return errSignature
}

func (k *key) verifies(p *parsed, alg *algorithm) bool {
	if k.mac != nil {
		return k.mac(p.signed, p.signature)
	}
	return alg.method.Verify(p.signed, p.signature, k.public) == nil
}

// candidates writes the keys that may have signed a token with this header to
// dst and returns how many there are. A key without an id, as from a PEM file,
// stands in where no key has the token's kid.
func (s *KeySet) candidates(kid string, alg *algorithm, dst *[maxAttempts]*key) (int, *Failure) {
	n, err := s.match(alg, dst, func(id string) bool { return kid == "" || id == kid })
	if n == 0 && err == nil && kid != "" {
		n, err = s.match(alg, dst, func(id string) bool { return id == "" })
	}
	if n == 0 && err == nil {
		err = errKey
	}
	return n, err
}

func (s *KeySet) match(alg *algorithm, dst *[maxAttempts]*key, id func(string) bool) (int, *Failure) {
	n := 0
	for i := range s.keys {
		k := &s.keys[i]
		if !id(k.id) || !k.fits(alg) {
			continue
		}
		if n == maxAttempts {
			return 0, errAmbiguous
		}
		dst[n] = k
		n++
	}
	return n, nil
}

func (k *key) fits(alg *algorithm) bool {
	return k.kty == alg.kty && k.curve == alg.curve && (k.alg == "" || k.alg == alg.name)
}

// newKey checks a public key of any origin.
func newKey(public crypto.PublicKey) (key, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return key{kty: ktyRSA, public: p}, checkRSA(p)
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return key{kty: ktyEC, curve: p.Curve, public: p}, nil
		}
		return key{}, fmt.Errorf("curve %s is not one of P-256, P-384, P-521", p.Curve.Params().Name)
	case ed25519.PublicKey:
		return key{kty: ktyOKP, public: p}, nil
	}
	return key{}, fmt.Errorf("%T cannot verify signatures", public)
}

func checkRSA(p *rsa.PublicKey) error {
	size := p.N.BitLen()
	switch {
	case size < minRSABits:
		return fmt.Errorf("RSA modulus has %d bits, at least %d are needed", size, minRSABits)
	case size > maxRSABits:
		return fmt.Errorf("RSA modulus has %d bits, at most %d are taken", size, maxRSABits)
	case p.N.Bit(0) == 0:
		return errors.New("RSA modulus is even")
	case p.E < 3 || p.E%2 == 0 || bits.Len(uint(p.E)) > 31:
		return fmt.Errorf("RSA exponent %d is not usable", p.E)
	case isROCA(p.N):
		return errors.New("RSA modulus is from a generator whose keys can be factored (CVE-2017-15361)")
	}
	return nil
}

// rocaPrimes are primes in each of which the powers of 65537 are so few that a modulus
// of another origin is hardly ever one of them in all.
var rocaPrimes = [...]uint64{
	11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
}

// isROCA finds the fingerprint of the keys of CVE-2017-15361 (Nemec and others, The
// Return of Coppersmith's Attack, 2017, section 2.4): their primes, and so the
// modulus, are powers of 65537 modulo every small prime.
func isROCA(n *big.Int) bool {
	var rest big.Int
	for _, prime := range rocaPrimes {
		r := rest.Mod(n, new(big.Int).SetUint64(prime)).Uint64()
		power := uint64(1)
		found := false
		for range prime {
			found = found || power == r
			power = power * 65537 % prime
		}
		if !found {
			return false
		}
	}
	return true
}
