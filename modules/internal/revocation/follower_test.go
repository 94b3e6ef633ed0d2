package revocation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// eventLog collects events.
type eventLog struct {
	mu   sync.Mutex
	list []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

func (l *eventLog) all() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// remote is a store of the test: one in memory, which can be away and lose everything.
type remote struct {
	store.Revocations
	mu    sync.Mutex
	err   error
	calls int
	lost  bool
	lease *store.MemoryLease
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	r := new(remote)
	r.open(t)
	t.Cleanup(func() { r.lease.Release() })
	return r
}

func (r *remote) open(t *testing.T) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	l, err := store.OpenMemory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.lease, r.Revocations = l, l.Value()
}

// asked is how often it was asked.
func (r *remote) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// fails makes the store answer with err from now on.
func (r *remote) fails(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// begins makes the next reading one of another list.
func (r *remote) begins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = true
}

// lose empties the store.
func (r *remote) lose(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease.Release()
	r.open(t)
	r.lost = true
}

func (r *remote) Revoked(ctx context.Context, after store.Position, limit int) (store.RevocationPage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.err != nil {
		return store.RevocationPage{}, r.err
	}
	if r.lost { // the mark is not of this list
		after, r.lost = store.Position{}, false
	}
	return r.Revocations.Revoked(ctx, after, limit)
}

func (r *remote) Restore(ctx context.Context, entries ...store.Revocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil && !errors.Is(r.err, store.ErrRevocationsDamaged) {
		return r.err
	}
	if r.err != nil {
		r.err, r.lost = nil, true
	}
	return r.Revocations.Restore(ctx, entries...)
}

func (r *remote) Discard(ctx context.Context, ids ...string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Revocations.Discard(ctx, ids...)
}

// put revokes a record.
func (r *remote) put(t *testing.T, records ...Record) {
	t.Helper()
	for _, record := range records {
		if err := r.Revoke(t.Context(), record.Entry()); err != nil {
			t.Fatal(err)
		}
	}
}

// has is how many records the store has, without those that were taken off.
func (r *remote) has(t *testing.T) int {
	t.Helper()
	n, at := 0, store.Position{}
	for {
		p, err := r.Revocations.Revoked(t.Context(), at, store.MostAtOnce)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entries {
			if !e.Removed {
				n++
			}
		}
		if at = p.Next; p.Complete {
			return n
		}
	}
}

func (r *remote) follow(t *testing.T, events *eventLog) *Judge {
	t.Helper()
	f := Follow(r, "test", events.add)
	t.Cleanup(func() { f.Close() })
	return &Judge{Store: f, MaxAge: DefaultMaxAge}
}

// judges lets time pass, and checks a verdict on a token of a subject.
func judges(t *testing.T, j *Judge, after time.Duration, what, sub string, want error) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	f := facts(func(f *jwt.TokenFacts) { f.Subject, f.Principal, f.ID, f.IssuedAt = sub, sub, "", time.Now() })
	if got := j.Check(f, time.Now()); got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

var (
	alice   = Record{Issuer: issuerA, Sub: "alice"}
	bob     = Record{Issuer: issuerA, Sub: "bob"}
	errDown = errors.New("down")
)

const soon = 3 * time.Second

func TestACopyFollowsTheStoreAndIsJudgedByItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		r.put(t, alice)
		r.fails(errDown)
		var events eventLog
		j := r.follow(t, &events)
		if r.asked() != 0 || j.Store.isFresh(time.Now(), time.Hour) {
			t.Error("it asks, or is fresh, before it was started")
		}
		j.Store.Start()
		judges(t, j, soon, "before it was read", "alice", jwt.ErrRevocationUnknown)
		judges(t, j, time.Hour, "long before it was read", "bob", jwt.ErrRevocationUnknown)
		if !errors.Is(j.Store.Ready(), ErrNotLoaded) {
			t.Error("it is ready")
		}
		r.fails(nil)
		judges(t, j, soon, "read", "alice", jwt.ErrRevoked)
		judges(t, j, 0, "not revoked", "bob", nil)
		if err := j.Store.Ready(); err != nil {
			t.Error(err)
		}
		r.put(t, bob)
		judges(t, j, soon, "revoked meanwhile", "bob", jwt.ErrRevoked)
		if err := r.Unrevoke(t.Context(), alice.id().String()); err != nil {
			t.Fatal(err)
		}
		judges(t, j, soon, "taken off", "alice", nil)
		judges(t, j, 0, "not taken off", "bob", jwt.ErrRevoked)

		r.fails(errDown)
		judges(t, j, DefaultMaxAge-2*refreshInterval, "the store is away", "alice", nil)
		judges(t, j, 0, "revoked before it went away", "bob", jwt.ErrRevoked)
		judges(t, j, 4*refreshInterval, "the copy is too old", "alice", jwt.ErrRevocationUnknown)
		judges(t, j, 0, "too old, and revoked", "bob", jwt.ErrRevoked)
		judges(t, j, 24*time.Hour, "a day later", "alice", jwt.ErrRevocationUnknown)
		judges(t, j, 0, "revoked a day ago", "bob", jwt.ErrRevoked)
		if err := j.Store.Ready(); err != nil {
			t.Errorf("it is not ready, because the store is away: %v", err)
		}
		r.put(t, alice)
		r.fails(nil)
		judges(t, j, soon, "the store is back", "alice", jwt.ErrRevoked)
		judges(t, j, 0, "and somebody else", "carol", nil)
		if e := events.all(); len(e) != 4 || e[0].Err == nil || e[1].Err != nil || e[2].Err == nil || e[3].Err != nil || e[3].Records != 2 {
			t.Errorf("events: %v", e)
		}
		before := r.asked()
		judges(t, j, time.Minute, "a minute", "carol", nil)
		if n := r.asked() - before; n < 50 || n > 70 {
			t.Errorf("%d questions in a minute", n)
		}
	})
}

