package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

const (
	// name of the value in the storage, and of its lock.
	name     = "sallyport/assertion/keys.json"
	lockName = "sallyport_assertion_keys"

	// poll is how often the storage is looked at.
	poll = time.Minute

	minRetry = time.Second
	maxRetry = 30 * time.Second

	// patience bounds one look at the storage, the wait for the lock included.
	patience = 20 * time.Second
)

// Storage is what the ring needs of certmagic's.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// ErrNoKeys says that no key is known.
var ErrNoKeys = errors.New("no signing key is known: the storage has not been read yet")

// Event is one look at the storage.
type Event struct {
	// Changed says that other keys are in force than before.
	Changed bool
	// Keys is how many are published.
	Keys int
	// Signing is the id of the key in use; "" if there is none.
	Signing string
	// Err is why the look failed, or nil.
	Err error
	// Turned says that looks begin to fail, or to succeed again.
	Turned bool
}

// Ring is the keys as one gateway knows them. It is safe for concurrent use; make
// one with New, and Close it.
type Ring struct {
	observe func(Event)
	current atomic.Pointer[set]
	storage atomic.Pointer[Storage]

	attached  chan struct{} // there is another storage
	tried     chan struct{} // closed after the first look
	available chan struct{} // closed when there are keys
	once      sync.Once
	ctx       context.Context
	cancel    context.CancelFunc
	done      chan struct{}
}

// New returns a ring without keys, which looks for them once it has a storage.
// observe is called on the ring's goroutine and must not call Close.
func New(observe func(Event)) *Ring {
	r := &Ring{
		observe:  observe,
		attached: make(chan struct{}, 1), tried: make(chan struct{}), available: make(chan struct{}), done: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Attach makes the ring use a storage from now on; that of an earlier configuration
// may be closed already.
func (r *Ring) Attach(s Storage) {
	r.storage.Store(&s)
	select {
	case r.attached <- struct{}{}:
	default:
	}
	r.once.Do(func() { go r.run() })
}

// Close ends the ring's goroutine and waits for it. It may be called again.
func (r *Ring) Close() error {
	r.cancel()
	r.once.Do(func() { close(r.done) }) // never attached, and never will be
	<-r.done
	return nil
}

// Signer returns the key to sign with at now and since when it is in use, or nil.
func (r *Ring) Signer(now time.Time) (*assertion.Key, time.Time) {
	s := r.current.Load()
	if s == nil {
		return nil, time.Time{}
	}
	e := &s.entries[signing(s.entries, now)]
	return e.key, e.from
}

// JWKS returns the published set (RFC 7517 section 5), public keys only, or nil.
func (r *Ring) JWKS() []byte {
	s := r.current.Load()
	if s == nil {
		return nil
	}
	return s.jwks
}

// Ready returns an error until keys are known.
func (r *Ring) Ready() error {
	if r.current.Load() == nil {
		return ErrNoKeys
	}
	return nil
}

// Tried is closed after the first look at the storage.
func (r *Ring) Tried() <-chan struct{} { return r.tried }

// Available is closed when there are keys.
func (r *Ring) Available() <-chan struct{} { return r.available }

func (r *Ring) run() {
	defer close(r.done)
	retry, failing := minRetry, false
	for first := true; ; first = false {
		select {
		case <-r.attached:
		default:
		}
		changed, err := r.look()
		if r.ctx.Err() != nil {
			return
		}
		r.tell(changed, failing != (err != nil), err)
		failing = err != nil
		if first {
			close(r.tried)
		}
		wait := poll - time.Duration(rand.Int64N(int64(poll/10)))
		if err != nil {
			wait, retry = retry, min(2*retry, maxRetry)
		} else {
			retry = minRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-r.ctx.Done():
			timer.Stop()
			return
		case <-r.attached:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (r *Ring) tell(changed, turned bool, err error) {
	if r.observe == nil {
		return
	}
	e := Event{Changed: changed, Turned: turned, Err: err}
	if s := r.current.Load(); s != nil {
		e.Keys = len(s.entries)
		e.Signing = s.entries[signing(s.entries, time.Now())].key.ID()
	}
	r.observe(e)
}

// look reads the keys, makes one if it is due, and puts them in force.
func (r *Ring) look() (changed bool, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	storage := *r.storage.Load()
	entries, err := load(ctx, storage)
	if err != nil {
		return false, err
	}
	expired, _, toMake := due(entries, time.Now())
	if toMake || expired > 0 {
		// What was read may be put in force before: the lock may be held for long.
		if len(entries) > 0 {
			changed = r.put(entries)
		}
		if entries, err = r.rotate(ctx, storage); err != nil {
			return changed, err
		}
	}
	return r.put(entries) || changed, nil
}

func (r *Ring) put(entries []entry) (changed bool) {
	next := newSet(entries)
	before := r.current.Load()
	if before.same(next) {
		return false
	}
	r.current.Store(next)
	if before == nil {
		close(r.available)
	}
	return true
}

// rotate does what is due, under the lock and on what is stored by then: another
// gateway may have been faster.
func (r *Ring) rotate(ctx context.Context, storage Storage) (entries []entry, err error) {
	if err := storage.Lock(ctx, lockName); err != nil {
		return nil, fmt.Errorf("locking the signing keys: %w", err)
	}
	defer func() {
		// Also when ctx has ended: a lock that is left behind stops everybody.
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if unlockErr := storage.Unlock(release, lockName); unlockErr != nil && err == nil {
			err = fmt.Errorf("unlocking the signing keys: %w", unlockErr)
		}
	}()
	if entries, err = load(ctx, storage); err != nil {
		return nil, err
	}
	expired, from, toMake := due(entries, time.Now())
	if !toMake && expired == 0 {
		return entries, nil
	}
	entries = entries[expired:]
	if toMake {
		e, err := newEntry(from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	data, err := encode(entries)
	if err != nil {
		return nil, err
	}
	if err := storage.Store(ctx, name, data); err != nil {
		return nil, fmt.Errorf("storing the signing keys: %w", err)
	}
	return entries, nil
}

// load returns the stored keys; none if there is no value.
func load(ctx context.Context, storage Storage) ([]entry, error) {
	data, err := storage.Load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	return parse(data)
}
