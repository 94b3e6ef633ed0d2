package ratelimiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// slots is how many keys the table has memory for.
func (t *table) slots() int {
	n := 0
	for i := range t.shards {
		n += len(t.shards[i].sets) * ways
	}
	return n
}

// exhaust uses up the bucket of a key and fails if that is not possible.
func exhaust(tb testing.TB, t *table, l *limit, hash uint64, clock func() int64) {
	tb.Helper()
	for range l.burst() {
		if ok, _ := take(t, l, hash, clock); !ok {
			tb.Fatal("a fresh key has no full bucket")
		}
	}
	if ok, _ := take(t, l, hash, clock); ok {
		tb.Fatal("a key has more than its burst")
	}
}

func TestAKeyCostsNoMoreThan32Bytes(t *testing.T) {
	if size := unsafe.Sizeof(set{}); size != ways*16 {
		t.Errorf("a set has %d bytes", size)
	}
	if size := unsafe.Sizeof(shard{}); size != 64 {
		t.Errorf("a shard has %d bytes, not a cache line", size)
	}
	perKey := (unsafe.Sizeof(set{}) + unsafe.Sizeof(int64(0))) / ways
	if perKey > 32 {
		t.Errorf("%d bytes a key", perKey)
	}
}

func TestGrowingKeepsEveryKey(t *testing.T) {
	const keys = 50_000
	table, l := newTable(), mustLimit(t, "1/h", 10, 1_000_000)
	for n := range uint64(keys) {
		for range 1 + n%3 {
			if ok, _ := take(table, l, hashOf(n), at(0)); !ok {
				t.Fatalf("key %d has no full bucket", n)
			}
		}
	}
	for n := range uint64(keys) {
		_, c := take(table, l, hashOf(n), at(0))
		if want := 10 - int64(1+n%3) - 1; l.remaining(c.used) != want {
			t.Fatalf("key %d has %d left, want %d", n, l.remaining(c.used), want)
		}
	}
	if table.slots() > 1_000_000+minKeys {
		t.Errorf("%d slots", table.slots())
	}
}

func TestAnUnusedTableNeedsNoMemoryForItsKeys(t *testing.T) {
	table, l := newTable(), mustLimit(t, "1/s", 1, maxKeys)
	if table.slots() != 0 {
		t.Errorf("%d slots before the first key", table.slots())
	}
	// One key after the other, each idle again before the next.
	clock := new(fakeClock)
	for n := range uint64(100_000) {
		take(table, l, hashOf(n), clock.read)
		clock.advance(time.Second)
	}
	if table.slots() > minKeys {
		t.Errorf("%d slots for one active key at a time", table.slots())
	}
}

func TestAFloodOfKeysStaysWithinMaxKeys(t *testing.T) {
	const bound = 20_000
	table, l := newTable(), mustLimit(t, "1/d", 100, bound)
	offender := hashOf(math.MaxUint64)
	exhaust(t, table, l, offender, at(0))
	random := rand.New(rand.NewPCG(5, 6))
	for range floodKeys {
		take(table, l, random.Uint64(), at(1))
	}
	if got, most := table.slots(), bound+minKeys; got > most {
		t.Errorf("%d slots, more than %d", got, most)
	}
	if ok, _ := take(table, l, offender, at(2)); ok {
		t.Error("the flood freed a key that had used its limit up")
	}
}

func TestAFloodFreesNoOffender(t *testing.T) {
	for _, burst := range []int{1, 2, 10} {
		table, l := newTable(), mustLimit(t, "1/m", burst, minKeys)
		clock := new(fakeClock)
		const offenders = 100
		for n := range uint64(offenders) {
			exhaust(t, table, l, hashOf(n), clock.read)
		}
		// Ten times what the table holds in each second of the minute in which
		// they have to wait, each key once or until it is refused.
		next := uint64(offenders)
		for second := range 59 {
			clock.advance(time.Second)
			for range 10 * minKeys {
				next++
				for ok := true; ok; {
					ok, _ = take(table, l, hashOf(next), clock.read)
					ok = ok && second%2 == 1
				}
			}
			for n := range uint64(offenders) {
				if ok, _ := take(table, l, hashOf(n), clock.read); ok {
					t.Fatalf("burst %d: offender %d was freed after %d s", burst, n, second+1)
				}
			}
		}
	}
}

