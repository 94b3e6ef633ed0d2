package scrub

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unsafe"
)

// bodies is what cuts and fuzzing begin with.
var bodies = []string{
	`{"id":1,"password":"x","card":"` + visa + `","nested":[{"secret":{"a":[1,2]},"pin":"1234"},{"iban":"DE89370400440532013000"}],"note":null}`,
	`{"mail":"` + email + `","text":"\u0061lice\u0040example.com \ud83d\ude00 ` + visa + `","n":4.111111111111111E15,"t":"` + jwt + `"}`,
	`[ {"a":1 , "password" : [ ] , "b":2 } , ` + visa + ` , "4111 1111 1111 1111" , true , false , null , -0.5e-7 ]`,
	"{\"secret\":1}\n{\"a\":\"" + email + "\"}\n\x1e[]\n12\n\"x\"",
	`{"p\u0061ssword":"\"","api\u005fkey":"` + strings.Repeat(`\n`, 50) + `","iban":"\u00e9\ud83d\ude00\"\\abc\u12"}`,
	"\ufeff)]}',\n{\"pin\":[1],\"\":{},\"" + email + "\":\"\"}",
	`{"a":"` + strings.Repeat("x", 3000) + " " + visa + strings.Repeat("é", 3000) + `"}`,
	`{"a":"` + jwt + strings.Repeat("A", 9000) + `\u0041\u0041.` + strings.Repeat("B", 5000) + ` ",` + strings.Repeat(" ", 500) + `"secret":1}`,
	`{"a":"aws_secret_access_key = wJalrXUtnFEMI\/K7MDENG\/bPxRfiCYEXAMPLEKEY"}`,
	`4111 1111 1111 1111 {"password":`, `{"a":tru`, `{"a":"\ud83d`, `{"a":1,,}`, `{"iban":"\`, "\x00{}", `[1`, `{"password":[{]}`, "A\x00",
	`{"a":"word` + visa + `\n","iban":"éééééééééé","b":"word` + visa + `"}`,
	`f({"password":"hun\"ter2","pin":{"a":["]",'}']},"note" : 12, 'secret':'x'}) "{\"pin\":\"1\\\"2\",\"pin\":{\"a\":\"}\"}}" "pin"  :  tr`,
	`{"secret":{"a":[NaN,"]}"]},"pin":NaN,"iban" "x","password":[1,NaN],"b":"` + email + `"}`,
	`{"":"""":"0000000000000000000000000000000000" "0":0.000000000000000000,"0":"0000000000000000000000000"}`,
	`{[0],"pin":"00000000000000000000000000000000000000000000000000000000000000000000"}`,
	`"x" 1` + "\n" + `{"a":1}   "a" true   null "000000000000000000000000000000000000000000000000" [] [[],{}]`,
}

var eventBodies = []string{
	"event: x\r\nid: " + email + "\r\ndata: {\"secret\":1,\r\ndata: \"a\":\"" + visa + "\"}\r\n: later\r\n\r\n",
	"data: [DONE]\n\ndata:" + visa + "\n\n\ndata: {\"pin\":1}\r\rdata\n\n",
}

func TestCutsDoNotChangeWhatComesOut(t *testing.T) {
	check := func(p *Policy, kind Kind, body string) {
		want, counts, failed := redactParts(p, kind, []byte(body), func(rest int) int { return rest })
		compare := func(how string, cut func(rest int) int) {
			t.Helper()
			got, n, err := redactParts(p, kind, []byte(body), cut)
			if !sameError(err, failed) || err == nil && (got != want || fmt.Sprint(n) != fmt.Sprint(counts)) {
				t.Fatalf("%s, kind %d, %.100q:\n got %q (%v)\nwant %q (%v)", how, kind, body, got, err, want, failed)
			}
		}
		for at := 1; at < len(body); at += 1 + len(body)/500 {
			first := true
			compare(fmt.Sprintf("cut at %d", at), func(rest int) int {
				if first {
					first = false
					return at
				}
				return rest
			})
		}
		step := 1 + len(body)/2000
		for size := step; size < 10*step; size += step {
			compare(fmt.Sprintf("in parts of %d", size), func(int) int { return size })
		}
	}
	for _, body := range bodies {
		for _, kind := range []Kind{JSON, Text, Sniff} {
			check(everything(t), kind, body)
		}
	}
	for _, body := range pathBodies {
		for _, kind := range []Kind{JSON, Text, Sniff} {
			check(pathOracle(t), kind, body)
		}
	}
	check(pathOracle(t), Events, pathEvents)
	for _, body := range eventBodies {
		check(everything(t), Events, body)
	}
}

// tree is JSON with its members in order, duplicates too.
type member struct {
	name  string
	value any
}
type object []member

func parse(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := object{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := parse(dec)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name.(string), value})
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		a := []any{}
		for dec.More() {
			value, err := parse(dec)
			if err != nil {
				return nil, err
			}
			a = append(a, value)
		}
		_, err := dec.Token()
		return a, err
	}
	return token, nil
}

func parseText(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return parse(dec)
}

// redactTree does to a tree what a policy of drop, mask and replace by name and
// mask by detector does to its text.
func redactTree(p *Policy, v any, at ...any) any {
	switch v := v.(type) {
	case object:
		o := object{}
		for _, m := range v {
			name, _ := redactTree(p, m.name).(string)
			if value, kept := redactChild(p, m.value, append(at[:len(at):len(at)], m.name)); kept {
				o = append(o, member{name, value})
			}
		}
		return o
	case []any:
		a := []any{}
		for i, e := range v {
			if value, kept := redactChild(p, e, append(at[:len(at):len(at)], i)); kept {
				a = append(a, value)
			}
		}
		return a
	case string:
		return redactString(p, v)
	case json.Number:
		if digits, ok := p.set.Number([]byte(v)); ok {
			if p.effects[p.detectors["card"]].action == Hash {
				return tokenOf(digits)
			}
			return json.Number(maskedNumber([]byte(digits), p.effects[p.detectors["card"]].keep))
		}
	}
	return v
}

// redactChild does it to a member or element, at the end of the names and indices
// that lead there.
func redactChild(p *Policy, v any, at []any) (value any, kept bool) {
	sel := -1
	if name, ok := at[len(at)-1].(string); ok {
		sel, _ = p.selectorOf([]byte(name))
	}
	for i := 0; sel < 0 && p.paths != nil && i < len(p.paths.rules); i++ {
		if leads(p.paths.rules[i], at) {
			sel = p.paths.sels[i]
		}
	}
	if sel < 0 {
		return redactTree(p, v, at...), true
	}
	switch e := &p.effects[sel]; e.action {
	case Drop:
		return nil, false
	case Replace:
		var text any
		_ = json.Unmarshal(e.quoted, &text)
		return text, true
	case Hash:
		switch v.(type) {
		case object, []any:
			return nil, true
		case nil:
			return tokenOf("null"), true
		}
		return tokenOf(fmt.Sprint(v)), true
	default:
		return maskTree(v, e.keep), true
	}
}

// leads reports whether the steps lead exactly to where the names and indices do.
func leads(steps []step, at []any) bool {
	if len(steps) == 0 || len(at) == 0 {
		return len(steps) == len(at)
	}
	s := steps[0]
	name, isName := at[0].(string)
	folded, _ := fold(nil, []byte(name))
	switch s.kind {
	case stepName:
		return isName && string(folded) == s.name && leads(steps[1:], at[1:])
	case stepDeep:
		return isName && string(folded) == s.name && leads(steps[1:], at[1:]) || leads(steps, at[1:])
	case stepIndex:
		return !isName && at[0].(int) == s.index && leads(steps[1:], at[1:])
	}
	return !isName && leads(steps[1:], at[1:])
}

var testKey = []byte("a key of this test, not a secret")

func tokenOf(value string) string {
	mac := hmac.New(sha256.New, testKey)
	_, _ = io.WriteString(mac, value)
	return hex.EncodeToString(mac.Sum(nil))[:32]
}

func maskTree(v any, keep int) any {
	switch v := v.(type) {
	case string:
		return "********" + string(lastOf([]byte(v), keep))
	case json.Number:
		return json.Number(maskedNumber([]byte(v), keep))
	}
	return nil
}

func redactString(p *Policy, v string) string {
	out := ""
	for from := 0; ; {
		m, ok := p.set.Next([]byte(v), from)
		if !ok {
			return out + v[from:]
		}
		e := p.effects[p.detectors[m.Detector]]
		if e.action == Hash {
			found := v[m.Start:m.End]
			if m.Detector == "card" || m.Detector == "iban" {
				found = strings.NewReplacer(" ", "", "-", "").Replace(found)
			}
			out += v[from:m.Start] + tokenOf(found)
			from = m.End
			continue
		}
		out += v[from:m.Start] + string(e.plain) + string(lastOf([]byte(v[m.Start:m.End]), e.keep))
		from = m.End
	}
}

// checkBody holds what has to be true of every body.
func checkBody(t *testing.T, p *Policy, body string, cut func(rest int) int) {
	got, _, err := redactParts(p, JSON, []byte(body), cut)
	whole, _, wholeErr := redactParts(p, JSON, []byte(body), func(rest int) int { return rest })
	if !sameError(err, wholeErr) || err == nil && got != whole {
		t.Fatalf("cut up: %q (%v), whole: %q (%v)", got, err, whole, wholeErr)
	}
	if !json.Valid([]byte(body)) {
		return
	}
	if err != nil {
		if err == ErrSyntax {
			t.Fatalf("valid JSON was refused: %q", body)
		}
		return // a limit
	}
	if !json.Valid([]byte(got)) {
		t.Fatalf("no longer valid JSON: %q became %q", body, got)
	}
	before, err := parseText(body)
	if err != nil {
		return // deeper than encoding/json goes
	}
	after, err := parseText(got)
	if err != nil {
		t.Fatal(err)
	}
	want := redactTree(p, before)
	if !equal(after, want) {
		t.Fatalf("%q became %q:\n got %#v\nwant %#v", body, got, after, want)
	}
	if equal(want, before) && got != body {
		t.Fatalf("nothing was to be redacted, but %q became %q", body, got)
	}
}

// sameError: of two things that cannot be inspected, a cut may show either first.
func sameError(a, b error) bool {
	return a == b || a != nil && b != nil && (a == ErrEncoding || b == ErrEncoding)
}

func equal(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// oracle is a policy whose effect on a tree is easily told.
func oracle(t testing.TB) *Policy {
	return compile(t,
		Rule{Action: Drop, Keys: []string{"password", "secret"}},
		Rule{Action: Mask, Keys: []string{"pin"}},
		Rule{Action: Mask, Keys: []string{"iban"}, KeepLast: 4},
		Rule{Action: Replace, Keys: []string{"note"}, Text: "<gone>"},
		Rule{Action: Mask, Detectors: []string{"card"}, KeepLast: 4},
		Rule{Action: Mask, Detectors: []string{"jwt", "email"}, KeepLast: 2},
		Rule{Action: Replace, Detectors: []string{"cloud_keys"}, Text: `"x"`},
	)
}

// pathOracle has the selectors that oracle has not, and those where they meet.
func pathOracle(t testing.TB) *Policy {
	return compile(t,
		Rule{Action: Drop, Keys: []string{"secret"}},
		Rule{Action: Hash, Keys: []string{"pin"}, Key: testKey},
		Rule{Action: Hash, Paths: []string{"$.a.iban", "$..card", "$.ids[*]", "$.b[2].x"}, Key: testKey},
		Rule{Action: Drop, Paths: []string{"$.list[0]", "$.list[2]", "$.rows[*].gone", "$..deep..gone", "$[0].first"}},
		Rule{Action: Drop, Paths: []string{"$.a.dropped", "$.none[*]"}},
		Rule{Action: Mask, Paths: []string{"$.matrix[1][*]", "$.a.b.c"}, KeepLast: 2},
		Rule{Action: Replace, Paths: []string{"$.nested.password", "$.list[3].note"}, Text: "<gone>"},
		Rule{Action: Hash, Detectors: []string{"card", "jwt", "private_key", "iban"}, Key: testKey},
		Rule{Action: Mask, Detectors: []string{"email", "cloud_keys"}, KeepLast: 2},
	)
}

// pathBodies are for pathOracle.
var pathBodies = []string{
	`{"a":{"iban":"x","b":{"c":"12345"},"dropped":{"a":[1]},"IBAN":1.50,"i\u0062an":true,"iban":null},"iban":"kept","card":[1,{"card":2}]}`,
	`{"list":[ {"x":1} , 2 , [3] , {"note":"n","card":"é\n\ud83d\ude00"} , 5 ] ,"list":[1],"list":[],"none":[1 , 2,[{}]],"none":[]}`,
	`{"list":[1,2,3]}{"list":[{"list":[1,2,3]},2,{"a":[]},4]} [{"first":1,"second":2},{"first":3}]`,
	`{"rows":[{"gone":1},{"gone":1,"b":2},{"a":{"gone":1}},[{"gone":1}]],"deep":{"x":[{"gone":{},"y":{"deep":1,"gone":2}}],"gone":3},"gone":4}`,
	`{"matrix":[[1,2],["abcdef",{"a":1},12345,null],[3]],"ids":[1,"1",true,null,[1],{"a":2}],"b":[{"x":1},{"x":2},{"x":3,"y":1},{"x":4}]}`,
	`{"nested":{"password":[1,2],"x":{"password":1}},"secret":1,"pin":{"a":1},"a":{"secret":1,"pin":-0.5e-7}}`,
	`{"t":"` + jwt + ` 4111 1111-1111 4111 1111 1111 1111 ` + visa + ` DE89 3704 0044 0532 0130 00 DE89370400440532013000","n":` + visa + `}`,
	`{"t":"-----BEGIN PRIVATE KEY-----\nMIIB\u002b\/==\n-----END PRIVATE KEY-----\n` + strings.Repeat("x", 5000) + `","iban":1}`,
	`{"a":{"iban":"` + strings.Repeat("x", 40_000) + `\u0041"},"t":"` + jwt + strings.Repeat("A", 40_000) + `"}`,
	`{"ids":[` + strings.Repeat(" ", 300) + `1` + strings.Repeat(" ", 300) + `,` + strings.Repeat(" ", 300) + `2]}`,
	`{"ids":[1,]}`, `{"ids":[`, `{"a":{"iban":"x`, `{"list":[NaN,{"card":1}]}`, `{"list":[1 2]}`, `{"card" 1}`, `f({"card":{"x":1},'iban':2,"c":"x\"y"})`,
}

var pathEvents = "data: {\"card\":\"x\ndata: \"}\n\ndata: {\"list\":[1,\ndata: 2,3],\"card\":\"y\"}\n\ndata: {\"ids\":[1\n\ndata: {\"a\":[1]}\n\n"

func TestBodiesAgainstTheOracle(t *testing.T) {
	for policy, bodies := range map[*Policy][]string{oracle(t): bodies, pathOracle(t): append(pathBodies, bodies...)} {
		for _, body := range bodies {
			for _, size := range []int{1 + len(body)/2000, 7, 1 << 20} {
				checkBody(t, policy, body, func(int) int { return size })
			}
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body), []byte{1, 5, 40})
	}
	for _, body := range pathBodies {
		f.Add([]byte(body), []byte{2, 3, 60})
	}
	policies := []*Policy{oracle(f), pathOracle(f)}
	f.Fuzz(func(t *testing.T, body, cuts []byte) {
		for _, p := range policies {
			i := 0
			checkBody(t, p, string(body), func(int) int {
				if len(cuts) == 0 {
					return 1
				}
				i++
				return int(cuts[i%len(cuts)]) + 1
			})
		}
	})
}

// FuzzMembers puts fuzzed names and values into valid JSON, where a value that a
// rule names has to be gone.
func FuzzMembers(f *testing.F) {
	f.Add("password", "hunter2hunter2", "text", uint8(0))
	f.Add("Pass-Word", "\"\\\n\u2028", "é", uint8(3))
	f.Fuzz(func(t *testing.T, name, value, other string, shape uint8) {
		p := oracle(t)
		quoted, _ := json.Marshal(map[string]any{"a": other, name: value, "z": []any{map[string]any{name: value}}})
		body := string(quoted)
		if shape&1 != 0 {
			body = strings.ReplaceAll(body, ",", " ,\n\t")
		}
		if shape&2 != 0 {
			var b bytes.Buffer
			_ = json.Indent(&b, quoted, "", "  ")
			body = b.String()
		}
		checkBody(t, p, body, func(int) int { return int(shape) + 1 })
	})
}

// FuzzKinds looks for a difference that cuts make in all other kinds, and for
// panics.
func FuzzKinds(f *testing.F) {
	for _, body := range append(append(bodies, eventBodies...), append(pathBodies, pathEvents)...) {
		f.Add([]byte(body), uint8(2), uint8(3))
	}
	policies := []*Policy{everything(f), pathOracle(f)}
	f.Fuzz(func(t *testing.T, body []byte, kind, size uint8) {
		p := policies[kind/4%2]
		k := Kind(kind % 4)
		want, _, failed := redactParts(p, k, body, func(rest int) int { return rest })
		got, _, err := redactParts(p, k, body, func(int) int { return int(size) + 1 })
		if !sameError(err, failed) || err == nil && got != want {
			t.Fatalf("kind %d: %q (%v), whole: %q (%v)", k, got, err, want, failed)
		}
	})
}

func TestAStreamStaysSmall(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	var out bytes.Buffer
	for name, body := range map[string]string{
		"a long string":             `{"a":"` + long + `"}`,
		"with escape sequences":     `{"a":"` + strings.Repeat(`\u0041`, 50_000) + `"}`,
		"a long masked string":      `{"iban":"` + strings.Repeat(`\u0041`, 50_000) + `"}`,
		"a long token":              `{"a":"` + jwt + long + `"}`,
		"white space":               "[" + strings.Repeat(" ", 300_000) + "]",
		"many members":              "[" + strings.Repeat(`{"secret":1,"a":"`+email+`"},`, 10_000) + "1]",
		"a string without an end":   `["` + long,
		"undecided beginnings":      `["` + strings.Repeat("-eyJhbGci", 30_000) + `"]`,
		"what looks like addresses": `["` + strings.Repeat("a.b@", 50_000) + `"]`,
		"a long hashed value":       `{"a":{"iban":"` + strings.Repeat(`\u0041`, 50_000) + `"}}`,
		"a long private key":        `{"x":"-----BEGIN PRIVATE KEY-----` + long + `"}`,
		"a long list":               `{"ids":[` + strings.Repeat(`"x",`, 100_000) + `1]}`,
	} {
		p := everything(t)
		if strings.Contains(body, "{\"") {
			p = pathOracle(t)
		}
		s := p.NewStream(&out, JSON)
		for rest := body; rest != ""; {
			n := min(len(rest), 32<<10)
			if _, err := s.Write([]byte(rest[:n])); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			rest = rest[n:]
			if size := cap(s.held) + cap(s.out) + cap(s.dec) + cap(s.tail) + int(unsafe.Sizeof(place{})); size > 46<<10 {
				t.Errorf("%s: a stream of %d bytes", name, size)
				break
			}
		}
		s.Release()
	}
}