func TestAnOldCopyIsOldByEitherClock(t *testing.T) {
	f := new(Follower)
	began := time.Now()
	for _, tt := range []struct {
		name string
		mono time.Duration // of which this is ago
		wall time.Duration
		want bool
	}{
		{"now", 0, 0, true},
		{"at its age", DefaultMaxAge, DefaultMaxAge, true},
		{"too old", DefaultMaxAge + 1, DefaultMaxAge + 1, false},
		{"the machine slept", 0, time.Hour, false},
		{"the clock was put forward", time.Second, time.Hour, false},
		{"the clock was put back", time.Hour, -time.Hour, false},
	} {
		f.fresh.Store(&moment{began.Add(-tt.mono), began.UnixNano() - int64(tt.wall)})
		if got := f.isFresh(began, DefaultMaxAge); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestWhatTheStoreLosesIsKeptAndGivenBack(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, r *remote){
		"everything":                      func(t *testing.T, r *remote) { r.lose(t) },
		"everything, and others go on":    func(t *testing.T, r *remote) { r.lose(t); r.put(t, Record{Issuer: issuerA, Sub: "carol"}) },
		"everything but a weaker version": func(t *testing.T, r *remote) { r.lose(t); b := bob; b.Until = time.Now().Add(-time.Hour); r.put(t, b) },
		"a part":                          func(t *testing.T, r *remote) { r.lose(t); r.fails(store.ErrRevocationsDamaged) },
		"everything, while it is away": func(t *testing.T, r *remote) {
			r.fails(errDown)
			time.Sleep(time.Hour)
			r.lose(t)
			r.fails(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRemote(t)
				many := make([]Record, 2*store.MostAtOnce+7)
				for i := range many {
					many[i] = Record{Issuer: issuerA, JTI: fmt.Sprint(i)}
				}
				r.put(t, many...)
				r.put(t, alice, bob)
				if err := r.Unrevoke(t.Context(), alice.id().String()); err != nil {
					t.Fatal(err)
				}
				var events eventLog
				j := r.follow(t, &events)
				j.Store.Start()
				judges(t, j, soon, "read", "bob", jwt.ErrRevoked)
				lose(t, r)
				judges(t, j, soon, "kept", "bob", jwt.ErrRevoked)
				judges(t, j, soon, "taken off before", "alice", nil)

				// One that starts now learns of it.
				fresh := r.follow(t, &events)
				fresh.Store.Start()
				judges(t, fresh, soon, "given back", "bob", jwt.ErrRevoked)
				judges(t, fresh, 0, "taken off before, for one that starts", "alice", nil)
				if n := r.has(t); n < len(many)+1 || n > len(many)+2 {
					t.Errorf("the store has %d records again, of %d", n, len(many)+1)
				}
			})
		})
	}
}

func TestWhatWasTakenOffIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		r.put(t, alice, bob)
		var events eventLog
		j := r.follow(t, &events)
		j.Store.Start()
		judges(t, j, soon, "read", "alice", jwt.ErrRevoked)
		// It is read from the beginning, as one that is far behind does.
		if err := r.Unrevoke(t.Context(), alice.id().String()); err != nil {
			t.Fatal(err)
		}
		r.begins()
		judges(t, j, soon, "taken off", "alice", nil)
		judges(t, j, time.Minute, "taken off for good", "alice", nil)
		judges(t, j, 0, "not taken off", "bob", jwt.ErrRevoked)
		if n := r.has(t); n != 1 {
			t.Errorf("the store has %d records", n)
		}
	})
}

func TestWhatIsOverIsForgottenHereAndInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		short := bob
		short.Until = time.Now().Add(time.Minute)
		r.put(t, alice, short, Record{Issuer: issuerA, SID: "x"})
		if err := r.Unrevoke(t.Context(), (&Record{Issuer: issuerA, SID: "x"}).id().String()); err != nil {
			t.Fatal(err)
		}
		var events eventLog
		j := r.follow(t, &events)
		j.Store.Start()
		judges(t, j, time.Minute+store.Overdue-soon, "not over", "bob", jwt.ErrRevoked)
		judges(t, j, 2*soon, "over", "bob", nil)
		judges(t, j, 2*sweepInterval, "forgotten", "bob", nil)
		judges(t, j, 0, "not over", "alice", jwt.ErrRevoked)
		if n := j.Store.working.len(); n != 1 || r.has(t) != 1 {
			t.Errorf("%d records here, %d in the store", n, r.has(t))
		}
		judges(t, j, store.KeptRemoved+store.Overdue+2*sweepInterval, "a day later", "alice", jwt.ErrRevoked)
		if p, err := r.Revocations.Revoked(t.Context(), store.Position{}, 10); err != nil || p.Total != 1 {
			t.Errorf("the store still has %d, %v", p.Total, err)
		}
	})
}

// A clock that goes ahead for a while, as after a machine was asleep, is no reason to
// forget: by the store's it is not over.
func TestAClockThatIsAheadForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		short := bob
		short.Until = time.Now().Add(time.Minute)
		r.put(t, alice, short)
		var events eventLog
		j := r.follow(t, &events)
		j.Store.Start()
		judges(t, j, soon, "read", "bob", jwt.ErrRevoked)
		j.Store.sweep(time.Now().Add(time.Hour))
		judges(t, j, soon, "the clock is right again", "bob", jwt.ErrRevoked)
	})
}

// Also if there is nothing to give back: nobody else would ever be believed.
func TestADamagedListWithoutRecordsBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		var events eventLog
		j := r.follow(t, &events)
		j.Store.Start()
		judges(t, j, soon, "read", "bob", nil)
		r.fails(store.ErrRevocationsDamaged)
		judges(t, j, DefaultMaxAge+soon, "mended", "bob", nil)
	})
}

func TestAListThatCannotBeKeptWholeIsNotBelieved(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, r *remote, f *Follower){
		"more than there is room for": func(t *testing.T, r *remote, f *Follower) {
			f.most = 2
			r.put(t, Record{Issuer: issuerA, JTI: "1"}, Record{Issuer: issuerA, JTI: "2"})
		},
		"a kind of a later version": func(t *testing.T, r *remote, _ *Follower) {
			if err := r.Revoke(t.Context(), store.Revocation{ID: "zAAAAAAAAAAAAAAAAAAAAAA"}); err != nil {
				t.Fatal(err)
			}
		},
		"a damaged list nobody has": func(_ *testing.T, r *remote, _ *Follower) { r.fails(store.ErrRevocationsDamaged) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRemote(t)
				r.put(t, alice)
				var events eventLog
				j := r.follow(t, &events)
				spoil(t, r, j.Store)
				j.Store.Start()
				judges(t, j, time.Hour, "whoever comes", "carol", jwt.ErrRevocationUnknown)
				if e := events.all(); j.Store.Ready() == nil || len(e) == 0 || e[len(e)-1].Err == nil {
					t.Errorf("it is ready, or says nothing: %v", e)
				}
			})
		})
	}
}

func TestAListThatGrowsTooLargeLaterIsNotBelievedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(t)
		r.put(t, alice)
		var events eventLog
		j := r.follow(t, &events)
		j.Store.most = 2
		j.Store.Start()
		judges(t, j, soon, "small", "carol", nil)
		r.put(t, bob, Record{Issuer: issuerA, JTI: "1"}, Record{Issuer: issuerA, JTI: "2"})
		judges(t, j, DefaultMaxAge+soon, "too large", "carol", jwt.ErrRevocationUnknown)
		judges(t, j, 0, "known", "alice", jwt.ErrRevoked)
	})
}

func TestIDsOfTheStore(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range []Record{
		{Issuer: "a", JTI: "x"}, {Issuer: "a", SID: "x"}, {Issuer: "a", Sub: "x"}, {Issuer: "a", Sub: "x", IssuedBefore: now},
		{Issuer: "a", IssuedBefore: now}, {Issuer: AnyIssuer, IssuedBefore: now},
	} {
		s := r.id().String()
		back, err := parseID(s)
		if err != nil || back != r.id() || seen[s] {
			t.Errorf("%s: %v, %v", s, back, err)
		}
		seen[s] = true
	}
	for _, s := range []string{"", "j", "jAAAAAAAAAAAAAAAAAAAAA", "jAAAAAAAAAAAAAAAAAAAAAAA", "zAAAAAAAAAAAAAAAAAAAAAA", "j!AAAAAAAAAAAAAAAAAAAAA", "jAAAAAAAAAAAAAAAAAAAAAB"} {
		if i, err := parseID(s); err == nil {
			t.Errorf("%q is %v", s, i)
		}
	}
	if len(slicesOf(kinds)) != len(seen) {
		t.Error("a kind is not tried")
	}
}

func slicesOf(m map[byte]string) map[string]byte {
	words := make(map[string]byte)
	for k := range maps.Keys(m) {
		words[m[k]] = k
	}
	return words
}
