package param

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNumber is how long a number may be.
const maxNumber = 64

// The types of parameters.
const (
	String   = "string"
	Integer  = "integer"
	Number   = "number"
	Boolean  = "boolean"
	UUID     = "uuid"
	Date     = "date"
	DateTime = "date-time"
	IPv4     = "ipv4"
	IPv6     = "ipv6"
)

// Types are the types a parameter can have.
var Types = []string{String, Integer, Number, Boolean, UUID, Date, DateTime, IPv4, IPv6}

// formats are the types that are a form of text.
var formats = map[string]func(string) bool{
	Boolean:  func(s string) bool { return s == "true" || s == "false" },
	UUID:     isUUID,
	Date:     isDate,
	DateTime: isDateTime,
	IPv4:     func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() },
	IPv6:     func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" },
}

// Format returns the check of a form of text, nil for one that is not known.
func Format(name string) func(string) bool { return formats[name] }

// ParseInteger reads a whole number of 64 bits in its one form: no plus, no
// leading zero, no negative zero, no exponent.
func ParseInteger(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 19 || !allDigits(digits) || digits[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// ParseNumber reads a finite number as JSON writes it (RFC 8259 section 6).
func ParseNumber(s string) (float64, bool) {
	if len(s) > maxNumber || !isNumber(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	mantissa, exponent, hasExponent := s, "", false
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		mantissa, exponent, hasExponent = s[:e], s[e+1:], true
	}
	whole, fraction, hasFraction := strings.Cut(mantissa, ".")
	if !allDigits(whole) || len(whole) > 1 && whole[0] == '0' || hasFraction && !allDigits(fraction) {
		return false
	}
	if hasExponent && exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	return !hasExponent || len(exponent) <= 4 && allDigits(exponent)
}

// allDigits reports whether s is one or more decimal digits.
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isUUID takes any version and variant (RFC 9562): which ones a service makes is
// for a pattern.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
				return false
			}
		}
	}
	return true
}

// fits reports whether s has digits where layout has a 0 and layout's bytes
// elsewhere.
func fits(s, layout string) bool {
	if len(s) != len(layout) {
		return false
	}
	for i := range len(s) {
		if layout[i] == '0' && (s[i] < '0' || s[i] > '9') || layout[i] != '0' && s[i] != layout[i] {
			return false
		}
	}
	return true
}

func two(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

// isDate takes a full-date of RFC 3339 that is in the calendar.
func isDate(s string) bool {
	if !fits(s, "0000-00-00") {
		return false
	}
	year, month, day := two(s)*100+two(s[2:]), two(s[5:]), two(s[8:])
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	last := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		last = 29
	}
	return day <= last
}

// isDateTime takes a date-time of RFC 3339 with an offset, but no leap second,
// which most parsers refuse.
func isDateTime(s string) bool {
	if len(s) < len("2006-01-02T15:04:05Z") || !isDate(s[:10]) || s[10]|0x20 != 't' || !fits(s[11:19], "00:00:00") ||
		two(s[11:]) > 23 || two(s[14:]) > 59 || two(s[17:]) > 59 {
		return false
	}
	rest := s[19:]
	if rest[0] == '.' {
		digits := 1
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 1 || digits > 10 {
			return false
		}
		rest = rest[digits:]
	}
	if rest == "Z" || rest == "z" {
		return true
	}
	return (fits(rest, "+00:00") || fits(rest, "-00:00")) && two(rest[1:]) <= 23 && two(rest[4:]) <= 59
}

// length is in characters.
func length(s string) int { return utf8.RuneCountInString(s) }
