package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

var wide = Limits{Depth: MaxDepth}

// scan checks text in parts of size bytes.
func scan(limits Limits, text string, size int) error {
	s := New(limits)
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := s.Write([]byte(text[:n])); err != nil {
			return err
		}
		text = text[n:]
	}
	return s.Close()
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

var texts = []struct {
	name, text string
	kind       Kind
}{
	{"an object", `{"a":1,"b":[true,false,null,"x",-1.5e3]}`, 0},
	{"whitespace around everything", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", 0},
	{"a scalar", `"x"`, 0},
	{"a number at the end", `12`, 0},
	{"zero", `-0`, 0},
	{"an empty name", `{"":1}`, 0},
	{"a surrogate pair", `"\ud83d\ude00"`, 0},
	{"every escape", `"\"\\\/\b\f\n\r\t\u0041"`, 0},
	{"characters of two, three and four bytes", `"éह𐍈"`, 0},
	{"the largest binary64", `1.7976931348623157e308`, 0},
	{"a number that rounds to zero", `1e-350`, 0},
	{"equal names in different objects", `{"a":{"a":1},"b":{"a":2}}`, 0},
	{"names that differ by normalisation", `{"\u00e9":1,"e\u0301":2}`, 0},

	{"nothing", ``, Syntax},
	{"whitespace only", " \n", Syntax},
	{"two values", `1 2`, Syntax},
	{"text behind the value", `{}x`, Syntax},
	{"a second object", `{}{}`, Syntax},
	{"a NUL behind the value", "{}\x00", Syntax},
	{"a byte order mark", "\ufeff{}", Syntax},
	{"a trailing comma in an object", `{"a":1,}`, Syntax},
	{"a trailing comma in an array", `[1,]`, Syntax},
	{"no comma", `[1 2]`, Syntax},
	{"no colon", `{"a" 1}`, Syntax},
	{"a name without quotes", `{a:1}`, Syntax},
	{"single quotes", `{'a':1}`, Syntax},
	{"a comment", `{/**/}`, Syntax},
	{"the wrong bracket", `{"a":[1}`, Syntax},
	{"an open object", `{"a":1`, Syntax},
	{"an open string", `"a`, Syntax},
	{"a raw newline in a string", "\"a\nb\"", Syntax},
	{"a raw NUL in a string", "\"a\x00b\"", Syntax},
	{"an unknown escape", `"\x41"`, Syntax},
	{"a bad digit in an escape", `"\u00g0"`, Syntax},
	{"NaN", `NaN`, Syntax},
	{"a capital word", `True`, Syntax},
	{"a word cut short", `tru`, Syntax},
	{"a word with more", `truex`, Syntax},
	{"a leading zero", `01`, Syntax},
	{"a negative leading zero", `-01`, Syntax},
	{"a plus", `+1`, Syntax},
	{"a lone minus", `-`, Syntax},
	{"a point at the end", `1.`, Syntax},
	{"a point at the beginning", `.5`, Syntax},
	{"an empty exponent", `1e`, Syntax},
	{"a sign without exponent", `[1e+]`, Syntax},
	{"a hexadecimal number", `0x10`, Syntax},

	{"the first half of a pair alone", `"\ud83d"`, Encoding},
	{"the second half of a pair alone", `"\ude00"`, Encoding},
	{"two first halves", `"\ud83d\ud83d"`, Encoding},
	{"a first half and another escape", `"\ud83d\n"`, Encoding},
	{"a surrogate in UTF-8", "\"\xed\xa0\xbd\"", Encoding},
	{"an overlong slash", "\"\xc0\xaf\"", Encoding},
	{"an overlong form of three bytes", "\"\xe0\x80\xaf\"", Encoding},
	{"beyond Unicode", "\"\xf4\x90\x80\x80\"", Encoding},
	{"a character cut short", "\"\xc3\"", Encoding},
	{"a continuation alone", "\"\x80\"", Encoding},
	{"UTF-16", "{\x00\"\x00", Syntax},

	{"a name twice", `{"a":1,"a":2}`, Duplicate},
	{"a name twice, once escaped", `{"a":1,"\u0061":2}`, Duplicate},
	{"a name twice, with a pair", `{"😀":1,"\ud83d\ude00":2}`, Duplicate},
	{"an empty name twice", `{"":1,"":2}`, Duplicate},
	{"a name twice with objects between", `{"a":{"b":[{"c":1}]},"d":2,"a":3}`, Duplicate},
	{"a name twice deep inside", `[[{"x":{"a":1,"b":2,"a":3}}]]`, Duplicate},

	{"an exponent beyond any number", `1e999999`, Number},
	{"a negative exponent beyond any number", `1e-999999`, Number},
	{"just above the largest binary64", `1.8e308`, Number},
	{"four hundred digits", strings.Repeat("9", 400), Number},
	{"more digits than allowed", strings.Repeat("1", 401), Number},
	{"zeros behind the point", "0." + strings.Repeat("0", 500), Number},
}

func TestTextsHaveOneReading(t *testing.T) {
	for _, tt := range texts {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 3, 1 << 20} {
				if err := scan(wide, tt.text, size); kindOf(err) != tt.kind {
					t.Errorf("in parts of %d: got %v, want kind %d", size, err, tt.kind)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name    string
		limits  Limits
		allowed string
		refused string
		kind    Kind
	}{
		{"depth", Limits{Depth: 3}, `[{"a":[1]}]`, `[{"a":[[]]}]`, Depth},
		{"no depth at all", Limits{}, `1`, `[]`, Depth},
		{"members", Limits{Depth: 9, Members: 2}, `{"a":{"c":1,"d":2},"b":2}`, `{"a":1,"b":2,"c":3}`, Members},
		{"items", Limits{Depth: 9, Items: 2}, `[[1,2],[3]]`, `[1,2,3]`, Items},
		{"characters of a string", Limits{StringLength: 3}, `"é😀\n"`, `"abcd"`, StringLength},
		{"characters of a string, the last escaped", Limits{StringLength: 3}, `"\ud83d\ude00\n\u0041"`, `"abc\n"`, StringLength},
		{"characters of a name", Limits{Depth: 1, StringLength: 3}, `{"abc":1}`, `{"abcd":1}`, StringLength},
		{"bytes of a number", Limits{NumberLength: 5}, `-1.25`, `-1.255`, Number},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 1 << 20} {
				if err := scan(tt.limits, tt.allowed, size); err != nil {
					t.Errorf("%s: %v", tt.allowed, err)
				}
				if err := scan(tt.limits, tt.refused, size); kindOf(err) != tt.kind {
					t.Errorf("%s: got %v, want kind %d", tt.refused, err, tt.kind)
				}
			}
		})
	}
}

