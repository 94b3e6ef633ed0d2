package integration

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// reloadable is a gateway whose configuration is replaced while it serves.
const reloadable = `{
	admin {$ADMIN}
	auto_https off
	persist_config off
}
http://{$ADDR} {
	allowlist {
		deny 127.0.0.66
	}
	respond ok
}
`

func TestReloadUnderKeepAliveLoadLosesNoRequest(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	file := write(t, dir, "Caddyfile", reloadable)
	g := start(t, dir, file, map[string]string{"ADDR": addr})
	waitFor(t, "the site", func() bool { return get("http://"+addr) == nil })

	var served, failed atomic.Int64
	var done atomic.Bool
	var clients sync.WaitGroup
	for range 12 {
		client := clientFrom(t, "127.0.0.1")
		clients.Go(func() {
			for !done.Load() {
				resp, err := client.Post("http://"+addr, "text/plain", strings.NewReader("x"))
				if err != nil {
					failed.Add(1)
					t.Log(err)
					continue
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
					t.Log(resp.Status, err)
				}
				resp.Body.Close()
				served.Add(1)
			}
		})
	}
	for range 10 {
		if err := g.load(t, g.admin, file); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	clients.Wait()
	if failed.Load() > 0 || served.Load() == 0 {
		t.Errorf("%d of %d requests failed over 10 reloads", failed.Load(), served.Load())
	}
}

func TestARejectedReloadChangesNothing(t *testing.T) {
	dir, addr, other := t.TempDir(), freeAddr(t), freeAddr(t)
	file := write(t, dir, "Caddyfile", strings.Replace(reloadable, "persist_config off", "persist_config off\n\tlog {\n\t\tformat json {\n\t\t\tmessage_key in_force\n\t\t}\n\t}", 1))
	g := start(t, dir, file, map[string]string{"ADDR": addr, "OTHER": other})

	const bare = "{\n\tadmin {$OTHER}\n\tauto_https off\n\tlog {\n\t\tformat console\n\t}\n}\n"
	tests := []struct{ name, bad, want string }{
		{"a file that is missing", bare + "http://{$ADDR} {\n\tallowlist {\n\t\tallow file missing.txt\n\t}\n}\n", "missing.txt"},
		{"a module of Caddy's own that refuses", bare + "https://{$ADDR} {\n\ttls missing.pem missing.key\n}\n", "missing.pem"},
		{"an address that cannot be listened on", bare + "http://192.0.2.1:1 {\n\tbind 192.0.2.1\n\tallowlist {\n\t\tdeny 192.0.2.2\n\t}\n}\n", "192.0.2.1:1"},
		{"nothing of the suite in it, and an address that cannot be listened on", bare + "http://192.0.2.1:1 {\n\tbind 192.0.2.1\n}\n", "192.0.2.1:1"},
		{"a log that cannot be opened", bare + "http://{$ADDR} {\n\tlog {\n\t\toutput file /proc/nowhere/access.log\n\t}\n\tallowlist {\n\t\tdeny 192.0.2.2\n\t}\n}\n", "/proc/nowhere"},
		{"no admin endpoint and a file that is missing", "{\n\tadmin off\n}\nhttp://{$ADDR} {\n\tallowlist {\n\t\tallow file missing.txt\n\t}\n}\n", "missing.txt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.load(t, g.admin, write(t, dir, "bad", tt.bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("it is not rejected for %s: %v", tt.want, err)
			}
			waitFor(t, "the admin endpoint", func() bool {
				return get("http://"+g.admin+"/config/") == nil && get("http://"+other+"/config/") != nil
			})
			if got := send(t, clientFrom(t, "127.0.0.66"), "GET", "http://"+addr); got.status != http.StatusForbidden {
				t.Errorf("the guard in force is gone: %d", got.status)
			}
			if got := send(t, clientFrom(t, "127.0.0.1"), "GET", "http://"+addr); got.status != http.StatusOK {
				t.Errorf("the site in force is gone: %d", got.status)
			}
			// The default logger writes a line for each request to the admin endpoint.
			waitFor(t, "a line of the default logger in force", func() bool {
				before := len(g.log.String())
				_ = get("http://" + g.admin + "/config/")
				return strings.Contains(g.log.String()[before:], `"in_force":"received request"`)
			})
		})
	}
	if err := g.load(t, g.admin, file); err != nil {
		t.Errorf("a good configuration is rejected after bad ones: %v", err)
	}
}
