package scrub

import (
	"fmt"
	"strings"
	"testing"
)

func TestPathsAreReadStrictly(t *testing.T) {
	for path, want := range map[string]string{
		"$.customer.ssn": "", "$.a[*].b": "", "$.a[0]": "", "$..b": "", "$[*].a": "", "$.a..b[3][*]": "", "$.api-key_2": "", "$.größe": "",
		"":                                    "begins with $",
		"customer.ssn":                        "begins with $",
		"$":                                   "no step is the name",
		"$[0]":                                "no step is the name",
		"$.":                                  "a name has",
		"$..":                                 "a name has",
		"$.a.":                                "a name has",
		"$...a":                               "a name has",
		"$.*":                                 "a name has",
		"$..[0]":                              "a name has",
		"$.a b":                               "begins with a dot",
		"$a":                                  "begins with a dot",
		"$.a['b']":                            "brackets hold",
		"$.a[]":                               "brackets hold",
		"$.a[-1]":                             "brackets hold",
		"$.a[01]":                             "brackets hold",
		"$.a[+1]":                             "brackets hold",
		"$.a[1:2]":                            "brackets hold",
		"$.a[1,2]":                            "brackets hold",
		"$.a[?(@.b)]":                         "brackets hold",
		"$.a[1000001]":                        "brackets hold",
		"$.a[0":                               "brackets hold",
		"$.a]":                                "begins with a dot",
		"$.\xff":                              "a name has",
		"$.__":                                "a name has",
		"$.a@":                                "begins with a dot",
		"$" + strings.Repeat(".a", 33):        "more than 32 steps",
		"$." + strings.Repeat("a", maxName+1): "a name has",
		"$.a" + strings.Repeat("[*]", maxSteps-1): "",
	} {
		_, err := parsePath(path)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}

func TestPathsThatSelectOnePlaceContradict(t *testing.T) {
	keys := func(names ...string) Rule { return Rule{Action: Drop, Keys: names} }
	path := func(paths ...string) Rule { return Rule{Action: Mask, Paths: paths} }
	for _, test := range []struct {
		rules []Rule
		want  string
	}{
		{[]Rule{keys("ssn"), path("$.a.ssn")}, "mask path $.a.ssn contradicts drop keys ssn"},
		{[]Rule{path("$..ssn"), keys("S-S-N")}, "drop keys S-S-N contradicts mask path $..ssn"},
		{[]Rule{path("$.a.b", "$..b")}, "mask path $..b contradicts mask path $.a.b"},
		{[]Rule{path("$.a[*]"), path("$.a[0]")}, "mask path $.a[0] contradicts mask path $.a[*]"},
		{[]Rule{path("$.apiKey", "$.api_key")}, "mask path $.api_key contradicts mask path $.apiKey"},
		{[]Rule{path("$.a", "$.a")}, "mask path $.a is written twice"},
		{[]Rule{path("$..a..c"), path("$..b..c")}, "contradicts"},
		{[]Rule{keys("a"), path("$.a[0]", "$.a.b", "$.b", "$.b.b", "$.c[*]", "$.d[0]", "$.d[1]")}, ""},
	} {
		_, err := Compile(test.rules)
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.rules, err, test.want)
		}
		var checker Checker
		var checked []string
		for _, r := range test.rules {
			if err := checker.Check(r); err != nil {
				checked = append(checked, err.Error())
			}
		}
		if fmt.Sprint(len(checked) > 0) != fmt.Sprint(test.want != "") || len(checked) > 1 {
			t.Errorf("%v: checked one by one: %q", test.rules, checked)
		}
	}
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("$..a%d..b%d", i, i))
	}
	if _, err := Compile([]Rule{path(many...)}); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("paths that multiply: %v", err)
	}
}

func TestHash(t *testing.T) {
	p := compile(t,
		Rule{Action: Hash, Keys: []string{"ssn"}, Key: testKey},
		Rule{Action: Hash, Paths: []string{"$.ids[*]"}, Key: []byte("another key of this test")},
		Rule{Action: Hash, Detectors: []string{"card"}, Key: testKey})
	token := tokenOf("123-45-6789")
	runBodyTests(t, p, JSON, []bodyTest{
		{"a string", `{"ssn":"123-45-6789"}`, `{"ssn":"` + token + `"}`},
		{"the same value, written in another way", `{"ssn":"\u0031\u00323-45-6789"}`, `{"ssn":"` + token + `"}`},
		{"a number, and a string of the same digits", `[{"ssn": 12 },{"ssn":"12"}]`, `[{"ssn": "` + tokenOf("12") + `" },{"ssn":"` + tokenOf("12") + `"}]`},
		{"literals", `{"ssn":true,"ssn":null,"ssn":false}`, `{"ssn":"` + tokenOf("true") + `","ssn":"` + tokenOf("null") + `","ssn":"` + tokenOf("false") + `"}`},
		{"what has members", `{"ssn":{"a":"123-45-6789"},"ssn":["x"]}`, `{"ssn":null,"ssn":null}`},
		{"a card number in groups and without", `["4111 1111 1111 1111 x","` + visa + `",` + visa + `]`,
			`["` + tokenOf(visa) + ` x","` + tokenOf(visa) + `","` + tokenOf(visa) + `"]`},
		{"nothing", `{"ssn":""}`, `{"ssn":"` + tokenOf("") + `"}`},
	})
	if out, _ := redact(p, JSON, `{"ids":["123-45-6789"]}`); strings.Contains(out, token) || len(out) != len(`{"ids":["`+token+`"]}`) {
		t.Errorf("another key: %s", out)
	}
	if _, err := Compile([]Rule{{Action: Hash, Keys: []string{"a"}, Key: []byte("short")}}); err == nil || !strings.Contains(err.Error(), "16 bytes") {
		t.Errorf("a short key: %v", err)
	}
}

// In text, where places cannot be told apart, the last name of a path is masked.
func TestPathsInText(t *testing.T) {
	p := compile(t, Rule{Action: Hash, Paths: []string{"$.a.ssn", "$.ids[*]"}, Key: testKey})
	runBodyTests(t, p, Text, []bodyTest{
		{"a call around it", `f({"a":{"ssn":"1"},"ids":[1,2],"b":1})`, `f({"a":{"ssn":"********"},"ids":null,"b":1})`},
		{"escaped", `"{\"s\u0073n\":\"1\",\"a\":2}"`, `"{\"s\u0073n\":\"********\",\"a\":2}"`},
	})
	if _, err := redact(p, JSON, `f(1)`); err != ErrSyntax {
		t.Errorf("JSON that is none: %v", err)
	}
}

// FuzzPath: what is read as a path is one that a policy can be made of, and that
// selects what the steps say.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"$.a.b", "$.a[*].b", "$.a[0]", "$..b", "$.a['b']", "$..a..b[1][*]", "$[0].a", "$.é"} {
		f.Add(path, `{"a":[{"b":1},2],"b":{"a":{"b":3}}}`)
	}
	f.Fuzz(func(t *testing.T, path, body string) {
		if _, err := parsePath(path); err != nil {
			return
		}
		p, err := Compile([]Rule{{Action: Drop, Paths: []string{path}}, {Action: Mask, Detectors: []string{"card"}}})
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		checkBody(t, p, body, func(int) int { return 5 })
	})
}
