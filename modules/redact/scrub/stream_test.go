package scrub

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	visa  = "4111111111111111"
	email = "alice@example.com"
	jwt   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)

func compile(t testing.TB, rules ...Rule) *Policy {
	t.Helper()
	p, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everything is a policy with each action by name and by detector.
func everything(t testing.TB) *Policy {
	return compile(t,
		Rule{Action: Drop, Keys: []string{"password", "secret"}},
		Rule{Action: Mask, Keys: []string{"pin", "api_key"}},
		Rule{Action: Mask, Keys: []string{"iban"}, KeepLast: 4},
		Rule{Action: Replace, Keys: []string{"note"}, Text: `"gone" <é>`},
		Rule{Action: Mask, Detectors: []string{"card"}, KeepLast: 4},
		Rule{Action: Mask, Detectors: []string{"jwt"}},
		Rule{Action: Replace, Detectors: []string{"email", "cloud_keys"}, Text: `[a "secret"]`},
	)
}

// redactParts runs a body through a stream in parts.
func redactParts(p *Policy, kind Kind, body []byte, cut func(rest int) int) (string, []int, error) {
	var out bytes.Buffer
	s := p.NewStream(&out, kind)
	defer s.Release()
	for len(body) > 0 {
		n := min(max(cut(len(body)), 1), len(body))
		if _, err := s.Write(bytes.Clone(body[:n])); err != nil {
			return out.String(), slices.Clone(s.Counts()), err
		}
		body = body[n:]
	}
	err := s.Close()
	return out.String(), slices.Clone(s.Counts()), err
}

func redact(p *Policy, kind Kind, body string) (string, error) {
	out, _, err := redactParts(p, kind, []byte(body), func(rest int) int { return rest })
	return out, err
}

type bodyTest struct{ name, in, want string }

func runBodyTests(t *testing.T, p *Policy, kind Kind, tests []bodyTest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := redact(p, kind, test.in)
			if got != test.want || err != nil {
				t.Errorf("%s\n got %s (%v)\nwant %s", test.in, got, err, test.want)
			}
			step := 1 + len(test.in)/2000
			for size := step; size < 8*step; size += step {
				parts, _, err := redactParts(p, kind, []byte(test.in), func(int) int { return size })
				if parts != got || err != nil {
					t.Fatalf("in parts of %d\n got %s (%v)\nwant %s", size, parts, err, got)
				}
			}
		})
	}
}

