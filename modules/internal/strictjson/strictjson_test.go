package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestObject(t *testing.T) {
	tests := []struct {
		name, text string
		errors     []string // none: it is read
	}{
		{"all members", `{"text":"a","filled":"b","list":["c"],"raw":[1],"at":"2027-01-01T00:00:00Z"}`, nil},
		{"the required one alone", ` {"text":""} `, nil},
		{"nothing", ``, []string{"the JSON ends too early"}},
		{"half of it", `{"text":"a"`, []string{"the JSON ends too early"}},
		{"no JSON", `{"text":a}`, []string{"not JSON: error at byte"}},
		{"a list", `[]`, []string{"not a JSON object"}},
		{"text behind it", `{"text":"a"}x`, []string{"text behind the end"}},
		{"an object behind it", `{"text":"a"}{}`, []string{"text behind the end"}},
		{"an unknown member", `{"text":"a","Text":"b"}`, []string{`unknown member "Text"`}},
		{"a repeated member", `{"text":"a","text":"b"}`, []string{"text stands there twice"}},
		{"null and again", `{"text":null,"text":"b"}`, []string{"text is null", "text stands there twice"}},
		{"a required one is missing", `{}`, []string{"text is missing"}},
		{"an empty string that is to be left out", `{"text":"a","filled":""}`, []string{"filled is empty"}},
		{"other kinds, all of them told", `{"text":1,"filled":[],"list":"a","raw":{},"at":"2027-01-01"}`, []string{
			"text is not a string", "filled is not a string", "list is not a list of strings", "raw is not a list", "at is not a time"}},
		{"year 1", `{"text":"a","at":"0001-01-01T00:00:00Z"}`, []string{"at is year 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var (
				text   string
				filled NotEmpty
				list   []string
				raw    []json.RawMessage
				at     time.Time
			)
			err := Object([]byte(tt.text), map[string]any{"text": &text, "filled": &filled, "list": &list, "raw": &raw, "at": &at}, "text")
			if (err == nil) != (tt.errors == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.errors {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if err != nil && strings.Count(err.Error(), "\n")+1 != len(tt.errors) {
				t.Errorf("%q has other errors, too", err)
			}
		})
	}
}

func TestErrorsShowNoValue(t *testing.T) {
	var text string
	for _, value := range []string{`["secret"]`, `secret`, `"secret`, `{"secret":1}`, `"sec\qret"`} {
		err := Object([]byte(`{"text":`+value+`}`), map[string]any{"text": &text})
		if err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: %v", value, err)
		}
	}
}
