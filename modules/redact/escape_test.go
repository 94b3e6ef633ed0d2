package redact

import (
	"bytes"
	"testing"
)

// decodeEscapes decodes text that comes in parts of n bytes.
func decodeEscapes(t testing.TB, text string, n int) string {
	t.Helper()
	var out bytes.Buffer
	d := escapeDecoder{w: &out}
	for rest := []byte(text); len(rest) > 0; {
		part := rest[:min(n, len(rest))]
		if wrote, err := d.Write(part); wrote != len(part) || err != nil {
			t.Fatal(wrote, err)
		}
		rest = rest[len(part):]
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEscapeSequencesAreTakenOffInAnyParts(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                      "plain",
		`\u0034\x31\u00e9`:           "41é",
		`a\"b\\c\/d\ne`:              `a"b\c/d e`,
		`\\u0034`:                    `\u0034`,
		`\u00g4\xg`:                  "u00g4xg",
		`\u0000\ud83d`:               " \ufffd",
		"a\\\nb":                     "ab",
		`end\`:                       `end\`,
		`end\u00`:                    `end\u00`,
		`\u003` + `\u0034` + `\x3-4`: "u003" + "4" + "x3-4",
	} {
		for n := 1; n <= len(text); n++ {
			if got := decodeEscapes(t, text, n); got != want {
				t.Errorf("%q in parts of %d is %q, want %q", text, n, got, want)
			}
		}
	}
}

func FuzzEscapeDecoder(f *testing.F) {
	f.Add(`{"a":"\u0034111"}`, 3)
	f.Add(`\\\u00`, 1)
	f.Add("%5Cu0034\\x3", 2)
	f.Fuzz(func(t *testing.T, text string, n int) {
		if n < 1 {
			return
		}
		whole := decodeEscapes(t, text, len(text)+1)
		if parts := decodeEscapes(t, text, n); parts != whole || len(whole) > len(text) {
			t.Errorf("%q, in parts of %d %q", whole, n, parts)
		}
	})
}
