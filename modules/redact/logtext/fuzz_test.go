package logtext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// FuzzEntry: whatever the entry, nothing panics, valid JSON stays valid JSON
// with the same members, no detector finds anything in it, and what is masked
// once is masked for good.
func FuzzEntry(f *testing.F) {
	c := newCleaner(f, Config{Detectors: []string{"email"}})
	for _, seed := range []string{
		accessEntry,
		`{"token":{"a":[1,true,null,"x",{"b":-1.5e+3}],"c":{}},"d":[]}`,
		`{"msg":"\u0034\"\\\/\b\f\n\r\t token=\"a\\\"b\" https://u:p@h/?x=%2541 Bearer a"}`,
		"2026\tINFO\tx\t{\"Cookie\": [\"a\"], \"pin\": 1}\nstack\n",
		`<6>{"a":{"b":"4111111111111111"},"4111111111111111":4111111111111111}`,
		`{"a":tru}`, `{"a":01}`, `{"a":1e}`, `{"a" 1}`, `[1,]`, `{"a":"\x"}`, `{"a":"` + "\x01" + `"}`, `"token":["S`, `{"a":"\ud83d\ude00token=a"}`,
		"map[token:[a]] {Password:x} -----BEGIN PRIVATE KEY-----\n", `{"x":"\\\\\\u0022token\\\\\\u0022:1"}`, `%25%33%44token%3D`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		out := []byte(clean(t, c, string(entry)))
		if bytes.Count(out, []byte("\n")) > bytes.Count(entry, []byte("\n")) {
			t.Errorf("%q has more lines than %q", out, entry)
		}
		if !json.Valid(entry) {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q becomes %q, which is not JSON", entry, out)
		}
		before, after := shape(t, entry), shape(t, out)
		if !slices.EqualFunc(before, after, sameToken) {
			t.Fatalf("%q becomes %q, which is built differently", entry, out)
		}
		for _, token := range after {
			if s, ok := token.(string); ok {
				if m, ok := c.detectors.Next([]byte(s), 0); ok {
					t.Errorf("%q becomes %q, in which there is still %q", entry, out, s[m.Start:m.End])
				}
			}
		}
		again := []byte(clean(t, c, string(out)))
		if !bytes.Equal(again, out) {
			t.Errorf("%q becomes %q and then %q", entry, out, again)
		}
	})
}

// shape returns the tokens of a JSON text.
func shape(t *testing.T, b []byte) (tokens []json.Token) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF {
			return tokens
		}
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		tokens = append(tokens, token)
	}
}

// sameToken reports whether a token was kept, or may have become one with a
// mask in it: a string or a number, never a bracket, a boolean or a null.
func sameToken(before, after json.Token) bool {
	if before == after {
		return true
	}
	s, ok := after.(string)
	if !ok || !strings.Contains(s, mask) {
		// An entry's string in which a number of JSON was masked.
		return ok && strings.Contains(s, "0")
	}
	switch before.(type) {
	case string, json.Number:
		return true
	}
	return false
}

const canary = "C4n4ry"

// carriers put a canary where it has to be masked, whatever stands around.
var carriers = []func(secret string) string{
	func(s string) string { return "?token=" + s + "&a=1" },
	func(s string) string { return "&Access_Token=" + s },
	func(s string) string { return "#id_token=" + s + "&x" },
	func(s string) string { return ";sig=" + s + ";x=1" },
	func(s string) string { return "?user[password]=" + s },
	func(s string) string { return "?a[]=1&secret[]=" + s },
	func(s string) string { return " https://user:" + s + "@host/x " },
	func(s string) string { return ` {"client_secret":"` + s + `","a":1}` },
	func(s string) string { return ` "api-key": ["` + s + `","b"]` },
	func(s string) string { return " Authorization: Basic " + s + "\r\nHost: x" },
	func(s string) string { return " map[Cookie:[a=" + s + "] Host:[x]]" },
	func(s string) string { return " Bearer " + s + " " },
	func(s string) string { return " password=\"a b " + s + "\" x" },
	func(s string) string { return "?redirect=https%3A%2F%2Fa%2F%3Ftoken%3D" + s + "%26b%3D1" },
	func(s string) string { return " -----BEGIN PRIVATE KEY-----\n" + s + "\n-----END PRIVATE KEY-----" },
}

// disguises write a text in ways that mean the same to whoever reads it.
var disguises = []func(string) string{
	func(s string) string { return s },
	percent,
	func(s string) string { return percent(percent(s)) },
	func(s string) string { return percent(percent(percent(s))) },
	func(s string) string { return `{"a":` + quote(s) + `}` },
	func(s string) string { return quote(`{"a":` + quote(s) + `}`) },
	func(s string) string { return `{"a":"` + unicodeEscaped(s) + `"}` },
	func(s string) string { return `{"u":` + quote("https://h/?q="+percent(s)) + `}` },
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func unicodeEscaped(s string) string {
	var b strings.Builder
	for _, r := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

// FuzzCanary: a secret that is marked as one does not survive, whatever stands
// around it and however it is written.
func FuzzCanary(f *testing.F) {
	c := newCleaner(f, Config{})
	for carrier := range carriers {
		for disguise := range disguises {
			f.Add("/x?a=1&", "&b=2 c", uint8(carrier), uint8(disguise))
		}
	}
	f.Add(`{"password":"`, `"}`, uint8(0), uint8(0))
	f.Add(`//a:`, `@b`, uint8(0), uint8(0))
	f.Add(`token=REDACTED`, ``, uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, before, after string, carrier, disguise uint8) {
		if strings.Contains(before+after, canary) || !utf8.ValidString(before) || !utf8.ValidString(after) {
			return
		}
		secret := carriers[int(carrier)%len(carriers)](canary)
		secret = disguises[int(disguise)%len(disguises)](secret)
		text := before + secret + after
		for name, entry := range map[string]string{
			"message": `{"level":"info","msg":` + quote(text) + `,"a":"b"}` + "\n",
			"array":   `{"x":[` + unquotable(text) + `],"a":"b"}` + "\n",
			"console": "INFO\t" + text + "\t{\"a\": \"b\"}\n",
		} {
			out := clean(t, c, entry)
			if survives(out) {
				t.Errorf("%s: %s becomes\n%s", name, entry, out)
			}
		}
	})
}

// unquotable writes a text as a JSON string of which every character is escaped.
func unquotable(s string) string { return `"` + unicodeEscaped(s) + `"` }

// survives reports whether the canary can be read in an entry, in any of the
// ways in which the disguises write it.
func survives(entry string) bool {
	for range 6 {
		if strings.Contains(entry, canary) {
			return true
		}
		var b viewBuf
		v, _ := b.peel(view{text: []byte(entry)}, false)
		entry = string(v.text)
	}
	return strings.Contains(entry, canary)
}
