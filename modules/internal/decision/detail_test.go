package decision

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var reasonDetailed = NewReason("test.detailed", http.StatusBadRequest, "Detailed.")

func TestADetailIsAMemberOfTheDocument(t *testing.T) {
	tests := []struct {
		name   string
		detail *Detail
		want   any
	}{
		{"a text", &Detail{Member: "parameter", Text: "page"}, "page"},
		{"a text with quotes and markup", &Detail{Member: "parameter", Text: `a","x":"</script>` + "\x00\n"}, `a","x":"</script>` + "\x00\n"},
		{"a number", &Detail{Member: "parameter", Number: 17, IsNumber: true}, 17.0},
		{"an empty text", &Detail{Member: "parameter"}, ""},
		{"a long text is cut", &Detail{Member: "parameter", Text: strings.Repeat("a", maxDetail+1)}, strings.Repeat("a", maxDetail)},
		{"between characters", &Detail{Member: "parameter", Text: strings.Repeat("é", maxDetail)}, strings.Repeat("é", maxDetail/2)},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused := caddyhttp.HandlerError{StatusCode: 400, Err: &Refusal{Reason: reasonDetailed, Detail: tt.detail}}
			w, _ := serve(t, refused, func(http.ResponseWriter, *http.Request) error { return nil })
			var doc map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if doc["parameter"] != tt.want || doc["title"] != "Detailed." || strings.Contains(w.Body.String(), "<") {
				t.Errorf("got %s", w.Body)
			}
		})
	}
}