func TestNoKeyOfAFullTableGetsMoreThanItsLimit(t *testing.T) {
	// Ten times more keys than slots, each with its exact bucket beside it.
	const keys = 10 * minKeys
	r, burst := rate.Rate{Number: 1, Period: time.Minute}, 3
	l, err := newLimit(r, burst, minKeys)
	if err != nil {
		t.Fatal(err)
	}
	table, clock := newTable(), new(fakeClock)
	oracles := make([]*bucket, keys)
	random := rand.New(rand.NewPCG(7, 8))
	admitted, refused, full := 0, 0, 0
	for range 200_000 {
		clock.advance(time.Duration(random.Int64N(int64(4 * time.Millisecond))))
		// Some keys ask often, most rarely.
		n := random.IntN(1 + random.IntN(keys))
		ok, c := take(table, &l, hashOf(uint64(n)), clock.read)
		if c.full {
			full++
		}
		if !ok {
			refused++
			continue
		}
		admitted++
		if oracles[n] == nil {
			oracles[n] = newBucket(r, burst)
		}
		oracles[n].refill(clock.now)
		if !oracles[n].allows() {
			t.Fatalf("key %d was admitted although its bucket is empty", n)
		}
		oracles[n].take()
	}
	if full == 0 || refused == 0 || admitted == 0 {
		t.Errorf("the table never was full: %d admitted, %d refused, %d full", admitted, refused, full)
	}
}

func TestInnocentsPassWhileAFloodFits(t *testing.T) {
	// 2048 slots at one request a second: a flood of 1024 new keys a second fits.
	table, l := newTable(), mustLimit(t, "1/s", 10, minKeys)
	clock := new(fakeClock)
	next := uint64(0)
	for range 60 {
		for range minKeys / 2 {
			clock.advance(time.Second / (minKeys / 2))
			next++
			if ok, _ := take(table, l, hashOf(next), clock.read); !ok {
				t.Fatalf("a new key was refused at %g s", secondsOf(clock.now))
			}
		}
	}
}

