package check

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// lintWorkflow returns what actionlint finds in a workflow.
func lintWorkflow(t *testing.T, workflow string) (findings []string) {
	t.Helper()
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	errs, err := linter.Lint("gateway.yml", []byte(workflow), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		findings = append(findings, err.Error())
	}
	return findings
}

func TestActionlintFindsNothingInTheWorkflow(t *testing.T) {
	workflow := read(t, "ci", "gateway.yml")
	for _, finding := range lintWorkflow(t, workflow) {
		t.Error(finding)
	}
	changed := strings.Replace(workflow, "needs.image.outputs.digest", "needs.image.outputs.digset", 1)
	if findings := lintWorkflow(t, changed); len(findings) == 0 {
		t.Error("an output that no job has is not found")
	}
}

// A tag of an action may lead elsewhere tomorrow.
func TestActionsArePinned(t *testing.T) {
	uses := regexp.MustCompile(`uses: (\S+)`).FindAllStringSubmatch(read(t, "ci", "gateway.yml"), -1)
	if len(uses) == 0 {
		t.Fatal("none is used")
	}
	for _, use := range uses {
		if !regexp.MustCompile(`^[\w/-]+@[0-9a-f]{40}$`).MatchString(use[1]) {
			t.Errorf("%s has no commit", use[1])
		}
	}
}

func TestARollOutThatFailsGoesBack(t *testing.T) {
	_, steps, _ := strings.Cut(read(t, "ci", "gateway.yml"), "\n  roll-out:")
	apply, status, undo := strings.Index(steps, "kubectl apply"), strings.Index(steps, "if ! kubectl -n sallyport rollout status"), strings.Index(steps, "rollout undo deployment/gateway")
	if apply < 0 || status < apply || undo < status {
		t.Errorf("they are at %d, %d and %d", apply, status, undo)
	}
	if !strings.Contains(steps, "needs: [check, image]") {
		t.Error("it does not wait for the checks")
	}
}
