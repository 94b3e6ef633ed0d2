package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// raw sends a request as it is written and returns the status of the answer.
func raw(t *testing.T, addr, method, target, body string) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, target, addr, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// stillServes reports an error unless the policy that the gateway started with is
// in force.
func (p polled) stillServes(t *testing.T, digest string) {
	t.Helper()
	for _, c := range []struct {
		ip     string
		status int
	}{{"127.0.0.1", 200}, {"127.0.0.66", 403}, {"127.0.0.77", 403}} {
		if got := send(t, clientFrom(t, c.ip), "GET", "http://"+p.addr+"/ok"); got.status != c.status {
			t.Errorf("%s gets %d, want %d", c.ip, got.status, c.status)
		}
	}
	if got := send(t, clientFrom(t, "127.0.0.1"), "GET", "http://"+p.probes+"/readyz").header.Get("Sallyport-Policy"); got != digest {
		t.Errorf("the policy is %s, was %s", got, digest)
	}
}

func TestASealedGatewayRefusesEveryWayToChangeIt(t *testing.T) {
	p := newPolled(t, "seal on")
	digest := p.digest(t, p.dir)
	g, cmd, exited := p.start(t)
	running := send(t, g.client, "GET", "http://"+g.admin+"/config/").body
	open := `{"admin":{"listen":"` + g.admin + `"},"apps":{"http":{"servers":{"srv0":{"listen":["` + p.addr + `"],"routes":[{"handle":[{"handler":"static_response","body":"taken"}]}]}}}}}`

	t.Run("the admin API", func(t *testing.T) {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "post", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"} {
			for _, target := range []string{
				"/config/", "/config", "/config/apps", "/config/apps/", "/config/apps/http/servers/srv0/routes/0/...", "/id/x", "/id/", "/id",
				"/load", "/load/", "/stop", "/stop/", "/adapt", "//load", "/./load", "/x/../load", "/%6coad", "/load%2f", "/load%00", "/load;x=1", "/LOAD",
				"/load?x=1", "//config/apps", "/config/../load", "/%63onfig/apps", "/config//apps", "/stop?", "/./stop", "http://" + g.admin + "/load",
			} {
				if got := raw(t, g.admin, method, target, open); got < 300 || got >= 500 {
					t.Errorf("%s %s: %d", method, target, got)
				}
			}
		}
		p.stillServes(t, digest)
	})
	t.Run("what would change it is forbidden, not merely wrong", func(t *testing.T) {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			for _, target := range []string{"/config/", "/config/apps", "/id/x", "/id/x/y"} {
				if got := raw(t, g.admin, method, target, open); got != 403 {
					t.Errorf("%s %s: %d", method, target, got)
				}
			}
		}
		for _, target := range []string{"/load", "/stop", "/adapt"} {
			if got := raw(t, g.admin, "POST", target, open); got != 403 {
				t.Errorf("POST %s: %d", target, got)
			}
		}
	})
	t.Run("the answer says why", func(t *testing.T) {
		got := send(t, g.client, "POST", "http://"+g.admin+"/load", "Content-Type", "application/json")
		if got.status != 403 || got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.body, `"title":"The gateway is sealed."`) {
			t.Errorf("got %d %s %s", got.status, got.header.Get("Content-Type"), got.body)
		}
		if !strings.Contains(g.log.String(), `"msg":"a configuration change was refused: the gateway is sealed","way":"load","method":"POST","remote":"127.0.0.1:`) {
			t.Error("the log does not say it")
		}
	})
	t.Run("caddy reload and caddy stop", func(t *testing.T) {
		if err := g.load(t, g.admin, write(t, p.dir, "open", strings.Replace(policied, "SEAL", "seal off", 1))); err == nil || !strings.Contains(err.Error(), "sealed") {
			t.Errorf("caddy reload: %v", err)
		}
		stop := exec.Command(binary, "stop", "--address", g.admin)
		if out, err := stop.CombinedOutput(); err == nil || !strings.Contains(string(out), "sealed") {
			t.Errorf("caddy stop: %v %s", err, out)
		}
		p.stillServes(t, digest)
	})
	for _, tt := range []struct{ name, file string }{
		{"another configuration", strings.Replace(policied, "SEAL", "", 1)},
		{"one that turns the admin endpoint off", "{\n\tadmin off\n}\nhttp://{$ADDR} {\n\trespond taken\n}\n"},
		{"one with nothing of the suite", "{\n\tadmin {$ADMIN}\n}\nhttp://{$ADDR} {\n\trespond taken\n}\n"},
	} {
		t.Run("SIGUSR1: "+tt.name, func(t *testing.T) {
			write(t, p.dir, "Caddyfile", tt.file)
			before := strings.Count(g.log.String(), "ignored SIGUSR1")
			if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the signal", func() bool { return strings.Count(g.log.String(), "ignored SIGUSR1") > before })
			p.stillServes(t, digest)
		})
	}
	t.Run("it can be read", func(t *testing.T) {
		if got := send(t, g.client, "GET", "http://"+g.admin+"/config/").body; got != running {
			t.Errorf("/config/ was %s\nis %s", running, got)
		}
		if got := send(t, g.client, "GET", "http://"+g.admin+"/config/admin/listen"); got.status != 200 {
			t.Errorf("/config/admin/listen: %d", got.status)
		}
		for way, least := range map[string]float64{"config": 4, "id": 4, "load": 3, "stop": 2, "adapt": 1} {
			if got := g.metric(t, `sallyport_config_changes_refused_total{way="`+way+`"}`); got < least {
				t.Errorf("refused by %s: %v", way, got)
			}
		}
	})
	t.Run("SIGTERM ends it", func(t *testing.T) {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-exited; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAGatewayIsSealedByAReload(t *testing.T) {
	p := newPolled(t, "")
	g, _, _ := p.start(t)
	file := write(t, p.dir, "Caddyfile", strings.Replace(policied, "SEAL", "seal on", 1))
	if err := g.load(t, g.admin, file); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the seal", func() bool { return raw(t, g.admin, "POST", "/config/", "{}") == 403 })
	digest := p.digest(t, p.dir)
	waitFor(t, "the old configuration's end", func() bool {
		return send(t, clientFrom(t, "127.0.0.1"), "GET", "http://"+p.probes+"/readyz").header.Get("Sallyport-Policy") == digest
	})
	if err := g.load(t, g.admin, write(t, p.dir, "open", strings.Replace(policied, "SEAL", "", 1))); err == nil {
		t.Error("it is reloaded once more")
	}
	p.stillServes(t, digest)
}

// A sealed configuration that does not come into force seals nothing.
func TestARejectedSealedConfigurationSealsNothing(t *testing.T) {
	p := newPolled(t, "")
	g, _, _ := p.start(t)
	sealed := strings.Replace(policied, "SEAL", "seal on", 1)
	bad := write(t, p.dir, "bad", sealed+"http://192.0.2.1:1 {\n\tbind 192.0.2.1\n}\n")
	if err := g.load(t, g.admin, bad); err == nil {
		t.Fatal("it is not rejected")
	}
	waitFor(t, "the admin endpoint in force", func() bool {
		return g.load(t, g.admin, filepath.Join(p.dir, "Caddyfile")) == nil
	})
}

func TestAConfigurationThatWouldNotStaySealedIsRefused(t *testing.T) {
	sealed := strings.Replace(policied, "SEAL", "seal on", 1)
	tests := []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"--watch", []string{"--config", "Caddyfile", "--watch"}, nil, "--watch would replace"},
		{"-w among others", []string{"-ewc", "Caddyfile"}, nil, "--watch would replace"},
		{"--resume", []string{"--config", "Caddyfile", "--resume"}, nil, "--resume runs what was saved"},
		{"-r", []string{"-r", "-c", "Caddyfile"}, nil, "--resume runs what was saved"},
		{"a loader", []string{"--config", "loader.json"}, nil, "admin.config.load would replace"},
		{"GODEBUG without precedence", []string{"--config", "Caddyfile"}, []string{"GODEBUG=httpmuxgo121=1"}, "cannot be sealed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPolled(t, "seal on")
			write(t, p.dir, "Caddyfile", sealed)
			write(t, p.dir, "loader.json", `{"admin":{"config":{"persist":false,"load":{"module":"http","url":"http://192.0.2.1"},"load_delay":"1h"}},"apps":{"sallyport":{"seal":true}}}`)
			g := newGateway(t, p.dir, p.admin, p.env())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, append([]string{"run"}, tt.args...)...)
			cmd.Dir, cmd.Env = p.dir, append(g.env, tt.env...)
			out, err := cmd.CombinedOutput()
			if err == nil || ctx.Err() != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}

// Caddy asks the admin module once more for the remote endpoint, after the start.
func TestARemoteAdminEndpointIsSealedToo(t *testing.T) {
	p := newPolled(t, "seal on")
	certificate, key := selfSigned(t, p.dir)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	remote := freeAddr(t)
	var config map[string]any
	if err := json.Unmarshal([]byte(caddyAdapted(t, p)), &config); err != nil {
		t.Fatal(err)
	}
	admin := config["admin"].(map[string]any)
	admin["identity"] = map[string]any{"identifiers": []string{"127.0.0.1"}, "issuers": []any{map[string]any{"module": "internal"}}}
	admin["remote"] = map[string]any{"listen": remote, "access_control": []any{map[string]any{"public_keys": []string{base64.StdEncoding.EncodeToString(pair.Certificate[0])}}}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.dir, "remote.json", string(text))
	g := newGateway(t, p.dir, p.admin, p.env())
	g.start(t, exec.Command(binary, "run", "--config", "remote.json"))

	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, ServerName: "127.0.0.1"},
		DisableKeepAlives: true,
	}}
	waitFor(t, "the remote endpoint", func() bool { return getFrom(client, "https://"+remote+"/config/admin/listen") == nil })
	for _, path := range []string{"/load", "/stop", "/config/"} {
		if got := send(t, client, "POST", "https://"+remote+path, "Content-Type", "application/json"); got.status != 403 || !strings.Contains(got.body, "sealed") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func caddyAdapted(t *testing.T, p polled) string {
	t.Helper()
	cmd := exec.Command(binary, "adapt", "--config", "Caddyfile")
	cmd.Dir, cmd.Env = p.dir, newGateway(t, p.dir, p.admin, p.env()).env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
