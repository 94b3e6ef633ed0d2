package decision_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist" // puts the fallback in place
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestReasonsAreDistinct(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second reason with the same code is accepted")
		}
	}()
	decision.NewReason("test.twice", 403, "Twice.")
	decision.NewReason("test.twice", 403, "Twice.")
}

func TestTypeURIIsAHeading(t *testing.T) {
	if got := decision.TypeURI("The path isn't validly encoded, at all."); !strings.HasSuffix(got, "#the-path-isnt-validly-encoded-at-all") {
		t.Errorf("got %s", got)
	}
}

// gate refuses everyone with 403 and has errors in its handle_errors.
func gate(t *testing.T, errors string) *gatetest.Gate {
	return gatetest.Run(t, "{$ADDR} {\n\tallowlist {\n\t\tdeny 192.0.2.1\n\t}\n\treverse_proxy {$BACKEND}\n\thandle_errors {\n\t\t"+errors+"\n\t}\n}\n")
}

func TestFallbackLeavesAnsweredErrorsAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "403.html"), []byte("<h1>own page</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, errors, contentType, body string
		status                          int
	}{
		{"a page from a file", "rewrite * /403.html\n\t\troot * " + dir + "\n\t\tfile_server", "text/html; charset=utf-8", "<h1>own page</h1>", 403},
		{"an empty answer with a content type", "header Content-Type text/plain\n\t\trespond 403", "text/plain", "", 403},
		{"an empty answer without one", "respond 403", "application/problem+json", `"status":403`, 403},
		{"a redirect", "redir https://example.com/ 302", "", "", 302},
		{"headers of the error route", "header X-Own yes", "application/problem+json", `"status":403`, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := gate(t, tt.errors).Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1")
			if resp.Status != tt.status || !strings.Contains(resp.Body, tt.body) || tt.body == "" && resp.Body != "" ||
				!strings.HasPrefix(resp.Header.Get("Content-Type"), tt.contentType) {
				t.Errorf("got %d %s %q", resp.Status, resp.Header.Get("Content-Type"), resp.Body)
			}
		})
	}
}

func TestAProblemDescribesNoOtherBody(t *testing.T) {
	g := gate(t, "header X-Own yes")
	g.Backend(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.2")
	if resp.Status != 502 || resp.Header.Get("Cache-Control") != "no-store" || !strings.Contains(resp.Body, `"title":"Bad Gateway"`) {
		t.Errorf("got %d %v %s", resp.Status, resp.Header, resp.Body)
	}
}
