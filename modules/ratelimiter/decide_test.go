package ratelimiter

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestARequestThatOneZoneRefusesCostsNothingInTheOthers(t *testing.T) {
	wide, tight := mustLimit(t, "100/h", 100, minKeys), mustLimit(t, "1/h", 1, minKeys)
	a, b := newTable(), newTable()
	both := func() (bool, []charge) {
		cs := []charge{{table: a, limit: wide, hash: hashOf(1)}, {table: b, limit: tight, hash: hashOf(1)}}
		return decide(at(0), cs), cs
	}
	if ok, _ := both(); !ok {
		t.Fatal("the first request was refused")
	}
	for range 1000 {
		ok, cs := both()
		if ok {
			t.Fatal("the tight zone let a second request through")
		}
		if cs[0].refused || !cs[1].refused {
			t.Fatalf("refused by wide %v, by tight %v", cs[0].refused, cs[1].refused)
		}
	}
	_, c := take(a, wide, hashOf(1), at(0))
	if left := wide.remaining(c.used); left != 98 {
		t.Errorf("the wide zone has %d left after two requests", left)
	}
}

func TestAnOldClockGivesNothingAway(t *testing.T) {
	table, l := newTable(), mustLimit(t, "1/s", 5, minKeys)
	hour := int64(time.Hour)
	exhaust(t, table, l, hashOf(1), at(hour))
	// A goroutine that read the clock an hour ago and was held up since.
	reads := 0
	old := func() int64 {
		reads++
		if reads == 1 {
			return 0
		}
		return hour
	}
	if ok, _ := take(table, l, hashOf(1), old); ok {
		t.Error("an old clock got a request through")
	}
	_, c := take(table, l, hashOf(1), at(hour))
	if c.used != l.window {
		t.Errorf("the bucket is full in %s after an old clock, want %s", time.Duration(c.used), time.Duration(l.window))
	}
	// Its new keys are not younger than they are.
	reads = 0
	take(table, l, hashOf(2), old)
	if _, c := take(table, l, hashOf(2), at(hour)); c.used != l.interval {
		t.Errorf("a key of an hour ago is full in %s", time.Duration(c.used))
	}
}

func TestConcurrentRequestsAreAdmittedExactly(t *testing.T) {
	// The clock stands still, so exactly the burst is admitted, not one more or
	// less, however requests interleave.
	l := mustLimit(t, "1/h", 1000, minKeys)
	table := newTable()
	var admitted atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 1000 {
				if ok, _ := take(table, l, hashOf(1), at(0)); ok {
					admitted.Add(1)
				}
			}
		})
	}
	workers.Wait()
	if got := admitted.Load(); got != 1000 {
		t.Errorf("%d admitted, want 1000", got)
	}
}

func TestConcurrentRequestsNeverGetMoreThanTheRate(t *testing.T) {
	// The clock moves while they run, and each reads it when it likes.
	const step, steps = int64(time.Millisecond), 2000
	l := mustLimit(t, "100/s", 10, minKeys)
	table := newTable()
	var now, admitted atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for now.Load() < steps*step {
				if ok, _ := take(table, l, hashOf(1), now.Load); ok {
					admitted.Add(1)
				}
				now.Add(step)
			}
		})
	}
	workers.Wait()
	if most := l.burst() + now.Load()/l.interval; admitted.Load() > most {
		t.Errorf("%d admitted, at most %d are", admitted.Load(), most)
	}
}

func TestConcurrentDecisionsOverSeveralZonesDebitAllOrNone(t *testing.T) {
	// Three zones, in every combination, a few keys, tables that grow and fill:
	// afterwards each bucket has lost exactly what was admitted through it.
	tables := []*table{newTable(), newTable(), newTable()}
	limits := []*limit{mustLimit(t, "1/h", 500, 1_000_000), mustLimit(t, "1/h", 300, 1_000_000), mustLimit(t, "1/h", 1000, 1_000_000)}
	const keys = 4
	var admitted [3][keys]atomic.Int64
	var workers sync.WaitGroup
	for worker := range 6 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 9))
			for n := range uint64(3000) {
				zones := 1 + random.IntN(7) // a bit for each zone
				var cs []charge
				var key [3]int
				for z := range tables {
					if zones&(1<<z) != 0 {
						key[z] = random.IntN(keys)
						cs = append(cs, charge{table: tables[z], limit: limits[z], hash: hashOf(uint64(key[z]))})
					}
				}
				if decide(at(0), cs) {
					for z := range tables {
						if zones&(1<<z) != 0 {
							admitted[z][key[z]].Add(1)
						}
					}
				}
				take(tables[n%3], limits[n%3], hashOf(1000+n*8+uint64(worker)), at(0))
			}
		})
	}
	workers.Wait()
	for z := range tables {
		for key := range keys {
			_, c := take(tables[z], limits[z], hashOf(uint64(key)), at(0))
			used := c.used / limits[z].interval
			if !c.refused {
				used-- // this last one
			}
			if got := admitted[z][key].Load(); got != used || got > limits[z].burst() {
				t.Errorf("zone %d key %d: %d admitted, %d debited, burst %d", z, key, got, used, limits[z].burst())
			}
		}
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	a, b, l := newTable(), newTable(), mustLimit(t, "1000/s", 1000, minKeys)
	decisions := func() {
		cs := [2]charge{{table: a, limit: l, hash: hashOf(1)}, {table: b, limit: l, hash: hashOf(1)}}
		decide(monotonic, cs[:])
	}
	decisions()
	if n := testing.AllocsPerRun(1000, decisions); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
