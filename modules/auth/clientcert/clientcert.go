package clientcert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Method is the Method of the principals.
const Method = "mtls"

// Why a certificate is refused.
var (
	// ErrNone is for a connection without a certificate.
	ErrNone = errors.New("the client showed no certificate")
	// ErrUnverified is for a certificate that no trusted authority stands for.
	ErrUnverified = errors.New("the certificate is not verified")
	// ErrExpired is for one whose chain is out of its dates by now.
	ErrExpired = errors.New("the certificate or one of its authorities has expired")
	// ErrIssuer is for one of an authority that is trusted by the listener, not here.
	ErrIssuer = errors.New("the authority is not one of those that are allowed")
	// ErrName is for one that does not say whose it is.
	ErrName = errors.New("the certificate has no name that is to be used, or several")
)

// Verifier judges the certificates of connections. It is safe for concurrent use.
type Verifier struct {
	method  string
	name    func(*x509.Certificate) (string, error)
	issuers []string // empty: all
	cache   cache
}

// New returns a verifier that takes the caller's name from what Names calls name,
// by default ("") as the package's documentation says, and accepts authorities
// with these subjects, by default all that the listener trusts.
func New(name string, issuers []string) (*Verifier, error) {
	named, ok := namers[name]
	if !ok {
		return nil, errors.New("not a name in a certificate")
	}
	return &Verifier{method: Method, name: named, issuers: issuers, cache: cache{seed: maphash.MakeSeed()}}, nil
}

// Verify returns who opened the connection. s is nil for one without TLS.
func (v *Verifier) Verify(s *tls.ConnectionState, now time.Time) (*principal.Principal, error) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return nil, ErrNone
	}
	// The connection policy is chosen by the name in the handshake, and Caddy
	// compares it with the Host as Unicode folds, where U+017F is an "s": the
	// certificate may have been verified for another site.
	if len(s.VerifiedChains) == 0 || !isASCII(s.ServerName) {
		return nil, ErrUnverified
	}
	err := ErrExpired
	for _, chain := range s.VerifiedChains {
		if !isCurrent(chain, now) {
			continue
		}
		var who *principal.Principal
		if who, err = v.caller(chain[0], chain[len(chain)-1]); err == nil {
			return who, nil
		}
	}
	return nil, err
}

func isCurrent(chain []*x509.Certificate, now time.Time) bool {
	for _, c := range chain {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return false
		}
	}
	return len(chain) > 0
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// caller is whom the leaf names under the authority, which is nil where somebody else
// verified and did not say.
func (v *Verifier) caller(leaf, authority *x509.Certificate) (*principal.Principal, error) {
	place := v.cache.place(leaf)
	if e := place.Load(); e != nil && bytes.Equal(e.leaf.Raw, leaf.Raw) && isSame(e.authority, authority) {
		return e.who, e.err
	}
	e := &entry{leaf: leaf, authority: authority}
	e.who, e.err = v.read(leaf, authority)
	place.Store(e)
	return e.who, e.err
}

func isSame(a, b *x509.Certificate) bool {
	return a == b || a != nil && b != nil && bytes.Equal(a.Raw, b.Raw)
}

func (v *Verifier) read(leaf, authority *x509.Certificate) (*principal.Principal, error) {
	issuer, err := nameOfIssuer(leaf, authority)
	if err != nil || len(v.issuers) > 0 && !slices.Contains(v.issuers, issuer) {
		return nil, ErrIssuer
	}
	id, err := v.name(leaf)
	if err != nil {
		return nil, err
	}
	return &principal.Principal{ID: id, Issuer: issuer, Method: v.method, Claims: claims(leaf, authority)}, nil
}

// cache keeps what certificates say, which is the same for all requests of a
// connection and all connections of a client. Only verified ones get in. An entry
// takes the place of whatever was there.
type cache struct {
	seed    maphash.Seed
	entries [1024]atomic.Pointer[entry]
}

type entry struct {
	leaf, authority *x509.Certificate
	who             *principal.Principal
	err             error
}

func (c *cache) place(leaf *x509.Certificate) *atomic.Pointer[entry] {
	return &c.entries[maphash.Bytes(c.seed, leaf.Signature)%uint64(len(c.entries))]
}
