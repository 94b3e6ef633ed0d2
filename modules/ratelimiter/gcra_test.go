package ratelimiter

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// fakeClock is a clock that a test sets.
type fakeClock struct{ now int64 }

func (c *fakeClock) read() int64             { return c.now }
func (c *fakeClock) advance(d time.Duration) { c.now += int64(d) }
func at(now int64) func() int64              { return func() int64 { return now } }
func secondsOf(ns int64) float64             { return float64(ns) / 1e9 }

// take decides one request of one key in one zone.
func take(t *table, l *limit, hash uint64, clock func() int64) (bool, charge) {
	cs := [1]charge{{table: t, limit: l, hash: hash}}
	ok := decide(clock, cs[:])
	return ok, cs[0]
}

func TestGCRAVectors(t *testing.T) {
	// One request a second, five at once. The moments are those of the tables
	// that redis-cell and throttled are tested with.
	tests := []struct {
		name      string
		at        time.Duration
		admitted  bool
		remaining int64
		full      time.Duration // until the bucket is full again
		wait      time.Duration // until a request is admitted, if this one is not
	}{
		{"the first request of a key finds a full bucket", 0, true, 4, time.Second, 0},
		{"the second at the same moment", 0, true, 3, 2 * time.Second, 0},
		{"the third", 0, true, 2, 3 * time.Second, 0},
		{"the fourth", 0, true, 1, 4 * time.Second, 0},
		{"the fifth empties it", 0, true, 0, 5 * time.Second, 0},
		{"the sixth is refused and costs nothing", 0, false, 0, 5 * time.Second, time.Second},
		{"and so is the seventh", 0, false, 0, 5 * time.Second, time.Second},
		{"one nanosecond early is early", time.Second - 1, false, 0, 4*time.Second + 1, 1},
		{"three seconds later three have come back", 3 * time.Second, true, 2, 3 * time.Second, 0},
		{"a part of a second counts", 3100 * time.Millisecond, true, 1, 3900 * time.Millisecond, 0},
		{"four seconds", 4 * time.Second, true, 1, 4 * time.Second, 0},
		{"an idle key never has more than its burst", 20 * time.Second, true, 4, time.Second, 0},
	}
	table, l := newTable(), mustLimit(t, "1/s", 5, minKeys)
	for _, tt := range tests {
		admitted, c := take(table, l, hashOf(1), at(int64(tt.at)))
		if admitted != tt.admitted {
			t.Errorf("%s: admitted = %v", tt.name, admitted)
		}
		if got := l.remaining(c.used); got != tt.remaining {
			t.Errorf("%s: remaining = %d, want %d", tt.name, got, tt.remaining)
		}
		if c.used != int64(tt.full) {
			t.Errorf("%s: full in %s, want %s", tt.name, time.Duration(c.used), tt.full)
		}
		if !tt.admitted && l.wait(c.used) != int64(tt.wait) {
			t.Errorf("%s: wait %s, want %s", tt.name, time.Duration(l.wait(c.used)), tt.wait)
		}
	}
}

func TestTheMomentThatARefusalNamesIsTheFirstThatIsAdmitted(t *testing.T) {
	for _, r := range []string{"50/s", "3/s", "7/m", "1000/d", "1000000/s", "1/100d"} {
		table, l := newTable(), mustLimit(t, r, 2, minKeys)
		take(table, l, hashOf(1), at(0))
		take(table, l, hashOf(1), at(0))
		ok, c := take(table, l, hashOf(1), at(0))
		wait := l.wait(c.used)
		if ok || wait <= 0 {
			t.Fatalf("%s: admitted %v, wait %d", r, ok, wait)
		}
		if ok, _ := take(table, l, hashOf(1), at(wait-1)); ok {
			t.Errorf("%s: admitted before the wait was over", r)
		}
		if ok, _ := take(table, l, hashOf(1), at(wait)); !ok {
			t.Errorf("%s: refused after the wait", r)
		}
	}
}

// bucket is the oracle: a token bucket in exact fractions, written as the
// textbook has it and not as GCRA has it.
type bucket struct {
	perNano, burst, tokens *big.Rat
	last                   int64
}

func newBucket(r rate.Rate, burst int) *bucket {
	return &bucket{
		perNano: big.NewRat(r.Number, int64(r.Period)),
		burst:   big.NewRat(int64(burst), 1),
		tokens:  big.NewRat(int64(burst), 1),
	}
}

var one = big.NewRat(1, 1)

func (b *bucket) refill(now int64) {
	gained := new(big.Rat).Mul(b.perNano, big.NewRat(now-b.last, 1))
	b.tokens.Add(b.tokens, gained)
	if b.tokens.Cmp(b.burst) > 0 {
		b.tokens.Set(b.burst)
	}
	b.last = now
}

func (b *bucket) take() { b.tokens.Sub(b.tokens, one) }

// allows reports whether the bucket, as it is, has one request.
func (b *bucket) allows() bool { return b.tokens.Cmp(one) >= 0 }

