package param

import (
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

func ptr(n int) *int { return &n }

func TestValuesAreJudgedByTheirRule(t *testing.T) {
	tests := []struct {
		name     string
		rule     Rule
		accepted []string
		refused  map[string]Fault
	}{
		{"integer", Rule{Type: Integer}, []string{"0", "7", "-7", "9223372036854775807", "-9223372036854775808"}, map[string]Fault{
			"": WrongType, "-": WrongType, "+1": WrongType, "01": WrongType, "-0": WrongType, "1.0": WrongType, "1e3": WrongType,
			" 1": WrongType, "1 ": WrongType, "0x10": WrongType, "1_000": WrongType, "9223372036854775808": WrongType, "٣": WrongType,
			strings.Repeat("1", 5000): WrongType}},
		{"range of integers", Rule{Type: Integer, Range: []string{"1", "1000"}}, []string{"1", "1000"},
			map[string]Fault{"0": OutOfRange, "1001": OutOfRange, "-5": OutOfRange, "x": WrongType}},
		{"range with one end", Rule{Type: Integer, Range: []string{"*", "-3"}}, []string{"-3", "-9223372036854775808"}, map[string]Fault{"-2": OutOfRange}},
		{"number", Rule{Type: Number}, []string{"0", "-0", "1.5", "1e3", "1E-3", "-12.50e+2"}, map[string]Fault{
			"": WrongType, "NaN": WrongType, "Inf": WrongType, "infinity": WrongType, "1e999999": WrongType, "1e309": WrongType, ".5": WrongType,
			"5.": WrongType, "0x1p4": WrongType, "1_0": WrongType, "+1": WrongType, "01": WrongType, "1e": WrongType, "--1": WrongType,
			strings.Repeat("1", 65): WrongType}},
		{"range of numbers", Rule{Type: Number, Range: []string{"0.5", "*"}}, []string{"0.5", "1e300"}, map[string]Fault{"0.49": OutOfRange}},
		{"boolean", Rule{Type: Boolean}, []string{"true", "false"}, map[string]Fault{"1": WrongType, "TRUE": WrongType, "": WrongType}},
		{"uuid", Rule{Type: UUID}, []string{"123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"}, map[string]Fault{
			"": WrongType, "123e4567e89b12d3a456426614174000": WrongType, "{123e4567-e89b-12d3-a456-426614174000}": WrongType,
			"123e4567-e89b-12d3-a456-42661417400g": WrongType, "123e4567-e89b-12d3-a456_426614174000": WrongType}},
		{"date", Rule{Type: Date}, []string{"2026-02-28", "2024-02-29", "2000-02-29"}, map[string]Fault{
			"2026-02-29": WrongType, "1900-02-29": WrongType, "2026-13-01": WrongType, "2026-00-01": WrongType, "2026-04-31": WrongType,
			"2026-1-1": WrongType, "2026-01-00": WrongType, "2026-01-01T00:00:00Z": WrongType, "": WrongType}},
		{"date-time", Rule{Type: DateTime}, []string{"2026-01-01T23:59:59Z", "2026-01-01t00:00:00.123456789z", "2026-01-01T00:00:00+14:00"}, map[string]Fault{
			"2026-01-01T24:00:00Z": WrongType, "2026-01-01T00:60:00Z": WrongType, "2026-01-01T00:00:60Z": WrongType, "2026-01-01T00:00:00": WrongType,
			"2026-01-01 00:00:00Z": WrongType, "2026-01-01T00:00:00.Z": WrongType, "2026-01-01T00:00:00,5Z": WrongType, "2026-02-30T00:00:00Z": WrongType,
			"2026-01-01T00:00:00+24:00": WrongType, "2026-01-01T00:00:00+1400": WrongType, "2026-01-01T0:00:00Z": WrongType}},
		{"ipv4", Rule{Type: IPv4}, []string{"192.0.2.1"}, map[string]Fault{"192.0.2.01": WrongType, "::1": WrongType, "::ffff:192.0.2.1": WrongType}},
		{"ipv6", Rule{Type: IPv6}, []string{"2001:db8::1"}, map[string]Fault{"fe80::1%eth0": WrongType, "192.0.2.1": WrongType}},
		{"length in characters", Rule{MinLength: 2, MaxLength: ptr(3)}, []string{"éé", "日本語", "abc"},
			map[string]Fault{"é": WrongLength, "日本語文": WrongLength, "": WrongLength}},
		{"nothing but empty", Rule{MaxLength: ptr(0)}, []string{""}, map[string]Fault{"a": WrongLength}},
		{"pattern without anchors", Rule{Pattern: "[a-z]+"}, []string{"abc"}, map[string]Fault{"abc1": NoMatch, "1abc": NoMatch, "": NoMatch, "abc\n": NoMatch}},
		{"pattern of alternatives", Rule{Pattern: "a|b"}, []string{"a", "b"}, map[string]Fault{"ax": NoMatch, "xb": NoMatch}},
		{"pattern with flags", Rule{Pattern: "(?m)^a$"}, []string{"a"}, map[string]Fault{"a\nb": NoMatch, "b\na": NoMatch}},
		{"pattern with anchors", Rule{Pattern: `^[\p{L}\p{N} ]+$`}, []string{"Grüße 7"}, map[string]Fault{"a-b": NoMatch}},
		{"enum", Rule{Enum: []string{"asc", "desc"}}, []string{"asc"}, map[string]Fault{"ASC": NotListed, "": NotListed, "asc ": NotListed}},
		{"text of any kind", Rule{}, []string{"", "x", "日本"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Name = "p"
			c, err := compile(tt.rule)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range tt.accepted {
				if fault := c.judge(v); fault != OK {
					t.Errorf("%q: refused with %d", v, fault)
				}
			}
			for v, want := range tt.refused {
				if fault := c.judge(v); fault != want {
					t.Errorf("%.60q: got %d, want %d", v, fault, want)
				}
			}
		})
	}
}

func TestQueriesAreJudgedPairByPair(t *testing.T) {
	q, err := Compile([]Rule{
		{Name: "page", Type: Integer, Range: []string{"1", "10"}},
		{Name: "tag", Repeat: 2, MaxLength: ptr(3)},
		{Name: "id", Required: true},
	}, true, 5)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, raw string
		fault     Fault
		parameter string
	}{
		{"all of them", "id=1&page=2&tag=a&tag=b", OK, ""},
		{"empty pairs", "&&id=1&&", OK, ""},
		{"an encoded name", "%69d=1&p%61ge=3", OK, ""},
		{"an encoded name with a bad value", "id=1&p%61ge=30", OutOfRange, "page"},
		{"a name without a value", "id", OK, ""},
		{"a plus is a space", "id=1&tag=a+b", OK, ""},
		{"an encoded value", "id=1&page=%32", OK, ""},
		{"nothing", "", Missing, "id"},
		{"missing", "page=1", Missing, "id"},
		{"unknown", "id=1&x=1", Unknown, ""},
		{"unknown with an empty name", "id=1&=1", Unknown, ""},
		{"other case is another name", "id=1&Page=1", Unknown, ""},
		{"a bracket makes another name", "id=1&page[]=1", Unknown, ""},
		{"a good one in front of a bad one", "id=1&page=1&page=999", Repeated, "page"},
		{"one too often", "id=1&tag=a&tag=b&tag=c", Repeated, "tag"},
		{"a bad one among several", "id=1&tag=a&tag=long", WrongLength, "tag"},
		{"too many", "id=1&page=1&tag=a&tag=b&&a&b", Unknown, ""},
		{"a semicolon hides nothing", "id=1;page=99", OutOfRange, "page"},
		{"a semicolon hides nothing unknown", "id=1;x=2", Unknown, ""},
		{"an encoded semicolon is a character", "id=1%3Bx=2", OK, ""},
		{"an encoded ampersand is a character", "id=1%26page=99", OK, ""},
		{"an equals sign in a value", "id=a=b", OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if fault, parameter := q.Check(tt.raw, nil); fault != tt.fault || parameter != tt.parameter {
				t.Errorf("got %d %q, want %d %q", fault, parameter, tt.fault, tt.parameter)
			}
		})
	}
	many, err := Compile(nil, false, 2)
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]Fault{"a&b": OK, "a&b&c": TooMany, "a;b;c": TooMany} {
		if fault, _ := many.Check(raw, nil); fault != want {
			t.Errorf("%s: got %d, want %d", raw, fault, want)
		}
	}
}

