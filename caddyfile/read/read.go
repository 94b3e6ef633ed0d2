// Package read holds the typed readers of Caddyfile tokens that directives
// share. A directive reads like a table; the strictness lives here: missing,
// extra, repeated and out-of-range values are errors with file and line, and
// all errors of a directive are reported at once.
package read

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Block calls option once for each option in the block of the directive (or
// option) on whose last read argument d stands. The dispenser given to option
// stands on the option's name and holds only that option's tokens, its own
// block included, so an error in one option cannot disturb the next.
//
// Errors: arguments in front of the block that nobody read, an option that
// occurs twice and is not in repeatable, arguments or a block that option left
// unread, and whatever option returns. All of them are joined.
func Block(d *caddyfile.Dispenser, repeatable []string, option func(o *caddyfile.Dispenser) error) error {
	var errs []error
	nesting := d.Nesting()
	for d.NextArg() {
		errs = append(errs, d.Errf("unexpected argument %q", d.Val()))
	}
	seen := make(map[string]bool)
	for d.NextBlock(nesting) {
		o := d.NewFromNextSegment()
		o.Next()
		name := o.Val()
		if seen[name] && !slices.Contains(repeatable, name) {
			errs = append(errs, o.Errf("%s is given twice", name))
			continue
		}
		seen[name] = true
		if err := option(o); err != nil {
			errs = append(errs, err)
			continue
		}
		if o.Next() {
			errs = append(errs, o.Errf("unexpected %q after %s", o.Val(), name))
		}
	}
	return errors.Join(errs...)
}

// Unknown is the error for an option that a directive does not have; known are
// the options it has.
func Unknown(o *caddyfile.Dispenser, known ...string) error {
	return o.Errf("unknown option %q (known: %s)", o.Val(), strings.Join(known, ", "))
}

// String reads exactly one argument.
func String(o *caddyfile.Dispenser, dst *string) error {
	return Value(o, func(s string) (string, error) { return s, nil }, dst)
}

// Strings reads one or more arguments and appends them to dst.
func Strings(o *caddyfile.Dispenser, dst *[]string) error {
	return Values(o, func(s string) (string, error) { return s, nil }, dst)
}

// Word reads exactly one argument, which has to be one of allowed.
func Word(o *caddyfile.Dispenser, dst *string, allowed ...string) error {
	return Value(o, oneOf(allowed), dst)
}

// Words reads one or more arguments, each one of allowed, and appends them.
func Words(o *caddyfile.Dispenser, dst *[]string, allowed ...string) error {
	return Values(o, oneOf(allowed), dst)
}

// Int reads exactly one decimal number in [lowest, highest].
func Int(o *caddyfile.Dispenser, lowest, highest int, dst *int) error {
	return Value(o, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, errors.New("not a whole number")
		}
		if n < lowest || n > highest {
			return 0, fmt.Errorf("not between %d and %d", lowest, highest)
		}
		return n, nil
	}, dst)
}

// Duration reads exactly one duration in [shortest, longest], in Caddy's
// notation, which knows days ("7d").
func Duration(o *caddyfile.Dispenser, shortest, longest time.Duration, dst *caddy.Duration) error {
	return Value(o, func(s string) (caddy.Duration, error) {
		v, err := caddy.ParseDuration(s)
		if err != nil {
			return 0, errors.New("not a duration")
		}
		if v < shortest || v > longest {
			return 0, fmt.Errorf("not between %s and %s", shortest, longest)
		}
		return caddy.Duration(v), nil
	}, dst)
}

var sizes = []struct {
	unit  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1000}, {"MB", 1_000_000}, {"GB", 1_000_000_000}, {"B", 1}, {"", 1}}

// Size reads exactly one size, from one byte to highest: a whole number with or
// without a unit, 512, 64KiB, 1MB.
func Size(o *caddyfile.Dispenser, highest int64, dst *int64) error {
	return Value(o, func(s string) (int64, error) {
		for _, size := range sizes {
			number, ok := strings.CutSuffix(s, size.unit)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || n > math.MaxInt64/size.bytes {
				break
			}
			if n *= size.bytes; n < 1 || n > highest {
				return 0, fmt.Errorf("not between 1 and %d bytes", highest)
			}
			return n, nil
		}
		return 0, errors.New("not a size in bytes, such as 512, 64KiB or 1MB")
	}, dst)
}

// Flag reads an option that takes no argument.
func Flag(_ *caddyfile.Dispenser, dst *bool) error {
	*dst = true
	return nil
}

// Value reads exactly one argument through parse.
func Value[T any](o *caddyfile.Dispenser, parse func(string) (T, error), dst *T) error {
	name := o.Val()
	if !o.NextArg() {
		return o.Errf("%s needs a value", name)
	}
	v, err := parse(o.Val())
	if err != nil {
		return o.Errf("%s %q: %v", name, o.Val(), err)
	}
	*dst = v
	return nil
}

// Values reads one or more arguments through parse and appends them to dst.
// It goes on after a bad one, so that all of them are reported.
func Values[T any](o *caddyfile.Dispenser, parse func(string) (T, error), dst *[]T) error {
	name := o.Val()
	if !o.NextArg() {
		return o.Errf("%s needs at least one value", name)
	}
	var errs []error
	for more := true; more; more = o.NextArg() {
		v, err := parse(o.Val())
		if err != nil {
			errs = append(errs, o.Errf("%s %q: %v", name, o.Val(), err))
			continue
		}
		*dst = append(*dst, v)
	}
	return errors.Join(errs...)
}

// At gives each of the joined errors the position at which d began.
func At(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	d.Reset()
	d.Next()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return d.WrapErr(err)
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, At(d, err))
	}
	return errors.Join(errs...)
}

func oneOf(allowed []string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(allowed, s) {
			return "", fmt.Errorf("not one of %s", strings.Join(allowed, ", "))
		}
		return s, nil
	}
}
