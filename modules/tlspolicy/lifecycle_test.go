package tlspolicy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestReloadsAndTheEndLeaveNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("gateway", func(t *testing.T) {
		cert, key := newAuthority(t).good(t, "a.example").put(t, t.TempDir())
		globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tstorage file_system "+filepath.Join(t.TempDir(), "storage")+
			"\n\tsallyport {\n\t\tsession_tickets shared\n\t}\n", 1)
		g := gatetest.Run(t, globals+site("a.example", mounted(cert, key), "tls_policy modern", "respond first"))
		for i := range 3 {
			if err := g.Reload(t, globals+site("a.example", mounted(cert, key), "tls_policy intermediate", fmt.Sprintf("respond %d", i))); err != nil {
				t.Fatal(err)
			}
			// Rejected after everything was provisioned.
			if err := g.Reload(t, globals+site("a.example", mounted(cert, key), "tls_policy modern", "tls_policy intermediate")); err == nil {
				t.Fatal("it is not rejected")
			}
			if err := g.Reload(t, globals+site("b.example", mounted(cert, key), "handle {\n\t\ttls_policy modern\n\t}")); err == nil {
				t.Fatal("it is not rejected")
			}
			if _, err := shown(strings.TrimPrefix(g.URL, "http://"), "a.example"); err != nil {
				t.Error(err)
			}
		}
	})
	// What keeps a lock file of the storage fresh looks at it every five seconds.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}
