package param

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what can be configured.
const (
	MaxRules   = 128
	MaxName    = 128
	MaxLength  = 1 << 20
	MaxRepeat  = 1000
	maxPattern = 1000
)

// Unbounded stands in a range for no bound.
const Unbounded = "*"

// Rule is what one query parameter has to be.
type Rule struct {
	// Name is the parameter, after percent-decoding. It is compared byte by byte.
	// Required.
	Name string `json:"name,omitempty"`

	// Required says that a request without the parameter is refused. Default: false.
	Required bool `json:"required,omitempty"`

	// Type is string, integer, number, boolean, uuid, date, date-time, ipv4 or
	// ipv6. Default: string.
	Type string `json:"type,omitempty"`

	// Range is the lowest and the highest value of an integer or a number, both
	// included; "*" is no bound. Default: none.
	Range []string `json:"range,omitempty"`

	// MinLength is the least number of characters. Default: 0.
	MinLength int `json:"min_length,omitempty"`

	// MaxLength is the greatest number of characters. Default: no limit.
	MaxLength *int `json:"max_length,omitempty"`

	// Pattern is an RE2 expression that the whole value has to match. Default: none.
	Pattern string `json:"pattern,omitempty"`

	// Enum are the values that are accepted. Default: all.
	Enum []string `json:"enum,omitempty"`

	// Repeat is how often the parameter may occur. Default: 1.
	Repeat int `json:"repeat,omitempty"`
}

// Fault is which rule a query breaks.
type Fault uint8

// The faults of a query.
const (
	OK Fault = iota
	Missing
	Unknown
	Repeated
	WrongType
	OutOfRange
	WrongLength
	NoMatch
	NotListed
	TooMany
)

// compiled is a Rule that is ready to be asked.
type compiled struct {
	Rule
	format       func(string) bool
	isInt        bool
	isNumber     bool
	lowInt, high int64
	low, highNum float64
	hasLow       bool
	hasHigh      bool
	maxLength    int // -1 for none
	pattern      *regexp.Regexp
}

// compile returns every error of a rule.
func compile(r Rule) (*compiled, error) {
	c := &compiled{Rule: r, maxLength: -1, isInt: r.Type == Integer, isNumber: r.Type == Number}
	var errs []error
	if r.Name == "" || len(r.Name) > MaxName || !utf8.ValidString(r.Name) || strings.ContainsRune(r.Name, 0) {
		errs = append(errs, fmt.Errorf("the name %.40q is not a text of 1 to %d bytes", r.Name, MaxName))
	}
	if r.Type != "" && !slices.Contains(Types, r.Type) {
		errs = append(errs, fmt.Errorf("type %q is not one of %s", r.Type, strings.Join(Types, ", ")))
	}
	c.format = formats[r.Type]
	if r.Range != nil {
		errs = append(errs, c.compileRange())
	}
	if r.MinLength < 0 || r.MaxLength != nil && *r.MaxLength < 0 {
		errs = append(errs, errors.New("a length is negative"))
	}
	if r.MaxLength != nil {
		if c.maxLength = *r.MaxLength; c.maxLength < r.MinLength {
			errs = append(errs, fmt.Errorf("max_length %d is below min_length %d", c.maxLength, r.MinLength))
		}
	}
	if r.Pattern != "" {
		var err error
		if c.pattern, err = Pattern(r.Pattern); err != nil {
			errs = append(errs, fmt.Errorf("pattern: %w", err))
		}
	}
	if r.Repeat == 0 {
		c.Repeat = 1
	} else if r.Repeat < 0 || r.Repeat > MaxRepeat {
		errs = append(errs, fmt.Errorf("repeat %d is not between 1 and %d", r.Repeat, MaxRepeat))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, v := range r.Enum {
		if slices.Contains(r.Enum[:i], v) {
			errs = append(errs, fmt.Errorf("enum has %q twice", v))
		} else if fault := c.judge(v); fault != OK {
			errs = append(errs, fmt.Errorf("enum: %q breaks another rule of the parameter", v))
		}
	}
	return c, errors.Join(errs...)
}

func (c *compiled) compileRange() error {
	if len(c.Range) != 2 {
		return errors.New("range needs a lowest and a highest value")
	}
	if !c.isInt && !c.isNumber {
		return errors.New("range needs type integer or number")
	}
	low, high := c.Range[0], c.Range[1]
	c.hasLow, c.hasHigh = low != Unbounded, high != Unbounded
	ok := [2]bool{true, true}
	if c.isInt {
		if c.hasLow {
			c.lowInt, ok[0] = ParseInteger(low)
		}
		if c.hasHigh {
			c.high, ok[1] = ParseInteger(high)
		}
	} else {
		if c.hasLow {
			c.low, ok[0] = ParseNumber(low)
		}
		if c.hasHigh {
			c.highNum, ok[1] = ParseNumber(high)
		}
	}
	switch {
	case !ok[0] || !ok[1]:
		return fmt.Errorf("range %q %q: not of type %s", low, high, c.Type)
	case c.hasLow && c.hasHigh && (c.lowInt > c.high || c.low > c.highNum):
		return fmt.Errorf("range %s %s is empty", low, high)
	case !c.hasLow && !c.hasHigh:
		return errors.New("range * * is none")
	}
	return nil
}

// Pattern compiles an expression that the whole of a text has to match, whether
// it says so or not: a forgotten anchor lets everything around a match pass.
func Pattern(expression string) (*regexp.Regexp, error) {
	if len(expression) > maxPattern {
		return nil, fmt.Errorf("longer than %d bytes", maxPattern)
	}
	if _, err := regexp.Compile(expression); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + expression + `)\z`)
}

// judge checks one value.
func (c *compiled) judge(v string) Fault {
	switch {
	case c.isInt:
		n, ok := ParseInteger(v)
		if !ok {
			return WrongType
		}
		if c.hasLow && n < c.lowInt || c.hasHigh && n > c.high {
			return OutOfRange
		}
	case c.isNumber:
		n, ok := ParseNumber(v)
		if !ok {
			return WrongType
		}
		if c.hasLow && n < c.low || c.hasHigh && n > c.highNum {
			return OutOfRange
		}
	case c.format != nil && !c.format(v):
		return WrongType
	}
	if c.MinLength > 0 || c.maxLength >= 0 {
		if n := length(v); n < c.MinLength || c.maxLength >= 0 && n > c.maxLength {
			return WrongLength
		}
	}
	if len(c.Enum) > 0 && !slices.Contains(c.Enum, v) {
		return NotListed
	}
	if c.pattern != nil && !c.pattern.MatchString(v) {
		return NoMatch
	}
	return OK
}
