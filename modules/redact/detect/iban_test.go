package detect

import (
	"slices"
	"strings"
	"testing"
)

const goodIBAN = "DE89370400440532013000"

func TestIBAN(t *testing.T) {
	one := func(s string) []string { return []string{"iban:" + s} }
	tests := []findTest{
		{"in groups", "IBAN: DE89 3704 0044 0532 0130 00, thanks", one("DE89 3704 0044 0532 0130 00")},
		{"in groups with hyphens", "DE89-3704-0044-0532-0130-00", one("DE89-3704-0044-0532-0130-00")},
		{"with a group that is whole at the end", "NO93 8601 1117 947 and BE68 5390 0754 7034.", []string{"iban:NO93 8601 1117 947", "iban:BE68 5390 0754 7034"}},
		{"in quotes", `"` + goodIBAN + `"`, one(goodIBAN)},
		{"behind an escape sequence", `\n` + goodIBAN, one(goodIBAN)},
		{"in front of a full stop", goodIBAN + ".", one(goodIBAN)},
		{"two side by side", goodIBAN + "," + goodIBAN, []string{"iban:" + goodIBAN, "iban:" + goodIBAN}},

		{"wrong check digits", "DE88370400440532013000", nil},
		{"a digit changed", "DE89370400440532013001", nil},
		{"a digit too short", "DE8937040044053201300", nil},
		{"a digit too long", goodIBAN + "0", nil},
		{"a country without account numbers", "US89370400440532013000", nil},
		{"another country's length", "FR89370400440532013000", nil},
		{"inside a word", "X" + goodIBAN, nil},
		{"in front of a word", goodIBAN + "_x", nil},
		{"separators that differ", "DE89 3704-0044 0532 0130 00", nil},
		{"a separator left out", "DE89 37040044 0532 0130 00", nil},
		{"a separator too late", "DE893704 0044 0532 0130 00", nil},
		{"two separators", "DE89  3704 0044 0532 0130 00", nil},
		{"small letters", strings.ToLower(goodIBAN), nil},
		{"no check digits", "DEAD370400440532013000", nil},
		{"cut off", "DE89 3704 0044 0532 01", nil},
	}
	// Examples of the registry and of banks.
	for _, number := range []string{
		"AT611904300234573201", "BE68539007547034", "BR1800360305000010009795493C1", "CH9300762011623852957", "DK5000400440116243",
		"ES9121000418450200051332", "FI2112345600000785", "FR1420041010050500013M02606", "GB82WEST12345698765432", "IT60X0542811101000000123456",
		"KW81CBKU0000000000001234560101", "LC55HEMM000100010012001200023015", "MT84MALT011000012345MTLCAST001S", "NL91ABNA0417164300",
		"NO9386011117947", "PL61109010140000071219812874", "SA0380000000608010167519", "SE4550000000058398257466",
	} {
		tests = append(tests, findTest{"the example " + number, "to " + number + " now", one(number)})
	}
	runFindTests(t, tests)
}

func TestEveryCountrysLengthIsKnown(t *testing.T) {
	countries := 0
	for entry := range strings.FieldsSeq(ibanLengths) {
		countries++
		body := entry[:2] + "00" + strings.Repeat("1", int(ibans[entry[0]-'A'][entry[1]-'A'])-4)
		valid := func(check int) string {
			return body[:2] + string(rune('0'+check/10)) + string(rune('0'+check%10)) + body[4:]
		}
		rest := 0
		for _, c := range []byte(body[4:] + body[:4]) {
			rest = mod97(rest, c)
		}
		number := valid(98 - rest)
		for text, want := range map[string]bool{number: true, number + "1": false, number[:len(number)-1]: false, valid((98 - rest + 1) % 97): false} {
			if got := found(all(t), text); (len(got) > 0 && slices.Contains(got, "iban:"+text)) != want {
				t.Errorf("%s: found %q", text, got)
			}
		}
	}
	if countries < 85 {
		t.Errorf("%d countries", countries)
	}
}

// FuzzIBAN compares the detector with the standard in other words.
func FuzzIBAN(f *testing.F) {
	for _, seed := range []string{goodIBAN, "GB82 WEST 1234 5698 7654 32", "NO9386011117947", "LC55HEMM000100010012001200023015", "DE89-3704"} {
		f.Add(seed)
	}
	s, err := Compile(IBAN)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, find := range found(s, text) {
			number := strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimPrefix(find, "iban:"))
			rest := 0
			for _, c := range number[4:] + number[:4] {
				for _, d := range []byte(numeral(c)) {
					rest = (rest*10 + int(d-'0')) % 97
				}
			}
			if rest != 1 || !strings.Contains(ibanLengths, number[:2]+twoDigits(len(number))) {
				t.Errorf("found %q in %q", find, text)
			}
		}
		// A number alone is found.
		if s.foundWhole(goodIBAN+"\n"+text) != goodIBAN {
			t.Errorf("%q hides what is in front", text)
		}
	})
}

func (s *Set) foundWhole(text string) string {
	m, _ := s.Next([]byte(text), 0)
	return text[m.Start:m.End]
}

// numeral is what a character stands for in the check.
func numeral(c rune) string {
	if c >= 'A' {
		return twoDigits(int(c-'A') + 10)
	}
	return string(c)
}

func twoDigits(n int) string { return string([]byte{'0' + byte(n/10), '0' + byte(n%10)}) }
