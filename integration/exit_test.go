package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaving is a gateway that can be ended; options are global ones.
func leaving(options string) string {
	return `{
	admin {$ADMIN}
	auto_https disable_redirects
	persist_config off
	` + options + `
}
https://api.test:{$PORT} {
	tls cert.pem key.pem
	allowlist {
		deny 127.0.0.66
	}
	handle /open/* {
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
}
`
}

// anExit is a gateway that got SIGTERM, or will.
type anExit struct {
	*gateway
	addr, probes string // host:port of the site and of health
	cmd          *exec.Cmd
	exited       <-chan error
}

func startLeaving(t *testing.T, caddyfile string) *anExit {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			echo(w)
			return
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(backend.Close)
	dir := t.TempDir()
	selfSigned(t, dir)
	e := &anExit{addr: freeAddr(t), probes: freeAddr(t)}
	e.gateway = newGateway(t, dir, freeAddr(t), map[string]string{
		"PORT": port(e.addr), "PROBES": e.probes, "BACKEND": strings.TrimPrefix(backend.URL, "http://")})
	e.cmd = exec.Command(binary, "run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", caddyfile))
	e.exited = e.gateway.start(t, e.cmd)
	return e
}

func (e *anExit) terminate(t *testing.T) {
	t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the end of the process.
func (e *anExit) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-e.exited:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// socket is a WebSocket through the gateway.
func (e *anExit) socket(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := tls.Dial("tcp", e.addr, &tls.Config{ServerName: site, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	buffered := bufio.NewReader(conn)
	if err := upgrade(conn, buffered); err != nil {
		t.Fatal(err)
	}
	return conn, buffered
}

const probed = "http://{$PROBES} {\n\thealth\n\tmetrics /metrics\n}\n"

func TestAnExitInPhases(t *testing.T) {
	e := startLeaving(t, leaving("shutdown_delay 3s\n\tgrace_period 30s\n\tmetrics")+probed)
	waitFor(t, "readiness", func() bool { return get("http://"+e.probes+"/readyz") == nil })
	conn, buffered := e.socket(t)
	phase := func() string {
		resp, err := http.Get("http://" + e.probes + "/metrics")
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		_, rest, _ := strings.Cut(string(body), "\nsallyport_drain_phase ")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	if got := phase(); got != "0" {
		t.Errorf("a gateway that serves is in phase %q", got)
	}

	e.terminate(t)
	waitFor(t, "the end of readiness", func() bool { return get("http://"+e.probes+"/readyz") != nil })
	t.Run("it is live and did start", func(t *testing.T) {
		for path, status := range map[string]int{"/readyz": 503, "/livez": 200, "/startupz": 200} {
			got := send(t, clientFrom(t, "127.0.0.2"), "GET", "http://"+e.probes+path)
			if got.status != status {
				t.Errorf("%s: got %d, want %d", path, got.status, status)
			}
		}
	})
	t.Run("new requests are served, and asked to leave", func(t *testing.T) {
		for _, path := range []string{"/", "/open/"} {
			client := clientFrom(t, "127.0.0.2")
			for range 2 {
				if got := send(t, client, "GET", "https://"+e.addr+path, "Host", site); got.status != 200 || got.body != "ok" {
					t.Errorf("got %d %s", got.status, got.body)
				}
			}
			if protocol, reused := again(t, client, "https://"+e.addr+path); protocol != 1 || reused {
				t.Errorf("HTTP/%d: connection reused: %v", protocol, reused)
			}
		}
	})
	t.Run("so are those of HTTP/2", func(t *testing.T) {
		client := clientFrom(t, "127.0.0.2")
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		_ = send(t, client, "GET", "https://"+e.addr, "Host", site)
		if protocol, reused := again(t, client, "https://"+e.addr); protocol != 2 || reused {
			t.Errorf("HTTP/%d: connection reused: %v", protocol, reused)
		}
	})
	if got := phase(); got != "1" {
		t.Errorf("a gateway that drains is in phase %q", got)
	}

	waitFor(t, "the end of new connections", func() bool {
		conn, err := net.Dial("tcp", e.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	fmt.Fprintln(conn, "still here")
	if got, err := buffered.ReadString('\n'); got != "still here\n" {
		t.Errorf("the WebSocket says %q, %v", got, err)
	}
	conn.Close()
	e.ended(t)
	for _, line := range []string{`"draining: not ready`, `"closing: requests under way`, `"drained: no request`} {
		if strings.Count(e.log.String(), line) != 1 {
			t.Errorf("the log has not one line %s", line)
		}
	}
}

// again sends a request and reports its protocol, and whether it went over a
// connection that was used before.
func again(t *testing.T, client *http.Client, url string) (protocol int, reused bool) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = site
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
	}))
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.ProtoMajor, reused
}

func TestAnExitEndsWithItsGracePeriod(t *testing.T) {
	e := startLeaving(t, leaving("shutdown_delay 1ms\n\tgrace_period 1s")+probed)
	e.socket(t) // stays
	e.terminate(t)
	e.ended(t)
	if !strings.Contains(e.log.String(), `"the grace period is over; requests under way are cut"`) {
		t.Error("the log does not say that a request was cut")
	}
}

// A reload drains the configuration before for as long as somebody keeps an idle
// connection to it.
func TestAnExitWhileAReloadDrains(t *testing.T) {
	e := startLeaving(t, leaving("shutdown_delay 1s\n\tgrace_period 5s")+probed)
	waitFor(t, "readiness", func() bool { return get("http://"+e.probes+"/readyz") == nil })
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _ = e.load(t, e.admin, filepath.Join(e.dir, "Caddyfile")) }()
	const running = `"server running"`
	before := strings.Count(e.log.String(), running)
	waitFor(t, "the new configuration", func() bool { return strings.Count(e.log.String(), running) > before })
	e.terminate(t)
	waitFor(t, "the beginning of the exit", func() bool { return strings.Contains(e.log.String(), `"draining: not ready`) })
	for range 20 { // the kernel gives connections to either configuration
		if get("http://"+e.probes+"/readyz") == nil {
			t.Error("it is ready after SIGTERM")
			break
		}
	}
	e.ended(t)
	if strings.Contains(e.log.String(), "panic:") || !strings.Contains(e.log.String(), `"drained: no request`) {
		t.Error("it did not end in phases")
	}
}

// The adapter drops the options of an address that no server has, without a word.
func TestABalancerThatNoServerHasIsNoticed(t *testing.T) {
	for _, balancer := range []string{
		"trusted_proxies elb aws_alb {\n\t\t\tfrom 10.0.0.0/16\n\t\t}\n\t\ttrusted_proxies_strict",
		"listener_wrappers {\n\t\t\telb aws_nlb {\n\t\t\t\tfrom 10.0.0.0/16\n\t\t\t}\n\t\t}",
	} {
		dir, addr := t.TempDir(), freeAddr(t)
		file := write(t, dir, "Caddyfile", "{\n\tadmin off\n\tpersist_config off\n\tdefault_bind 127.0.0.1\n\tservers :"+port(addr)+" {\n\t\t"+balancer+"\n\t}\n}\n"+
			"http://:"+port(addr)+" {\n\tallowlist {\n\t\tallow 10.0.0.0/8\n\t}\n}\n")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, "run", "--config", file)
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "Caddyfile:") || !strings.Contains(string(out), "no server listens on the address") {
			t.Errorf("got %v\n%s", err, out)
		}
	}
}

func TestWhatAnExitTakesUnlessConfigured(t *testing.T) {
	tests := []struct{ name, caddyfile, delay, grace string }{
		{"something probes", leaving("") + probed, "10", "15"},
		{"nothing probes", leaving(""), "0", "15"},
		{"configured", leaving("shutdown_delay 2ms\n\tgrace_period 2s") + probed, "0.002", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startLeaving(t, tt.caddyfile)
			e.terminate(t)
			want := fmt.Sprintf(`"shutdown_delay":%s,"grace_period":%s,`, tt.delay, tt.grace)
			waitFor(t, want, func() bool { return strings.Contains(e.log.String(), want) })
		})
	}
}
