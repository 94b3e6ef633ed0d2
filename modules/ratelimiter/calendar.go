package ratelimiter

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// calendar counts requests in windows of the calendar, in UTC: days, weeks that
// begin on Monday (ISO 8601), months.
//
// A window is GCRA on a clock of its own, which stands still within a window and
// jumps by far more than any limit at its end. A key's TAT is then the window's
// place on that clock plus what was used in it, and all that a table does with a
// TAT holds: a key that was not used in this window is free, what was used most is
// kept.
type calendar struct {
	word   string
	bounds func(t time.Time) (begin, end time.Time, index int64)
	window atomic.Pointer[window] // the last one asked for
}

// window is one window on the clock of the handlers, in nanoseconds.
type window struct {
	begin, end int64
	now        int64 // its place on the calendar's clock
}

// windowShift is how far the clock jumps, as a power of two: more than maxBurst.
const windowShift = 40

// calendars are the windows that a limit may have, by their words.
var calendars = map[string]func(time.Time) (begin, end time.Time, index int64){
	"day": func(t time.Time) (begin, end time.Time, index int64) {
		begin = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		return begin, begin.AddDate(0, 0, 1), begin.Unix() / 86400
	},
	"week": func(t time.Time) (begin, end time.Time, index int64) {
		sinceMonday := (int(t.Weekday()) + 6) % 7
		begin = time.Date(t.Year(), t.Month(), t.Day()-sinceMonday, 0, 0, 0, 0, time.UTC)
		return begin, begin.AddDate(0, 0, 7), (begin.Unix()/86400 + 3) / 7
	},
	"month": func(t time.Time) (begin, end time.Time, index int64) {
		begin = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return begin, begin.AddDate(0, 1, 0), int64(t.Year())*12 + int64(t.Month())
	},
}

// of returns the window of a moment of the handlers' clock.
func (c *calendar) of(now int64) *window {
	if w := c.window.Load(); w != nil && w.begin <= now && now < w.end {
		return w
	}
	begin, end, index := c.bounds(started.Add(time.Duration(now)).UTC())
	w := &window{begin: int64(begin.Sub(started)), end: int64(end.Sub(started)), now: index << windowShift}
	c.window.Store(w)
	return w
}

// seconds is the length of the windows, or 0 where they differ.
func (c *calendar) seconds() int64 {
	return map[string]int64{"day": 86400, "week": 7 * 86400}[c.word]
}

var errCalendarSyntax = errors.New("not a number of requests in a calendar window, <number>/<day|week|month>: 1000000/month")

// parseCalendar reads <number>/<day|week|month>.
func parseCalendar(s string) (number int64, word string, err error) {
	text, word, found := strings.Cut(s, "/")
	if !found || !rate.IsPlain(text) || calendars[word] == nil {
		return 0, "", errCalendarSyntax
	}
	number, err = strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || number > maxBurst:
		return 0, "", errors.New("more than " + strconv.Itoa(maxBurst))
	case number == 0:
		return 0, "", errors.New("a limit of zero lets nothing through; deny with allowlist or access_rules")
	}
	return number, word, nil
}

// newCalendarLimit compiles a number of requests in a calendar window.
func newCalendarLimit(number int64, word string, maxKeys int) limit {
	return limit{
		interval: 1, window: number, longest: number, sets: setsPerShard(maxKeys),
		calendar: &calendar{word: word, bounds: calendars[word]},
	}
}
