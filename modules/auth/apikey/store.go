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
	mac    hash.Hash // keyed with the pepper; Reset is cheaper than New
	key    [maxWhole]byte
	digest [len(wholeTag) + sha256.Size]byte // wholeTag, and the SHA-256 of a whole key
	sum    [sha256.Size]byte
}

func newScratch(mac hash.Hash) *scratch {
	w := &scratch{mac: mac}
	copy(w.digest[:], wholeTag)
	return w
}

// hash leaves the HMAC of b in sum.
func (w *scratch) hash(b []byte) {
	w.mac.Reset()
	w.mac.Write(b)
	w.mac.Sum(w.sum[:0])
}

// hashWhole leaves the hash of a key made elsewhere in sum.
func (w *scratch) hashWhole(key []byte) {
	digest := sha256.Sum256(key)
	copy(w.digest[len(wholeTag):], digest[:])
	w.hash(w.digest[:])
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
	s.scratch.New = func() any { return newScratch(hmac.New(sha256.New, pepper)) }
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
// in constant time. So do all keys that are not of our form, where the file has
// some that were made elsewhere; what our form is, is public. What else is wrong
// is told only to who has the secret. Nothing is allocated.
func (s *Store) Verify(key string, client netip.Addr, now time.Time) (*principal.Principal, error) {
	if len(key) > maxWhole {
		return nil, ErrMalformed
	}
	t := s.current.Load()
	w := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)

	sent := w.key[:copy(w.key[:], key)]
	var e *entry
	if id, secret, ok := split(sent); ok {
		w.hash(secret)
		e = t.keys[string(id)]
	} else if len(t.whole) > 0 && len(sent) >= minWhole {
		w.hashWhole(sent)
		e = t.whole[w.sum]
	} else {
		return nil, ErrMalformed
	}
	if e == nil {
		e = t.stranger
	}
	same := subtle.ConstantTimeCompare(w.sum[:], e.hash[:]) == 1
	if !same || e.absent {
		return nil, ErrUnknown
	}
	if err := e.admit(client, now); err != nil {
		return nil, err
	}
	e.used.mark(now)
	return e.principal, nil
}

// admit decides about a caller who has the right secret.
func (e *entry) admit(client netip.Addr, now time.Time) error {
	switch {
	case e.revoked:
		return ErrRevoked
	case !e.expires.IsZero() && !now.Before(e.expires):
		return ErrExpired
	case !e.notBefore.IsZero() && now.Before(e.notBefore):
		return ErrNotYetValid
	}
	if len(e.allow) == 0 {
		return nil
	}
	client = client.Unmap()
	for _, p := range e.allow {
		if p.Contains(client) {
			return nil
		}
	}
	return ErrAddress
}

// Close ends the store's goroutine and waits for it. It may be called again.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.stop)
		<-s.done
		uses.drop(s.path, s.current.Load())
	})
	return nil
}
