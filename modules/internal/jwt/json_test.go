package jwt

import (
	"strings"
	"testing"
)

func TestDecodeObject(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := []struct {
		name, text string
		want       error
	}{
		{"an empty object", ` { } `, nil},
		{"every kind of value", `{"a":[1,-0.5e+7,"x",{"b":null},true,false,[],{}]}`, nil},
		{"escapes", `{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, nil},
		{"an escaped member that another one spells plainly", `{"\u0061":1,"a":2}`, errDuplicate},
		{"equal members in an object in an array", `{"a":[{"b":1,"b":1}]}`, errDuplicate},
		{"equal members in different objects", `{"a":{"c":1},"b":{"c":1}}`, nil},
		{"members that differ in case", `{"a":1,"A":2}`, nil},
		{"32 levels of objects", deep(32), nil},
		{"33 levels of objects", deep(33), errDepth},
		{"the first half of a pair alone", `{"a":"\ud83d"}`, errJSON},
		{"the first half of a pair with another character", `{"a":"\ud83dx"}`, errJSON},
		{"the second half of a pair alone", `{"a":"\ude00"}`, errJSON},
		{"the halves in the wrong order", `{"a":"\ude00\ud83d"}`, errJSON},
		{"two second halves", `{"a":"\ude00\ude00"}`, errJSON},
		{"two first halves", `{"a":"\ud83d\ud83d"}`, errJSON},
		{"a first half and an ordinary escape", `{"a":"\ud83d\u0041"}`, errJSON},
		{"a first half and an escape beyond", `{"a":"\ud83d\uffff"}`, errJSON},
		{"a cut off escape", `{"a":"\u00`, errJSON},
		{"a cut off backslash", `{"a":"\`, errJSON},
		{"an escape that does not exist", `{"a":"\x41"}`, errJSON},
		{"a raw line break", "{\"a\":\"\n\"}", errJSON},
		{"a raw line break behind an escape", "{\"a\":\"\\t\n\"}", errJSON},
		{"a raw NUL behind an escape", "{\"a\":\"\\t\x00\"}", errJSON},
		{"a number with a leading zero", `{"a":01}`, errJSON},
		{"a number with a plus", `{"a":+1}`, errJSON},
		{"a number without digits", `{"a":-}`, errJSON},
		{"a fraction without digits", `{"a":1.}`, errJSON},
		{"an exponent without digits", `{"a":1e}`, errJSON},
		{"a hexadecimal number", `{"a":0x10}`, errJSON},
		{"not a number", `{"a":NaN}`, errJSON},
		{"a comma too many", `{"a":1,}`, errJSON},
		{"a comma too many in an array", `{"a":[1,]}`, errJSON},
		{"no comma", `{"a":1 "b":2}`, errJSON},
		{"no colon", `{"a" 1}`, errJSON},
		{"no value", `{"a":}`, errJSON},
		{"a name without quotes", `{a:1}`, errJSON},
		{"single quotes", `{'a':1}`, errJSON},
		{"a comment", `{"a":1/**/}`, errJSON},
		{"white space that JSON does not know", "{\"a\":\u00a01}", errJSON},
		{"not closed", `{"a":1`, errJSON},
		{"a word in another case", `{"a":True}`, errJSON},
		{"a second object", `{}{}`, errTrailing},
		{"a NUL behind it", "{}\x00", errTrailing},
		{"a NUL in front of it", "\x00{}", errJSON},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := decodeObject(test.text); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestPlainTextIsFound(t *testing.T) {
	plain := strings.Repeat("abc ~{}\"", 5)
	for n := range len(plain) {
		if !isPlain(plain[:n]) {
			t.Errorf("%q is plain", plain[:n])
		}
		for _, c := range []byte{0, 0x1f, '\n', '\\', 0x80, 0xff} {
			if text := plain[:n] + string(rune(0)) + plain[n:]; isPlain(text) {
				t.Errorf("%q is not plain", text)
			}
			if text := plain[:n] + string([]byte{c}) + plain[n:]; isPlain(text) {
				t.Errorf("%q is not plain", text)
			}
		}
		for _, c := range []byte{' ', '!', '[', ']', 0x7f, '\\' + 1, '\\' - 1} {
			if text := plain[:n] + string([]byte{c}) + plain[n:]; !isPlain(text) {
				t.Errorf("%q is plain", text)
			}
		}
	}
}
