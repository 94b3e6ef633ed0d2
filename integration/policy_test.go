package integration

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// policied is a gateway with files that are part of its policy and files that are
// not. SEAL is an option of the sallyport block or nothing.
const policied = `{
	admin {$ADMIN}
	auto_https off
	persist_config off
	shutdown_delay 1ms
	grace_period 1s
	sallyport {
		SEAL
	}
}
http://{$ADDR} {
	allowlist {
		deny 127.0.0.66
		deny file lists/drop.txt
	}
	respond /ok ok
}
http://{$PROBES} {
	health {
		details 127.0.0.1
	}
	metrics /metrics
}
`

// polled is where a gateway of these tests serves.
type polled struct{ dir, addr, probes, admin string }

func newPolled(t *testing.T, seal string) polled {
	t.Helper()
	p := polled{t.TempDir(), freeAddr(t), freeAddr(t), freeAddr(t)}
	write(t, p.dir, "Caddyfile", strings.Replace(policied, "SEAL", seal, 1))
	write(t, p.dir, "lists/drop.txt", "127.0.0.77\n")
	return p
}

func (p polled) env() map[string]string { return map[string]string{"ADDR": p.addr, "PROBES": p.probes} }

// start runs the gateway and returns its process.
func (p polled) start(t *testing.T, args ...string) (*gateway, *exec.Cmd, <-chan error) {
	t.Helper()
	g := newGateway(t, p.dir, p.admin, p.env())
	cmd := exec.Command(binary, append([]string{"run", "--config", "Caddyfile"}, args...)...)
	exited := g.start(t, cmd)
	waitFor(t, "readiness", func() bool { return get("http://"+p.probes+"/readyz") == nil })
	return g, cmd, exited
}

// sallyport runs a command in a folder, with the gateway's environment, and
// returns what it printed and its exit code.
func (p polled) sallyport(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"sallyport"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ADMIN="+p.admin)
	for name, value := range p.env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stderr buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	t.Logf("%s", &stderr)
	return string(out), cmd.ProcessState.ExitCode()
}

func (p polled) digest(t *testing.T, dir string) string {
	t.Helper()
	out, code := p.sallyport(t, dir, "digest")
	if code != 0 || !strings.HasPrefix(out, "sha256:") {
		t.Fatalf("exit code %d, %q", code, out)
	}
	return strings.TrimSpace(out)
}

func TestTheDigestIsTheOneThatTheGatewayRuns(t *testing.T) {
	p := newPolled(t, "")
	g, _, _ := p.start(t)
	want := p.digest(t, p.dir)

	other := t.TempDir()
	copyTree(t, p.dir, filepath.Join(other, "elsewhere"))
	if got := p.digest(t, filepath.Join(other, "elsewhere")); got != want {
		t.Errorf("in another folder it is %s, not %s", got, want)
	}
	shown := func(digest string) {
		t.Helper()
		if got := send(t, http.DefaultClient, "GET", "http://"+p.probes+"/readyz").header.Get("Sallyport-Policy"); got != digest {
			t.Errorf("/readyz says %q, want %s", got, digest)
		}
		var rows []string
		for line := range strings.Lines(send(t, http.DefaultClient, "GET", "http://"+p.probes+"/metrics").body) {
			if strings.HasPrefix(line, "sallyport_policy_info{") {
				rows = append(rows, strings.TrimSpace(line))
			}
		}
		if len(rows) != 1 || rows[0] != `sallyport_policy_info{digest="`+digest+`"} 1` {
			t.Errorf("the metrics have %q, want %s alone", rows, digest)
		}
		if !strings.Contains(g.log.String(), `"msg":"policy in force","digest":"`+digest+`","files":1,"sealed":false`) {
			t.Errorf("the log does not have %s", digest)
		}
	}
	shown(want)

	// A file's content is policy, and a reload puts it in force.
	write(t, p.dir, "lists/drop.txt", "127.0.0.78\n")
	next := p.digest(t, p.dir)
	if next == want {
		t.Fatal("the content of a list does not count")
	}
	if err := g.load(t, g.admin, filepath.Join(p.dir, "Caddyfile")); err != nil {
		t.Fatal(err)
	}
	client := clientFrom(t, "127.0.0.1")
	waitFor(t, "the new configuration", func() bool {
		client.CloseIdleConnections()
		return send(t, client, "GET", "http://"+p.probes+"/readyz").header.Get("Sallyport-Policy") == next
	})
	shown(next)

	// A rejected one leaves what is in force.
	bad := write(t, p.dir, "bad", strings.Replace(policied, "SEAL", "", 1)+"http://192.0.2.1:1 {\n\tbind 192.0.2.1\n}\n")
	if err := g.load(t, g.admin, bad); err == nil {
		t.Fatal("it is not rejected")
	}
	waitFor(t, "the admin endpoint", func() bool { return get("http://"+g.admin+"/config/") == nil })
	shown(next)

	// JSON as the admin API shows it is the same policy, with labels or without.
	running := send(t, g.client, "GET", "http://"+g.admin+"/config/").body
	write(t, p.dir, "running.json", strings.Replace(running, `"handler":"allowlist"`, `"@id":"list","handler":"allowlist"`, 1))
	if out, code := p.sallyport(t, p.dir, "digest", "--config", "running.json"); code != 0 || strings.TrimSpace(out) != next {
		t.Errorf("of /config/ it is %q, exit code %d, want %s", out, code, next)
	}
}

