package ratelimiter

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// when is the handlers' clock at a moment.
func when(t *testing.T, rfc3339 string) int64 {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		t.Fatal(err)
	}
	return int64(moment.Sub(started))
}

func TestWindowsOfTheCalendar(t *testing.T) {
	tests := []struct{ name, word, moment, begin, end string }{
		{"a day is UTC's", "day", "2027-03-14T23:59:59+05:00", "2027-03-14T00:00:00Z", "2027-03-15T00:00:00Z"},
		{"a week begins on Monday", "week", "2027-03-14T23:59:59Z", "2027-03-08T00:00:00Z", "2027-03-15T00:00:00Z"},
		{"Monday is in the week that it begins", "week", "2027-03-15T00:00:00Z", "2027-03-15T00:00:00Z", "2027-03-22T00:00:00Z"},
		{"a week goes over the end of the year", "week", "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{"February has 28 days", "month", "2027-02-28T23:59:59Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"},
		{"and 29 in a leap year", "month", "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"December ends with the year", "month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newCalendarLimit(5, tt.word, minKeys)
			w := l.calendar.of(when(t, tt.moment))
			if w.begin != when(t, tt.begin) || w.end != when(t, tt.end) {
				t.Errorf("from %s to %s", started.Add(time.Duration(w.begin)).UTC(), started.Add(time.Duration(w.end)).UTC())
			}
			if next := l.calendar.of(w.end); next.begin != w.end || next.now != w.now+1<<windowShift {
				t.Errorf("the next window is at %d after %d", next.now, w.now)
			}
		})
	}
}

func TestALimitIsUsedUpWithinItsWindowAndWholeInTheNext(t *testing.T) {
	for word, days := range map[string]int{"day": 1, "week": 7, "month": 31} {
		l, table := newCalendarLimit(3, word, minKeys), newTable()
		// The window of 2027-03-01, a Monday.
		first, last := when(t, "2027-03-01T00:00:00Z"), when(t, "2027-03-01T00:00:00Z")+int64(days)*24*int64(time.Hour)-1
		for i := range 3 {
			if ok, c := take(table, &l, hashOf(1), at(first)); !ok || l.remaining(c.used) != int64(2-i) {
				t.Fatalf("%s: request %d: %v, %d left", word, i, ok, l.remaining(c.used))
			}
		}
		ok, c := take(table, &l, hashOf(1), at(last))
		if ok {
			t.Errorf("%s: admitted beyond the limit at the end of the window", word)
		}
		if back := l.back(c.used, c.time); back != 1 {
			t.Errorf("%s: back in %d ns, want 1", word, back)
		}
		if ok, _ := take(table, &l, hashOf(2), at(last)); !ok {
			t.Errorf("%s: another key is refused", word)
		}
		if ok, c := take(table, &l, hashOf(1), at(last+1)); !ok || l.remaining(c.used) != 2 {
			t.Errorf("%s: in the next window: %v, %d left", word, ok, l.remaining(c.used))
		}
	}
}

func TestALimitAgreesWithACounterThatKnowsTheCalendar(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for word := range calendars {
		l, table := newCalendarLimit(4, word, minKeys), newTable()
		used := make(map[[2]int64]int64) // by key and beginning of the window
		now := when(t, "2027-01-01T00:00:00Z")
		for range 20000 {
			now += random.Int64N(int64(9 * time.Hour))
			key := random.Int64N(3)
			begin, _, _ := calendars[word](started.Add(time.Duration(now)).UTC())
			slot := [2]int64{key, begin.Unix()}
			want := used[slot] < 4
			if want {
				used[slot]++
			}
			if got, _ := take(table, &l, hashOf(uint64(key)), at(now)); got != want {
				t.Fatalf("%s at %s: admitted %v, want %v", word, started.Add(time.Duration(now)).UTC(), got, want)
			}
		}
	}
}

func TestAClockOfTheWindowBeforeGivesNothingAway(t *testing.T) {
	l, table := newCalendarLimit(2, "day", minKeys), newTable()
	today, yesterday := when(t, "2027-03-02T00:00:01Z"), when(t, "2027-03-01T23:59:59Z")
	exhaust(t, table, &l, hashOf(1), at(today))
	// A goroutine that read the clock before midnight and was held up since.
	reads := 0
	old := func() int64 {
		if reads++; reads == 1 {
			return yesterday
		}
		return today
	}
	if ok, _ := take(table, &l, hashOf(1), old); ok {
		t.Error("admitted by an old clock")
	}
	if ok, _ := take(table, &l, hashOf(1), at(today)); ok {
		t.Error("admitted after it")
	}
}

func TestAFloodOfKeysFreesNobodyFromACalendarLimit(t *testing.T) {
	l, table := newCalendarLimit(5, "month", minKeys), newTable()
	now := at(when(t, "2027-03-01T00:00:00Z"))
	exhaust(t, table, &l, hashOf(1), now)
	for i := range uint64(200_000) {
		take(table, &l, hashOf(i+2), now)
	}
	if ok, _ := take(table, &l, hashOf(1), now); ok {
		t.Error("a key that was used up is admitted after a flood")
	}
}

