package jwt

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// What the cache counts must be what it takes, or the bound on it is none: claims
// of 3 kB may take 150 kB.
func TestSizesAreNotTooSmall(t *testing.T) {
	repeat := func(element string, n int) string {
		return `"list":[` + strings.Repeat(element+",", n-1) + element + `]`
	}
	members := func(n int, value string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"member%d":%s`, i, value)
		}
		return b.String()[1:]
	}
	v := testVerifier(t)
	for name, more := range map[string]string{
		"a usual token":              benchClaims()[1 : len(benchClaims())-1],
		"nothing more":               "",
		"one long string":            `"x":"` + strings.Repeat("x", 2000) + `"`,
		"strings with escapes":       repeat(`"\n\n\n\n\n"`, 200),
		"arrays without elements":    repeat("[]", 500),
		"arrays with one element":    repeat("[0]", 500),
		"objects without members":    repeat("{}", 500),
		"objects with one member":    repeat(`{"":0}`, 300),
		"objects in objects":         `"x":` + strings.Repeat(`{"":`, 30) + "0" + strings.Repeat("}", 30),
		"nine members":               members(9, "1"),
		"fifteen members":            members(15, `"x"`),
		"thirty members":             members(30, `"x"`),
		"a hundred members":          members(100, "null"),
		"an object of many members":  `"x":{` + members(120, "1") + "}",
		"an object of nine members":  `"x":{` + members(9, "1") + "}",
		"many roles":                 `"realm_access":{"roles":["` + strings.Repeat(`r","`, 300) + `x"]}`,
		"many scopes":                `"scope":"` + strings.Repeat(`r `, 500) + `"`,
		"booleans":                   repeat("true", 300),
		"numbers":                    repeat("12", 300),
		"objects with eight members": repeat("{"+members(8, "0")+"}", 10),
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.TrimSuffix(claims(""), "}")
			if more != "" && !strings.Contains(more, `"iss"`) {
				text += "," + more
			} else if more != "" {
				text = "{" + more
			}
			token := signed(text + "}")
			i := v.issuers[testIssuer]
			const n = 300
			entries := make([]*entry, n)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			counted := 0
			for k := range entries {
				p, err := parse(token)
				if err != nil {
					t.Fatal(err)
				}
				list, size, err := p.claims()
				if err != nil {
					t.Fatal(err)
				}
				e, err := i.accept(list, testNow)
				if err != nil {
					t.Fatal(err)
				}
				e.token, e.size = strings.Clone(token), size
				counted += e.whole()
				entries[k] = e
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			taken := int(after.HeapAlloc) - int(before.HeapAlloc)
			t.Logf("%d bytes a token: counted %d, taken %d", len(token), counted/n, taken/n)
			if counted < taken*97/100 {
				t.Errorf("counted %d, taken %d", counted/n, taken/n)
			}
			if counted > 3*taken {
				t.Errorf("counted %d for %d", counted/n, taken/n)
			}
			runtime.KeepAlive(entries)
		})
	}
}
