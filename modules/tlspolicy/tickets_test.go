package tlspolicy

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestKeysAreDueWhenTheyAreOldOrOfAClockThatWasAhead(t *testing.T) {
	now := time.Now()
	const interval = 12 * time.Hour
	for ahead, want := range map[time.Duration]bool{
		-365 * 24 * time.Hour: true, -interval: true, -interval + time.Second: false, 0: false,
		time.Minute: false, interval: false, interval + time.Second: true, 365 * 24 * time.Hour: true,
	} {
		if set := (keySet{}).rotate(now.Add(ahead), interval, 4); set.due(now, interval) != want {
			t.Errorf("made %s from now: got %t", ahead, !want)
		}
	}
}

// A fleet that was away for a month finds keys that anybody may have read since.
func TestKeysThatWouldBeGoneAreNotKeptForWantOfAGateway(t *testing.T) {
	const interval = 12 * time.Hour
	made := time.Now()
	set := keySet{}
	for i := range 6 {
		set = set.rotate(made.Add(time.Duration(i)*interval), interval, 4)
	}
	last := set.Rotated
	for away, want := range map[time.Duration]int{
		interval: 4, interval + time.Minute: 4, 2 * interval: 3, 3 * interval: 2, 4*interval - time.Second: 2, 4 * interval: 1, 60 * interval: 1, -60 * interval: 4,
	} {
		if got := set.rotate(last.Add(away), interval, 4); len(got.Keys) != want || got.Keys[0] == nil || want > 1 && string(got.Keys[1]) != string(set.Keys[0]) {
			t.Errorf("after %s there are %d keys, want %d", away, len(got.Keys), want)
		}
	}
}

// shelf is a storage that can be away. It is used as locked storages are: Lock
// waits for the owner.
type shelf struct {
	certmagic.Storage

	lock chan struct{}

	mu     sync.Mutex
	values map[string][]byte
	away   error
	stores int
}

func newShelf() *shelf { return &shelf{lock: make(chan struct{}, 1), values: map[string][]byte{}} }

func (s *shelf) set(key string, value []byte, away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
	if value != nil {
		s.values[key] = value
	}
}

func (s *shelf) get() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.values[ticketsKey])
}

func (s *shelf) made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores
}

func (s *shelf) Lock(ctx context.Context, name string) error {
	if s.isAway() != nil || name != ticketsLock {
		return errors.New("no lock")
	}
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) Unlock(context.Context, string) error {
	<-s.lock
	return nil
}

func (s *shelf) isAway() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *shelf) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	value, ok := s.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(value), nil
}

func (s *shelf) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	s.stores++
	s.values[key] = bytes.Clone(value)
	return nil
}

// sharer is one gateway's part.
type sharer struct {
	t    *Tickets
	mu   sync.Mutex
	keys [][32]byte
	logs *observer.ObservedLogs
	stop func()
}

func share(t *testing.T, storage certmagic.Storage) *sharer {
	t.Helper()
	lastKeys.Store(nil)
	core, logs := observer.New(zapcore.InfoLevel)
	s := &sharer{t: &Tickets{storage: storage, logger: zap.New(core), ctx: context.Background()}, logs: logs}
	var err error
	s.keys, err = s.t.Initialize(&caddytls.SessionTicketService{RotationInterval: caddy.Duration(12 * time.Hour), MaxKeys: 4})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	fresh := s.t.Next(done)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case keys := <-fresh:
				s.mu.Lock()
				s.keys = keys
				s.mu.Unlock()
			case <-done:
				return
			}
		}
	})
	s.stop = sync.OnceFunc(func() { close(done); group.Wait() })
	t.Cleanup(s.stop)
	return s
}

func (s *sharer) now() [][32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// resumes reports whether a ticket that one begins now is resumed by the other.
func resumes(one, other *sharer) bool {
	for _, key := range other.now() {
		if key == one.now()[0] {
			return true
		}
	}
	return false
}

func TestGatewaysShareKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newShelf()
		one, other := share(t, storage), share(t, storage)
		synctest.Wait()
		if !resumes(one, other) || !resumes(other, one) {
			t.Fatal("they do not")
		}
		if n := storage.made(); n != 1 {
			t.Errorf("keys were made %d times", n)
		}
		began := one.now()[0]
		for rotation := 1; rotation <= 5; rotation++ {
			time.Sleep(12*time.Hour + time.Second) // synctest's time
			synctest.Wait()
			if !resumes(one, other) || !resumes(other, one) {
				t.Errorf("after rotation %d they do not", rotation)
			}
			if n := storage.made(); n != 1+rotation {
				t.Errorf("after rotation %d keys were made %d times", rotation, n)
			}
			held := false
			for _, key := range other.now() {
				held = held || key == began
			}
			if held != (rotation < 4) {
				t.Errorf("after rotation %d the first key is held: %t", rotation, held)
			}
			if len(other.now()) > 4 {
				t.Errorf("%d keys", len(other.now()))
			}
		}
		late := share(t, storage)
		synctest.Wait()
		if !resumes(one, late) {
			t.Error("one that starts later does not")
		}
		one.stop()
		other.stop()
		late.stop()
	})
}

func TestAGatewayWithoutItsStorageGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newShelf()
		storage.set("", nil, errors.New("connection refused"))
		one, other := share(t, storage), share(t, storage)
		synctest.Wait()
		if len(one.now()) == 0 || resumes(one, other) {
			t.Fatal("it has no keys of its own")
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := one.logs.Len(); n != 1 {
			t.Errorf("%d lines were logged for one failure", n)
		}
		storage.set("", nil, nil)
		time.Sleep(retryInterval + storageTimeout)
		synctest.Wait()
		if !resumes(one, other) || !resumes(other, one) {
			t.Error("when it is back they do not share")
		}
		if one.logs.FilterMessageSnippet("again").Len() != 1 {
			t.Error("that it is back is not logged")
		}
		// Away just when the keys are to be replaced: Caddy's own provider stops for good.
		storage.set("", nil, errors.New("connection refused"))
		time.Sleep(13 * time.Hour)
		synctest.Wait()
		if !resumes(one, other) {
			t.Error("they forgot what they had")
		}
		before := one.now()[0]
		storage.set("", nil, nil)
		time.Sleep(retryInterval + storageTimeout)
		synctest.Wait()
		if one.now()[0] == before || !resumes(one, other) || !resumes(other, one) {
			t.Error("keys are not replaced when it is back")
		}
		one.stop()
		other.stop()
	})
}

func TestDamagedKeysAreNeitherUsedNorReplaced(t *testing.T) {
	whole, err := keySet{}.rotate(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Hour, 4).encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"truncated":      string(whole[:len(whole)-5]),
		"empty":          "",
		"no keys":        `{"rotated":"2000-01-01T00:00:00Z","keys":[]}`,
		"no time":        `{"keys":["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]}`,
		"a short key":    `{"rotated":"2000-01-01T00:00:00Z","keys":["AAEC"]}`,
		"a key of zeros": `{"rotated":"2000-01-01T00:00:00Z","keys":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}`,
		"ciphertext":     "\x01\x02\x03",
		"another type":   `["AAEC"]`,
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := newShelf()
				storage.set(ticketsKey, []byte(content), nil)
				one := share(t, storage)
				synctest.Wait()
				if one.logs.FilterLevelExact(zapcore.ErrorLevel).Len() != 1 {
					t.Error("it is not logged")
				}
				for _, line := range one.logs.All() {
					if text, _ := line.ContextMap()["error"].(string); len(content) > 4 && strings.Contains(text, content[:4]) {
						t.Errorf("the log has what is stored: %s", text)
					}
				}
				if got := string(storage.get()); got != content {
					t.Errorf("it was replaced by %q", got)
				}
				if len(one.now()) == 0 || one.now()[0] == [32]byte{} {
					t.Error("there are no keys of its own")
				}
				one.stop()
			})
		})
	}
}

func TestDeletedKeysAreMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newShelf()
		one, other := share(t, storage), share(t, storage)
		synctest.Wait()
		before := one.now()[0]
		storage.mu.Lock()
		delete(storage.values, ticketsKey)
		storage.mu.Unlock()
		time.Sleep(lookInterval + time.Second)
		synctest.Wait()
		if one.now()[0] == before || !resumes(one, other) || !resumes(other, one) {
			t.Error("they are not")
		}
		for _, key := range one.now() {
			if key == before {
				t.Error("the deleted key is still used")
			}
		}
		one.stop()
		other.stop()
	})
}

func TestAfterAReloadTheKeysAreThereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newShelf()
		one := share(t, storage)
		synctest.Wait()
		again := &Tickets{storage: storage, logger: zap.NewNop(), ctx: context.Background()}
		keys, err := again.Initialize(&caddytls.SessionTicketService{RotationInterval: caddy.Duration(time.Hour), MaxKeys: 4})
		if err != nil || keys[0] != one.now()[0] {
			t.Errorf("they are not: %v", err)
		}
		one.stop()
	})
}

func TestTicketsRefuseWhatMakesNoSense(t *testing.T) {
	for _, config := range []caddytls.SessionTicketService{{}, {RotationInterval: 1}, {MaxKeys: 4}, {RotationInterval: 1, MaxKeys: 1}, {RotationInterval: 1, MaxKeys: mostKeys + 1}} {
		if _, err := new(Tickets).Initialize(&config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}

func FuzzStoredKeysAreReadAsTheyWereWritten(f *testing.F) {
	whole, _ := keySet{}.rotate(time.Unix(1e9, 0), time.Hour, 4).encode()
	f.Add(whole)
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeySet(data)
		if err != nil {
			return
		}
		again, err := set.encode()
		if err != nil {
			// Years beyond 9999 cannot be written, and never are.
			return
		}
		same, err := parseKeySet(again)
		if err != nil || !same.Rotated.Equal(set.Rotated) || len(same.Keys) != len(set.Keys) {
			t.Fatalf("%q became %q: %v", data, again, err)
		}
		for _, key := range set.arrays() {
			if key == [keySize]byte{} {
				t.Error("a key of zeros")
			}
		}
	})
}
