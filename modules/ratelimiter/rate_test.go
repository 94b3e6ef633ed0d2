package ratelimiter

import (
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want rate
	}{
		{"50/s", rate{50, time.Second}},
		{"1/m", rate{1, time.Minute}},
		{"1000/h", rate{1000, time.Hour}},
		{"7/d", rate{7, 24 * time.Hour}},
		{"5/10s", rate{5, 10 * time.Second}},
		{"5/1h30m", rate{5, 90 * time.Minute}},
		{"1/500ms", rate{1, 500 * time.Millisecond}},
		{"3/7d", rate{3, 7 * 24 * time.Hour}},
		{"1/365d", rate{1, 365 * 24 * time.Hour}},
		{"1000000/s", rate{1_000_000, time.Second}},
	} {
		if got, err := parseRate(tt.in); err != nil || got != tt.want {
			t.Errorf("%s = %v, %v", tt.in, got, err)
		}
	}
}

func TestRatesThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"empty", ""},
		{"a number alone", "50"},
		{"a period alone", "/s"},
		{"no period", "50/"},
		{"zero", "0/s"},
		{"a sign", "-1/s"},
		{"a plus", "+1/s"},
		{"a fraction", "0.5/s"},
		{"an exponent", "1e3/s"},
		{"hexadecimal", "0x10/s"},
		{"a leading zero, which could be meant as octal", "010/s"},
		{"an underscore", "1_000/s"},
		{"spaces", "50 / s"},
		{"an unknown unit", "50/w"},
		{"a month, which has no length", "50/month"},
		{"upper case", "50/S"},
		{"a second slash", "50/s/s"},
		{"a period of zero", "50/0s"},
		{"a negative period", "50/-1s"},
		{"a period with a plus", "50/+1s"},
		{"a period that starts with a point", "50/.5s"},
		{"a period without a unit", "50/10"},
		{"days mixed with hours", "50/1d12h"},
		{"a period longer than a year", "1/366d"},
		{"days that overflow", "1/99999999999d"},
		{"hours that overflow", "1/9999999999999h"},
		{"a number that overflows", "99999999999999999999/d"},
		{"faster than a million a second", "1000001/s"},
		{"digits of another script", "５0/s"},
	} {
		if got, err := parseRate(tt.in); err == nil {
			t.Errorf("%s: %q was read as %v", tt.name, tt.in, got)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"50/s", "1/365d", "5/1h30m", "0/s", "-1/s", "1/.5s", "1e3/s", "99999999999999999999/d", "1/1h1h", "3/1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRate(s)
		if err != nil {
			return
		}
		if r.number < 1 || r.period < 1 || r.period > maxPeriod || int64(r.period)/r.number < int64(minInterval) {
			t.Fatalf("%q was read as %v, which is out of bounds", s, r)
		}
		if again, err := parseRate(r.String()); err != nil || again != r {
			t.Fatalf("%q was read as %v, and that as %v, %v", s, r, again, err)
		}
		l, err := newLimit(r, 0, 0)
		if err != nil {
			t.Fatalf("%q without a burst: %v", s, err)
		}
		// The interval is the exact one, rounded up.
		if l.interval*r.number < int64(r.period) || (l.interval-1)*r.number >= int64(r.period) {
			t.Fatalf("%q has an interval of %d", s, l.interval)
		}
		if quota, seconds := l.policy(); seconds < 1 || quota < l.burst() {
			t.Fatalf("%q is advertised as q=%d;w=%d", s, quota, seconds)
		}
	})
}
