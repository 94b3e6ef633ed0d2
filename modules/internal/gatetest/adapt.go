package gatetest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// separator stands between a fixture's Caddyfile and what is expected of it.
var separator = regexp.MustCompile(`(?m)^-{10}\n`)

// Adapt runs the adapt fixtures that glob finds: a Caddyfile, a line of ten
// dashes, and the JSON it adapts to, or, for one that has to be refused, lines
// that each have to stand in the error. The file's name in errors is Caddyfile.
func Adapt(t *testing.T, glob string) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures at %s (%v)", glob, err)
	}
	_ = suite.Lost() // fixtures are not loaded
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := separator.Split(string(content), 2)
			if len(parts) != 2 {
				t.Fatal("no line of ten dashes")
			}
			adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(parts[0]), map[string]any{"filename": "Caddyfile"})
			expected := strings.TrimSpace(parts[1])
			if strings.HasPrefix(expected, "{") {
				compareJSON(t, adapted, err, expected)
				return
			}
			compareError(t, err, expected)
		})
	}
}

func compareJSON(t *testing.T, adapted []byte, err error, expected string) {
	t.Helper()
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	var got, want bytes.Buffer
	if err := json.Indent(&got, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&want, []byte(expected), "", "\t"); err != nil {
		t.Fatalf("the expected JSON: %v", err)
	}
	if got.String() != want.String() {
		t.Errorf("adapted to:\n%s", got.String())
	}
}

func compareError(t *testing.T, err error, expected string) {
	t.Helper()
	if err == nil {
		t.Fatal("it is not refused")
	}
	for line := range strings.Lines(expected) {
		if line = strings.TrimSpace(line); !strings.Contains(err.Error(), line) {
			t.Errorf("the error lacks %q:\n%v", line, err)
		}
	}
}
