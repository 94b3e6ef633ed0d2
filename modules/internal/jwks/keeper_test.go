package jwks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is a Storage that counts, fails or hangs.
type shelf struct {
	mu      sync.Mutex
	entries map[string][]byte
	stores  int
	err     error
	hangs   bool
}

func (s *shelf) Load(ctx context.Context, key string, limit int64) ([]byte, error) {
	s.mu.Lock()
	hangs, err, data := s.hangs, s.err, s.entries[key]
	s.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case data == nil:
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (s *shelf) Store(ctx context.Context, key string, value []byte) error {
	s.mu.Lock()
	s.stores++
	hangs, err := s.hangs, s.err
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if err == nil {
		s.put(key, value)
	}
	return err
}

func (s *shelf) put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[string][]byte)
	}
	s.entries[key] = value
}

func (s *shelf) breaks(err error, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hangs = err, hangs
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores
}

var kept = Config{URL: "https://issuer.example/keys"}.Complete()

func stored(t *testing.T, config Config, at time.Time, body string) []byte {
	t.Helper()
	data, err := json.Marshal(entry{config.URL, at, []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// process is one run of the gateway with a storage.
func process(t *testing.T, i *issuer, storage Storage, body func(s *Source, events func() []Event)) {
	t.Helper()
	var mu sync.Mutex
	var log []Event
	s := newSource(kept, i, func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, e)
	})
	defer synctest.Wait()
	defer s.Close()
	defer s.Attach(storage)()
	s.Start()
	synctest.Wait()
	body(s, func() []Event {
		mu.Lock()
		defer mu.Unlock()
		return log
	})
}

func TestAColdStartInAnOutageHasTheLastGoodKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		good(i)
		process(t, i, storage, func(s *Source, _ func() []Event) {
			keys(t, s, 1)
			pass(3 * time.Hour)
		})
		i.fails(errors.New("down"))
		pass(time.Hour)
		process(t, i, storage, func(s *Source, events func() []Event) {
			keys(t, s, 1)
			if err := s.Ready(); err != nil {
				t.Error(err)
			}
			state := s.state(time.Now())
			if !state.Stored || state.State != StateFailing {
				t.Errorf("got %+v", state)
			}
			// They stay for 24 hours from when they were fetched, not from the start.
			pass(22 * time.Hour)
			keys(t, s, 1)
			pass(time.Hour + time.Minute)
			if _, err := s.Keys(time.Now()); err != ErrStale {
				t.Errorf("got %v", err)
			}
			i.says(200, set("a", "b"))
			pass(maxRetry)
			keys(t, s, 2)
			if s.state(time.Now()).Stored {
				t.Error("fetched keys count as stored")
			}
		})
		process(t, i, storage, func(s *Source, _ func() []Event) { keys(t, s, 2) })
	})
}

// The waiting token does not have to wait for an issuer that hangs.
func TestATokenGetsStoredKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		storage.put(kept.key(), stored(t, kept, time.Now(), set("a")))
		i.hangs()
		s := newSource(kept, i, nil)
		defer s.Close()
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if first, err := s.Missed(t.Context(), nil); err != nil || first.Len() != 1 {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		defer s.Attach(storage)()
		wg.Wait()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %s", waited)
		}
	})
}

// A refused connection fails faster than a storage answers.
func TestATokenGetsStoredKeysAlsoIfTheFirstFetchFailsBeforeTheyAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		delay, waits time.Duration
		want         error
	}{
		"a slow storage": {time.Second, time.Second, nil},
		"one that hangs": {time.Hour, maxWait, errTooSlow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage, i := new(shelf), new(issuer)
				storage.put(kept.key(), stored(t, kept, time.Now(), set("a")))
				i.fails(errors.New("down"))
				s := newSource(kept, i, nil)
				defer s.Close()
				defer s.Attach(&slowShelf{storage, test.delay})()
				s.Start()
				began := time.Now()
				if _, err := s.Missed(t.Context(), nil); err != test.want || time.Since(began) != test.waits {
					t.Errorf("got %v after %s", err, time.Since(began))
				}
				pass(storageTimeout + minRetry)
				if i.count() < 2 {
					t.Error("a storage that hangs keeps from fetching")
				}
			})
		})
	}
}

// slowShelf takes its time to read.
type slowShelf struct {
	*shelf
	delay time.Duration
}

func (s *slowShelf) Load(ctx context.Context, key string, limit int64) ([]byte, error) {
	select {
	case <-time.After(s.delay):
		return s.shelf.Load(ctx, key, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The stored keys have to be stored again, with another date, while newer ones are
// fetched.
func TestStoredKeysDoNotReplaceNewerOnesInTheStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		storage.put(kept.key(), stored(t, kept, time.Now().Add(time.Hour), set("a", "withdrawn")))
		i.says(200, set("a"))
		i.slow(time.Second)
		s := newSource(kept, i, func(e Event) {
			if e.Storage {
				time.Sleep(2 * time.Second) // a log that takes its time
			}
		})
		defer synctest.Wait()
		defer s.Close()
		defer s.Attach(storage)()
		s.Start()
		pass(10 * time.Second)
		keys(t, s, 1)
		_, last, err := kept.readEntry(storage.entries[kept.key()])
		if err != nil || last.Len() != 1 {
			t.Errorf("the withdrawn key is back in the storage, %v", err)
		}
	})
}

func TestAWithdrawnKeyLeavesTheStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		i.says(200, set("a", "b"))
		process(t, i, storage, func(s *Source, _ func() []Event) {
			i.says(200, set("a"))
			miss(s)
			synctest.Wait()
		})
		i.fails(errors.New("down"))
		process(t, i, storage, func(s *Source, _ func() []Event) { keys(t, s, 1) })
	})
}