func TestDecisionsAreThoseOfAnExactTokenBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// The period is a whole number of intervals, so that rounding plays no part.
	for _, r := range []rate.Rate{{Number: 50, Period: time.Second}, {Number: 1, Period: time.Second}, {Number: 6, Period: time.Minute}, {Number: 1000, Period: 10 * time.Hour}, {Number: 1_000_000, Period: time.Second}} {
		for _, burst := range []int{1, 2, 7, 100} {
			l, err := newLimit(r, burst, minKeys)
			if err != nil {
				t.Fatal(err)
			}
			table, oracle, now := newTable(), newBucket(r, burst), int64(0)
			for range 2000 {
				now += arrival(random, &l)
				oracle.refill(now)
				want := oracle.allows()
				if got, _ := take(table, &l, hashOf(1), at(now)); got != want {
					t.Fatalf("%s burst %d at %d: admitted %v, the bucket says %v", r, burst, now, got, want)
				}
				if want {
					oracle.take()
				}
			}
		}
	}
}

// arrival is the time to the next request: at once, around one interval, or long
// enough for the bucket to fill.
func arrival(random *rand.Rand, l *limit) int64 {
	switch random.IntN(4) {
	case 0:
		return 0
	case 1:
		return l.interval + random.Int64N(3) - 1
	case 2:
		return random.Int64N(l.interval)
	}
	return random.Int64N(2 * l.window)
}

func TestNoStretchOfTimeHasMoreThanBurstAndRateAllow(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	// Rates whose interval is not a whole number of nanoseconds.
	for _, r := range []rate.Rate{{Number: 3, Period: time.Second}, {Number: 7, Period: time.Minute}, {Number: 999_983, Period: time.Second}, {Number: 11, Period: time.Microsecond * 13}} {
		burst := 1 + random.IntN(20)
		l, err := newLimit(r, burst, minKeys)
		if err != nil {
			t.Fatal(err)
		}
		table, now := newTable(), int64(0)
		var times []int64
		for range 3000 {
			now += arrival(random, &l)
			if ok, _ := take(table, &l, hashOf(1), at(now)); ok {
				times = append(times, now)
			}
		}
		for i := range times {
			for j := i; j < len(times); j++ {
				// count ≤ burst + t·number/period, without fractions:
				// the stretch includes both its ends.
				if int64(j-i+1-burst)*int64(r.Period) > (times[j]-times[i])*r.Number {
					t.Fatalf("%s burst %d: %d admitted in %g s", r, burst, j-i+1, secondsOf(times[j]-times[i]))
				}
			}
		}
	}
}

func TestALoneKeyGetsItsNominalRate(t *testing.T) {
	for _, tt := range []struct {
		r     rate.Rate
		burst int
	}{{rate.Rate{Number: 50, Period: time.Second}, 1}, {rate.Rate{Number: 3, Period: time.Second}, 5}, {rate.Rate{Number: 999_983, Period: time.Second}, 100}, {rate.Rate{Number: 1000, Period: 24 * time.Hour}, 10}} {
		l, err := newLimit(tt.r, tt.burst, minKeys)
		if err != nil {
			t.Fatal(err)
		}
		// A client that always asks as early as it may.
		table, now := newTable(), int64(0)
		const requests = 20_000
		for n := range requests {
			ok, c := take(table, &l, hashOf(1), at(now))
			if !ok {
				t.Fatalf("%s: request %d refused at the moment it was told", tt.r, n)
			}
			now += max(0, l.wait(c.used))
		}
		nominal := secondsOf(int64(tt.r.Period)) * float64(requests-tt.burst) / float64(tt.r.Number)
		if took := secondsOf(now); took > nominal*1.001+secondsOf(l.interval) {
			t.Errorf("%s burst %d: %d requests took %g s, nominally %g", tt.r, tt.burst, requests, took, nominal)
		}
	}
}

func TestTheAdvertisedPolicyIsTheRate(t *testing.T) {
	tests := []struct {
		name    string
		rate    string
		burst   int
		quota   int64
		seconds int64
	}{
		{"without a burst it is what was configured", "50/s", 0, 50, 1},
		{"with a burst it is the window in which the burst comes back", "50/s", 100, 100, 2},
		{"a window of part of a second becomes one second", "50/s", 5, 50, 1},
		{"a window is rounded up, and the quota with it", "50/s", 75, 100, 2},
		{"an uneven rate is rounded down", "3/s", 10, 11, 4},
		{"a day", "1000/d", 0, 1000, 86400},
		{"a burst below the day's number comes back sooner", "1000/d", 10, 10, 864},
		{"one at a time, rarely", "1/h", 1, 1, 3600},
	}
	for _, tt := range tests {
		l := mustLimit(t, tt.rate, tt.burst, minKeys)
		if quota, seconds := l.policy(); quota != tt.quota || seconds != tt.seconds {
			t.Errorf("%s: q=%d;w=%d, want q=%d;w=%d", tt.name, quota, seconds, tt.quota, tt.seconds)
		}
	}
}

func TestABurstThatTakesMoreThanAYearIsRefused(t *testing.T) {
	for _, tt := range []struct {
		rate  string
		burst int
	}{{"1/365d", 2}, {"1/d", 367}, {"1/h", maxBurst}} {
		r, err := rate.Parse(tt.rate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newLimit(r, tt.burst, minKeys); err == nil {
			t.Errorf("rate %s burst %d was accepted", tt.rate, tt.burst)
		}
	}
}
