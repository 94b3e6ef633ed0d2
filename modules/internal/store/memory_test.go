package store

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// claims checks what comes of one claim: first, again or full.
func claims(t testing.TB, s Store, key string, ttl time.Duration, want string) {
	t.Helper()
	first, err := s.Claim(t.Context(), key, ttl)
	got := map[bool]string{true: "first", false: "again"}[first]
	if errors.Is(err, errFull) {
		if got = "full"; first || !isReason(err, ReasonBusy) {
			t.Errorf("%s: first is %t, with the error %v", key, first, err)
		}
	} else if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if got != want {
		t.Errorf("%s for %s: %s, want %s", key, ttl, got, want)
	}
}

func TestWhenClaimsInMemoryAreOver(t *testing.T) {
	type step struct {
		wait time.Duration
		key  string
		ttl  time.Duration
		want string
	}
	tests := []struct {
		name  string
		most  int
		steps []step
	}{
		{"a claim lasts for its time, to the nanosecond", 9, []step{
			{0, "a", time.Second, "first"}, {time.Second - 1, "a", time.Second, "again"}, {1, "a", time.Second, "first"},
		}},
		{"a claim that is not first prolongs nothing", 9, []step{
			{0, "a", time.Second, "first"}, {time.Second / 2, "a", time.Hour, "again"}, {time.Second / 2, "a", time.Second, "first"},
		}},
		{"the end of an old claim does not end the new one of its key", 9, []step{
			{0, "x1", time.Second, "first"}, {0, "x2", time.Second, "first"}, {0, "x3", time.Second, "first"}, {0, "x4", time.Second, "first"},
			{0, "x5", time.Second, "first"}, {0, "a", 2 * time.Second, "first"},
			{2 * time.Second, "a", time.Hour, "first"}, {0, "b", time.Hour, "first"}, {time.Second, "c", time.Hour, "first"},
			{0, "a", time.Hour, "again"}, {time.Minute, "a", time.Hour, "again"},
		}},
		{"the longest claim lasts as long", 9, []step{
			{0, "a", LongestClaim, "first"}, {LongestClaim - 1, "a", 1, "again"}, {1, "a", 1, "first"},
		}},
		{"a full memory refuses new claims and frees none that is not over", 2, []step{
			{0, "a", time.Minute, "first"}, {0, "b", time.Hour, "first"}, {0, "c", time.Second, "full"},
			{0, "a", time.Hour, "again"}, {0, "b", time.Hour, "again"}, {time.Minute - 1, "c", time.Second, "full"},
			{1, "c", time.Second, "first"}, {0, "a", time.Second, "full"}, {0, "b", time.Hour, "again"},
		}},
		{"a refused claim was not made", 1, []step{
			{0, "a", time.Second, "first"}, {0, "b", time.Hour, "full"}, {time.Second, "b", time.Hour, "first"},
		}},
		{"what was claimed again counts once", 2, []step{
			{0, "a", time.Second, "first"}, {time.Second, "a", time.Second, "first"}, {time.Second, "a", time.Hour, "first"},
			{0, "b", time.Hour, "first"}, {0, "c", time.Hour, "full"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := smallMemory(tt.most)
				for _, s := range tt.steps {
					time.Sleep(s.wait)
					claims(t, m, s.key, s.ttl, s.want)
				}
			})
		})
	}
}

// smallMemory has room for a few claims and does not log that it is full.
func smallMemory(most int) *Memory {
	m := newMemory(most)
	m.logger = zap.NewNop
	return m
}

// TestClaimsInMemoryAgainstAModel has random keys and times, and a model that
// forgets nothing.
func TestClaimsInMemoryAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 40
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		m, over := smallMemory(most), make(map[string]time.Time)
		for range 20_000 {
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			key, ttl := strconv.Itoa(random.IntN(200)), time.Duration(1+random.IntN(12_000))*time.Millisecond
			now, living := time.Now(), 0
			for _, end := range over {
				if end.After(now) {
					living++
				}
			}
			first, err := m.Claim(t.Context(), key, ttl)
			again := over[key].After(now)
			switch {
			case first != (!again && living < most), (err != nil) != (!again && living == most):
				t.Fatalf("seed %d: first is %t, %v; claimed before: %t, with %d others", seed, first, err, again, living)
			case first:
				over[key] = now.Add(ttl)
			}
			if len(m.ends) > most || len(m.claims) > len(m.ends) {
				t.Fatalf("seed %d: %d claims, %d ends", seed, len(m.claims), len(m.ends))
			}
		}
	})
}

