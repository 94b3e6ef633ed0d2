package ratelimiter

import "strconv"

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
	return item(name) + "q=" + strconv.FormatInt(quota, 10) + ";w=" + strconv.FormatInt(seconds, 10)
}

// appendLimitItem adds to the list b what a key has left in a zone after a
// decision.
//
// r is what would be admitted at once. t is the effective window, in which the
// client can use no more than r (section 4.1.2): long enough that r in t is not
// more than the rate, as section 6 asks, and once nothing is left the time until
// something is.
func appendLimitItem(b []byte, item string, l *limit, used int64) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, item...)
	b = append(b, "r="...)
	remaining := l.remaining(used)
	b = strconv.AppendInt(b, remaining, 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, effectiveWindow(l, remaining, used), 10)
}

func effectiveWindow(l *limit, remaining, used int64) int64 {
	if remaining == 0 {
		return wholeSeconds(l.wait(used))
	}
	return wholeSeconds(remaining * l.interval)
}

// join adds the Items of one list to those of another.
func join(list, items string) string {
	if list == "" {
		return items
	}
	if items == "" {
		return list
	}
	return list + ", " + items
}
