package ratelimiter

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// UnmarshalCaddyfile reads the directive:
//
//	rate_limiter [<matcher>] {
//		zone <name> {
//			key         <part> [<part>...]   # client_ip | header <name> | {placeholder}
//			rate        <number>/<s|m|h|d|duration>
//			burst       <number>
//			limit       <number>/<day|week|month>   # instead of rate
//			max_keys    <number>
//			ipv4_prefix <bits>
//			ipv6_prefix <bits>
//		}
//		concurrency <name> {
//			key         <part> [<part>...]
//			max         <number>
//			ipv4_prefix <bits>
//			ipv6_prefix <bits>
//		}
//		mode enforce | dry_run
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, &h.Guard, &h.Zones, &h.Concurrency, false)
}

// UnmarshalCaddyfile reads the directive:
//
//	quota [<matcher>] {
//		zone <name> {
//			key         <part> [<part>...]   # principal | client_ip | header <name> | {placeholder}
//			rate        <number>/<s|m|h|d|duration>
//			burst       <number>
//			limit       <number>/<day|week|month>   # instead of rate
//			tier <name> {                           # other limits of that tier
//				rate  <number>/<s|m|h|d|duration>
//				burst <number>
//				limit <number>/<day|week|month>
//			}
//			max_keys    <number>
//			ipv4_prefix <bits>
//			ipv6_prefix <bits>
//		}
//		concurrency <name> {
//			…                                       # as in rate_limiter
//		}
//		mode enforce | dry_run
//	}
func (q *Quota) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, &q.Guard, &q.Zones, &q.Concurrency, true)
}

func unmarshal(d *caddyfile.Dispenser, g *guard.Guard, zones *[]Zone, concurrency *[]Concurrency, principals bool) error {
	d.Next()
	err := read.Block(d, []string{"zone", "concurrency"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "zone":
			z, err := readZone(o, principals, *zones)
			*zones = append(*zones, z)
			return err
		case "concurrency":
			c, err := readConcurrency(o, principals, *concurrency)
			*concurrency = append(*concurrency, c)
			return err
		}
		if ok, err := guard.Option(o, g); ok {
			return err
		}
		return read.Unknown(o, "zone", "concurrency", "mode")
	})
	if err != nil && len(*zones)+len(*concurrency) > 0 {
		return err
	}
	_, _, missing := compileAll(*zones, *concurrency, principals)
	return errors.Join(err, positioned(d, missing))
}

// positioned gives each error that is joined in err the place where d stands.
func positioned(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return d.WrapErr(err)
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, positioned(d, err))
	}
	return errors.Join(errs...)
}

// readZone reads a zone and returns everything that is wrong with it: what an
// option says where it stands, what is missing or contradicts where the zone
// begins.
func readZone(o *caddyfile.Dispenser, principals bool, others []Zone) (z Zone, err error) {
	if err := read.Value(o, parseName, &z.Name); err != nil {
		return z, err
	}
	given := make(map[string]bool)
	err = read.Block(o, []string{"tier"}, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return readZoneOption(o, &z)
	})
	errs := []error{err}
	o.Reset()
	o.Next()
	if slices.ContainsFunc(others, func(other Zone) bool { return other.Name == z.Name }) {
		errs = append(errs, o.Errf("zone %s is given twice", z.Name))
	}
	if !given["key"] {
		errs = append(errs, o.Errf("zone %s: key is missing", z.Name))
	}
	if !given["rate"] && !given["limit"] {
		errs = append(errs, o.Errf("zone %s: rate is missing, or a limit in calendar windows", z.Name))
	}
	if errors.Join(errs...) == nil {
		_, err = z.compile(principals)
	} else if len(z.Key) > 0 {
		_, err = compileSources(z.Key, z.IPv4Prefix != 0 || z.IPv6Prefix != 0, principals)
	}
	errs = append(errs, positioned(o, err))
	for o.Next() { // the block, which was read before the Reset
	}
	return z, errors.Join(errs...)
}

