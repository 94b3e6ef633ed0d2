package ratelimiter

import (
	"strconv"
	"sync/atomic"
)

// The fields of draft-ietf-httpapi-ratelimit-headers-11, in the form of the keys
// of an http.Header. Both are Lists of Strings with Parameters (RFC 9651).
const (
	fieldPolicy = "Ratelimit-Policy"
	fieldLimit  = "Ratelimit"
)

// item begins an Item of either field: the zone's name as a String. Names have
// no character that would need an escape.
func item(name string) string { return `"` + name + `";` }

// policyItem says what a zone's limit is. It is the same on all responses.
func policyItem(name string, l *limit) string {
	quota, seconds := l.policy()
	text := item(name) + "q=" + strconv.FormatInt(quota, 10)
	if seconds == 0 {
		return text
	}
	return text + ";w=" + strconv.FormatInt(seconds, 10)
}

// appendLimitItem adds to the list b what a key has left in a zone after a
// decision.
//
// r is what would be admitted at once. t is the effective window, in which the
// client can use no more than r (section 4.1.2): long enough that r in t is not
// more than the rate, as section 6 asks, and once nothing is left the time until
// something is. In a calendar window, t is what is left of it.
func appendLimitItem(b []byte, item string, l *limit, used, now int64) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, item...)
	b = append(b, "r="...)
	remaining := l.remaining(used)
	b = strconv.AppendInt(b, remaining, 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, effectiveWindow(l, remaining, used, now), 10)
}

func effectiveWindow(l *limit, remaining, used, now int64) int64 {
	if remaining == 0 || l.calendar != nil {
		return wholeSeconds(l.back(used, now))
	}
	return wholeSeconds(remaining * l.interval)
}

// policyList is the RateLimit-Policy items of a guard. It is safe for concurrent
// use once items is set.
type policyList struct {
	items string
	last  atomic.Pointer[joined]
}

// joined is a list behind that of a guard further out.
type joined struct{ outer, list string }

// after returns the list behind that of the guards further out, which are the
// same for almost all requests.
func (p *policyList) after(outer string) string {
	if outer == "" {
		return p.items
	}
	last := p.last.Load()
	if last == nil || last.outer != outer {
		last = &joined{outer, outer + ", " + p.items}
		p.last.Store(last)
	}
	return last.list
}
