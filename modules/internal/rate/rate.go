// Package rate reads how often something may happen, <number>/<period>, wherever it
// is configured.
package rate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a rate. They keep a year and a period far inside an int64 of
// nanoseconds.
const (
	MinInterval = time.Microsecond
	MaxPeriod   = 365 * 24 * time.Hour
)

// Rate is a number of times in a period.
type Rate struct {
	Number int64
	Period time.Duration
}

var errRateSyntax = errors.New("not a rate, <number>/<s|m|h|d|duration>: 50/s, 1000/h, 5/10s")

// Parse reads <number>/<period>. The number is a plain decimal number; the
// period is s, m, h or d, alone or as a duration such as 10s, 1h30m or 7d. It is
// strict: no signs, spaces, leading zeros or fractions of a request.
func Parse(s string) (Rate, error) {
	number, period, found := strings.Cut(s, "/")
	if !found || !IsPlain(number) {
		return Rate{}, errRateSyntax
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return Rate{}, errors.New("the number is too large")
	}
	if n == 0 {
		return Rate{}, errors.New("a rate of zero lets nothing through; deny with allowlist or access_rules")
	}
	p, err := parsePeriod(period)
	if err != nil {
		return Rate{}, err
	}
	if p <= 0 || p > MaxPeriod {
		return Rate{}, errors.New("the period is not between 1ns and 365d")
	}
	if n > int64(p/MinInterval) {
		return Rate{}, errors.New("more than 1000000 a second")
	}
	return Rate{n, p}, nil
}

// String returns r in the form that Parse reads.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Number, r.Period) }

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

func parsePeriod(s string) (time.Duration, error) {
	if unit, ok := units[s]; ok {
		return unit, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || !IsPlain(days) {
			return 0, errRateSyntax
		}
		return time.Duration(n) * units["d"], nil
	}
	// time.ParseDuration also reads signs and ".5s".
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, errRateSyntax
	}
	p, err := time.ParseDuration(s)
	if err != nil {
		return 0, errRateSyntax
	}
	return p, nil
}

// IsPlain reports whether s is decimal digits without a leading zero.
func IsPlain(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s == "0" || s != "" && s[0] != '0'
}
