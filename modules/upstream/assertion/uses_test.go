package assertion

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAUseIsFirstOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := NewUses(time.Minute)
		claim := func(key string) bool {
			t.Helper()
			first, err := u.Claim(t.Context(), key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return first
		}
		if !claim("a") || claim("a") || !claim("b") {
			t.Fatal("not first once")
		}
		// Whenever in a period it was claimed, it is remembered for one.
		for _, start := range []time.Duration{time.Second, 30 * time.Second, 59 * time.Second} {
			time.Sleep(3 * time.Minute)
			claim("other")
			time.Sleep(start)
			if !claim("a") {
				t.Errorf("from %v: not forgotten after three periods", start)
			}
			time.Sleep(59 * time.Second)
			if claim("a") {
				t.Errorf("from %v: forgotten within the period", start)
			}
		}
	})
}

func TestWhatCannotBeRememberedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUses(time.Minute, 2*useShards) // one in each shard
		full := 0
		for i := range 10 * useShards {
			if _, err := u.Claim(t.Context(), strconv.Itoa(i), time.Minute); errors.Is(err, ErrFull) {
				full++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if full < 9*useShards {
			t.Errorf("%d were remembered", 10*useShards-full)
		}
		if _, err := u.Claim(t.Context(), "x", 2*time.Minute); err == nil {
			t.Error("a use is accepted that would be forgotten too early")
		}
		time.Sleep(2 * time.Minute)
		if first, err := u.Claim(t.Context(), "0", time.Minute); !first || err != nil {
			t.Errorf("after two periods: %v %v", first, err)
		}
	})
}

func TestOfManyAtOnceOneIsFirst(t *testing.T) {
	u := NewUses(time.Minute)
	var firsts atomic.Int32
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if first, _ := u.Claim(context.Background(), "a", time.Minute); first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were first", firsts.Load())
	}
}
