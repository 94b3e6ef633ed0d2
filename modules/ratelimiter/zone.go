package ratelimiter

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
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
	// <number>/<s|m|h|d|duration>, at most 1000000 a second. Required.
	Rate string `json:"rate,omitempty"`

	// Burst is the size of a bucket: what a key may do at once after it was
	// idle. Default: the number in Rate.
	Burst int `json:"burst,omitempty"`

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

var errNoZone = errors.New("there is no zone")

var zoneName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func parseName(s string) (string, error) {
	if !zoneName.MatchString(s) {
		return "", errors.New("not 1 to 64 letters, digits, '_', '-' or '.'")
	}
	return s, nil
}

// compile returns the limit and the key of z, or every reason why it has none.
// principals says whether the guard runs after auth.
func (z *Zone) compile(principals bool) (limit, key, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := parseName(z.Name); err != nil {
		fail("name %q: %w", z.Name, err)
	}
	k := key{ipv4: orDefault(z.IPv4Prefix, defaultIPv4Prefix), ipv6: orDefault(z.IPv6Prefix, defaultIPv6Prefix)}
	var err error
	if k.sources, err = z.sources(principals); err != nil {
		errs = append(errs, err)
	}
	if k.ipv4 < minIPv4Prefix || k.ipv4 > 32 {
		fail("ipv4_prefix %d is not between %d and 32", k.ipv4, minIPv4Prefix)
	}
	if k.ipv6 < minIPv6Prefix || k.ipv6 > 128 {
		fail("ipv6_prefix %d is not between %d and 128", k.ipv6, minIPv6Prefix)
	}
	keys := orDefault(z.MaxKeys, defaultMaxKeys)
	if keys < minKeys || keys > maxKeys {
		fail("max_keys %d is not between %d and %d", keys, minKeys, maxKeys)
	}
	l, err := z.limit(keys)
	if err != nil {
		errs = append(errs, err)
	}
	return l, k, errors.Join(errs...)
}

func (z *Zone) limit(keys int) (limit, error) {
	if z.Burst < 0 || z.Burst > maxBurst {
		return limit{}, fmt.Errorf("burst %d is not between 1 and %d", z.Burst, maxBurst)
	}
	if z.Rate == "" {
		return limit{}, errors.New("rate is missing")
	}
	r, err := parseRate(z.Rate)
	if err != nil {
		return limit{}, fmt.Errorf("rate %q: %w", z.Rate, err)
	}
	return newLimit(r, z.Burst, keys)
}

func (z *Zone) sources(principals bool) ([]source, error) {
	if len(z.Key) == 0 {
		return nil, errors.New("key is missing")
	}
	if len(z.Key) > maxParts {
		return nil, fmt.Errorf("key has more than %d parts", maxParts)
	}
	var sources []source
	var errs []error
	hasAddress := false
	for _, part := range z.Key {
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
	if len(errs) == 0 && !hasAddress && (z.IPv4Prefix != 0 || z.IPv6Prefix != 0) {
		errs = append(errs, errors.New("a prefix without client_ip or principal in the key"))
	}
	return sources, errors.Join(errs...)
}

// definition is what a zone of this name has to be everywhere, however it is
// written: l and the key are compiled from it.
func (z *Zone) definition(l limit) string {
	key := make([]string, len(z.Key))
	for i, part := range z.Key {
		if name, ok := strings.CutPrefix(part, wordHeader+" "); ok {
			part = wordHeader + " " + http.CanonicalHeaderKey(name)
		}
		key[i] = part
	}
	return fmt.Sprintf("key %s, a request every %s, burst %d, max_keys %d, ipv4_prefix %d, ipv6_prefix %d",
		strings.Join(key, " "), time.Duration(l.interval), l.window/l.interval, orDefault(z.MaxKeys, defaultMaxKeys),
		orDefault(z.IPv4Prefix, defaultIPv4Prefix), orDefault(z.IPv6Prefix, defaultIPv6Prefix))
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// compileAll compiles the zones of a guard and returns every error of all of
// them.
func compileAll(zones []Zone, principals bool) ([]limit, []key, error) {
	if len(zones) == 0 {
		return nil, nil, errNoZone
	}
	if len(zones) > maxZones {
		return nil, nil, fmt.Errorf("more than %d zones", maxZones)
	}
	limits, keys := make([]limit, len(zones)), make([]key, len(zones))
	var errs []error
	for i := range zones {
		var err error
		if limits[i], keys[i], err = zones[i].compile(principals); err != nil {
			errs = append(errs, fmt.Errorf("zones[%d] %s: %w", i, zones[i].Name, err))
		}
		if slices.ContainsFunc(zones[:i], func(z Zone) bool { return z.Name == zones[i].Name }) {
			errs = append(errs, fmt.Errorf("zones[%d] %s: the name is given twice", i, zones[i].Name))
		}
	}
	return limits, keys, errors.Join(errs...)
}
