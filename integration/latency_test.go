package integration

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheShareOfTheBackendIsWhatTheBalancerMeasures logs the same requests at
// HAProxy and at the gateway. HAProxy counts the gateway as its backend: how long it
// took to begin the response (Tr), and then to send the body (Td). Of the same two
// parts the gateway says how much was whose. Shares are compared, never times.
func TestTheShareOfTheBackendIsWhatTheBalancerMeasures(t *testing.T) {
	const pause = 300 * time.Millisecond
	backend := newSlowBackend(t, pause)
	front, inner := freeAddr(t), freeAddr(t)
	dir := t.TempDir()
	file := write(t, dir, "Caddyfile", `{
	admin {$ADMIN}
	persist_config off
	log {
		format redact
	}
	servers :`+port(inner)+` {
		trusted_proxies elb hops {
			from 127.0.0.1/32
			hops 1
		}
		trusted_proxies_strict
	}
}
http://127.0.0.1:`+port(inner)+` {
	log
	telemetry
	allowlist {
		deny 192.0.2.66
	}
	reverse_proxy `+backend+` {
		flush_interval -1
		transport sallyport {
			name slow
		}
	}
}
`)
	g := start(t, dir, file, nil)
	var haproxyLog buffer
	config := write(t, dir, "haproxy.cfg", fmt.Sprintf("global\n\tlog stdout format raw local0\ndefaults\n\tmode http\n\tlog global\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n"+
		"frontend in\n\tbind %s\n\toption forwardfor\n\tlog-format \"timers %%HP %%Tr %%Td %%Tw %%Tc\"\n\tdefault_backend gate\nbackend gate\n\thttp-request set-header Host 127.0.0.1\n\tserver gate %s\n", front, inner))
	cmd := exec.Command(haproxy(t), "-db", "-f", config)
	cmd.Stdout, cmd.Stderr = &haproxyLog, &haproxyLog
	run(t, cmd, syscall.SIGINT)
	waitFor(t, "HAProxy and the gateway", func() bool { return get("http://"+front+"/warm") == nil })

	for path, want := range map[string]struct{ wait, receive float64 }{
		"/wait":    {1, 0},
		"/receive": {0, 1},
		"/both":    {0.5, 0.5},
	} {
		t.Run(path, func(t *testing.T) {
			before := len(g.log.String())
			if got := send(t, http.DefaultClient, "GET", "http://"+front+path); got.status != http.StatusOK {
				t.Fatalf("got %d", got.status)
			}
			var tr, td float64
			waitFor(t, "HAProxy's log", func() bool {
				for line := range strings.Lines(haproxyLog.String()) {
					if fields := strings.Fields(line); len(fields) == 6 && fields[0] == "timers" && fields[1] == path {
						tr, _ = strconv.ParseFloat(fields[2], 64)
						td, _ = strconv.ParseFloat(fields[3], 64)
						return true
					}
				}
				return false
			})
			ours := timingOf(t, g, path, before)
			share := func(part, of float64) float64 { return part / math.Max(of, 1e-9) }
			near := func(what string, got, want float64) {
				if math.Abs(got-want) > 0.15 {
					t.Errorf("%s: %.2f, want about %.2f (HAProxy Tr %v Td %v; ours %v)", what, got, want, tr, td, ours)
				}
			}
			begin := ours["connect"] + ours["send"] + ours["wait"] + ours["gateway"]
			all := begin + ours["receive"]
			near("the balancer's share before the response", share(tr, tr+td), want.wait)
			near("our share before the response", share(begin, all), share(tr, tr+td))
			near("our share of the body", share(ours["receive"], all), share(td, tr+td))
			near("the gateway's own share", share(ours["gateway"], all), 0)
		})
	}
}

// timingOf is what the access log says of a request's time.
func timingOf(t *testing.T, g *gateway, path string, before int) map[string]float64 {
	t.Helper()
	var entry struct {
		Request struct{ URI string }
		Timing  map[string]float64
	}
	waitFor(t, "the access log", func() bool {
		for line := range strings.Lines(g.log.String()[before:]) {
			entry.Timing = nil
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Request.URI == path && entry.Timing != nil {
				return true
			}
		}
		return false
	})
	return entry.Timing
}

// newSlowBackend takes its time before the response, during it, or both.
func newSlowBackend(t *testing.T, pause time.Duration) (addr string) {
	t.Helper()
	b := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, receive := time.Duration(0), time.Duration(0)
		switch filepath.Base(r.URL.Path) {
		case "wait":
			wait = pause
		case "receive":
			receive = pause
		case "both":
			wait, receive = pause, pause
		}
		<-time.After(wait)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-time.After(receive)
		fmt.Fprint(w, "ok")
	})
	return serve(t, b)
}