func TestInnocentsAreNotLockedOutForLong(t *testing.T) {
	table, l := newTable(), mustLimit(t, "1/s", 10, minKeys)
	clock := new(fakeClock)
	next := uint64(0)
	// A minute of ten times what the table can tell apart.
	refused := 0
	for range 60 {
		clock.advance(time.Second)
		for range 10 * minKeys {
			next++
			if ok, _ := take(table, l, hashOf(next), clock.read); !ok {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Fatal("the flood never filled the table")
	}
	// Once it ends, every caller is admitted after one interval, and has a full
	// bucket after one window.
	clock.advance(time.Second)
	for range 100 {
		next++
		if ok, _ := take(table, l, hashOf(next), clock.read); !ok {
			t.Fatal("a new key is refused one interval after the flood")
		}
	}
	clock.advance(10 * time.Second)
	for range 100 {
		next++
		exhaust(t, table, l, hashOf(next), clock.read)
	}
}

func TestAKnownCallerKeepsItsBucketInAFlood(t *testing.T) {
	// A caller that uses half of its limit stands higher than any newcomer.
	table, l := newTable(), mustLimit(t, "1/m", 10, minKeys)
	clock := new(fakeClock)
	caller := hashOf(math.MaxUint64)
	for range 5 {
		take(table, l, caller, clock.read)
	}
	for n := range uint64(2 * minKeys) {
		take(table, l, hashOf(n), clock.read)
	}
	for range 5 {
		if ok, _ := take(table, l, caller, clock.read); !ok {
			t.Fatal("a known caller lost part of its bucket")
		}
	}
}

func TestAFullSetForgetsTheLeastUsed(t *testing.T) {
	var s shard
	s.resize(1, 0)
	for n := range uint64(ways) {
		if !s.place(n, 100+int64(n), 0) {
			t.Fatal("a free slot was not used")
		}
	}
	forgets := func(name string, hash uint64, tat int64, gone uint64, floor int64) {
		t.Helper()
		s.replace(hash, tat, math.MaxInt64)
		for _, n := range []uint64{0, 1, 2, 3, 4, 5, 6, 7, hash} {
			if cell, present := s.find(n); present == (n == gone) || !present && *cell != floor {
				t.Errorf("%s: key %d present %v at %d", name, n, present, *cell)
			}
		}
	}
	forgets("a new key that is used less than all others", 8, 50, 8, 50)
	forgets("a new key that is used more than one", 9, 105, 0, 100)
}

func TestResizingBelievesNoLessOfAnyKey(t *testing.T) {
	random := rand.New(rand.NewPCG(14, 15))
	for _, sizes := range [][]int{{4, 1}, {1, 4}, {3, 5, 2}, {7, 3, 8, 1}, {2, 3, 2, 3}} {
		var s shard
		s.resize(sizes[0], 0)
		tats := make(map[uint64]int64)
		for range 6 * sizes[0] {
			hash, tat := random.Uint64(), 1+random.Int64N(1000)
			if s.place(hash, tat, 0) {
				tats[hash] = tat
			}
		}
		for _, size := range sizes[1:] {
			s.resize(size, 0)
			present := 0
			for hash, tat := range tats {
				cell, found := s.find(hash)
				if *cell < tat || found && *cell != tat {
					t.Fatalf("%v: a key at %d is believed to be at %d, present %v", sizes, tat, *cell, found)
				}
				if found {
					present++
				}
			}
			if size == 1 && present != min(len(tats), ways) {
				t.Errorf("%v: %d of %d keys are present", sizes, present, len(tats))
			}
		}
	}
}

func TestALowerMaxKeysShrinksTheTableAndFreesNobody(t *testing.T) {
	const keys = 5000
	large, small := mustLimit(t, "1/h", 2, 100_000), mustLimit(t, "1/h", 2, minKeys)
	table := newTable()
	for n := range uint64(keys) {
		exhaust(t, table, large, hashOf(n), at(0))
	}
	before := table.slots()
	// New keys, as the first requests under the new configuration.
	for n := range uint64(keys) {
		take(table, small, hashOf(keys+n), at(1))
	}
	if got := table.slots(); got > minKeys || got >= before {
		t.Errorf("%d slots, before %d", got, before)
	}
	for n := range uint64(keys) {
		if ok, _ := take(table, small, hashOf(n), at(2)); ok {
			t.Fatalf("offender %d was freed", n)
		}
	}
}

func TestGrowingAfterAFullTableFreesNobody(t *testing.T) {
	const keys = 10 * minKeys
	small := mustLimit(t, "1/h", 1, minKeys)
	table := newTable()
	var admitted []uint64
	for n := range uint64(keys) {
		if ok, _ := take(table, small, hashOf(n), at(0)); ok {
			admitted = append(admitted, n)
		}
	}
	// A reload raises max_keys, and the burst, so that newcomers get in and the
	// table grows. Some of its keys are known only by the floor of their set. It
	// grows by uneven steps, so that new sets get their keys from two old ones.
	for i, bound := range []int{2 * minKeys, 3 * minKeys, 8 * minKeys} {
		before := table.slots()
		wide := mustLimit(t, "1/h", 10*(i+1), bound)
		for n := range uint64(keys) {
			take(table, wide, hashOf(uint64(i+1)*keys+n), at(1))
		}
		if table.slots() <= before {
			t.Fatalf("the table did not grow to %d", bound)
		}
		strict := mustLimit(t, "1/h", 1, bound)
		for _, n := range admitted {
			if ok, _ := take(table, strict, hashOf(n), at(2)); ok {
				t.Fatalf("key %d was freed by growing the table", n)
			}
		}
	}
}

func TestALongerWindowBeforeAReloadDoesNotShutABucketForItsRest(t *testing.T) {
	day, second := mustLimit(t, "10/d", 10, minKeys), mustLimit(t, "10/s", 10, minKeys)
	table, clock := newTable(), new(fakeClock)
	exhaust(t, table, day, hashOf(1), clock.read)
	// The zone is now 10/s: the bucket counts as empty, not as full.
	ok, c := take(table, second, hashOf(1), clock.read)
	if ok {
		t.Error("an exhausted key was freed by a reload")
	}
	if wait := second.wait(c.used); wait != second.interval {
		t.Errorf("wait %s, want one interval", time.Duration(wait))
	}
	clock.advance(100 * time.Millisecond)
	if ok, _ := take(table, second, hashOf(1), clock.read); !ok {
		t.Error("the key has to sit out the old window")
	}
}

func TestKeysOfALongerWindowDoNotHoldTheirSlots(t *testing.T) {
	day, second := mustLimit(t, "10/d", 10, minKeys), mustLimit(t, "10/s", 10, minKeys)
	table, clock := newTable(), new(fakeClock)
	for n := range uint64(10 * minKeys) {
		for ok := true; ok; {
			ok, _ = take(table, day, hashOf(n), clock.read)
		}
	}
	// Under the new limit the first callers of a set find it full, and learn
	// so. Two windows later nothing is left of the old one.
	next := uint64(10 * minKeys)
	for range 2 {
		for range 10 * minKeys {
			next++
			take(table, second, hashOf(next), clock.read)
		}
		clock.advance(time.Second)
	}
	for range 100 {
		next++
		exhaust(t, table, second, hashOf(next), clock.read)
	}
}

func TestAShorterWindowBeforeAReloadFreesNobody(t *testing.T) {
	second, day := mustLimit(t, "10/s", 10, minKeys), mustLimit(t, "10/d", 10, minKeys)
	table := newTable()
	exhaust(t, table, second, hashOf(1), at(0))
	// What was used under the old rate stays used: one second's worth of it.
	_, c := take(table, day, hashOf(1), at(0))
	if c.used != int64(time.Second)+day.interval {
		t.Errorf("the bucket is full in %s", time.Duration(c.used))
	}
}

func TestSeveralThousandKeysSpreadOverTheShards(t *testing.T) {
	table, l := newTable(), mustLimit(t, "1/h", 1, 1_000_000)
	for n := range uint64(100 * shards) {
		take(table, l, hashOf(n), at(0))
	}
	for i := range table.shards {
		if len(table.shards[i].sets) == 0 {
			t.Fatalf("shard %d is unused", i)
		}
	}
	for n := 1; n < 100; n++ {
		if got := index(math.MaxUint64, n); got != n-1 {
			t.Fatalf("the last hash lies in set %d of %d", got, n)
		}
		if got := index(uint64(shards-1)<<(64-shardBits), n); got != 0 {
			t.Fatalf("the first hash lies in set %d of %d", got, n)
		}
	}
}