func TestAFloodOfBaseKeysFreesNobodyOfALargerTier(t *testing.T) {
	zone, err := (&Zone{Name: "z", Key: []string{"principal"}, Rate: "1/s", Tiers: map[string]Tier{"gold": {Rate: "1/s", Burst: 100_000}}}).compile(true)
	if err != nil {
		t.Fatal(err)
	}
	base, gold, table := zone.limit, zone.tiers["gold"], newTable()
	base.sets = setsPerShard(minKeys)
	gold.sets = base.sets
	exhaust(t, table, gold, hashOf(1), at(0))
	for i := range uint64(200_000) {
		take(table, &base, hashOf(i+2), at(0))
	}
	// Long enough for what base keys have used, not for what the tier has.
	admitted := 0
	for range 1000 {
		if ok, _ := take(table, gold, hashOf(1), at(int64(10*time.Second))); ok {
			admitted++
		}
	}
	if admitted > 10 {
		t.Errorf("%d requests admitted 10 s after 100000 were used at 1/s", admitted)
	}
}

func TestARefusedBaseKeyFreesNobodyOfALargerTier(t *testing.T) {
	zone, err := (&Zone{Name: "z", Key: []string{"principal"}, Rate: "1/s", MaxKeys: minKeys, Tiers: map[string]Tier{"gold": {Rate: "1/s", Burst: 1000}}}).compile(true)
	if err != nil {
		t.Fatal(err)
	}
	base, gold, table := &zone.limit, zone.tiers["gold"], newTable()
	// One more than a set has room for: one of them is known by the floor alone.
	for i := range uint64(ways + 1) {
		exhaust(t, table, gold, i+1, at(0))
	}
	take(table, base, ways+2, at(0))
	admitted := 0
	for i := range uint64(ways + 1) {
		for range 100 {
			if ok, _ := take(table, gold, i+1, at(int64(2*time.Second))); ok {
				admitted++
			}
		}
	}
	if admitted > 2*(ways+1) {
		t.Errorf("%d requests admitted 2 s after %d keys were used up at 1/s", admitted, ways+1)
	}
}

// A key of several tiers is that of an address, of a tenant, or of a consumer
// whose keys differ in their tier.
func TestARequestOfASmallTierFreesNobodyOfALargerOneOfTheSameKey(t *testing.T) {
	for _, tt := range []struct{ name, base, gold string }{{"a limit", "2/month", "1000/month"}, {"a rate", "", ""}} {
		t.Run(tt.name, func(t *testing.T) {
			z := Zone{Name: "z", Key: []string{"client_ip"}, MaxKeys: minKeys, Rate: "2/h", Tiers: map[string]Tier{"gold": {Rate: "2/h", Burst: 1000}}}
			if tt.base != "" {
				z.Rate, z.Limit, z.Tiers = "", tt.base, map[string]Tier{"gold": {Limit: tt.gold}}
			}
			compiled, err := z.compile(true)
			if err != nil {
				t.Fatal(err)
			}
			table, now := newTable(), at(when(t, "2027-03-01T00:00:00Z"))
			exhaust(t, table, compiled.tiers["gold"], hashOf(1), now)
			if ok, _ := take(table, &compiled.limit, hashOf(1), now); ok {
				t.Error("the small tier is admitted though the large one used more than it has")
			}
			if ok, _ := take(table, compiled.tiers["gold"], hashOf(1), now); ok {
				t.Error("the large tier was freed by a request of the small one")
			}
		})
	}
}

func TestCalendarSyntax(t *testing.T) {
	for _, bad := range []string{"", "5", "5/", "/day", "5/year", "5/days", "05/day", "-5/day", "+5/day", "5 /day", "5/ day", "5/Day", "1.5/day", "0/day", "1000000001/day", "99999999999999999999/day"} {
		if _, _, err := parseCalendar(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if number, word, err := parseCalendar("1000000/month"); number != 1000000 || word != "month" || err != nil {
		t.Errorf("%d/%s, %v", number, word, err)
	}
}

func TestFieldsOfACalendarLimit(t *testing.T) {
	now := when(t, "2027-03-31T23:59:50Z")
	for word, want := range map[string]string{"day": `"z";q=5;w=86400`, "week": `"z";q=5;w=604800`, "month": `"z";q=5`} {
		l := newCalendarLimit(5, word, minKeys)
		if got := policyItem("z", &l); got != want {
			t.Errorf("policy %s, want %s", got, want)
		}
	}
	l := newCalendarLimit(5, "month", minKeys)
	if got := string(appendLimitItem(nil, item("z"), &l, 3, now)); got != `"z";r=2;t=10` {
		t.Errorf("got %s", got)
	}
	if got := string(appendLimitItem(nil, item("z"), &l, 5, now)); got != `"z";r=0;t=10` {
		t.Errorf("used up: got %s", got)
	}
	if !strings.Contains(l.definition(), "a month") {
		t.Error(l.definition())
	}
}

func BenchmarkCalendarDecision(b *testing.B) {
	l, table := newCalendarLimit(maxBurst, "month", defaultMaxKeys), newTable()
	b.ReportAllocs()
	for b.Loop() {
		take(table, &l, hashOf(1), monotonic)
	}
}
