package jwks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	// keepInterval is how often a key set that stays the same is stored, for its date.
	keepInterval   = 5 * time.Minute
	storageTimeout = 5 * time.Second
	// maxEntry is the largest entry that is read: a key set in base64, and its frame.
	maxEntry = maxBody*4/3 + 8<<10
)

// Storage keeps the last good key sets over restarts. What it does may fail and take
// its time: nothing waits for it.
type Storage interface {
	// Load returns what was stored under a key. It fails with fs.ErrNotExist if there
	// is nothing, and if it has more than limit bytes.
	Load(ctx context.Context, key string, limit int64) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

// entry is a key set in the storage.
type entry struct {
	// Source is the URL, for whoever looks at the storage, and so that an entry under
	// another one's key is of no use.
	Source    string    `json:"source"`
	FetchedAt time.Time `json:"fetched_at"`
	// Keys is the key set as it was fetched, in base64.
	Keys []byte `json:"keys"`
}

// keeper writes the key set in force, one entry at a time.
type keeper struct {
	mu       sync.Mutex
	storages []Storage // of the configurations in force, the newest last
	pending  bool
	busy     bool
	reading  chan struct{} // closed when the last Attach has read its storage
	at       time.Time     // of the entry that was stored last
	failing  bool
}

// Attach gives the source a storage, the one of a configuration that came into force,
// until detach. Without keys, those that it has are put in force, as long as they are
// not too old.
func (s *Source) Attach(storage Storage) (detach func()) {
	k := &s.keeper
	k.mu.Lock()
	k.storages = append(k.storages, storage)
	if s.current.Load() == nil {
		read := make(chan struct{})
		k.reading = read
		s.background.Go(func() {
			defer close(read)
			s.restore(storage)
		})
	}
	k.mu.Unlock()
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if i := slices.Index(k.storages, storage); i >= 0 {
			k.storages = slices.Delete(k.storages, i, i+1)
		}
	}
}

// restore puts the stored key set in force if none was fetched yet.
func (s *Source) restore(from Storage) {
	ctx, cancel := context.WithTimeout(s.ctx, storageTimeout)
	defer cancel()
	data, err := from.Load(ctx, s.config.key(), maxEntry)
	if errors.Is(err, fs.ErrNotExist) || s.ctx.Err() != nil {
		return
	}
	if err != nil {
		s.tell(Event{Storage: true, Err: fmt.Errorf("the last good key set was not read: %w", err)})
		return
	}
	now := time.Now()
	e, keys, err := s.config.readEntry(data)
	if err != nil {
		s.tell(Event{Storage: true, Err: fmt.Errorf("the stored key set is not used: %w", err)})
		return
	}
	ahead := e.FetchedAt.After(now)
	if ahead {
		e.FetchedAt = now // some clock was wrong
	}
	if now.Sub(e.FetchedAt) > s.config.MaxStale || !s.current.CompareAndSwap(nil, &fetched{keys, e.FetchedAt, true}) {
		return
	}
	s.rounds.replaced()
	s.tell(Event{Storage: true})
	if ahead {
		// It has to grow old from now on, also over restarts.
		s.keep(now, true)
	}
}

// awaitStored returns when the storage was read, if no keys are there yet: who waits
// for a fetch that failed gets the stored ones.
func (s *Source) awaitStored() {
	s.keeper.mu.Lock()
	read := s.keeper.reading
	s.keeper.mu.Unlock()
	if read == nil || s.current.Load() != nil {
		return
	}
	timer := time.NewTimer(storageTimeout)
	defer timer.Stop()
	select {
	case <-read:
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// readEntry reads a stored key set as strictly as a fetched one.
func (c Config) readEntry(data []byte) (*entry, *jwt.KeySet, error) {
	if len(data) > maxEntry {
		return nil, nil, fmt.Errorf("it is larger than %d bytes", maxEntry)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	e := new(entry)
	if err := d.Decode(e); err != nil {
		return nil, nil, errors.New("it is damaged")
	}
	if e.Source != c.URL || e.FetchedAt.IsZero() {
		return nil, nil, errors.New("it is another source's")
	}
	keys, err := jwt.ParseJWKS(e.Keys)
	return e, keys, err
}

// keep has the key set in force stored, which was fetched at the time: if it changed,
// or to bring its date forward.
func (s *Source) keep(at time.Time, changed bool) {
	k := &s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.storages) == 0 || !changed && at.Sub(k.at) < min(keepInterval, s.config.MaxStale/4) {
		return
	}
	k.at = at
	k.pending = true
	if !k.busy {
		k.busy = true
		s.background.Go(s.store)
	}
}

// store writes the keys in force, whichever they are by then, while that is pending: what
// was replaced meanwhile never overwrites what replaced it.
func (s *Source) store() {
	k := &s.keeper
	for {
		k.mu.Lock()
		if !k.pending || len(k.storages) == 0 || s.ctx.Err() != nil {
			k.pending, k.busy = false, false
			k.mu.Unlock()
			return
		}
		k.pending = false
		to := k.storages[len(k.storages)-1]
		k.mu.Unlock()
		f := s.current.Load()
		err := s.storeEntry(to, &entry{s.config.URL, f.at.UTC(), f.keys.Source()})
		if s.ctx.Err() != nil {
			err = nil
		}
		k.mu.Lock()
		told := k.failing
		k.failing = err != nil
		if err != nil {
			k.at = time.Time{} // again with the next fetch
		}
		k.mu.Unlock()
		if err != nil && !told {
			s.tell(Event{Storage: true, Err: fmt.Errorf("the key set was not stored: %w", err)})
		}
	}
}

// settle waits for what the storage is doing, but not for one that hangs.
func (s *Source) settle() {
	settled := make(chan struct{})
	go func() {
		s.background.Wait()
		close(settled)
	}()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
	}
}

func (s *Source) storeEntry(to Storage, e *entry) error {
	ctx, cancel := context.WithTimeout(s.ctx, storageTimeout)
	defer cancel()
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return to.Store(ctx, s.config.key(), data)
}