func TestAFloodOfClaimsIsBoundedAndItsRoomGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3 * keptRoom
		core, logged := observer.New(zapcore.ErrorLevel)
		m := newMemory(most)
		m.logger = func() *zap.Logger { return zap.New(core) }
		claims(t, m, "before", time.Minute, "first")
		for i := range 10 * most {
			want := "first"
			if i >= most-1 {
				want = "full"
			}
			claims(t, m, "flood"+strconv.Itoa(i), time.Minute, want)
		}
		claims(t, m, "before", time.Minute, "again")
		if len(m.claims) != most || len(m.ends) != most {
			t.Errorf("%d claims, %d ends; want %d", len(m.claims), len(m.ends), most)
		}
		if n := logged.Len(); n != 1 {
			t.Errorf("%d log lines, want 1", n)
		}
		time.Sleep(time.Minute)
		for i := range most {
			claims(t, m, "after"+strconv.Itoa(i), time.Second, "first")
		}
		time.Sleep(time.Second)
		for range most {
			claims(t, m, "last", time.Hour, map[bool]string{true: "first", false: "again"}[len(m.ends) == 0 || m.claims[digestOf("last")] == 0])
		}
		time.Sleep(time.Hour)
		claims(t, m, "end", time.Hour, "first")
		if len(m.claims) != 1 || cap(m.ends) > keptRoom {
			t.Errorf("%d claims are left, and room for %d", len(m.claims), cap(m.ends))
		}
	})
}

func TestTheEarliestEndComesFirst(t *testing.T) {
	var e endings
	var want []time.Duration
	for range 1000 {
		at := time.Duration(rand.IntN(300))
		e.push(ending{at: at})
		want = append(want, at)
	}
	slices.Sort(want)
	for i := range want {
		if got := e.pop().at; got != want[i] {
			t.Fatalf("%d comes as number %d, want %d", got, i, want[i])
		}
	}
	if len(e) != 0 {
		t.Errorf("%d are left", len(e))
	}
}

func TestAClaimInMemoryAllocatesNothingWhenItIsNotFirst(t *testing.T) {
	m := newMemory(9)
	key := "use:" + string(make([]byte, 200))
	claims(t, m, key, time.Hour, "first")
	if n := testing.AllocsPerRun(100, func() { _, _ = m.Claim(context.Background(), key, time.Hour) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConfigurationsShareTheMemory(t *testing.T) {
	first, second := openMemory(t), openMemory(t)
	if first.Value() != second.Value() {
		t.Error("it is not shared")
	}
	claims(t, first.Value(), "a", time.Hour, "first")
	first.Release()
	third := openMemory(t)
	claims(t, third.Value(), "a", time.Hour, "again")
	second.Release()
	third.Release()
	claims(t, openMemory(t).Value(), "a", time.Hour, "first")
}

// BenchmarkMemoryClaim is a claim among as many as there may be, from all cores: one
// that is not first, and one that is and soon over. B/claim is what each of them keeps.
func BenchmarkMemoryClaim(b *testing.B) {
	b.Run("again", func(b *testing.B) {
		m := filled(b, mostClaims, time.Hour)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if first, err := m.Claim(context.Background(), "use:4711", time.Hour); first || err != nil {
					b.Error(first, err)
				}
			}
		})
	})
	b.Run("first", func(b *testing.B) {
		m := filled(b, 100*mostClaims, time.Hour)
		var goroutines atomic.Int32
		b.RunParallel(func(p *testing.PB) {
			key := binary.BigEndian.AppendUint64([]byte("first"), uint64(goroutines.Add(1))<<32)
			for p.Next() {
				binary.BigEndian.PutUint64(key[5:], binary.BigEndian.Uint64(key[5:])+1)
				if first, err := m.Claim(context.Background(), string(key), time.Microsecond); !first || err != nil {
					b.Error(first, err)
				}
			}
		})
	})
}

// filled returns a memory with mostClaims claims.
func filled(b *testing.B, most int, ttl time.Duration) *Memory {
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, m := heap(), newMemory(most)
	for i := range mostClaims {
		if _, err := m.Claim(context.Background(), "use:"+strconv.Itoa(i), ttl); err != nil {
			b.Fatal(err)
		}
	}
	after := heap()
	b.ReportAllocs()
	b.ResetTimer()
	b.ReportMetric(float64(after-before)/mostClaims, "B/claim")
	return m
}