func TestNamesMayOccurTwiceWhereThatIsIgnored(t *testing.T) {
	if err := scan(Limits{Depth: 9, DuplicateKeys: true}, `{"a":1,"a":{"b":1,"b":2}}`, 4); err != nil {
		t.Error(err)
	}
}

func TestTheOffsetIsThatOfTheByteThatDecided(t *testing.T) {
	for _, size := range []int{1, 4, 100} {
		var e *Error
		if err := scan(wide, `{"a":1,"b":2,"a":3}`, size); !errors.As(err, &e) || e.Offset != 15 {
			t.Errorf("in parts of %d: %v", size, err)
		}
	}
	if text := (&Error{Duplicate, 15}).Error(); text != "a name occurs twice in one object at byte 15" {
		t.Error(text)
	}
}

func TestARefusedTextStaysRefused(t *testing.T) {
	s := New(wide)
	_, first := s.Write([]byte("}"))
	_, second := s.Write([]byte("{}"))
	if third := s.Close(); first == nil || second != first || third != first {
		t.Errorf("got %v, %v, %v", first, second, third)
	}
	s.Reset(wide)
	if _, err := s.Write([]byte("{}")); err != nil || s.Close() != nil {
		t.Errorf("after a reset: %v", err)
	}
}

// TestLargeObjects has more names than are compared one by one, in objects inside
// each other, and asks whether the one name that is there twice is found.
func TestLargeObjects(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var text strings.Builder
		depth, size := 1+random.IntN(4), 1+random.IntN(60)
		for d := range depth {
			text.WriteString("{")
			for i := range size {
				fmt.Fprintf(&text, `"k%d":{"k%d":0},`, i, i)
			}
			fmt.Fprintf(&text, `"in%d":`, d)
		}
		text.WriteString("0")
		for d := depth - 1; d >= 0; d-- {
			fmt.Fprintf(&text, `,"out":1%s}`, map[bool]string{true: fmt.Sprintf(`,"k%d":1`, random.IntN(size))}[d == 0 && round%2 == 0])
		}
		if err := scan(wide, text.String(), 7); (err != nil) != (round%2 == 0) || err != nil && kindOf(err) != Duplicate {
			t.Fatalf("round %d: %v in %s", round, err, text.String())
		}
	}
}

