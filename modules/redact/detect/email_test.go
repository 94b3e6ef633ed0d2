package detect

import (
	"strings"
	"testing"
)

func TestEmail(t *testing.T) {
	one := func(s string) []string { return []string{"email:" + s} }
	runFindTests(t, []findTest{
		{"plain", "alice@example.com", one("alice@example.com")},
		{"in a sentence", "write to alice@example.com.", one("alice@example.com")},
		{"in angle brackets", "Alice <alice@example.com>,", one("alice@example.com")},
		{"in quotes", "'alice@example.com'", one("alice@example.com")},
		{"with a tag and dots", "a.b+c@mail.example.co.uk", one("a.b+c@mail.example.co.uk")},
		{"with an apostrophe", "o'brien@example.ie", one("o'brien@example.ie")},
		{"in a query", "?email=alice@example.com&x=1", one("alice@example.com")},
		{"shortest", "a@b.co", one("a@b.co")},
		{"two side by side", "a@b.co,c@d.io", []string{"email:a@b.co", "email:c@d.io"}},
		{"beyond ASCII", "jörg@müller.de", one("jörg@müller.de")},
		{"internationalised top level", "user@пример.рф", one("user@пример.рф")},
		{"internationalised top level in ASCII", "user@example.xn--p1ai", one("user@example.xn--p1ai")},
		{"in front of text in another script", "a@example.com，谢谢", one("a@example.com")},
		{"in front of a hyphen", "a@example.com-", one("a@example.com")},
		{"a local part that is too long is found in its last characters",
			strings.Repeat("x", 100) + "@example.com", one(strings.Repeat("x", 64) + "@example.com")},
		{"a local part that is too long begins with a whole character",
			strings.Repeat("é", 40) + "x@example.com", one(strings.Repeat("é", 31) + "x@example.com")},
		{"a domain that is too long ends with a whole character",
			"a@b." + strings.Repeat("é", 130), one("a@b." + strings.Repeat("é", 125))},

		{"a top level of one letter", "alice@example.c", nil},
		{"a top level with a digit", "alice@example.co2", nil},
		{"no domain", "alice@", nil},
		{"no local part", " @example.com", nil},
		{"one label", "alice@localhost", nil},
		{"a version", "react@18.2.0", nil},
		{"an image for high resolutions", "icon@2x.png", nil},
		{"an empty label", "alice@.com", nil},
		{"a mention", "thanks @alice and @bob", nil},
	})
}
