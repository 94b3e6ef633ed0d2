package ratelimiter

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

const (
	defaultMaxKeys    = 1_000_000
	defaultIPv4Prefix = 32
	defaultIPv6Prefix = 64

	minIPv4Prefix = 8
	minIPv6Prefix = 16
)

// Zone is a limit and the buckets of its keys. Zones of one name, in all sites
// and in rate_limiter and quota together, are one zone.
type Zone struct {
	// Name says which limit this is: in the RateLimit fields, in logs and
	// metrics, and from one configuration to the next. Letters, digits, '_',
	// '-' and '.', at most 64. Required.
	Name string `json:"name,omitempty"`

	// Key is what has a bucket of its own, of one to four parts: "client_ip",
	// "principal" (quota only), "header NAME" or "{placeholder}". Required.
	Key []string `json:"key,omitempty"`

	// Rate is how fast a bucket fills, and so what a key may do in the long run:
	// <number>/<s|m|h|d|duration>, at most 1000000 a second. Required, unless there
	// is a Limit.
	Rate string `json:"rate,omitempty"`

	// Limit is how many requests a key may make in a window of the calendar, in
	// UTC: <number>/<day|week|month>. Weeks begin on Monday. Default: none, there
	// is a Rate.
	Limit string `json:"limit,omitempty"`

	// Burst is the size of a bucket: what a key may do at once after it was
	// idle. Default: the number in Rate.
	Burst int `json:"burst,omitempty"`

	// Tiers are other limits, for principals of a tier (quota only). Default: none.
	Tiers map[string]Tier `json:"tiers,omitempty"`

	// MaxKeys bounds the memory of the zone, 17 bytes a key. It is rounded up to
	// a multiple of 2048. Default: 1000000.
	MaxKeys int `json:"max_keys,omitempty"`

	// IPv4Prefix is how many bits of an IPv4 address client_ip tells apart.
	// Default: 32.
	IPv4Prefix int `json:"ipv4_prefix,omitempty"`

	// IPv6Prefix is how many bits of an IPv6 address client_ip tells apart.
	// Default: 64, what one customer has at least.
	IPv6Prefix int `json:"ipv6_prefix,omitempty"`
}

// Tier is the limit of a zone for principals of one tier: a Rate in a zone with a
// Rate, a Limit in windows of the same kind in a zone with a Limit.
type Tier struct {
	// Rate is as in Zone. Default: none.
	Rate string `json:"rate,omitempty"`

	// Burst is as in Zone. Default: the number in Rate.
	Burst int `json:"burst,omitempty"`

	// Limit is as in Zone. Default: none.
	Limit string `json:"limit,omitempty"`
}

// maxTiers bounds the tiers of a zone.
const maxTiers = 32

var errNoZone = errors.New("there is no zone and no concurrency")

var zoneName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func parseName(s string) (string, error) {
	if !zoneName.MatchString(s) {
		return "", errors.New("not 1 to 64 letters, digits, '_', '-' or '.'")
	}
	return s, nil
}

// compile returns the limits and the key of z, or every reason why it has none.
// principals says whether the guard runs after auth.
func (z *Zone) compile(principals bool) (zone, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := parseName(z.Name); err != nil {
		fail("name %q: %w", z.Name, err)
	}
	k, err := compileKey(z.Key, z.IPv4Prefix, z.IPv6Prefix, principals)
	if err != nil {
		errs = append(errs, err)
	}
	keys := orDefault(z.MaxKeys, defaultMaxKeys)
	if keys < minKeys || keys > maxKeys {
		fail("max_keys %d is not between %d and %d", keys, minKeys, maxKeys)
	}
	compiled := zone{key: k}
	if compiled.limit, err = (&Tier{z.Rate, z.Burst, z.Limit}).limit(keys); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, z.tiers(&compiled, principals, keys))
	return compiled, errors.Join(errs...)
}

// tiers compiles the limits of the tiers into c.
func (z *Zone) tiers(c *zone, principals bool, keys int) error {
	var errs []error
	if len(z.Tiers) > 0 && !principals {
		errs = append(errs, errors.New("tier: rate_limiter runs before auth and knows no principal: use quota"))
	}
	if len(z.Tiers) > maxTiers {
		errs = append(errs, fmt.Errorf("more than %d tiers", maxTiers))
	}
	for _, name := range slices.Sorted(maps.Keys(z.Tiers)) {
		tier := z.Tiers[name]
		l, err := tier.limit(keys)
		switch {
		case name == "":
			err = errors.New("the name is missing")
		case err == nil && !sameWindows(&c.limit, &l):
			err = errors.New("a tier counts as its zone does: a rate, or a limit of the same windows")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tier %s: %w", name, err))
			continue
		}
		l.calendar = c.limit.calendar
		if c.tiers == nil {
			c.tiers = make(map[string]*limit)
		}
		c.tiers[name] = &l
		c.limit.longest = max(c.limit.longest, l.window)
	}
	for _, l := range c.tiers {
		l.longest = c.limit.longest
	}
	return errors.Join(errs...)
}

func sameWindows(a, b *limit) bool {
	if a.calendar == nil || b.calendar == nil {
		return a.calendar == b.calendar
	}
	return a.calendar.word == b.calendar.word
}

