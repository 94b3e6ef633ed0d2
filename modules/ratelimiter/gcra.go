package ratelimiter

import (
	"errors"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// Bounds of a zone's numbers. They keep every sum of GCRA far inside an int64
// of nanoseconds: the clock and two windows are less than four years.
const (
	maxWindow = 366 * 24 * time.Hour
	maxBurst  = 1_000_000_000
)

// limit is a rate and a burst, compiled for GCRA (ITU-T I.371, the virtual
// scheduling form).
//
// A key has one number, its theoretical arrival time (TAT): the moment when its
// bucket is full again. Each request moves it one interval into the future; a
// request that would move it further than a window from now is refused. So a key
// gets at most burst + t/interval requests in any stretch of time t, a key that
// nobody uses needs no memory, and what a refused request costs is nothing.
type limit struct {
	// interval is what one request costs, in nanoseconds.
	interval int64
	// window is interval × burst: how long an empty bucket takes to fill.
	window int64
	// sets is how many sets of eight keys a shard may grow to.
	sets int
	// longest is the window of the limit of this zone that has the longest: a key
	// may have been charged by that tier.
	longest int64
	// calendar is what the interval and the window are counted in, if not in
	// nanoseconds.
	calendar *calendar
}

// newLimit compiles a rate and a burst. A burst of 0 means the rate's own
// number: 50/s lets 50 through at once.
//
// The interval is rounded up to whole nanoseconds: a rate is never exceeded, and
// falls short by less than 0.1 % at a million a second, the highest there is.
func newLimit(r rate.Rate, burst, maxKeys int) (limit, error) {
	interval := (int64(r.Period) + r.Number - 1) / r.Number
	if burst == 0 {
		burst = int(min(r.Number, maxBurst))
	}
	if interval > int64(maxWindow)/int64(burst) {
		return limit{}, errors.New("burst takes more than a year to come back at this rate")
	}
	return limit{
		interval: interval,
		window:   interval * int64(burst),
		longest:  interval * int64(burst),
		sets:     setsPerShard(maxKeys),
	}, nil
}

// at returns now, of the handlers' clock, on the clock of the limit.
func (l *limit) at(now int64) int64 {
	if l.calendar == nil {
		return now
	}
	return l.calendar.of(now).now
}

// back returns how many nanoseconds after now a request is admitted.
func (l *limit) back(used, now int64) int64 {
	if l.calendar == nil {
		return l.wait(used)
	}
	return l.calendar.of(now).end - now
}

// wait returns how long a key whose TAT lies used ahead has to wait until a
// request is admitted: zero or less if one is admitted at once.
func (l *limit) wait(used int64) int64 {
	return used - (l.window - l.interval)
}

// remaining returns how many requests such a key may make at once.
func (l *limit) remaining(used int64) int64 {
	return max(0, l.window-used) / l.interval
}

// burst returns how many requests a key that was idle may make at once.
func (l *limit) burst() int64 { return l.window / l.interval }

// policy returns the rate as the whole seconds of the RateLimit-Policy field
// want it (draft-ietf-httpapi-ratelimit-headers-11 section 3.1.3): the quota of
// the shortest window of whole seconds in which an empty bucket fills. Both
// together are the rate, rounded down.
//
// In a calendar window, it is the limit and the length of the window, or 0 where
// windows differ.
func (l *limit) policy() (quota, seconds int64) {
	if l.calendar != nil {
		return l.window, l.calendar.seconds()
	}
	seconds = wholeSeconds(l.window)
	return seconds * int64(time.Second) / l.interval, seconds
}

// wholeSeconds rounds ns up to seconds, at least one: a client that waits that
// long is not early.
func wholeSeconds(ns int64) int64 {
	return max(1, (ns+int64(time.Second)-1)/int64(time.Second))
}
