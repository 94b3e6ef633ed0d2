package integration

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestQuickstartDoesWhatREADMESays starts what `make run` starts and pastes every
// line of README's quickstart into one shell, as a reader would.
func TestQuickstartDoesWhatREADMESays(t *testing.T) {
	dir := t.TempDir()
	copyTree(t, filepath.Join("..", "examples"), filepath.Join(dir, "examples"))
	readme := read(t, filepath.Join("..", "README.md"))
	write(t, dir, "README.md", readme)
	if err := os.MkdirAll(filepath.Join(dir, "build"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "build", "caddy")); err != nil {
		t.Fatal(err)
	}

	var out buffer
	cmd := exec.Command("./examples/quickstart/run.sh")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	exited := run(t, cmd, os.Interrupt)
	waitFor(t, "the quickstart", func() bool {
		select {
		case err := <-exited:
			t.Fatalf("it ended: %v\n%s", err, &out)
		default:
		}
		return get("http://localhost:8082/readyz") == nil
	})

	section := between(t, readme, "<!-- quickstart -->\n", "<!-- end of quickstart -->\n")
	steps := consoleSteps(section)
	if len(steps) < 8 {
		t.Fatalf("README has %d things to try, want at least 8", len(steps))
	}
	shell := startShell(t, dir)
	for _, step := range steps {
		got := shell.run(t, step.command)
		if !matches(got, step.output) {
			t.Errorf("$ %s\ngives\n%sREADME says\n%s", step.command, got, step.output)
		}
	}
	if !strings.Contains(out.String(), steps[0].command) {
		t.Error("make run does not print what to try")
	}
	log := read(t, filepath.Join(dir, "build", "quickstart", "gateway.log"))
	key := strings.TrimSpace(read(t, filepath.Join(dir, "build", "quickstart", "key")))
	for _, secret := range []string{"topsecret", key, "hunter2"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}

func TestMakeRunBuildsAndStartsTheQuickstart(t *testing.T) {
	cmd := exec.Command("make", "-n", "run")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "go build -o build/caddy ./xcaddy\n./examples/quickstart/run.sh") {
		t.Errorf("make -n run: %v\n%s", err, out)
	}
}

func TestCaddyfilesInDocumentationAdapt(t *testing.T) {
	files, err := filepath.Glob("../examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range append(files, "../README.md") {
		for i, block := range regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$").FindAllStringSubmatch(read(t, file), -1) {
			blocks++
			dir := t.TempDir()
			caddy(t, dir, "adapt", "--validate", "--config", write(t, dir, "Caddyfile", block[1]))
			t.Logf("%s: block %d", file, i)
		}
	}
	if blocks == 0 {
		t.Error("there are none")
	}
}

// consoleStep is a command of a console block and what it prints, in which … is
// any text of a line.
type consoleStep struct{ command, output string }

func consoleSteps(markdown string) []consoleStep {
	var steps []consoleStep
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(markdown, -1) {
		for line := range strings.Lines(block[1]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, consoleStep{command: strings.TrimSpace(command)})
			} else if len(steps) > 0 {
				steps[len(steps)-1].output += line
			}
		}
	}
	return steps
}

func matches(got, want string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(strings.ReplaceAll(strings.TrimSpace(got), "\r", ""))
}

// shell is a shell that keeps its variables between commands.
type shell struct {
	in  *bufio.Writer
	out *bufio.Reader
}

func startShell(t *testing.T, dir string) *shell {
	t.Helper()
	cmd := exec.Command("bash")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &shell{bufio.NewWriter(in), bufio.NewReader(out)}
}

// run gives a command to the shell and returns what it printed.
func (s *shell) run(t *testing.T, command string) string {
	t.Helper()
	const end = "-- end of command --"
	if _, err := s.in.WriteString(command + "\necho '" + end + "'\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.in.Flush(); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatalf("$ %s: %v", command, err)
		}
		if before, ok := strings.CutSuffix(line, end+"\n"); ok {
			printed.WriteString(before)
			return printed.String()
		}
		printed.WriteString(line)
	}
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	if !ok {
		t.Fatalf("no %q", from)
	}
	s, _, ok = strings.Cut(s, to)
	if !ok {
		t.Fatalf("no %q", to)
	}
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