func TestMembersByName(t *testing.T) {
	runBodyTests(t, everything(t), JSON, []bodyTest{
		{"a dropped member goes with its comma, first", `{"password":"x","a":1}`, `{"a":1}`},
		{"in the middle", `{"a":1,"password":"x","b":2}`, `{"a":1,"b":2}`},
		{"last", `{"a":1,"password":"x"}`, `{"a":1}`},
		{"alone", `{"password":"x"}`, `{}`},
		{"several at the beginning", `{"password":1,"secret":2,"a":3}`, `{"a":3}`},
		{"several at the end", `{"a":3,"password":1,"secret":2}`, `{"a":3}`},
		{"several apart", `{"secret":0,"a":3,"password":1,"b":4,"secret":2}`, `{"a":3,"b":4}`},
		{"all", `{"password":1,"secret":2}`, `{}`},
		{"with white space", "{ \"password\" : 1 ,\n \"a\" : 2 ,\n \"secret\" : 3\n}", "{  \n \"a\" : 2 \n}"},
		{"an object", `{"a":1,"secret":{"a":[1,{"b":"}"}]},"b":2}`, `{"a":1,"b":2}`},
		{"behind an object", `{"a":{"b":{}},"secret":1}`, `{"a":{"b":{}}}`},
		{"inside an object that follows a dropped member", `{"secret":1,"a":{"password":1,"b":2}}`, `{"a":{"b":2}}`},
		{"an object that is left empty", `{"a":{"password":1},"b":[{"secret":1},{"secret":2}]}`, `{"a":{},"b":[{},{}]}`},
		{"at any depth", `[[{"a":[{"b":{"password":"x","c":1}}]}]]`, `[[{"a":[{"b":{"c":1}}]}]]`},
		{"twice the same name", `{"password":1,"password":2,"a":3,"a":4}`, `{"a":3,"a":4}`},
		{"the name as a value stays", `{"a":"password","b":["secret"]}`, `{"a":"password","b":["secret"]}`},
		{"a longer name stays", `{"passwords":1,"xpassword":2}`, `{"passwords":1,"xpassword":2}`},
		{"a name is compared without case and separators",
			`{"PassWord":1,"pass_word":2,"pass-word":3,"Pass.Word":4,"_password_":5,"pass word":6,"a":7}`, `{"a":7}`},
		{"a name is compared decoded", `{"p\u0061ssword":1,"\u0070ass\u0077or\u0064":2,"pass\u005Fword":3,"a":4}`, `{"a":4}`},
		{"case makes no difference in any script", `{"ſecret":1,"\u212aey":2,"a":3}`, `{"\u212aey":2,"a":3}`},
		{"apiKey is api_key", `{"apiKey":"k","API-KEY":"k"}`, `{"apiKey":"********","API-KEY":"********"}`},

		{"a masked string does not show its length", `{"pin":"1","x":{"pin":""}}`, `{"pin":"********","x":{"pin":"********"}}`},
		{"a masked number stays one", `{"pin":1234}`, `{"pin":0}`},
		{"other masked values are null", `{"pin":true,"a":{"pin":null},"b":{"pin":[1,"2"]},"c":{"pin":{"pin":3}}}`,
			`{"pin":null,"a":{"pin":null},"b":{"pin":null},"c":{"pin":null}}`},
		{"the last characters are kept", `{"iban":"DE89370400440532013000"}`, `{"iban":"********3000"}`},
		{"characters are kept as they were written", `{"iban":"DE8937\u00e9\"\ud83d\ude00é"}`, `{"iban":"********\u00e9\"\ud83d\ude00é"}`},
		{"never more than half is kept", `{"iban":"1234567","x":{"iban":"12345678"}}`, `{"iban":"********","x":{"iban":"********5678"}}`},
		{"the last digits of a number are kept", `{"iban":1234567890}`, `{"iban":7890}`},
		{"but not its leading zeros", `{"iban":1234560012,"x":{"iban":1234560000}}`, `{"iban":12,"x":{"iban":0}}`},
		{"nor the digits of a fraction or a short number", `{"iban":1234567.5,"x":{"iban":1234567}}`, `{"iban":0,"x":{"iban":0}}`},

		{"a replacement is a string, escaped", `{"note":{"a":1},"x":{"note":5}}`,
			`{"note":"\"gone\" \u003cé\u003e","x":{"note":"\"gone\" \u003cé\u003e"}}`},
		{"what is in a masked value is not looked at", `{"note":"` + visa + `"}`, `{"note":"\"gone\" \u003cé\u003e"}`},

		{"several texts", "{\"secret\":1}\n{\"pin\":1}\n", "{}\n{\"pin\":0}\n"},
		{"texts without anything between them", `{"secret":1}[{"pin":1}]{}`, `{}[{"pin":0}]{}`},
		{"a sequence of RFC 7464", "\x1e{\"secret\":1}\n\x1e{\"a\":1}\n", "\x1e{}\n\x1e{\"a\":1}\n"},
		{"a byte order mark", "\ufeff{\"secret\":1}", "\ufeff{}"},
		{"a prefix against inclusion", ")]}',\n{\"secret\":1}", ")]}',\n{}"},
		{"text that ends early", `{"a":1,"secret":"x`, `{"a":1`},
		{"text that ends in a name inside a dropped value", `{"a":1,"secret":[{"` + visa, `{"a":1`},
		{"text that ends in a masked value", `{"pin":"12`, `{"pin":"********`},
		{"nothing", ``, ``},
		{"white space", " \n", " \n"},
	})
}

