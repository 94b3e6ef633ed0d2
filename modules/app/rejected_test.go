package app_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	"github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const denySite = "{$ADDR} {\n\tallowlist {\n\t\tdeny DENY\n\t}\n\trespond BODY\n}\n"

func site(deny, body string) string {
	return strings.NewReplacer("DENY", deny, "BODY", body).Replace(denySite)
}

func TestARejectedConfigurationDoesNotReadTheFilesInForceAgain(t *testing.T) {
	list := t.TempDir() + "/deny.txt"
	write(t, list, "192.0.2.66\n")
	g := gatetest.Run(t, site("file "+list, "ok"))
	write(t, list, "# being edited\n")
	if err := g.Reload(t, site("file /missing", "ok")); err == nil {
		t.Fatal("it is not rejected")
	}
	if app.Restoring() {
		t.Error("the configuration in force is loaded again, though it has no admin endpoint")
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.66"); resp.Status != 403 {
		t.Errorf("the guard in force has changed: got %d, want 403", resp.Status)
	}
}

// The second configuration is accepted while the restoring that the first one
// made necessary waits for Caddy's lock.
func TestRestoringDoesNotUndoAConfigurationAcceptedMeanwhile(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.Replace(gatetest.Globals, "admin off", "admin "+ln.Addr().String(), 1)
	ln.Close()
	big := t.TempDir() + "/big.txt"
	var lines strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&lines, "10.%d.%d.%d\n", i>>16&255, i>>8&255, i&255)
	}
	write(t, big, lines.String()) // so that the first load takes its time

	g := gatetest.Run(t, admin+site("192.0.2.66", "old"))
	rejected := make(chan error)
	go func() {
		rejected <- g.Reload(t, site("file "+big+"\n\t\tdeny file /missing", "bad")) // admin off
	}()
	for !app.LoadUnderWay() {
		runtime.Gosched()
	}
	if err := g.Reload(t, admin+site("192.0.2.66", "new")); err != nil {
		t.Fatal(err)
	}
	if <-rejected == nil {
		t.Fatal("it is not rejected")
	}
	for app.Restoring() {
		runtime.Gosched()
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1"); resp.Body != "new" {
		t.Errorf("the accepted configuration was replaced: got %q", resp.Body)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
