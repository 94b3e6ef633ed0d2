package integration

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// "On SIGTERM the gateway leaves in phases": also while it takes over a new
// configuration.
func TestAttackSIGTERMDuringAReloadLeavesInPhases(t *testing.T) {
	e := startLeaving(t, leaving("shutdown_delay 1s\n\tgrace_period 5s")+probed)
	conn, err := net.Dial("tcp", e.addr) // idle: the old configuration drains for 5 s
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	time.Sleep(300 * time.Millisecond)
	loaded := make(chan error, 1)
	go func() { loaded <- e.load(t, e.admin, filepath.Join(e.dir, "Caddyfile")) }()
	time.Sleep(2 * time.Second)
	e.terminate(t)
	start := time.Now()
	time.Sleep(500*time.Millisecond)
	t.Logf("readyz 0.5s after SIGTERM: %v", get("http://"+e.probes+"/readyz"))
	e.ended(t)
	t.Log("ended after", time.Since(start), "load:", <-loaded)
	if strings.Contains(e.log.String(), "panic:") || !strings.Contains(e.log.String(), `"drained: no request`) {
		t.Error("no orderly exit")
	}
	_ = os.Stdout
}
