package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Method is the Method of every principal of this package.
const Method = "api_key"

// ClaimKeyID is the claim that holds the id of the key a principal came with.
const ClaimKeyID = "key_id"

// MinPepper is the shortest pepper accepted, in bytes.
const MinPepper = 16

// Why a key is refused. Only ErrMalformed and ErrUnknown are possible without
// the right secret, so a caller who has none learns nothing about an id.
var (
	ErrMalformed   = errors.New("not an API key")              // wrong form or checksum
	ErrUnknown     = errors.New("unknown API key")             // unknown id or wrong secret
	ErrRevoked     = errors.New("the API key is revoked")      //
	ErrExpired     = errors.New("the API key has expired")     // now is at or after expires
	ErrNotYetValid = errors.New("the API key is not yet good") // now is before not_before
	ErrAddress     = errors.New("the API key may not be used from this address")
)

// Store holds the keys of one file and follows its changes. Its zero value is
// of no use: see [Open]. All methods may be called concurrently.
type Store struct {
	path     string
	current  atomic.Pointer[table]
	scratch  sync.Pool // *scratch
	onReload func(State)

	watch watcher
	stop  chan struct{}
	done  chan struct{}
	close sync.Once
}

// scratch is what one Verify needs in memory.
type scratch struct {
	mac hash.Hash // keyed with the pepper; Reset is cheaper than New
	key [maxKey]byte
	sum [sha256.Size]byte
}

// Option adapts a Store to its user.
type Option func(*Store)

// OnReload has fn called after the file was reread: with new keys, or with the
// reason why the old ones stay (State.Err), once per reason. fn runs on the
// store's goroutine, and never after Close has returned; it must not call Close.
func OnReload(fn func(State)) Option {
	return func(s *Store) { s.onReload = fn }
}

// Open reads the key file at path and follows its changes until Close. pepper,
// at least MinPepper bytes, is the key of the hashes; it is copied.
//
// A file that cannot be read or has an error is refused, with its path and
// every error. See the package's documentation for what happens afterwards.
func Open(path string, pepper []byte, options ...Option) (*Store, error) {
	if err := checkPepper(pepper); err != nil {
		return nil, err
	}
	pepper = append([]byte(nil), pepper...)
	s := &Store{path: path, stop: make(chan struct{}), done: make(chan struct{})}
	s.scratch.New = func() any { return &scratch{mac: hmac.New(sha256.New, pepper)} }
	for _, option := range options {
		option(s)
	}
	if err := s.load(time.Now()); err != nil {
		return nil, err
	}
	go s.follow()
	return s, nil
}

func checkPepper(pepper []byte) error {
	if len(pepper) < MinPepper {
		return fmt.Errorf("the pepper has fewer than %d bytes", MinPepper)
	}
	return nil
}

// Verify returns the principal of key, or one of this package's errors. client
// is the address the request came from, without zone; the zero Addr matches no
// prefix. The principal is shared by all requests with the key: do not change it.
//
// An unknown id and a wrong secret take the same path: one HMAC, one comparison
// in constant time. What else is wrong is told only to who has the secret.
// Nothing is allocated.
func (s *Store) Verify(key string, client netip.Addr, now time.Time) (*principal.Principal, error) {
	if len(key) > maxKey {
		return nil, ErrMalformed
	}
	t := s.current.Load()
	w := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)

	id, secret, ok := split(w.key[:copy(w.key[:], key)])
	if !ok {
		return nil, ErrMalformed
	}
	e, ok := t.keys[string(id)]
	if !ok {
		e = t.stranger
	}
	w.mac.Reset()
	w.mac.Write(secret)
	same := subtle.ConstantTimeCompare(w.mac.Sum(w.sum[:0]), e.hash[:]) == 1
	if !same || e.absent {
		return nil, ErrUnknown
	}
	return e.admit(client, now)
}

// admit decides about a caller who has the right secret.
func (e *entry) admit(client netip.Addr, now time.Time) (*principal.Principal, error) {
	switch {
	case e.revoked:
		return nil, ErrRevoked
	case !e.expires.IsZero() && !now.Before(e.expires):
		return nil, ErrExpired
	case !e.notBefore.IsZero() && now.Before(e.notBefore):
		return nil, ErrNotYetValid
	}
	if len(e.allow) == 0 {
		return e.principal, nil
	}
	client = client.Unmap()
	for _, p := range e.allow {
		if p.Contains(client) {
			return e.principal, nil
		}
	}
	return nil, ErrAddress
}

// Close ends the store's goroutine and waits for it. It may be called again.
func (s *Store) Close() error {
	s.close.Do(func() { close(s.stop) })
	<-s.done
	return nil
}
