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

	for name, bad := range map[string]string{
		"a file that is missing": `{
	admin {$OTHER}
	auto_https off
	log {
		format console
	}
}
http://{$ADDR} {
	allowlist {
		allow file missing.txt
	}
}
`,
		"a module of Caddy's own that refuses": `{
	admin {$OTHER}
	auto_https off
}
https://{$ADDR} {
	tls missing.pem missing.key
}
`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := g.load(t, g.admin, write(t, dir, "bad", bad)); err == nil || !strings.Contains(err.Error(), "missing") {
				t.Fatalf("it is not rejected for its missing file: %v", err)
			}
			if err := get("http://" + g.admin + "/config/"); err != nil {
				t.Errorf("the admin endpoint is gone: %v", err)
			}
			if err := get("http://" + other + "/config/"); err == nil {
				t.Error("the admin endpoint is at the rejected configuration's address")
			}
			if got := send(t, clientFrom(t, "127.0.0.66"), "GET", "http://"+addr); got.status != http.StatusForbidden {
				t.Errorf("the guard in force is gone: %d", got.status)
			}
			if got := send(t, clientFrom(t, "127.0.0.1"), "GET", "http://"+addr); got.status != http.StatusOK {
				t.Errorf("the site in force is gone: %d", got.status)
			}
			// The default logger writes a line for each request to the admin endpoint.
			before := len(g.log.String())
			waitFor(t, "a line of the default logger", func() bool {
				_ = get("http://" + g.admin + "/config/")
				return strings.Contains(g.log.String()[before:], "received request")
			})
			for line := range strings.Lines(g.log.String()[before:]) {
				if strings.Contains(line, "received request") && !strings.Contains(line, `"in_force"`) {
					t.Errorf("the rejected configuration's logger writes: %s", line)
				}
			}
		})
	}
	if err := g.load(t, g.admin, file); err != nil {
		t.Errorf("a good configuration is rejected after bad ones: %v", err)
	}
}
