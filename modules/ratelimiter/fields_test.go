package ratelimiter

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

func TestLimitItems(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  string
		burst int
		used  time.Duration
		want  string
	}{
		{"a bucket after its first request", "50/s", 100, 20 * time.Millisecond, `"z";r=99;t=2`},
		{"what is left, spread at the rate", "50/s", 100, time.Second, `"z";r=50;t=1`},
		{"less than a second's worth", "50/s", 100, 1900 * time.Millisecond, `"z";r=5;t=1`},
		{"nothing left: the time until one comes back", "1/m", 5, 5 * time.Minute, `"z";r=0;t=60`},
		{"nothing left, one comes back soon", "1/m", 5, 4*time.Minute + 1, `"z";r=0;t=1`},
		{"one left, which takes a minute to come back", "1/m", 5, 4 * time.Minute, `"z";r=1;t=60`},
		{"a slow quota", "1000/d", 1000, 12 * time.Hour, `"z";r=500;t=43200`},
		{"refused after a reload made the window shorter", "1/s", 1, 3 * time.Second, `"z";r=0;t=3`},
	} {
		l := mustLimit(t, tt.rate, tt.burst, minKeys)
		if got := string(appendLimitItem(nil, item("z"), l, int64(tt.used), 0)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFieldsAreStructuredFields(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 11))
	for range 2000 {
		period := 1 + random.Int64N(int64(rate.MaxPeriod))
		number := 1 + random.Int64N(max(1, period/int64(rate.MinInterval)))
		burst := 1 + random.IntN(1000)
		l, err := newLimit(rate.Rate{Number: number, Period: time.Duration(period)}, burst, minKeys)
		// The interval is the exact one, rounded up.
		if err != nil || l.interval < int64(rate.MinInterval) || l.interval*number < period || (l.interval-1)*number >= period {
			continue
		}
		used := random.Int64N(l.window + 1)
		var limits []byte
		for _, name := range []string{"a", "B-2._x"} {
			limits = appendLimitItem(limits, item(name), &l, used, 0)
		}
		inner := policyList{items: policyItem("B-2._x", &l)}
		policies := inner.after(policyItem("a", &l))
		for _, field := range []string{string(limits), policies} {
			list, err := httpsfv.UnmarshalList([]string{field})
			if err != nil || len(list) != 2 {
				t.Fatalf("%s: %v", field, err)
			}
			// The canonical form, as a serialiser writes it (RFC 9651 section 4.1).
			if canonical, err := httpsfv.Marshal(list); err != nil || canonical != field {
				t.Fatalf("%s is written as %s, %v", field, canonical, err)
			}
		}
	}
}

func TestTheEffectiveWindowHoldsNoMoreThanTheRate(t *testing.T) {
	random := rand.New(rand.NewPCG(12, 13))
	for range 10_000 {
		l := mustLimit(t, []string{"50/s", "7/m", "999/h", "1000000/s", "3/d"}[random.IntN(5)], 1+random.IntN(300), minKeys)
		used := random.Int64N(l.window + l.interval)
		remaining := l.remaining(used)
		window := effectiveWindow(l, remaining, used, 0) * int64(time.Second)
		if remaining*l.interval > window {
			t.Fatalf("%d in %s", remaining, time.Duration(window))
		}
		if remaining == 0 && l.wait(used) > window {
			t.Fatalf("a client that waits %s is early", time.Duration(window))
		}
	}
}

func TestPoliciesFollowThoseOfTheGuardFurtherOut(t *testing.T) {
	list := policyList{items: "b"}
	for _, tt := range [][2]string{{"", "b"}, {"a", "a, b"}, {"a", "a, b"}, {"c, d", "c, d, b"}, {"a", "a, b"}, {"", "b"}} {
		if got := list.after(tt[0]); got != tt[1] {
			t.Errorf("after %q: %q", tt[0], got)
		}
	}
}
