package revocation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

const (
	// refreshInterval is between two readings of the store, give or take a tenth.
	refreshInterval = time.Second
	// sweepInterval is between two searches for records that are over.
	sweepInterval = 5 * time.Minute
	// patience is how long one question to the store takes at most, if the store
	// has no timeout of its own.
	patience = 5 * time.Second
)

// ErrNotLoaded means that the list of the store has not been read whole yet.
var ErrNotLoaded = errors.New("the revocations of the store have not been read yet")

// Follower is a copy of the store's list, refreshed in the background: judging a token
// waits for nothing. The copy only forgets what was taken off the list, or is over. If
// the store lost records, the copy keeps them and gives them back. Make it with Follow,
// and Close it. It is safe for concurrent use.
type Follower struct {
	list    store.Revocations
	name    string
	observe func(Event)
	meter   *meter
	most    int

	// current is nil until the list was read whole, and fresh is when the reading
	// began that found it to be so the last time.
	current atomic.Pointer[table]
	fresh   atomic.Pointer[moment]

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	// Of the follower's goroutine.
	working *table
	at      store.Position
	found   map[id]term          // in a reading from the beginning: what the list has
	lost    []store.Revocation   // what it did not have, until it has it again
	damaged bool                 // it has to begin anew, also with nothing
	removed map[string]time.Time // what was taken off, and when it can be forgotten
	swept   time.Time
	failing bool
}

// moment is a time by two clocks. The one that does not jump may stand still while the
// machine sleeps.
type moment struct {
	time time.Time
	wall int64
}

// Follow returns a copy of list, which name is of. Nothing is asked before Start.
// observe is called on the follower's goroutine, when refreshing begins to fail and when
// it works again, and must not call Close.
func Follow(list store.Revocations, name string, observe func(Event)) *Follower {
	f := &Follower{list: list, name: name, observe: observe, most: store.MostRevocations, done: make(chan struct{}),
		working: new(table), removed: make(map[string]time.Time)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.meter = newMeter("store "+name, f.current.Load)
	return f
}

// Start begins to read, the first time it is called.
func (f *Follower) Start() {
	f.once.Do(func() { go f.run() })
}

// Close ends the follower's goroutine and waits for it. It may be called again.
func (f *Follower) Close() error {
	f.cancel()
	f.once.Do(func() { close(f.done) }) // never started, and never will be
	<-f.done
	f.meter.close()
	return nil
}

// Ready returns an error until the list was read whole for the first time. Later it
// stays ready, also when the store is away: see the package's comment.
func (f *Follower) Ready() error {
	if f.current.Load() == nil {
		f.Start()
		return ErrNotLoaded
	}
	return nil
}

// refuses reports whether a token is known to be revoked.
func (f *Follower) refuses(facts *jwt.TokenFacts, now time.Time) bool {
	t := f.current.Load()
	return t != nil && t.refuses(facts, now)
}

// isFresh reports whether the copy is not older than maxAge by either clock.
func (f *Follower) isFresh(now time.Time, maxAge time.Duration) bool {
	m := f.fresh.Load()
	return m != nil && now.Sub(m.time) <= maxAge && now.UnixNano()-m.wall <= int64(maxAge)
}

func (f *Follower) run() {
	defer close(f.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-timer.C:
		}
		err := f.refresh()
		if f.ctx.Err() != nil {
			return
		}
		f.meter.refreshed(time.Now(), err)
		if failing := err != nil; failing != f.failing {
			f.failing = failing
			if f.observe != nil {
				f.observe(Event{f.name, f.working.len(), err})
			}
		}
		timer.Reset(refreshInterval*9/10 + rand.N(refreshInterval/5))
	}
}

// refresh reads what is new, and gives back what the store lost. If it cannot do that,
// the copy is none the worse.
func (f *Follower) refresh() error {
	err := f.read()
	if errors.Is(err, store.ErrRevocationsDamaged) {
		f.remember(nil)
		f.damaged = !f.private()
	}
	f.sweep(time.Now())
	return errors.Join(err, f.giveBack())
}

