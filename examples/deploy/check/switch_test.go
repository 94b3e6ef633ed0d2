package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is one with releases, whose systemctl and curl are stand-ins: a release
// whose Caddyfile says bad does not get ready.
type machine struct{ root, bin string }

func newMachine(t *testing.T, releases map[string]string) *machine {
	t.Helper()
	m := &machine{t.TempDir(), t.TempDir()}
	m.write(t, filepath.Join(m.bin, "systemctl"), "#!/bin/sh\n[ \"$*\" = 'restart sallyport' ] || exit 1\nreadlink \"$SALLYPORT_ROOT/current\" >>\"$SALLYPORT_ROOT/started\"\n")
	m.write(t, filepath.Join(m.bin, "curl"), "#!/bin/sh\n! grep -q bad \"$SALLYPORT_ROOT/current/Caddyfile\"\n")
	m.write(t, filepath.Join(m.bin, "sleep"), "#!/bin/sh\n")
	for name, caddyfile := range releases {
		m.write(t, filepath.Join(m.root, "releases", name, "caddy"), "")
		m.write(t, filepath.Join(m.root, "releases", name, "Caddyfile"), caddyfile)
	}
	return m
}

func (m *machine) write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// run returns whether the script succeeded and what it printed.
func (m *machine) run(args ...string) (bool, string) {
	cmd := exec.Command("../systemd/switch.sh", args...)
	cmd.Env = append(os.Environ(), "PATH="+m.bin+":"+os.Getenv("PATH"), "SALLYPORT_ROOT="+m.root, "SALLYPORT_PATIENCE=3")
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// expect compares where the links lead and what was started, in this order.
func (m *machine) expect(t *testing.T, current, previous string, started ...string) {
	t.Helper()
	for name, want := range map[string]string{"current": current, "previous": previous} {
		if got, _ := os.Readlink(filepath.Join(m.root, name)); strings.TrimPrefix(got, "releases/") != want {
			t.Errorf("%s leads to %q, want %q", name, got, want)
		}
	}
	log, _ := os.ReadFile(filepath.Join(m.root, "started"))
	if got := strings.ReplaceAll(string(log), "releases/", ""); got != strings.Join(started, "\n")+"\n" && len(started)+len(log) > 0 {
		t.Errorf("started were %q, want %q", got, started)
	}
}

func TestSwitchingAndSwitchingBack(t *testing.T) {
	m := newMachine(t, map[string]string{"one": "good", "two": "good"})
	for _, args := range []string{"one", "two", "--back"} {
		if ok, out := m.run(args); !ok {
			t.Fatalf("switch.sh %s: %s", args, out)
		}
	}
	m.expect(t, "one", "two", "one", "two", "one")
}

func TestAReleaseThatDoesNotGetReadyIsTakenBack(t *testing.T) {
	m := newMachine(t, map[string]string{"one": "good", "two": "bad", "zero": "good"})
	m.run("zero")
	m.run("one")
	if ok, out := m.run("two"); ok || !strings.Contains(out, "releases/one is in force again") {
		t.Errorf("%v, %s", ok, out)
	}
	m.expect(t, "one", "zero", "zero", "one", "two", "one")
}

func TestWhatIsNoReleaseIsNotSwitchedTo(t *testing.T) {
	tests := []struct{ name, argument, want string }{
		{"one that is not there", "three", "has no caddy"},
		{"one in another folder", "../../etc", "is no name of a release"},
		{"a hidden one", ".one", "is no name of a release"},
		{"the one in force", "one", "is in force already"},
		{"the one before the first", "--back", "there is no release before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, map[string]string{"one": "good"})
			m.run("one")
			if ok, out := m.run(tt.argument); ok || !strings.Contains(out, tt.want) {
				t.Errorf("%v, %s", ok, out)
			}
			m.expect(t, "one", "", "one")
		})
	}
}

// Every script of the examples is one that sh can read.
func TestScriptsAreScripts(t *testing.T) {
	for _, script := range []string{"../systemd/switch.sh", "../packer/install.sh", "../../../xcaddy/build.sh"} {
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if info, err := os.Stat(script); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run: %v", script, err)
		}
	}
}