func TestDetectorsInJSON(t *testing.T) {
	runBodyTests(t, everything(t), JSON, []bodyTest{
		{"in a string", `{"a":"card ` + visa + `!"}`, `{"a":"card ********1111!"}`},
		{"in an array", `["` + visa + `","x"]`, `["********1111","x"]`},
		{"alone", `"` + visa + `"`, `"********1111"`},
		{"in a name", `{"` + email + `":1}`, `{"[a \"secret\"]":1}`},
		{"written with escape sequences", `["\u0034111 1111 1111 1111","a\u0040b.co","x\n` + visa + `\n"]`,
			`["********1111","[a \"secret\"]","x\n********1111\n"]`},
		{"beside escape sequences", `["\"\u00e9\ud83d\ude00 ` + email + `\\\u00e9"]`, `["\"\u00e9\ud83d\ude00 [a \"secret\"]\\\u00e9"]`},
		{"characters beside it count as decoded", `["\u0041` + visa + `","x\u0020` + visa + `"]`, `["\u0041` + visa + `","x\u0020********1111"]`},
		{"several in one string", `["` + email + ", " + visa + " " + jwt + `"]`, `["[a \"secret\"], ********1111 ********"]`},
		{"a very long one", `["` + jwt + strings.Repeat("A", 100_000) + `"]`, `["********"]`},
		{"a very long one with escape sequences", `["\n` + jwt + strings.Repeat(`\u0041`, 10_000) + ` x"]`, `["\n******** x"]`},
		{"a number", `{"a":` + visa + `,"b":-` + visa + `}`, `{"a":1111,"b":1111}`},
		{"a number in scientific notation", `[4.111111111111111E15 ]`, `[1111 ]`},
		{"a number alone", visa, `1111`},
		{"a number behind much white space", "[" + strings.Repeat(" ", 30_000) + visa + strings.Repeat(" ", 30_000) + "]",
			"[" + strings.Repeat(" ", 30_000) + "1111" + strings.Repeat(" ", 30_000) + "]"},
		{"a string is not searched across its quotes", `["4111 1111","1111 1111"]`, `["4111 1111","1111 1111"]`},
		{"in text that ends early", `{"a":"` + visa, `{"a":"********1111`},
		{"in a name that ends early", `{"b":1,"` + visa, `{"b":1,"********1111`},
		{"control characters in a string", "[\"a\n" + visa + "\tx\"]", "[\"a\n********1111\tx\"]"},
		{"sequences that JSON does not have", `["\x` + visa + `","\q","\u12"]`, `["\x` + visa + `","\q","\u12"]`},
	})
	kept := compile(t, Rule{Action: Mask, Detectors: []string{"jwt", "email"}, KeepLast: 32})
	runBodyTests(t, kept, JSON, []bodyTest{
		{"never more than half of a find is kept", `["eyJhbGciOiJub25lIn0.e30.","a@b.co"]`, `["********","********"]`},
		{"of an open one too", `["` + jwt + `"]`, `["********` + jwt[len(jwt)-32:] + `"]`},
	})
	replaced := compile(t, Rule{Action: Replace, Detectors: []string{"card"}, Text: "no card"})
	runBodyTests(t, replaced, JSON, []bodyTest{
		{"a replaced number stays a number", `{"a":` + visa + `}`, `{"a":0}`},
		{"in front of an escape sequence and behind a letter it is none", `["word` + visa + `\n"]`, `["word` + visa + `\n"]`},
		{"a replaced string stays one", `{"a":"` + visa + `"}`, `{"a":"no card"}`},
	})
}

