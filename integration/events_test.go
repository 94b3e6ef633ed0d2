package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// watched refuses everyone, and writes events to where option says.
func watched(option string) string {
	return `{
	admin {$ADMIN}
	auto_https off
	persist_config off
	metrics
	sallyport {
		events ` + option + `
	}
}
http://{$ADDR} {
	telemetry
	allowlist {
		deny 127.0.0.0/8
	}
	respond ok
}
`
}

// refuse makes n requests from some connections, and returns how many were
// answered with 403.
func refuse(t *testing.T, addr string, n int64) int64 {
	t.Helper()
	var left, refused atomic.Int64
	left.Store(n)
	var clients sync.WaitGroup
	for range 8 {
		client := clientFrom(t, "127.0.0.1")
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				resp, err := client.Get("http://" + addr + "/orders")
				if err != nil {
					t.Error(err)
					continue
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusForbidden {
					refused.Add(1)
				}
			}
		})
	}
	clients.Wait()
	return refused.Load()
}

func TestEventsAreInTheFileWhenTheProcessHasEnded(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	g := newGateway(t, dir, freeAddr(t), map[string]string{"ADDR": addr})
	cmd := exec.Command(binary, "run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", watched("file events.json")))
	exited := g.start(t, cmd)
	const n = 500
	if refused := refuse(t, addr, n); refused != n {
		t.Errorf("%d of %d refused", refused, n)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-exited
	content, err := os.ReadFile(filepath.Join(dir, "events.json"))
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for line := range strings.Lines(string(content)) {
		var event struct{ Schema, Decision, Client, Path string }
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Client != "127.0.0.1" || event.Path != "/orders" {
			t.Fatalf("%v: %s", err, line)
		}
		ids[event.Decision] = true
	}
	if len(ids) != n {
		t.Errorf("%d events, want %d", len(ids), n)
	}
}

// TestAStandardOutputThatNobodyReadsBlocksNobody: the pipe takes some events, the
// queue some thousands, and the rest is dropped.
func TestAStandardOutputThatNobodyReadsBlocksNobody(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	g := newGateway(t, dir, freeAddr(t), map[string]string{"ADDR": addr})
	config := write(t, dir, "Caddyfile", watched("stdout"))
	cmd := exec.Command("sh", "-c", `exec "$0" run --adapter caddyfile --config "$1" >"$2"`, binary, config, pipe)
	exited := g.start(t, cmd)
	const n = 12000
	if refused := refuse(t, addr, n); refused != n {
		t.Errorf("%d of %d refused", refused, n)
	}
	dropped := g.metric(t, "sallyport_events_dropped_total")
	written := g.metric(t, `sallyport_events_total{verdict="deny"}`)
	counted := g.metric(t, `sallyport_requests_total{code="4xx",method="GET",site="`+addr[:strings.IndexByte(addr, ':')]+`"}`)
	if dropped == 0 || dropped+written > n || counted != n {
		t.Errorf("%v dropped, %v written, %v of %d requests counted", dropped, written, counted, n)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-exited // the pipe is still full
}
