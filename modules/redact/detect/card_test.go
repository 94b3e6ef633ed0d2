package detect

import (
	"fmt"
	"testing"
)

func TestCard(t *testing.T) {
	one := func(s string) []string { return []string{"card:" + s} }
	runFindTests(t, []findTest{
		{"Visa", visa, one(visa)},
		{"Visa in four groups", "4111 1111 1111 1111", one("4111 1111 1111 1111")},
		{"hyphens", "4111-1111-1111-1111", one("4111-1111-1111-1111")},
		{"American Express in its groups", "3782 822463 10005", one("3782 822463 10005")},
		{"Diners in its groups", "3056-930902-5904", one("3056-930902-5904")},
		{"Mastercard of the 2 series", "2223003122003222", one("2223003122003222")},
		{"UnionPay with nineteen digits", "6205500000000000004", one("6205500000000000004")},
		{"UnionPay, nineteen digits in two groups", "620550 0000000000004", one("620550 0000000000004")},
		{"UnionPay, nineteen digits in five groups", "6205 5000 0000 0000 004", one("6205 5000 0000 0000 004")},
		{"Discover", "6011111111111117", one("6011111111111117")},
		{"JCB", "3530111333300000", one("3530111333300000")},
		{"Maestro", "6759649826438453", one("6759649826438453")},
		{"between words", "no. 4111111111111111, thanks", one(visa)},
		{"at the end of a sentence", "It is 4111111111111111.", one(visa)},
		{"as a whole number with a fraction of zeros", "4111111111111111.0,x", one(visa)},
		{"behind another number", "3 4111111111111111 12", one(visa)},
		{"groups behind another number", "12 4111 1111 1111 1111", one("4111 1111 1111 1111")},
		{"groups in front of a date and a code", "4111 1111 1111 1111 1225 123", one("4111 1111 1111 1111")},
		{"two in a row", visa + " 5555555555554444", []string{"card:" + visa, "card:5555555555554444"}},
		{"Maestro with twelve digits", "676770000005", one("676770000005")},
		{"behind a hyphen that is no UUID's", "order-676770000005", one("676770000005")},
		{"two that overlap: the first", "4002 4242 4242 4242 0000 1111 1111", one("4002 4242 4242 4242")},
		{"behind an encoded space", "q=%204111111111111111", one(visa)},
		{"behind an escaped line feed", `card:\n4111111111111111`, one(visa)},

		{"a wrong check digit is none", "4111111111111112", nil},
		{"an unknown issuer is none", "9111111111111111", nil},
		{"a length the issuer does not use is none", "411111111111116", nil},
		{"thirteen digits are none", "4222222222222", nil},
		{"part of a longer number is none", "14111111111111111", nil},
		{"part of a number too long for any card is none", "4111111111111111" + "11111111111111111111", nil},
		{"part of a word is none", "a4111111111111111", nil},
		{"in front of a letter is none", "4111111111111111a", nil},
		{"a decimal fraction is none", "0.4111111111111111", nil},
		{"the whole part of a decimal number is none", "4111111111111111.25", nil},
		{"mixed separators are none", "4111-1111 1111-1111", nil},
		{"other groups are none", "41 11 11 11 11 11 11 11", nil},
		{"two separators are none", "4111  1111  1111  1111", nil},
		{"the last group of a UUID is none", "0e0e0e0e-1111-4111-8111-676770000005", nil},
		{"a time in milliseconds is none", "1700000000000", nil},
		{"dates are none", "2024-01-02 2024-01-03 2024-01-04", nil},
	})
}

func TestEveryTestNumberOfThePaymentServicesIsFound(t *testing.T) {
	s := all(t)
	for _, number := range []string{
		"4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222", "5200828282828210",
		"5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424",
		"6011981111111113", "3056930009020004", "36227206271667", "6555900000604105", "3566002020360505",
		"6200000000000005", "6200000000000047", "6205500000000000004", "4012888888881881", "4009348888881881",
		"4500600000000061", "4217651111111119", "38520000023237", "30569309025904", "3530111333300000",
		"6304000000000000", "2720990000000007", "2221000000000009", "378734493671000", "6799990100000000019",
	} {
		if got := found(s, "card "+number+" ok"); len(got) != 1 || got[0] != "card:"+number {
			t.Errorf("in %s found %q", number, got)
		}
	}
}

// Identifiers in order are where a plain Luhn check goes wrong every tenth time.
func TestIdentifiersAndTimesAreNoCards(t *testing.T) {
	s := all(t)
	for i := range 20_000 {
		for _, id := range []int64{
			1_700_000_000_000 + int64(i)*977,                // milliseconds
			1_700_000_000_000_000 + int64(i)*977_003,        // microseconds
			1_700_000_000_000_000_000 + int64(i)*9_770_003,  // nanoseconds
			1_541_815_603_606_036_480 + int64(i)*41_943_041, // Snowflake
		} {
			if got := found(s, fmt.Sprint(id)); got != nil {
				t.Fatalf("%d taken for %q", id, got)
			}
		}
	}
}
