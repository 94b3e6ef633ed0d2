package redact

import (
	"net/http"
	"strings"
	"testing"
)

const testStamp = "-r0123abcd"

// Tags of hostile requests: what reaches the backend is well formed, came from
// the request, and had the stamp.
func FuzzOwnTags(f *testing.F) {
	for _, s := range []string{`"a-r0123abcd"`, `W/"a-r0123abcd" , "b"`, `*`, `"`, `""`, `"-r0123abcd"`, `x, "a-r0123abcd", y`, `W/`, `,,`, `"a","b-r0123abcd"c`} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, field string, foreign bool) {
		for _, tag := range ownTags([]string{field}, testStamp, foreign) {
			if foreign && (tag == "*" || strings.Contains(field, tag)) {
				continue
			}
			if got, n := entityTag(tag); n != len(tag) || got != tag {
				t.Errorf("%q gave %q, which is no entity tag", field, tag)
			}
			if !strings.Contains(field, tag[:len(tag)-1]+testStamp+`"`) {
				t.Errorf("%q gave %q, which it does not have with the stamp", field, tag)
			}
		}
	})
}

func TestOwnTags(t *testing.T) {
	for _, test := range []struct{ name, field, own, foreign string }{
		{"one", `"a-r0123abcd"`, `"a"`, `"a"`},
		{"a weak one", `W/"a-r0123abcd"`, `W/"a"`, `W/"a"`},
		{"commas inside", `"a,b-r0123abcd","c"`, `"a,b"`, `"a,b"|"c"`},
		{"without spaces", `"a-r0123abcd","b-r0123abcd"`, `"a"|"b"`, `"a"|"b"`},
		{"the empty tag", `"-r0123abcd"`, `""`, `""`},
		{"the stamp in the middle", `"a-r0123abcdx"`, ``, `"a-r0123abcdx"`},
		{"garbage beside", `x, "a-r0123abcd", y`, `"a"`, `"a"`},
		{"an end missing", `"a-r0123abcd`, ``, ``},
		{"any", `*`, ``, `*`},
		{"nothing", ``, ``, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			for foreign, want := range map[bool]string{false: test.own, true: test.foreign} {
				if got := strings.Join(ownTags([]string{test.field}, testStamp, foreign), "|"); got != want {
					t.Errorf("foreign %v: %s, want %s", foreign, got, want)
				}
			}
		})
	}
}

func TestStampTag(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []string
		want string
	}{
		{"strong", []string{`"a"`}, `"a-r0123abcd"`},
		{"weak", []string{`W/"a"`}, `W/"a-r0123abcd"`},
		{"empty", []string{`""`}, `"-r0123abcd"`},
		{"without quotes", []string{`a`}, ``},
		{"with more behind it", []string{`"a"b`}, ``},
		{"two", []string{`"a"`, `"b"`}, ``},
		{"none", nil, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			if test.in != nil {
				h["Etag"] = test.in
			}
			stampTag(h, testStamp)
			if got := strings.Join(h["Etag"], "|"); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestUpgrades(t *testing.T) {
	for _, test := range []struct {
		name, method string
		upgrade      []string
		want         bool
	}{
		{"none", "GET", nil, false},
		{"WebSocket", "GET", []string{"websocket"}, true},
		{"WebSocket in capitals", "GET", []string{"WebSocket"}, true},
		{"WebSocket behind h2c", "GET", []string{"h2c, websocket"}, true},
		{"in a second field", "GET", []string{"h2c", "websocket"}, true},
		{"h2c", "GET", []string{"h2c"}, false},
		{"an extended CONNECT", "CONNECT", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := upgrades(&http.Request{Method: test.method, Header: http.Header{"Upgrade": test.upgrade}}); got != test.want {
				t.Error(got)
			}
		})
	}
}
