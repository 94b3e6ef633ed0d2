package problem_test

import (
	"os"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport" // every reason
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

func TestEveryProblemTypeIsExplained(t *testing.T) {
	content, err := os.ReadFile("TYPES.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			explained[strings.TrimSpace(title)] = true
		}
	}
	used := map[string]bool{}
	for _, reason := range decision.Reasons() {
		if strings.HasPrefix(reason.Code, "test.") {
			continue
		}
		used[reason.Title] = true
		if !explained[reason.Title] {
			t.Errorf("## %s (%s, %d) is missing", reason.Title, reason.Code, reason.Status)
		}
		if !strings.Contains(string(content), "`"+reason.Code+"`") {
			t.Errorf("%s is missing", reason.Code)
		}
	}
	for title := range explained {
		if !used[title] {
			t.Errorf("%q is no problem type", title)
		}
	}
}
