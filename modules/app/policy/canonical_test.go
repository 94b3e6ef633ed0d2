package policy

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

func TestNumbersAreThoseOfAppendixBOfRFC8785(t *testing.T) {
	tests := []struct {
		bits uint64
		want string
	}{
		{0x0000000000000000, "0"},
		{0x8000000000000000, "0"},
		{0x0000000000000001, "5e-324"},
		{0x8000000000000001, "-5e-324"},
		{0x7fefffffffffffff, "1.7976931348623157e+308"},
		{0xffefffffffffffff, "-1.7976931348623157e+308"},
		{0x4340000000000000, "9007199254740992"},
		{0xc340000000000000, "-9007199254740992"},
		{0x4430000000000000, "295147905179352830000"},
		{0x44b52d02c7e14af5, "9.999999999999997e+22"},
		{0x44b52d02c7e14af6, "1e+23"},
		{0x44b52d02c7e14af7, "1.0000000000000001e+23"},
		{0x444b1ae4d6e2ef4e, "999999999999999700000"},
		{0x444b1ae4d6e2ef4f, "999999999999999900000"},
		{0x444b1ae4d6e2ef50, "1e+21"},
		{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
		{0x3eb0c6f7a0b5ed8d, "0.000001"},
		{0x41b3de4355555553, "333333333.3333332"},
		{0x41b3de4355555554, "333333333.33333325"},
		{0x41b3de4355555555, "333333333.3333333"},
		{0x41b3de4355555556, "333333333.3333334"},
		{0x41b3de4355555557, "333333333.33333343"},
		{0xbecbf647612f3696, "-0.0000033333333333333333"},
		{0x43143ff3c1cb0959, "1424953923781206.2"},
	}
	for _, tt := range tests {
		if got := string(appendNumber(nil, math.Float64frombits(tt.bits))); got != tt.want {
			t.Errorf("%016x: got %s, want %s", tt.bits, got, tt.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"the sample of RFC 8785, section 3.2.2",
			"{\n\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n" +
				`"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",` + "\n\"literals\": [null, true, false]\n}",
			`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`},
		{"members are in the order of UTF-16, section 3.2.3",
			`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"\U0001F600\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"},
		{"members beyond U+FFFF among themselves", `{"\ud83d\ude01":1,"\ud83d\ude00":2}`, "{\"\U0001F600\":2,\"\U0001F601\":1}"},
		{"a name that begins another", `{"ab":1,"a":2,"":3}`, `{"":3,"a":2,"ab":1}`},
		{"control characters and what HTML would escape", `"\b\f\t\u0001<>&\u2028\u007f"`, "\"\\b\\f\\t\\u0001<>&\u2028\u007f\""},
		{"the last of two members counts, as Caddy reads it", `{"a":1,"a":2}`, `{"a":2}`},
		{"an exponent of three digits", `1e100`, `1e+100`},
		{"empty ones", ` { "o" : { } , "a" : [ ] } `, `{"a":[],"o":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Canonical([]byte(tt.text))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
	for _, bad := range []string{"", "{", "{} {}", "1e999", "'a'", "NaN"} {
		if got, err := Canonical([]byte(bad)); err == nil {
			t.Errorf("%q is not refused: %s", bad, got)
		}
	}
}

// A canonical text is one that encoding/json reads as it read the original, and it
// is its own canonical text.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":[1,-0,1e-7,1e21,0.1],"a":"\ud800\u0000é","\ud83d\ude00":null,"":{"x":true}}`, "\"\xff\"", `[1.5e300,5e-324,123456789012345678]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		canonical, err := Canonical(text)
		var want any
		if refused := json.Unmarshal(text, &want); (err != nil) != (refused != nil) {
			t.Fatalf("got %v, encoding/json %v", err, refused)
		}
		if err != nil {
			return
		}
		var got any
		if err := json.Unmarshal(canonical, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is read as %v (%v), the original as %v", canonical, got, err, want)
		}
		again, err := Canonical(canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%s becomes %s (%v)", canonical, again, err)
		}
	})
}
