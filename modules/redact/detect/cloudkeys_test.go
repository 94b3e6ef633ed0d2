package detect

import (
	"slices"
	"strings"
	"testing"
)

// sample makes a credential that a mark describes.
func sample(m mark) string {
	alphabet := m.body.String()
	body := make([]byte, m.min)
	for i := range body {
		body[i] = alphabet[(i*7+3)%len(alphabet)]
	}
	return m.prefix + string(body)
}

func TestEveryMarkIsFound(t *testing.T) {
	s := all(t)
	for _, m := range marks {
		key := sample(m)
		for _, text := range []string{key, "key: " + key + "\n", `"` + key + `"`, "a=1&k=" + key + "&b=2", "%3D" + key} {
			if got := found(s, text); !slices.Equal(got, []string{"cloud_keys:" + key}) {
				t.Errorf("%s: in %q found %q", m.issuer, text, got)
			}
		}
		if got := found(s, key[:len(key)-1]); m.check == nil && got != nil {
			t.Errorf("%s: one character short, still found %q", m.issuer, got)
		}
		if m.max > 0 {
			tooLong := key + strings.Repeat(key[len(key)-1:], m.max-m.min+1)
			if got := found(s, tooLong); got != nil {
				t.Errorf("%s: one character too long, still found %q", m.issuer, got)
			}
		}
		if got := found(s, key+"_"); m.max > 0 && got != nil {
			t.Errorf("%s: in front of a word's character, still found %q", m.issuer, got)
		}
		if m.word {
			if got := found(s, "x"+key); got != nil {
				t.Errorf("%s: inside a word, still found %q", m.issuer, got)
			}
		}
	}
}

// Otherwise a cut could decide which of two marks is seen first.
func TestNoMarkLiesInsideAnother(t *testing.T) {
	for _, a := range marks {
		for _, b := range marks {
			i := strings.LastIndex(a.prefix, b.prefix)
			if i > 0 && !(b.word && word[a.prefix[i-1]]) {
				t.Errorf("%q contains %q", a.prefix, b.prefix)
			}
		}
	}
}

func TestIssuersAreSortedAndNamedOnce(t *testing.T) {
	names := Issuers()
	if !slices.IsSorted(names) || len(names) < 40 || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%q", names)
	}
}

func TestCloudKeys(t *testing.T) {
	one := func(s string) []string { return []string{"cloud_keys:" + s} }
	secret := "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	ownKey := "sp_k7f3a_" + strings.Repeat("0a", 16) + "_0123abc"
	azure := "abc8Q~" + strings.Repeat("aB3_", 8)
	runFindTests(t, []findTest{
		{"AWS key id", "AKIAIOSFODNN7EXAMPLE", one("AKIAIOSFODNN7EXAMPLE")},
		{"AWS secret in a credentials file", "aws_secret_access_key = " + secret + "\n", one(secret)},
		{"AWS secret in the environment", `export AWS_SECRET_ACCESS_KEY="` + secret + `"`, one(secret)},
		{"AWS secret in JSON", `"SecretAccessKey": "` + secret + `"`, one(secret)},
		{"AWS secret without its name is none", secret, nil},
		{"AWS secret of another length is none", "aws_secret_access_key=" + secret + "x", nil},
		{"Azure client secret", "secret=" + azure + ";", one(azure)},
		{"Azure client secret that is too long is none", azure + "abc", nil},
		{"GitHub, longer than today", githubPT + strings.Repeat("a", 300), one(githubPT + strings.Repeat("a", 300))},
		{"Slack webhook", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
			one("hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX")},
		{"OpenAI", "sk-proj-abcdefghijklmnopqrst", one("sk-proj-abcdefghijklmnopqrst")},
		{"our own API key", "X-Api-Key: " + ownKey + "\r\n", one(ownKey)},
		{"our own API key with a longer checksum is none", ownKey + "0", nil},
		{"a name that begins like our own API key is none", "sp_get_customer_orders_by_region_and_date_range_v2", nil},
		{"behind other escape sequences", `\x3d` + ownKey + ` \u003d` + ownKey, []string{"cloud_keys:" + ownKey, "cloud_keys:" + ownKey}},
		{"a slug that begins with sk- is none", "/sk-learn-how-to-write-a-very-long-title-of-a-page", nil},
		{"Stripe's public key is none", "pk_live_abcdefghijklmnop", nil},
	})
}
