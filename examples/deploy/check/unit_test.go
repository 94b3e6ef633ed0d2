package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exposure is the most that `systemd-analyze security` may say, in tenths; 0 is
// nothing, 100 everything.
const exposure = "13"

// unit writes the unit with something changed, and with a program that is there.
func unit(t *testing.T, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "caddy")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := read(t, "systemd", "sallyport.service")
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in the unit", old)
	}
	text = strings.Replace(text, old, new, 1)
	file := filepath.Join(dir, "sallyport.service")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "ExecStart=/opt/sallyport/current/caddy", "ExecStart="+program, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func analyze(args ...string) (string, error) {
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	return string(out), err
}

func TestSystemdFindsNothingInTheUnit(t *testing.T) {
	if out, err := analyze("verify", unit(t, "", "")); err != nil || strings.Contains(out, "sallyport.service") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := analyze("verify", unit(t, "ProtectHome=", "ProtectHoem=")); !strings.Contains(out, "ProtectHoem") {
		t.Errorf("an unknown setting is not found:\n%s", out)
	}
}

func TestTheUnitCanDoLittle(t *testing.T) {
	security := func(file string) (string, error) {
		return analyze("security", "--offline=true", "--threshold="+exposure, "--no-pager", file)
	}
	if out, err := security(unit(t, "", "")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, protection := range []string{"CapabilityBoundingSet=\n", "PrivateUsers=yes\n", "ProtectSystem=strict\n", "SystemCallFilter=@system-service\n"} {
		if out, err := security(unit(t, protection, "")); err == nil {
			t.Errorf("without %s it is still below the threshold:\n%s", protection, out)
		}
	}
}

func TestTheUnitStartsOnlyTheRelease(t *testing.T) {
	text := read(t, "systemd", "sallyport.service")
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(text)
	if start == nil || strings.Contains(start[1], "--resume") || strings.Contains(start[1], "--watch") || regexp.MustCompile(`(?m)^ExecReload`).MatchString(text) {
		t.Errorf("it starts %q, or reloads", start)
	}
}
