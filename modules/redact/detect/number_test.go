package detect

import (
	"encoding/json"
	"math/big"
	"regexp"
	"testing"
)

func TestNumber(t *testing.T) {
	s := all(t)
	for _, test := range []struct {
		name, literal, want string
	}{
		{"an integer", "4111111111111111", visa},
		{"a negative integer", "-4111111111111111", visa},
		{"with a fraction of zeros", "4111111111111111.00", visa},
		{"in scientific notation", "4.111111111111111E15", visa},
		{"with a small mantissa", "0.04111111111111111e17", visa},
		{"with a large mantissa", "41111111111111110000e-4", visa},
		{"with zeros that the exponent makes", "37828224631000.5e1", "378282246310005"},
		{"nineteen digits", "6205500000000000004", "6205500000000000004"},
		{"ending in zeros", "3566002020360505", "3566002020360505"},
		{"a check digit of zero", "35301113333e5", "3530111333300000"},
		{"not whole", "4111111111111111.5", ""},
		{"too long", "41111111111111111111", ""},
		{"too short", "41111111111", ""},
		{"a wrong check digit", "4111111111111112", ""},
		{"an enormous exponent", "4111111111111111e999999999999999999999", ""},
		{"zero", "0.000000000000000", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := s.Number([]byte(test.literal)); got != test.want || ok != (test.want != "") {
				t.Errorf("%s: %q, want %q", test.literal, got, test.want)
			}
		})
	}
	if _, ok := (&Set{}).Number([]byte(visa)); ok {
		t.Error("a set without card found one")
	}
}

var shortExponent = regexp.MustCompile(`^[^eE]{1,60}([eE][+-]?[0-9]{1,3})?$`)

// The digits have to be those that arithmetic gives.
func FuzzNumber(f *testing.F) {
	for _, literal := range []string{"4111111111111111", "4.111111111111111E15", "-0.0e-0", "10e1", "123000e-3", "0.00120e5", "1e18", "12.5"} {
		f.Add(literal)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		if !json.Valid([]byte(literal)) || !shortExponent.MatchString(literal) || (literal[0] != '-' && !digit[literal[0]]) {
			return
		}
		got, ok := integer([]byte(literal))
		want, valid := new(big.Rat).SetString(literal)
		if !valid {
			return
		}
		digits := want.Abs(want).Num().String()
		fits := want.IsInt() && digits != "0" && len(digits) <= maxCard
		if ok != fits || ok && string(got) != digits {
			t.Errorf("%s: %s %v, want %s %v", literal, got, ok, digits, fits)
		}
	})
}