// FuzzScanner: what is accepted is valid for encoding/json, in UTF-8 and without
// a name twice; what encoding/json accepts and this does not has one of the
// reasons that encoding/json does not know; and parts make no difference.
func FuzzScanner(f *testing.F) {
	for _, tt := range texts {
		f.Add([]byte(tt.text), byte(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		whole := scan(wide, string(text), len(text)+1)
		if parts := scan(wide, string(text), int(size)+1); kindOf(parts) != kindOf(whole) || fmt.Sprint(parts) != fmt.Sprint(whole) {
			t.Fatalf("whole: %v, in parts: %v", whole, parts)
		}
		valid := json.Valid(text)
		twice := valid && namesTwice(text)
		switch kind := kindOf(whole); {
		case kind == 0 && (!valid || !utf8.Valid(text)):
			t.Fatal("accepted, but not by encoding/json")
		case kind == 0 && twice:
			t.Fatal("accepted with a name twice")
		case kind == 0:
			var v any
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatalf("accepted, but cannot be decoded: %v", err)
			}
		case kind == Syntax && valid:
			t.Fatalf("refused: %v", whole)
		case kind == Duplicate && valid && !twice:
			t.Fatalf("refused, but no name is there twice: %v", whole)
		case kind == Encoding && valid && utf8.Valid(text) && !bytes.Contains(bytes.ToLower(text), []byte(`\ud`)):
			t.Fatalf("refused: %v", whole)
		}
	})
}

// namesTwice is the plain way to find a name that occurs twice in an object.
func namesTwice(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type open struct {
		names  map[string]bool
		isName bool
	}
	var stack []open
	for {
		token, err := d.Token()
		if err == io.EOF {
			return false
		}
		if err != nil {
			return false
		}
		top := len(stack) - 1
		if name, ok := token.(string); ok && top >= 0 && stack[top].names != nil && stack[top].isName {
			if stack[top].names[name] {
				return true
			}
			stack[top].names[name], stack[top].isName = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, open{map[string]bool{}, true})
			continue
		case json.Delim('['):
			stack = append(stack, open{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
		if top = len(stack) - 1; top >= 0 {
			stack[top].isName = true
		}
	}
}

// BenchmarkScan compares a pass with json.Valid over the same text.
func BenchmarkScan(b *testing.B) {
	var text bytes.Buffer
	text.WriteString(`[`)
	for i := range 500 {
		if i > 0 {
			text.WriteString(",")
		}
		fmt.Fprintf(&text, `{"id":%d,"name":"order number %d","price":%d.99,"tags":["new","fragile"],"note":"Grüße\n","open":true}`, i, i, i)
	}
	text.WriteString(`]`)
	b.Run("Scanner", func(b *testing.B) {
		s := New(wide)
		b.SetBytes(int64(text.Len()))
		b.ReportAllocs()
		for b.Loop() {
			s.Reset(wide)
			if _, err := s.Write(text.Bytes()); err != nil || s.Close() != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(text.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(text.Bytes()) {
				b.Fatal("not valid")
			}
		}
	})
}
