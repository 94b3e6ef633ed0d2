package jwks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// Cases J1 and J2.
func TestFloodOfUnknownKeys(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		first, _ := s.Keys(time.Now())
		for range 600 { // ten minutes, a hundred tokens a second
			for range 100 {
				miss(s)
			}
			pass(time.Second)
		}
		if n := i.count(); n > 2+600/15 || n < 30 {
			t.Errorf("%d fetches in ten minutes of flood", n)
		}
		for n := 2; n < len(i.fetches); n++ {
			if gap := i.fetches[n].Sub(i.fetches[n-1]); gap < missInterval {
				t.Errorf("fetches %s apart", gap)
			}
		}
		if now, _ := s.Keys(time.Now()); now != first {
			t.Error("an unchanged set replaced itself, and with it the verified tokens")
		}

		// The attacker is still at it when the issuer rotates.
		i.says(200, set("a", "b"))
		for range missInterval / time.Second {
			miss(s)
			pass(time.Second)
		}
		keys(t, s, 2)
	})
}

func TestATokenWithANewKeyWaitsForTheFetchItCauses(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		i.says(200, set("a", "b")) // right after the first fetch
		i.slow(2 * time.Second)
		began := time.Now()
		newer, err := miss(s)
		if err != nil || newer.Len() != 2 {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("waited %s", waited)
		}
		pass(time.Minute)
		if i.count() != 2 {
			t.Errorf("%d fetches a minute later: the same miss counts twice", i.count())
		}
	})
}

func TestATokenJoinsTheFetchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		good(i)
		i.slow(2 * time.Second)
		s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
		defer s.Close()
		s.Start()
		pass(time.Second)
		began := time.Now()
		if first, err := s.Missed(t.Context(), nil); err != nil || first.Len() != 1 {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != time.Second || i.count() != 1 {
			t.Errorf("waited %s for %d fetches", waited, i.count())
		}
	})
}

// The issuer published its new key while a fetch was under way, which brings the old
// ones.
func TestAFetchThatBeganBeforeIsNotTheLastWord(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		i.slow(time.Second)
		for i.count() < 2 { // until the regular one is under way
			pass(100 * time.Millisecond)
		}
		i.says(200, set("a", "b"))
		newer, err := miss(s)
		if err != nil || newer == nil || newer.Len() != 2 {
			t.Errorf("got %v, %v", newer, err)
		}
	})
}

func TestWithinTheIntervalNobodyWaits(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		miss(s)
		i.says(200, set("a", "b"))
		began := time.Now()
		for range 1000 {
			if newer, err := miss(s); newer != nil || err != nil {
				t.Fatalf("got %v, %v", newer, err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %s", waited)
		}
		pass(missInterval)
		keys(t, s, 2) // they brought the next one forward
		if i.count() != 3 {
			t.Errorf("%d fetches", i.count())
		}
	})
}

// The keys came into force between the token's check and its question.
func TestNewerKeysThatAreThereAlreadyAreGiven(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		seen, _ := s.Keys(time.Now())
		i.says(200, set("a", "b"))
		miss(s)
		fetches := i.count()
		newer, err := s.Missed(t.Context(), seen)
		if err != nil || newer == nil || newer.Len() != 2 || i.count() != fetches {
			t.Errorf("got %v, %v, %d more fetches", newer, err, i.count()-fetches)
		}
	})
}

func TestWithoutKeysATokenWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		good(i)
		i.slow(time.Second)
		s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
		defer s.Close()
		first, err := s.Missed(t.Context(), nil)
		if err != nil || first.Len() != 1 || i.count() != 1 {
			t.Errorf("got %v after %d fetches", err, i.count())
		}
	})
}

func TestTheWaitIsBounded(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*issuer)
		cancel time.Duration
		waits  time.Duration
	}{
		{"an issuer that hangs", (*issuer).hangs, time.Hour, maxWait},
		{"an issuer that fails", func(i *issuer) { i.says(500, "") }, time.Hour, 0},
		{"a client that goes away", (*issuer).hangs, time.Second, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, good, func(t *testing.T, s *Source, i *issuer) {
				test.broken(i)
				seen, _ := s.Keys(time.Now())
				ctx, cancel := context.WithTimeout(t.Context(), test.cancel)
				defer cancel()
				began := time.Now()
				if newer, err := s.Missed(ctx, seen); newer != nil || err == nil {
					t.Errorf("got %v, %v", newer, err)
				}
				if waited := time.Since(began); waited != test.waits {
					t.Errorf("waited %s, want %s", waited, test.waits)
				}
				// Until a fetch succeeds nobody can say which keys the issuer has.
				i.says(500, "")
				pass(fetchTimeout)
				began = time.Now()
				if _, err := s.Missed(t.Context(), seen); err == nil || time.Since(began) != 0 {
					t.Errorf("while the issuer is down: got %v after %s", err, time.Since(began))
				}
				good(i)
				pass(missInterval)
				if newer, err := s.Missed(t.Context(), seen); newer != nil || err != nil {
					t.Errorf("when it is up: got %v, %v", newer, err)
				}
			})
		})
	}
}

func TestOnlySoManyWait(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		seen, _ := s.Keys(time.Now())
		i.hangs()
		var tooMany atomic.Int32
		var wg sync.WaitGroup
		for range 10 * maxWaiting {
			wg.Go(func() {
				began := time.Now()
				_, err := s.Missed(t.Context(), seen)
				if errors.Is(err, errTooMany) {
					tooMany.Add(1)
					if time.Since(began) != 0 {
						t.Error("one too many waited")
					}
				}
			})
		}
		synctest.Wait()
		if n := tooMany.Load(); n != 9*maxWaiting {
			t.Errorf("%d were sent away", n)
		}
		wg.Wait()
		if n := s.rounds.waiting.Load(); n != 0 {
			t.Errorf("%d still count as waiting", n)
		}
		if i.count() != 2 {
			t.Errorf("%d fetches", i.count())
		}
	})
}

func TestCloseEndsTheWait(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		i.hangs()
		seen, _ := s.Keys(time.Now())
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { _, err = s.Missed(t.Context(), seen) })
		synctest.Wait()
		s.Close()
		wg.Wait()
		if !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// What a flood costs while tokens may cause no fetch.
func BenchmarkMissedWithinTheInterval(b *testing.B) {
	i := new(issuer)
	good(i)
	s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
	defer s.Close()
	var seen *jwt.KeySet
	for seen == nil {
		seen, _ = s.Missed(b.Context(), nil)
	}
	s.Missed(b.Context(), seen)
	b.ReportAllocs()
	for b.Loop() {
		s.Missed(b.Context(), seen)
	}
}
