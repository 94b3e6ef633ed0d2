package jwt

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// maxDate is the end of the year 9999, in seconds. Beyond it a date is a mistake or
// an attempt to overflow somebody's clock.
const maxDate = 253402300799

// period is when a token may be used, with the leeway in it: at from and after
// it, before until.
type period struct {
	from, until time.Time
	errEarly    *Failure
}

// check compares now with the period.
func (v *period) check(now time.Time) error {
	if !now.Before(v.until) {
		return errExpired
	}
	if now.Before(v.from) {
		return v.errEarly
	}
	return nil
}

// validity reads exp, nbf and iat (RFC 7519 section 4.1). iat in the future is
// refused: whoever issued the token has a wrong clock or a wrong idea.
func validity(claims map[string]any, leeway time.Duration) (period, error) {
	var v period
	exp, ok := claims["exp"]
	if !ok {
		return v, errDate
	}
	until, err := date(exp)
	if err != nil {
		return v, err
	}
	v.until = until.Add(leeway)
	for _, early := range []struct {
		name string
		err  *Failure
	}{{"nbf", errNotYet}, {"iat", errFuture}} {
		claim, ok := claims[early.name]
		if !ok {
			continue
		}
		t, err := date(claim)
		if err != nil {
			return v, err
		}
		if t = t.Add(-leeway); t.After(v.from) {
			v.from, v.errEarly = t, early.err
		}
	}
	return v, nil
}

// date reads a NumericDate: a number of seconds, possibly with a fraction.
func date(claim any) (time.Time, error) {
	number, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, errDate
	}
	if seconds, err := strconv.ParseInt(string(number), 10, 64); err == nil {
		if seconds < 0 || seconds > maxDate {
			return time.Time{}, errDate
		}
		return time.Unix(seconds, 0), nil
	}
	seconds, err := strconv.ParseFloat(string(number), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, errDate
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// checkAudience demands that aud, a string or an array of strings, names one of
// the expected audiences exactly (RFC 7519 section 4.1.3).
func checkAudience(claim any, expected map[string]bool) error {
	switch aud := claim.(type) {
	case string:
		if expected[aud] {
			return nil
		}
	case []any:
		found := false
		for _, element := range aud {
			s, ok := element.(string)
			if !ok {
				return errAudience
			}
			found = found || expected[s]
		}
		if found {
			return nil
		}
	}
	return errAudience
}