func TestKeysAreStoredWhenTheyChangeAndNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		i.says(200, set("a"), "Cache-Control", "max-age=60")
		process(t, i, storage, func(s *Source, _ func() []Event) {
			pass(time.Hour)
			if n := storage.count(); n < 8 || n > 13 {
				t.Errorf("stored %d times in an hour", n)
			}
			n := storage.count()
			i.says(200, set("a", "b"))
			miss(s)
			synctest.Wait()
			if storage.count() != n+1 {
				t.Error("a change is not stored at once")
			}
		})
	})
}

func TestEntriesThatAreNotUsed(t *testing.T) {
	now := time.Now()
	for name, data := range map[string][]byte{
		"junk":                       []byte("junk"),
		"nothing":                    {},
		"half":                       stored(t, kept, now, set("a"))[:40],
		"another source's":           stored(t, Config{URL: "https://evil.example/keys"}, now, set("evil")),
		"no date":                    stored(t, kept, time.Time{}, set("evil")),
		"HTML":                       stored(t, kept, now, "<html>"),
		"no keys":                    stored(t, kept, now, `{"keys":[]}`),
		"a secret for all":           stored(t, kept, now, `{"keys":[{"kty":"oct","k":"AAAA"}]}`),
		"an unknown member":          []byte(`{"source":"https://issuer.example/keys","fetched_at":"2000-01-01T00:00:00Z","keys":"","x":1}`),
		"a huge one that is allowed": bytes.Repeat([]byte(" "), maxEntry+1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage, i := new(shelf), new(issuer)
				storage.put(kept.key(), data)
				i.fails(errors.New("down"))
				process(t, i, storage, func(s *Source, events func() []Event) {
					if _, err := s.Keys(time.Now()); err != ErrNotLoaded {
						t.Errorf("got %v", err)
					}
					told := false
					for _, e := range events() {
						told = told || e.Storage && e.Err != nil
					}
					if !told {
						t.Error("nobody is told")
					}
					i.says(200, set("a"))
					pass(minRetry)
					keys(t, s, 1)
				})
			})
		})
	}
}

func TestStoredKeysThatAreTooOldAreNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		storage.put(kept.key(), stored(t, kept, time.Now().Add(-DefaultMaxStale-time.Second), set("a")))
		i.fails(errors.New("down"))
		process(t, i, storage, func(s *Source, _ func() []Event) {
			if s.Ready() == nil {
				t.Error("ready without keys")
			}
		})
	})
}

// A date in the future, of a wrong clock, does not keep keys for ever: not over
// restarts either.
func TestADateInTheFutureIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, i := new(shelf), new(issuer)
		storage.put(kept.key(), stored(t, kept, time.Now().Add(10*365*24*time.Hour), set("a")))
		i.fails(errors.New("down"))
		process(t, i, storage, func(s *Source, _ func() []Event) {
			keys(t, s, 1)
			pass(20 * time.Hour)
		})
		process(t, i, storage, func(s *Source, _ func() []Event) {
			keys(t, s, 1)
			pass(5 * time.Hour)
			if _, err := s.Keys(time.Now()); err != ErrStale {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestAStorageThatFailsBlocksNothing(t *testing.T) {
	for name, hangs := range map[string]bool{"fails": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage, i := new(shelf), new(issuer)
				storage.breaks(errors.New("no space"), hangs)
				i.says(200, set("a"), "Cache-Control", "max-age=60")
				process(t, i, storage, func(s *Source, events func() []Event) {
					keys(t, s, 1)
					fetches := i.count()
					pass(time.Hour)
					if n := i.count() - fetches; n < 60 {
						t.Errorf("%d fetches in an hour", n)
					}
					told := 0
					for _, e := range events() {
						if e.Storage && e.Err != nil && strings.Contains(e.Err.Error(), "not stored") {
							told++
						}
					}
					if told != 1 {
						t.Errorf("told %d times", told)
					}
					storage.breaks(nil, false)
					pass(10 * time.Minute)
					if len(storage.entries) != 1 {
						t.Error("not stored when the storage works again")
					}
				})
			})
		})
	}
}

// A configuration's storage is not used after it; another one's is.
func TestTheStorageIsTheOneOfTheConfigurationInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		i.says(200, set("a"), "Cache-Control", "max-age=60")
		s := newSource(kept, i, nil)
		defer synctest.Wait()
		defer s.Close()
		first, second := new(shelf), new(shelf)
		detachFirst := s.Attach(first)
		s.Start()
		pass(time.Minute)
		detachSecond := s.Attach(second)
		detachFirst()
		n := first.count()
		pass(time.Hour)
		if first.count() != n || second.count() == 0 {
			t.Errorf("stored %d times in the old one, %d in the new one", first.count()-n, second.count())
		}
		detachSecond()
		n = second.count()
		i.says(200, set("a", "b"))
		pass(time.Hour)
		if second.count() != n {
			t.Error("stored without a configuration in force")
		}
	})
}

func FuzzStoredEntry(f *testing.F) {
	f.Add([]byte(`{"source":"https://issuer.example/keys","fetched_at":"2026-01-01T00:00:00Z","keys":"e30="}`))
	good, _ := json.Marshal(entry{kept.URL, time.Unix(1_800_000_000, 0), []byte(set("a"))})
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, keys, err := kept.readEntry(data)
		if err == nil && (keys.Len() == 0 || e.Source != kept.URL || e.FetchedAt.IsZero()) {
			t.Error(fmt.Sprint("took ", e))
		}
	})
}