func TestTheDigestSaysOfWhatItIs(t *testing.T) {
	p := newPolled(t, "")
	out, code := p.sallyport(t, p.dir, "digest", "--json")
	var got struct {
		Digest, Config string
		Files          []struct{ Name, Digest string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s", err, code, out)
	}
	list := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("127.0.0.77\n")))
	whole := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(`{"config":"`+got.Config+`","files":{"lists/drop.txt":"`+list+`"}}`)))
	if len(got.Files) != 1 || got.Files[0].Name != "lists/drop.txt" || got.Files[0].Digest != list || got.Digest != whole || got.Digest != p.digest(t, p.dir) {
		t.Errorf("got %s", out)
	}
	if err := os.Remove(filepath.Join(p.dir, "lists/drop.txt")); err != nil {
		t.Fatal(err)
	}
	if out, code := p.sallyport(t, p.dir, "digest"); code != 1 || out != "" {
		t.Errorf("without a file: exit code %d, %q", code, out)
	}
}

func TestDriftIsNoticed(t *testing.T) {
	same, drifted := newPolled(t, ""), newPolled(t, "")
	same.start(t)
	write(t, drifted.dir, "lists/drop.txt", "# nobody\n")
	drifted.start(t)

	a, b := "http://"+same.probes+"/readyz", "http://"+drifted.probes+"/metrics"
	tests := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"one that runs it", []string{"--targets", a}, 0, []string{"same         " + a}},
		{"its metrics", []string{"--targets", "http://" + same.probes + "/metrics"}, 0, []string{"same"}},
		{"one that runs another", []string{"--targets", a + "," + b}, 2, []string{"same   " + a, "drift  " + b}},
		{"one that does not answer", []string{"--targets", a, "--targets", "http://" + freeAddr(t) + "/readyz"}, 2, []string{"same", "unreachable", "connection refused"}},
		{"one that does not say", []string{"--targets", "http://" + same.addr + "/ok"}, 2, []string{"unreachable", "does not say"}},
		{"a digest", []string{"--digest", same.digest(t, same.dir), "--targets", a}, 0, []string{"same"}},
		{"as JSON", []string{"--json", "--targets", b}, 2, []string{`"state": "drift"`, `"target": "` + b + `"`}},
		{"no targets", nil, 1, nil},
		{"a target that is no URL", []string{"--targets", "localhost"}, 1, nil},
		{"no such file", []string{"--config", "missing", "--targets", a}, 1, nil},
		{"a digest and a file", []string{"--digest", "sha256:" + strings.Repeat("0", 64), "--config", "Caddyfile", "--targets", a}, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, code := same.sallyport(t, same.dir, append([]string{"drift"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, out)
			}
			flat := strings.Join(strings.Fields(out), " ")
			for _, want := range tt.want {
				if !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}
