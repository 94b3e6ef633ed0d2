package rate

import (
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Rate
	}{
		{"50/s", Rate{50, time.Second}},
		{"1/m", Rate{1, time.Minute}},
		{"1000/h", Rate{1000, time.Hour}},
		{"7/d", Rate{7, 24 * time.Hour}},
		{"5/10s", Rate{5, 10 * time.Second}},
		{"5/1h30m", Rate{5, 90 * time.Minute}},
		{"1/500ms", Rate{1, 500 * time.Millisecond}},
		{"3/7d", Rate{3, 7 * 24 * time.Hour}},
		{"1/365d", Rate{1, 365 * 24 * time.Hour}},
		{"1000000/s", Rate{1_000_000, time.Second}},
	} {
		if got, err := Parse(tt.in); err != nil || got != tt.want {
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
		if got, err := Parse(tt.in); err == nil {
			t.Errorf("%s: %q was read as %v", tt.name, tt.in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"50/s", "1/365d", "5/1h30m", "0/s", "-1/s", "1/.5s", "1e3/s", "99999999999999999999/d", "1/1h1h", "3/1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		if r.Number < 1 || r.Period < 1 || r.Period > MaxPeriod || int64(r.Period)/r.Number < int64(MinInterval) {
			t.Fatalf("%q was read as %v, which is out of bounds", s, r)
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Fatalf("%q was read as %v, and that as %v, %v", s, r, again, err)
		}
	})
}
