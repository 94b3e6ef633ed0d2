package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources is what a build of the gateway reads.
var sources = []string{"go.mod", "go.sum", "sallyport.go", "caddyfile", "modules", "xcaddy"}

// buildIn copies the sources and builds them there, with more in the environment.
// It returns the checksum that the script prints.
func buildIn(t *testing.T, dir string, env ...string) string {
	t.Helper()
	for _, name := range sources {
		from, to := filepath.Join("..", name), filepath.Join(dir, name)
		if info, err := os.Stat(from); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			copyTree(t, from, to)
			continue
		}
		write(t, dir, name, read(t, from))
	}
	cmd := exec.Command("sh", filepath.Join("xcaddy", "build.sh"), "out/caddy")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("building in %s: %v\n%s", dir, err, out)
	}
	sum, file, _ := strings.Cut(strings.TrimSpace(string(out)), "  ")
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(sum) || file != filepath.Join(dir, "out", "caddy") {
		t.Fatalf("it printed %q", out)
	}
	return sum
}

// The second place differs in all that a build could take in: its path, a Git
// repository around it, the settings of whoever builds.
func TestTheSameSourcesAreTheSameBytes(t *testing.T) {
	one, other := t.TempDir(), filepath.Join(t.TempDir(), "a", "longer", "path")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@b.test", "commit", "-q", "--allow-empty", "-m", "x"}} {
		git := exec.Command("git", args...)
		git.Dir = other
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	settings := write(t, t.TempDir(), "env", "GOAMD64=v3\n")
	first := buildIn(t, one)
	second := buildIn(t, other, "GOFLAGS=-buildvcs=true -gcflags=all=-l", "GOENV="+settings, "CGO_ENABLED=1", "GOEXPERIMENT=nogreenteagc", "SOURCE_DATE_EPOCH=1")
	if first != second {
		t.Errorf("%s, and then %s", first, second)
	}
	modules := strings.Fields(string(output(t, exec.Command(filepath.Join(one, "out", "caddy"), "list-modules", "--skip-standard"))))
	for _, module := range suiteModules {
		if !strings.Contains(" "+strings.Join(modules, " ")+" ", " "+module+" ") {
			t.Errorf("the binary lacks %s", module)
		}
	}
}

func TestAnotherCompilerIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go", "#!/bin/sh\n[ \"$2\" = GOVERSION ] && echo go1.26.0 || true\n")
	if err := os.Chmod(filepath.Join(dir, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "../xcaddy/build.sh", filepath.Join(dir, "caddy"))
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the compiler is go1.26.0, and has to be go1.26") {
		t.Errorf("it ended with %v and printed %q", err, out)
	}
}

func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return out
}