// readConcurrency reads a concurrency and returns everything that is wrong with it.
func readConcurrency(o *caddyfile.Dispenser, principals bool, others []Concurrency) (c Concurrency, err error) {
	if err := read.Value(o, parseName, &c.Name); err != nil {
		return c, err
	}
	errs := []error{read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "key":
			return readKey(o, &c.Key)
		case "max":
			return read.Int(o, 1, maxConcurrency, &c.Max)
		case "ipv4_prefix":
			return read.Int(o, minIPv4Prefix, 32, &c.IPv4Prefix)
		case "ipv6_prefix":
			return read.Int(o, minIPv6Prefix, 128, &c.IPv6Prefix)
		}
		return read.Unknown(o, "key", "max", "ipv4_prefix", "ipv6_prefix")
	})}
	o.Reset()
	o.Next()
	if slices.ContainsFunc(others, func(other Concurrency) bool { return other.Name == c.Name }) {
		errs = append(errs, o.Errf("concurrency %s is given twice", c.Name))
	}
	if errs[0] == nil {
		_, err = c.compile(principals)
		errs = append(errs, positioned(o, err))
	}
	for o.Next() { // the block, which was read before the Reset
	}
	return c, errors.Join(errs...)
}

func readZoneOption(o *caddyfile.Dispenser, z *Zone) error {
	switch o.Val() {
	case "key":
		return readKey(o, &z.Key)
	case "rate":
		return readRate(o, &z.Rate)
	case "burst":
		return read.Int(o, 1, maxBurst, &z.Burst)
	case "limit":
		return readLimit(o, &z.Limit)
	case "tier":
		return readTier(o, z)
	case "max_keys":
		return read.Int(o, minKeys, maxKeys, &z.MaxKeys)
	case "ipv4_prefix":
		return read.Int(o, minIPv4Prefix, 32, &z.IPv4Prefix)
	case "ipv6_prefix":
		return read.Int(o, minIPv6Prefix, 128, &z.IPv6Prefix)
	}
	return read.Unknown(o, "key", "rate", "burst", "limit", "tier", "max_keys", "ipv4_prefix", "ipv6_prefix")
}

func readRate(o *caddyfile.Dispenser, dst *string) error {
	return read.Value(o, func(s string) (string, error) {
		_, err := rate.Parse(s)
		return s, err
	}, dst)
}

func readLimit(o *caddyfile.Dispenser, dst *string) error {
	return read.Value(o, func(s string) (string, error) {
		_, _, err := parseCalendar(s)
		return s, err
	}, dst)
}

func readTier(o *caddyfile.Dispenser, z *Zone) error {
	var name string
	if err := read.String(o, &name); err != nil {
		return err
	}
	if _, twice := z.Tiers[name]; twice {
		return o.Errf("tier %s is given twice", name)
	}
	var t Tier
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "rate":
			return readRate(o, &t.Rate)
		case "burst":
			return read.Int(o, 1, maxBurst, &t.Burst)
		case "limit":
			return readLimit(o, &t.Limit)
		}
		return read.Unknown(o, "rate", "burst", "limit")
	})
	if z.Tiers == nil {
		z.Tiers = make(map[string]Tier)
	}
	z.Tiers[name] = t
	if err == nil && t.Rate == "" && t.Limit == "" {
		err = o.Errf("tier %s needs a rate, or a limit", name)
	}
	return err
}

// readKey reads the parts of a key; "header" takes the next word with it.
func readKey(o *caddyfile.Dispenser, dst *[]string) error {
	if o.CountRemainingArgs() == 0 {
		return o.Err("key needs at least one part")
	}
	for o.NextArg() {
		part := o.Val()
		if part == wordHeader {
			if !o.NextArg() {
				return o.Err("header needs a name")
			}
			part += " " + o.Val()
		}
		*dst = append(*dst, part)
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*Quota)(nil)
)