// limit compiles the limit that t describes.
func (t *Tier) limit(keys int) (limit, error) {
	switch {
	case t.Burst < 0 || t.Burst > maxBurst:
		return limit{}, fmt.Errorf("burst %d is not between 1 and %d", t.Burst, maxBurst)
	case t.Rate == "" && t.Limit == "":
		return limit{}, errors.New("rate is missing, or a limit in calendar windows")
	case t.Rate != "" && t.Limit != "":
		return limit{}, errors.New("rate and limit are two zones")
	case t.Limit != "" && t.Burst != 0:
		return limit{}, errors.New("burst goes with rate: a limit may be used at once")
	case t.Limit != "":
		number, word, err := parseCalendar(t.Limit)
		if err != nil {
			return limit{}, fmt.Errorf("limit %q: %w", t.Limit, err)
		}
		return newCalendarLimit(number, word, keys), nil
	}
	r, err := rate.Parse(t.Rate)
	if err != nil {
		return limit{}, fmt.Errorf("rate %q: %w", t.Rate, err)
	}
	return newLimit(r, t.Burst, keys)
}

// compileKey returns the key of those parts, or every reason why there is none.
func compileKey(parts []string, ipv4, ipv6 int, principals bool) (key, error) {
	k := key{ipv4: orDefault(ipv4, defaultIPv4Prefix), ipv6: orDefault(ipv6, defaultIPv6Prefix)}
	var errs []error
	var err error
	if k.sources, err = compileSources(parts, ipv4 != 0 || ipv6 != 0, principals); err != nil {
		errs = append(errs, err)
	}
	if k.ipv4 < minIPv4Prefix || k.ipv4 > 32 {
		errs = append(errs, fmt.Errorf("ipv4_prefix %d is not between %d and 32", k.ipv4, minIPv4Prefix))
	}
	if k.ipv6 < minIPv6Prefix || k.ipv6 > 128 {
		errs = append(errs, fmt.Errorf("ipv6_prefix %d is not between %d and 128", k.ipv6, minIPv6Prefix))
	}
	return k, errors.Join(errs...)
}

func compileSources(parts []string, prefixed, principals bool) ([]source, error) {
	if len(parts) == 0 {
		return nil, errors.New("key is missing")
	}
	if len(parts) > maxParts {
		return nil, fmt.Errorf("key has more than %d parts", maxParts)
	}
	var sources []source
	var errs []error
	hasAddress := false
	for _, part := range parts {
		s, err := parseSource(part)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("key %q: %w", part, err))
			continue
		case !principals && (s.kind == fromPrincipal || strings.HasPrefix(s.name, "http.auth.")):
			errs = append(errs, fmt.Errorf("key %q: rate_limiter runs before auth and knows no principal: use quota", part))
		case slices.Contains(sources, s):
			errs = append(errs, fmt.Errorf("key %q is given twice", part))
		}
		sources = append(sources, s)
		hasAddress = hasAddress || s.kind == fromClientIP || s.kind == fromPrincipal
	}
	if len(errs) == 0 && !hasAddress && prefixed {
		errs = append(errs, errors.New("a prefix without client_ip or principal in the key"))
	}
	return sources, errors.Join(errs...)
}

// definition is what a zone of this name has to be everywhere, however it is
// written: c is compiled from it.
func (z *Zone) definition(c *zone) string {
	text := fmt.Sprintf("%s, %s, max_keys %d, ipv4_prefix %d, ipv6_prefix %d", definedKey(z.Key), c.limit.definition(),
		orDefault(z.MaxKeys, defaultMaxKeys), orDefault(z.IPv4Prefix, defaultIPv4Prefix), orDefault(z.IPv6Prefix, defaultIPv6Prefix))
	for _, name := range slices.Sorted(maps.Keys(c.tiers)) {
		text += ", tier " + name + " " + c.tiers[name].definition()
	}
	return text
}

func definedKey(parts []string) string {
	key := make([]string, len(parts))
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, wordHeader+" "); ok {
			part = wordHeader + " " + http.CanonicalHeaderKey(name)
		}
		key[i] = part
	}
	return "key " + strings.Join(key, " ")
}

func (l *limit) definition() string {
	if l.calendar != nil {
		return fmt.Sprintf("%d requests a %s", l.window, l.calendar.word)
	}
	return fmt.Sprintf("a request every %s, burst %d", time.Duration(l.interval), l.window/l.interval)
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// compileAll compiles the limits of a guard and returns every error of all of
// them.
func compileAll(zones []Zone, concurrency []Concurrency, principals bool) ([]zone, []crowd, error) {
	if len(zones)+len(concurrency) == 0 {
		return nil, nil, errNoZone
	}
	if len(zones) > maxZones || len(concurrency) > maxZones {
		return nil, nil, fmt.Errorf("more than %d zones, or of concurrency", maxZones)
	}
	compiled, crowds := make([]zone, len(zones)), make([]crowd, len(concurrency))
	var errs []error
	for i := range zones {
		var err error
		if compiled[i], err = zones[i].compile(principals); err != nil {
			errs = append(errs, fmt.Errorf("zones[%d] %s: %w", i, zones[i].Name, err))
		}
		if slices.ContainsFunc(zones[:i], func(z Zone) bool { return z.Name == zones[i].Name }) {
			errs = append(errs, fmt.Errorf("zones[%d] %s: the name is given twice", i, zones[i].Name))
		}
	}
	for i := range concurrency {
		var err error
		if crowds[i], err = concurrency[i].compile(principals); err != nil {
			errs = append(errs, fmt.Errorf("concurrency[%d] %s: %w", i, concurrency[i].Name, err))
		}
		if slices.ContainsFunc(concurrency[:i], func(c Concurrency) bool { return c.Name == concurrency[i].Name }) {
			errs = append(errs, fmt.Errorf("concurrency[%d] %s: the name is given twice", i, concurrency[i].Name))
		}
	}
	return compiled, crowds, errors.Join(errs...)
}
