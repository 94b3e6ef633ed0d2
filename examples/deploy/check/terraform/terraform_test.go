package terraform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tofu is the program under which the modules are tested.
var tofu string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-tofu")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	tofu = filepath.Join(dir, "tofu")
	if out, err := exec.Command("go", "build", "-o", tofu, "github.com/opentofu/opentofu/cmd/tofu").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building OpenTofu: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// run runs OpenTofu in a folder, without a network.
func run(dir string, args ...string) (string, error) {
	cmd := exec.Command(tofu, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0", "TF_DATA_DIR=",
		"HTTPS_PROXY=http://127.0.0.1:9")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// policy is a copy of the module of decisions, initialised, with something in its
// files replaced.
func policy(t *testing.T, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../terraform/policy")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "main.tf")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(source), old, new, 1)
	if old != new && changed == string(source) {
		t.Fatalf("main.tf has no %q", old)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(dir, "init", "-backend=false", "-no-color"); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	return dir
}

func TestTheModulesAreFormatted(t *testing.T) {
	if out, err := run("../../terraform", "fmt", "-check", "-diff", "-recursive"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheDecisionsHold(t *testing.T) {
	dir := policy(t, "", "")
	if out, err := run(dir, "validate", "-no-color"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := run(dir, "test", "-no-color")
	if err != nil || !strings.Contains(out, ", 0 failed.") || strings.Contains(out, " 0 passed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Each condition has a case of the module's own tests that fails without it.
func TestEveryConditionIsTested(t *testing.T) {
	for _, condition := range []string{
		"local.detection < var.shutdown_delay",
		"local.stop_timeout <= 120",
		"var.deregistration_delay >= var.grace_period",
		"local.alb_gateway_idle > var.alb_idle_timeout",
		"local.nlb_gateway_idle > var.nlb_idle_timeout",
		"local.max_header >= local.alb_max_request_head",
	} {
		t.Run(condition, func(t *testing.T) {
			// A condition has to refer to something, and this one always holds.
			dir := policy(t, "= "+condition+"\n", "= local.detection > 0\n")
			if out, err := run(dir, "test", "-no-color"); err == nil || !strings.Contains(out, " 1 failed") {
				t.Errorf("the module's tests pass: %v\n%s", err, out)
			}
		})
	}
}

func TestWhatMachinesRunIsAScript(t *testing.T) {
	dir := policy(t, "", "")
	args := []string{"apply", "-auto-approve", "-no-color", `-var=balancer_cidrs=["10.0.0.0/16"]`, "-var=policy_digest=sha256:" + strings.Repeat("0", 64),
		`-var=secrets={"sallyport/pepper":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:gateway/pepper-AbCdEf"}`}
	if out, err := run(dir, args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"user_data", "fetch_secrets"} {
		script, err := run(dir, "output", "-raw", name)
		if err != nil {
			t.Fatalf("%v\n%s", err, script)
		}
		sh := exec.Command("sh", "-n")
		sh.Stdin = strings.NewReader(script)
		if out, err := sh.CombinedOutput(); err != nil || !strings.Contains(script, "get-secret-value") {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, script)
		}
	}
}