func TestDocumentedParametersAreKnown(t *testing.T) {
	q, err := Compile(nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	documented := func(name string) bool { return name == "a b" }
	if fault, _ := q.Check("a+b=1", documented); fault != OK {
		t.Error("a documented parameter is refused")
	}
	if fault, _ := q.Check("a+b=1&c=1", documented); fault != Unknown {
		t.Error("an undocumented one is accepted")
	}
}

func TestRulesThatCannotBe(t *testing.T) {
	tests := []struct {
		name string
		rule Rule
		want string
	}{
		{"no name", Rule{Name: ""}, "name"},
		{"a long name", Rule{Name: strings.Repeat("n", 129)}, "name"},
		{"an unknown type", Rule{Type: "int"}, `type "int"`},
		{"a range of texts", Rule{Range: []string{"1", "2"}}, "range needs type"},
		{"half a range", Rule{Type: Integer, Range: []string{"1"}}, "lowest and a highest"},
		{"a range of other things", Rule{Type: Integer, Range: []string{"1.5", "2"}}, "not of type integer"},
		{"a range of other things", Rule{Type: Number, Range: []string{"1", "x"}}, "not of type number"},
		{"an empty range", Rule{Type: Number, Range: []string{"2", "1"}}, "is empty"},
		{"no range", Rule{Type: Integer, Range: []string{"*", "*"}}, "is none"},
		{"lengths that contradict", Rule{MinLength: 3, MaxLength: ptr(2)}, "below min_length"},
		{"a negative length", Rule{MinLength: -1}, "negative"},
		{"a bad pattern", Rule{Pattern: "("}, "pattern"},
		{"a pattern that closes what it does not open", Rule{Pattern: "a)|(b"}, "pattern"},
		{"a pattern of another dialect", Rule{Pattern: "(?=x)"}, "pattern"},
		{"a long pattern", Rule{Pattern: strings.Repeat("a", 1001)}, "longer"},
		{"a value twice", Rule{Enum: []string{"a", "a"}}, "twice"},
		{"a value of another type", Rule{Type: Integer, Enum: []string{"a"}}, "breaks another rule"},
		{"a negative repeat", Rule{Repeat: -1}, "repeat"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want != "name" {
				tt.rule.Name = "p"
			}
			if _, err := Compile([]Rule{tt.rule}, false, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	_, err := Compile([]Rule{{Name: "a"}, {Name: "a"}, {Name: "b", Type: "x"}}, false, 0)
	if err == nil || !strings.Contains(err.Error(), "a is given twice") || !strings.Contains(err.Error(), "query b") {
		t.Errorf("got %v", err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"id=1&page=2", "a=%41&&b", "p%61ge=1+", "=", "%3D=%26"} {
		f.Add(raw)
	}
	q, err := Compile([]Rule{{Name: "page", Type: Integer}, {Name: "q"}}, true, 0)
	if err != nil {
		f.Fatal(err)
	}
	// What is accepted reads the same in Go's own parser.
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil || strings.ContainsAny(raw, ";#") {
			return // refused in front of every guard
		}
		fault, _ := q.Check(raw, nil)
		if fault != OK {
			return
		}
		for name, v := range values {
			if name != "page" && name != "q" && !(name == "" && v[0] == "") {
				t.Errorf("%q is accepted", name)
			}
			if (name == "page" || name == "q") && len(v) > 1 {
				t.Errorf("%q is accepted %d times", name, len(v))
			}
		}
		if p, ok := values["page"]; ok {
			if _, ok := new(big.Int).SetString(p[0], 10); !ok {
				t.Errorf("%q is accepted as a number", p[0])
			}
		}
	})
}

// FuzzFormats: what is accepted means the same to the standard library.
func FuzzFormats(f *testing.F) {
	for _, s := range []string{"1", "-0", "1e5", "2026-01-01", "2026-01-01T00:00:00.5+01:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := ParseNumber(s); ok && !json.Valid([]byte(s)) {
			t.Errorf("%q is no number", s)
		}
		if _, ok := ParseInteger(s); ok && !json.Valid([]byte(s)) {
			t.Errorf("%q is no integer", s)
		}
		if isDate(s) {
			if _, err := time.Parse(time.DateOnly, s); err != nil {
				t.Error(err)
			}
		}
		if isDateTime(s) {
			if _, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	q, err := Compile([]Rule{
		{Name: "page", Type: Integer, Range: []string{"1", "1000"}}, {Name: "q", MaxLength: ptr(100), Pattern: `^[\p{L}\p{N} ]+$`},
	}, true, 10)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if fault, _ := q.Check("page=17&q=order", nil); fault != OK {
			b.Fatal(fault)
		}
	}
}
