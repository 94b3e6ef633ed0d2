package redact

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestPairsAreDroppedFromQueries(t *testing.T) {
	for _, test := range []struct{ name, raw, want string }{
		{"in the middle", "a=%41&token=x&b=2+3", "a=%41&b=2+3"},
		{"at the beginning", "token=x&a=1", "a=1"},
		{"at the end", "a=1&token=x", "a=1"},
		{"alone", "token=x", ""},
		{"all of several", "token=x&token=y", ""},
		{"every time", "token=1&b&token=2&b&token", "b&b"},
		{"without a value", "a&token&b", "a&b"},
		{"encoded", "a=1&%74oken=x", "a=1"},
		{"in capitals", "TOKEN=x&a", "a"},
		{"with separators", "to_ken=x&+token=y&a", "a"},
		{"with an encoded space", "%20token=x&a", "a"},
		{"as an array", "token[]=x&token[a][b]=y&token%5B0%5D=z&a[token]=1", "a[token]=1"},
		{"with a bracket that nothing closes", "token[=x&a", "a"},
		{"with a bracket in front", "[token=x&a", "a"},
		{"between semicolons", "a;token=x;b=1", "a;b=1"},
		{"empty pairs stay", "&&token=x&&a&", "&&&a&"},
		{"another name", "tokens=1&xtoken=2&atoken", "tokens=1&xtoken=2&atoken"},
		{"a value", "a=token&b=%26token", "a=token&b=%26token"},
		{"nothing", "", ""},
	} {
		if got := dropPairs(test.raw, []string{"token"}, func(int) {}); got != test.want {
			t.Errorf("%s: %q became %q, want %q", test.name, test.raw, got, test.want)
		}
	}
}

// FuzzDropPairs: what is left are the pairs of other names, to the byte and in
// their order, and Go's reader finds none of the others.
func FuzzDropPairs(f *testing.F) {
	for _, raw := range []string{"a=1&token=x&b=2", "token", "&;&token=;a", "%74oken=1&TOKEN[a]=2", "a=%&token%5b=%zz", "to%5Fken=1"} {
		f.Add(raw)
	}
	names := []string{"token", "code"}
	f.Fuzz(func(t *testing.T, raw string) {
		counted := 0
		got := dropPairs(raw, names, func(int) { counted++ })
		split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '&' || r == ';' })
		}
		var want []string
		for _, pair := range split(raw) {
			if dropped(pair, names) < 0 {
				want = append(want, pair)
			}
		}
		if !slices.Equal(split(got), want) || counted == 0 && got != raw {
			t.Errorf("%q became %q", raw, got)
		}
		for _, part := range strings.Split(got, ";") {
			values, _ := url.ParseQuery(part)
			for name := range values {
				if name == "token" || name == "code" || strings.HasPrefix(name, "token[") {
					t.Errorf("%q became %q, which has %q", raw, got, name)
				}
			}
		}
	})
}

// FuzzFormDecoder: in parts it is as in one, and what Go can decode is the same.
func FuzzFormDecoder(f *testing.F) {
	f.Add("4111+1111%201111%2", uint8(1))
	f.Add("%25%34%%zz+", uint8(2))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		decode := func(size int) string {
			var out bytes.Buffer
			d := formDecoder{w: &out}
			for rest := text; rest != ""; {
				n := min(len(rest), size)
				if _, err := d.Write([]byte(rest[:n])); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := d.end(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		whole := decode(len(text) + 1)
		if parts := decode(int(size) + 1); parts != whole {
			t.Errorf("%q: %q, in parts %q", text, whole, parts)
		}
		if want, err := url.QueryUnescape(text); err == nil && want != whole {
			t.Errorf("%q: %q, want %q", text, whole, want)
		}
	})
}