// read reads the list to its end. What it got before an error stays, and is not read
// again.
func (f *Follower) read() error {
	for {
		began := time.Now()
		complete, err := f.page()
		if err != nil {
			return err
		}
		if complete {
			f.compare()
			f.current.Store(f.working)
			f.fresh.Store(&moment{began, began.UnixNano()})
			return nil
		}
	}
}

func (f *Follower) ask(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	return do(ctx)
}

// page reads one page.
func (f *Follower) page() (complete bool, err error) {
	var p store.RevocationPage
	err = f.ask(func(ctx context.Context) (err error) {
		p, err = f.list.Revoked(ctx, f.at, store.MostAtOnce)
		return err
	})
	if err != nil {
		return false, err
	}
	if p.Restarted && !f.private() {
		f.found = make(map[id]term)
	}
	for _, e := range p.Entries {
		if err := f.merge(e); err != nil {
			// From here on the copy would not be whole. The page is read again, in
			// case it is another one then.
			return false, err
		}
	}
	f.at = p.Next
	return p.Complete, nil
}

// merge takes over an entry. In a list that need not have what is known, known records
// stay as strong as they were.
func (f *Follower) merge(e store.Revocation) error {
	i, t, err := fromStore(e)
	if err != nil {
		return err
	}
	known := f.working.get(i)
	if e.Removed {
		f.working.set(i, term{}, f.private())
		f.removed[e.ID] = time.Now().Add(store.KeptRemoved + store.Overdue)
		return nil
	}
	delete(f.removed, e.ID)
	if f.found != nil {
		f.found[i] = t
		t = t.or(known)
	}
	if known == (term{}) && f.working.len() >= f.most {
		return fmt.Errorf("more than %d revocations: not all of them can be kept", f.most)
	}
	f.working.set(i, t, f.private())
	return nil
}

// private reports whether nobody reads the working table yet.
func (f *Follower) private() bool { return f.current.Load() == nil }

// compare finds what the list lacks, when it was read from the beginning.
func (f *Follower) compare() {
	if found := f.found; found != nil {
		f.found = nil
		f.remember(found)
	}
}

// remember notes which records the list, that has found, is to be given back. Before
// the first reading nobody knows what it should have.
func (f *Follower) remember(found map[id]term) {
	if f.private() {
		return
	}
	f.lost = nil
	now := time.Now().Unix()
	f.working.each(func(i id, t term) {
		if t != found[i] && !t.over(now) {
			f.lost = append(f.lost, toStore(i, t, ""))
		}
	})
}

// giveBack puts what the store lost on its list again.
func (f *Follower) giveBack() error {
	for len(f.lost) > 0 || f.damaged {
		part := f.lost[:min(len(f.lost), store.MostAtOnce)]
		if err := f.ask(func(ctx context.Context) error { return f.list.Restore(ctx, part...) }); err != nil {
			return fmt.Errorf("giving the store back what it lost: %w", err)
		}
		f.lost, f.damaged = f.lost[len(part):], false
	}
	f.lost = nil
	return nil
}

// sweep forgets what is over, in the store and then here: by the store's clock, as
// ours may be wrong for a while. Until then it refuses nothing.
func (f *Follower) sweep(now time.Time) {
	if now.Sub(f.swept) < sweepInterval {
		return
	}
	f.swept = now
	over := make(map[string]id)
	f.working.each(func(i id, t term) {
		if t.over(now.Unix()) {
			over[i.String()] = i
		}
	})
	ids := slices.Collect(maps.Keys(over))
	for entry, end := range f.removed {
		if now.After(end) {
			ids = append(ids, entry)
		}
	}
	for part := range slices.Chunk(ids, store.MostAtOnce) {
		var kept []string
		err := f.ask(func(ctx context.Context) (err error) {
			kept, err = f.list.Discard(ctx, part...)
			return err
		})
		if err != nil {
			return // the next time
		}
		for _, entry := range kept {
			delete(over, entry)
		}
		for _, entry := range part {
			if i, ok := over[entry]; ok {
				f.working.set(i, term{}, f.private())
			}
			delete(f.removed, entry)
		}
	}
}
