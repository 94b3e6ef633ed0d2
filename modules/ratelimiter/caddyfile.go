package ratelimiter

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// UnmarshalCaddyfile reads the directive:
//
//	rate_limiter [<matcher>] {
//		zone <name> {
//			key         <part> [<part>...]   # client_ip | header <name> | {placeholder}
//			rate        <number>/<s|m|h|d|duration>
//			burst       <number>
//			max_keys    <number>
//			ipv4_prefix <bits>
//			ipv6_prefix <bits>
//		}
//		mode enforce | dry_run
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, &h.Guard, &h.Zones, false)
}

// UnmarshalCaddyfile reads the directive:
//
//	quota [<matcher>] {
//		zone <name> {
//			key         <part> [<part>...]   # principal | client_ip | header <name> | {placeholder}
//			rate        <number>/<s|m|h|d|duration>
//			burst       <number>
//			max_keys    <number>
//			ipv4_prefix <bits>
//			ipv6_prefix <bits>
//		}
//		mode enforce | dry_run
//	}
func (q *Quota) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, &q.Guard, &q.Zones, true)
}

func unmarshal(d *caddyfile.Dispenser, g *guard.Guard, zones *[]Zone, principals bool) error {
	d.Next()
	err := read.Block(d, []string{"zone"}, func(o *caddyfile.Dispenser) error {
		if o.Val() == "zone" {
			z, err := readZone(o, principals, *zones)
			*zones = append(*zones, z)
			return err
		}
		if ok, err := guard.Option(o, g); ok {
			return err
		}
		return read.Unknown(o, "zone", "mode")
	})
	if err != nil && len(*zones) > 0 {
		return err
	}
	_, _, missing := compileAll(*zones, principals)
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
	err = read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return readZoneOption(o, &z)
	})
	errs := []error{err}
	o.Reset()
	o.Next()
	if slices.ContainsFunc(others, func(other Zone) bool { return other.Name == z.Name }) {
		errs = append(errs, o.Errf("zone %s is given twice", z.Name))
	}
	for _, required := range []string{"key", "rate"} {
		if !given[required] {
			errs = append(errs, o.Errf("zone %s: %s is missing", z.Name, required))
		}
	}
	if errors.Join(errs...) == nil {
		_, _, err = z.compile(principals)
	} else if len(z.Key) > 0 {
		_, err = z.sources(principals)
	}
	errs = append(errs, positioned(o, err))
	for o.Next() { // the block, which was read before the Reset
	}
	return z, errors.Join(errs...)
}

func readZoneOption(o *caddyfile.Dispenser, z *Zone) error {
	switch o.Val() {
	case "key":
		return readKey(o, &z.Key)
	case "rate":
		return read.Value(o, func(s string) (string, error) {
			_, err := parseRate(s)
			return s, err
		}, &z.Rate)
	case "burst":
		return read.Int(o, 1, maxBurst, &z.Burst)
	case "max_keys":
		return read.Int(o, minKeys, maxKeys, &z.MaxKeys)
	case "ipv4_prefix":
		return read.Int(o, minIPv4Prefix, 32, &z.IPv4Prefix)
	case "ipv6_prefix":
		return read.Int(o, minIPv6Prefix, 128, &z.IPv6Prefix)
	}
	return read.Unknown(o, "key", "rate", "burst", "max_keys", "ipv4_prefix", "ipv6_prefix")
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