func TestTextIsSearched(t *testing.T) {
	p := everything(t)
	tests := []bodyTest{
		{"detectors find in text", "Card: " + visa + "\nMail: " + email, "Card: ********1111\nMail: [a \"secret\"]"},
		{"escape sequences are text", `x\u0040y.de a\n` + visa, `x\u0040y.de a\n********1111`},
		{"a long match at the end", "token=" + jwt, "token=********"},
		{"quotes", `{'pan': '` + visa + `'}`, `{'pan': '********1111'}`},
		{"nothing", "", ""},
	}
	runBodyTests(t, p, Text, tests)
	runBodyTests(t, p, Sniff, tests)
	runBodyTests(t, p, Sniff, []bodyTest{
		{"what looks like JSON is read as JSON", ` {"secret":1,"a":"` + visa + `"}`, ` {"a":"********1111"}`},
		{"until it is none", `{"secret":1,"a":"` + visa + `"} and ` + visa, `{"a":"********1111"} and ********1111`},
		{"a number is text", visa, "********1111"},
		{"from its beginning", `[section]` + "\ncard=" + visa, `[section]` + "\ncard=********1111"},
		{"also inside what is left out", `{"pin":"1","secret":{x ` + email, `{"pin":"********"`},
		{"and inside that as far as it goes", `{"pin":"1","secret":{x [} "}" ]} , ` + email, `{"pin":"********"} , [a "secret"]`},
		{"a value that is none", `{"secret":NaN,"a":Infinity,"pin":-Infinity}`, `{********,"a":Infinity,"pin":********}`},
		{"a colon that is none", `{"pin" "1","a":2 3}`, `{"pin" "********","a":2 3}`},
	})
	loose := []bodyTest{
		{"a call around JSON", `f({"password":"hunter2","a":1});`, `f({"password":"********","a":1});`},
		{"JSON in another language's form", `x {'password': 'hun"ter2', 'a': None}`, `x {'password': '********', 'a': None}`},
		{"JSON inside a string", `x "{\"password\": \"hun\\\"ter2\",\"a\":1}"`, `x "{\"password\": \"********\",\"a\":1}"`},
		{"JSON inside a string inside a string", `x \\\"pin\\\":\\\"hunter2\\\",1`, `x \\\"pin\\\":\\\"********\\\",1`},
		{"objects and arrays", `x "secret":{"a":["]}","\"]"],"b":{}}, "a":1`, `x "secret":null, "a":1`},
		{"an object inside a string", `x \"secret\":{\"a\":\"}\\\"}\"}, y`, `x \"secret\":null, y`},
		{"other values up to a delimiter", "x \"pin\" : 12 34\n\"pin\":true,\"a\":1", "x \"pin\" : ********\n\"pin\":********,\"a\":1"},
		{"no value", `x "pin":, "pin":} "a":1`, `x "pin":, "pin":} "a":1`},
		{"a replacement", `x "note":"a","note":1,"note":[]`, `x "note":"\"gone\" \u003cé\u003e","note":"gone" <é>,"note":"\"gone\" \u003cé\u003e"`},
		{"names in any form", `x "Api-Key":"k" 'p\u0069n' : 'k' "ſecret":"k"`, `x "Api-Key":"********" 'p\u0069n' : '********' "ſecret":"********"`},
		{"a name without quotes is text", `password: hunter2, x password":"hunter2"`, `password: hunter2, x password":"hunter2"`},
		{"a string without an end", `x "pin":"1 ` + email, `x "pin":"********`},
		{"an object without an end", `x "pin":{"1 ` + email, `x "pin":null`},
		{"a value that does not come", `x "pin":  \`, `x "pin":  \`},
		{"detectors beside it", email + ` "pin":"` + email + `" ` + email, `[a "secret"] "pin":"********" [a "secret"]`},
	}
	runBodyTests(t, p, Text, loose)
	runBodyTests(t, p, Sniff, loose)
	detectors := compile(t, Rule{Action: Mask, Detectors: []string{"card", "email"}})
	runBodyTests(t, detectors, JSON, []bodyTest{
		{"invalid JSON is searched as text", `{"a":x ` + visa + `}`, `{"a":x ********}`},
		{"digits in groups are text", "4111 1111 1111 1111", "********"},
		{"also with hyphens", "4111-1111-1111-1111", "********"},
		{"also in an array", "[4111 1111 1111 1111]", "[********]"},
		{"also behind a value", `{"a":1} 4111 1111 1111 1111`, `{"a":1} ********`},
		{"numbers on lines are numbers", "4111\n1111\n" + visa + "\n", "4111\n1111\n0\n"},
		{"trailing bytes", `{"a":1}; ` + email, `{"a":1}; ********`},
		{"behind a word of JSON", "[true" + visa + "]", "[true********]"},
		{"words", "OK " + email, "OK ********"},
	})
}

func TestEventStreams(t *testing.T) {
	runBodyTests(t, everything(t), Events, []bodyTest{
		{"JSON in data", "event: x\ndata: {\"secret\":1,\"a\":\"" + visa + "\"}\n\n", "event: x\ndata: {\"a\":\"********1111\"}\n\n"},
		{"text in data", "data: mail " + email + "\n\ndata: [DONE]\n\n", "data: mail [a \"secret\"]\n\ndata: [DONE]\n\n"},
		{"without a space", "data:{\"secret\":1}\n\n", "data:{}\n\n"},
		{"JSON over several lines", "data: {\ndata:   \"secret\": 1,\ndata:   \"a\": 2\ndata: }\n\n", "data: {\ndata:   \ndata:   \"a\": 2\ndata: }\n\n"},
		{"carriage returns and line feeds", "data: {\"secret\":1}\r\nid: 1\r\n\r\ndata: x\r\n\r\n", "data: {}\r\nid: 1\r\n\r\ndata: x\r\n\r\n"},
		{"carriage returns", "data: {\"secret\":1}\r\rdata: {\"pin\":1}\r\r", "data: {}\r\rdata: {\"pin\":0}\r\r"},
		{"fields between lines of data", "data: {\"a\":1,\nid: 7\ndata: \"secret\":2}\n\n", "data: {\"a\":1}\nid: 7\n\n"},
		{"comments and ids are searched", ": " + email + "\nid: " + visa + "\n\n", ": [a \"secret\"]\nid: ********1111\n\n"},
		{"a byte order mark", "\ufeffdata: {\"secret\":1}\n\n", "\ufeffdata: {}\n\n"},
		{"empty data", "data:\n\ndata\n\n", "data:\n\ndata\n\n"},
		{"JSON that is none", "data: {\"a\":NaN,\"pin\":\"1\"}\n: {\"pin\":\"1\"}\n\n", "data: {\"a\":NaN,\"pin\":\"********\"}\n: {\"pin\":\"********\"}\n\n"},
		{"the end in the middle", "data: {\"a\":\"" + visa, "data: {\"a\":\"********1111"},
		{"the end in a field", "id: " + visa, "id: ********1111"},
	})
}

// An event has to be there when it is complete, and not with the next one.
func TestAnEventDoesNotWaitForTheNext(t *testing.T) {
	var out bytes.Buffer
	s := everything(t).NewStream(&out, Events)
	defer s.Release()
	for _, event := range []string{"data: hello alice@exam\n\n", "data: {\"a\":4111}\n\n", ": ping\n\n", "data: 4111 1111 \n\n"} {
		out.Reset()
		if _, err := s.Write([]byte(event)); err != nil || out.String() != event {
			t.Errorf("%q: out came %q, %v", event, out.String(), err)
		}
	}
}

// What is certain has to be there at once: a client of streamed JSON waits.
func TestWhatIsCertainIsNotHeld(t *testing.T) {
	var out bytes.Buffer
	s := everything(t).NewStream(&out, JSON)
	defer s.Release()
	for _, part := range []string{"{\"a\":[", "{\"x\":\"text. \"}", ",{\"y\":1}\n", "]", "}\n", "{}\n"} {
		out.Reset()
		if _, err := s.Write([]byte(part)); err != nil || out.String() != part {
			t.Errorf("%q: out came %q, %v", part, out.String(), err)
		}
	}
}

func TestWhatCannotBeInspected(t *testing.T) {
	p := everything(t)
	detectors := compile(t, Rule{Action: Mask, Detectors: []string{"card"}})
	keys := compile(t, Rule{Action: Drop, Keys: []string{"password"}})
	for _, test := range []struct {
		name   string
		policy *Policy
		kind   Kind
		in     string
		err    error
		out    string // what had come out before
	}{
		{"no JSON, if a rule names members", p, JSON, `{"a":1} oops {"password":1}`, ErrSyntax, `{"a":1} `},
		{"words where JSON is due", p, JSON, `OK`, ErrSyntax, ``},
		{"a name without quotes", p, JSON, `{password:"x"}`, ErrSyntax, `{`},
		{"single quotes", p, JSON, `{'password':'x'}`, ErrSyntax, `{`},
		{"a comma too many", p, JSON, `{"a":1,}`, ErrSyntax, `{"a":1`},
		{"a comma in front", p, JSON, `{,"password":1}`, ErrSyntax, `{`},
		{"a comma at the end of an array", p, JSON, `[1,]`, ErrSyntax, `[1,`},
		{"no colon", p, JSON, `{"a" 1}`, ErrSyntax, `{"a" `},
		{"a byte order mark later", p, JSON, "{}\ufeff{}", ErrSyntax, `{}`},
		{"a prefix against inclusion later", p, JSON, `{})]}'{}`, ErrSyntax, `{}`},
		{"a comma missing", p, JSON, `{"a":1 "password":2}`, ErrSyntax, `{"a":`},
		{"brackets that do not match", p, JSON, `{"a":["1"}`, ErrSyntax, `{"a":["1"`},
		{"an escape sequence in a name that JSON does not have", p, JSON, `{"\x70assword":1}`, ErrSyntax, `{`},
		{"half an escape sequence in a name", p, JSON, `{"\u70password":1}`, ErrSyntax, `{`},
		{"a comment", p, JSON, `{/*"*/"password":1}`, ErrSyntax, `{`},
		{"a value that is none", p, JSON, `{"a":NaN,"password":1}`, ErrSyntax, `{"a":`},
		{"a number that is none", p, JSON, `{"a":01}`, ErrSyntax, `{"a":`},
		{"inside what is left out", p, JSON, `{"password":{oops},"b":1}`, ErrSyntax, `{`},
		{"too deep", detectors, JSON, strings.Repeat("[", 513), ErrDepth, strings.Repeat("[", 512)},
		{"too deep in what is left out", keys, JSON, `{"password":` + strings.Repeat("[", 513), ErrDepth, `{`},
		{"a name that is too long", keys, JSON, `{"a":1,"` + strings.Repeat("_", 20_000) + `password":1}`, ErrLimit, `{"a":1`},
		{"too much in front of a name", keys, JSON, `{"a":1,` + strings.Repeat(" ", 20_000) + `"password":1}`, ErrLimit, `{"a":1`},
		{"endless space in front of a name", keys, JSON, `{"a":1,` + strings.Repeat(" ", 100_000), ErrLimit, `{"a":1`},
		{"a number that is too long", detectors, JSON, "[" + strings.Repeat("1", 20_000) + "]", ErrLimit, "["},
		{"a line of an event that is too long", detectors, Events, "id: " + strings.Repeat("1", 20_000), ErrLimit, ""},
		{"UTF-16 with a byte order mark", detectors, Text, "\xff\xfe4\x001\x00", ErrEncoding, ""},
		{"UTF-16, the other way", detectors, JSON, "\xfe\xff\x004\x001", ErrEncoding, ""},
		{"UTF-16 without one", detectors, Text, "4\x001\x00", ErrEncoding, ""},
		{"UTF-32", detectors, JSON, "\x00\x00\x00{", ErrEncoding, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := redact(test.policy, test.kind, test.in)
			if !errors.Is(err, test.err) || out != test.out {
				t.Errorf("%v after %.60q, want %v after %.60q", err, out, test.err, test.out)
			}
			step := 1 + len(test.in)/200
			for size := step; size < 5*step; size += step {
				out, _, err := redactParts(test.policy, test.kind, []byte(test.in), func(int) int { return size })
				if !errors.Is(err, test.err) || len(out) > len(test.out) && out != test.out[:min(len(out), len(test.out))] && test.out != "" {
					t.Errorf("in parts of %d: %v after %.60q", size, err, out)
				}
			}
		})
	}
}

func TestTheDeepestNestingIsRead(t *testing.T) {
	body := strings.Repeat(`{"a":[`, 256) + `{"x"` + strings.Repeat("]}", 256)
	body = strings.Replace(body, `{"x"`, `"`+visa+`"`, 1)
	got, err := redact(everything(t), JSON, body)
	if want := strings.Replace(body, visa, "********1111", 1); got != want || err != nil {
		t.Errorf("got %.80s (%v)", got, err)
	}
}

func TestCounts(t *testing.T) {
	p := everything(t)
	_, counts, err := redactParts(p, JSON, []byte(`{"password":{"secret":1},"pin":1,"PIN":2,"a":"`+visa+`, `+visa+`","b":`+visa+`}`),
		func(rest int) int { return rest })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"password": 1, "pin": 2, "card": 3}
	for i, s := range p.Selectors() {
		if counts[i] != want[s.Name] {
			t.Errorf("%s %s %s: %d, want %d", s.Action, s.Kind, s.Name, counts[i], want[s.Name])
		}
	}
}

func TestAFailedWriterEndsTheStream(t *testing.T) {
	failure := errors.New("gone")
	s := everything(t).NewStream(writerFunc(func([]byte) (int, error) { return 0, failure }), JSON)
	defer s.Release()
	if _, err := s.Write([]byte(`{"a":1}`)); err != failure {
		t.Errorf("Write: %v", err)
	}
	if _, err := s.Write([]byte(`{"a":1}`)); err != failure {
		t.Errorf("Write: %v", err)
	}
	if err := s.Close(); err != failure {
		t.Errorf("Close: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWithoutAMatchNothingChanges(t *testing.T) {
	for _, body := range []string{
		"{ \"b\" : 1.0e+5 ,\r\n\t\"a\":[ ] , \"a\":{ } ,\"\\u00e9\\/\":\"\\ud800 \\\\\" , \"n\" : -0 }",
		`[1,2.50,"é","` + "\xff\xfe" + `",true,false,null]`,
	} {
		if !json.Valid([]byte(body)) {
			t.Fatalf("%s is not JSON", body)
		}
		runBodyTests(t, everything(t), JSON, []bodyTest{{body, body, body}})
	}
}
