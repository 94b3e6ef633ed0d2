package integration

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replaceable is a gateway behind a balancer that passes TCP through, on 443, and
// one that speaks HTTP, on 8080.
const replaceable = `{
	admin {$ADMIN}
	auto_https disable_redirects
	persist_config off
	shutdown_delay 2s
	grace_period 10s
	servers :443 {
		protocols h1 h2
		listener_wrappers {
			elb aws_nlb {
				from 10.0.1.5/32
			}
			tls
			desync strictest
		}
	}
	servers :8080 {
		trusted_proxies elb aws_alb {
			from 10.0.1.5/32
		}
		trusted_proxies_strict
		listener_wrappers {
			desync strictest
		}
	}
}
http://:8081 {
	health
}
https://api.test {
	tls cert.pem key.pem
	allowlist {
		allow 198.51.100.0/24
	}
	reverse_proxy 10.0.2.10:8080
}
http://:8080 {
	allowlist {
		allow 198.51.100.0/24
	}
	reverse_proxy 10.0.2.10:8080
}
`

// rollingBalancer is both kinds of balancer in front of both gateways. It gives a
// request to one of them once: what a gateway loses is lost.
const rollingBalancer = `global
	maxconn 2000
	stats socket %s mode 600
defaults
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
	timeout check 1s
	retries 0
	no option redispatch
	option httpchk GET /readyz
	http-check expect status 200
	default-server check port 8081 inter 200ms fall 2 rise 2
frontend tcp
	mode tcp
	bind 198.51.100.10:443
	default_backend nlb
backend nlb
	mode tcp
	server gw-a 10.0.1.11:443 send-proxy-v2
	server gw-b 10.0.1.12:443 send-proxy-v2
frontend http
	mode http
	bind 198.51.100.10:80
	option forwardfor
	default_backend alb
backend alb
	mode http
	http-reuse always
	server gw-a 10.0.1.11:8080
	server gw-b 10.0.1.12:8080
`

// fleet is the gateways behind a balancer, of which usually one runs.
type fleet struct {
	lab     *lab
	release string // the directory that gateways are started from
	stats   string // HAProxy's socket
	running map[string]*member
}

// member is a gateway that runs.
type member struct {
	process *exec.Cmd
	exited  <-chan error
}

var addresses = map[string]string{"gw-a": gatewayA, "gw-b": gatewayB}

// newFleet starts the balancer and gw-a.
func newFleet(t *testing.T, caddyfile string) *fleet {
	t.Helper()
	f := &fleet{lab: newLab(t), release: newRelease(t, caddyfile), stats: filepath.Join(t.TempDir(), "stats"), running: map[string]*member{}}
	f.start(t, "gw-a")
	f.lab.haproxy(t, fmt.Sprintf(rollingBalancer, f.stats), throughHTTP)
	f.waitForBalancer(t, "gw-a", "UP")
	f.waitForBalancer(t, "gw-b", "DOWN")
	return f
}

func (f *fleet) start(t *testing.T, host string) {
	t.Helper()
	g := newGateway(t, t.TempDir(), "127.0.0.1:2019", nil)
	g.client = f.lab.client(t, host, "")
	selfSigned(t, g.dir)
	command := unitCommand(t, f.release)
	cmd := f.lab.command(host, command[0], command[1:]...)
	f.running[host] = &member{cmd, g.start(t, cmd)}
}

// waitForBalancer waits until the balancer has seen a gateway in a state.
func (f *fleet) waitForBalancer(t *testing.T, host, state string) {
	t.Helper()
	waitFor(t, "the balancer to see "+host+" "+state, func() bool {
		conn, err := net.Dial("unix", f.stats)
		if err != nil {
			return false
		}
		defer conn.Close()
		fmt.Fprintln(conn, "show stat")
		rows := csv.NewReader(conn)
		rows.FieldsPerRecord = -1
		table, err := rows.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, row := range table {
			if row[1] == host && row[17] == state {
				seen++
			}
		}
		return seen == 2 // as a server of each backend
	})
}

// refused waits until a gateway accepts no connections any more.
func (f *fleet) refused(t *testing.T, host string) {
	t.Helper()
	waitFor(t, host+" to close its port", func() bool {
		conn, err := f.lab.dial(t.Context(), "balancer", "", addresses[host]+":8080")
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// replace puts another gateway in the place of the one that runs. What clients
// began with the old one, they finish when it accepts nothing new.
func (f *fleet) replace(t *testing.T, tr *traffic, old, next string) {
	t.Helper()
	tr.during("the start of " + next)
	var finish []func(more int)
	hold := func(kind, way string, session func(string, <-chan struct{}) error) {
		moments := make(chan struct{})
		over := sync.OnceFunc(func() { close(moments) })
		t.Cleanup(over)
		tr.clients.Go(func() { tr.report(kind+" through "+way, session(way, moments)) })
		moments <- struct{}{}
		moments <- struct{}{} // once it is taken, the gateway has the request
		finish = append(finish, func(more int) {
			for range more {
				moments <- struct{}{}
			}
			over()
		})
	}
	ways := []string{throughHTTP, throughTCP}
	for _, way := range ways {
		hold("long stream", way, tr.stream)
		hold("long upload", way, tr.upload)
	}
	for _, way := range ways { // WebSockets, which net/http does not wait for, end last
		hold("long WebSocket", way, tr.webSocket)
	}
	f.start(t, next)
	f.waitForBalancer(t, next, "UP")

	tr.during("the end of " + old)
	f.terminate(t, old)
	f.refused(t, old)
	for _, finish := range finish {
		finish(3)
	}
	f.ended(t, old)
}

func (f *fleet) terminate(t *testing.T, host string) {
	t.Helper()
	if err := f.running[host].process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// ended waits until a gateway has ended, and the balancer knows.
func (f *fleet) ended(t *testing.T, host string) {
	t.Helper()
	select {
	case err := <-f.running[host].exited:
		if err != nil {
			t.Errorf("%s ended with %v", host, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s did not end", host)
	}
	f.waitForBalancer(t, host, "DOWN")
}

// roll replaces gateways until that was done as often as wanted, or a kind of
// client has had a failure.
func (f *fleet) roll(t *testing.T, tr *traffic, times int, kind string) {
	t.Helper()
	old, next := "gw-a", "gw-b"
	for range times {
		f.replace(t, tr, old, next)
		if old, next = next, old; tr.failures(kind) > 0 {
			return
		}
	}
}

func TestReplacingAGatewayLosesNoRequest(t *testing.T) {
	f := newFleet(t, replaceable)
	tr := newTraffic(t, f.lab)
	tr.everything()
	f.roll(t, tr, 6, "")
	tr.wait()
	if failed := tr.failures(""); failed > 0 {
		t.Errorf("%d failed of %v", failed, tr.served)
	}
	t.Log(tr.served)
}

// stock is how Caddy alone would be set up, with what health does for it.
const stock = `{
	admin {$ADMIN}
	auto_https disable_redirects
	persist_config off
	shutdown_delay 2s
	grace_period 10s
	servers :443 {
		protocols h1 h2
		listener_wrappers {
			proxy_protocol {
				allow 10.0.1.5/32
			}
			tls
		}
	}
}
http://:8081 {
	health
}
https://api.test {
	tls cert.pem key.pem
	reverse_proxy 10.0.2.10:8080
}
http://:8080 {
	reverse_proxy 10.0.2.10:8080
}
`

// TestReplacingAGatewayCarelesslyLosesRequests shows that the test above can fail.
func TestReplacingAGatewayCarelesslyLosesRequests(t *testing.T) {
	tests := []struct{ name, caddyfile, kind string }{
		{"before the balancer has noticed", strings.Replace(replaceable, "shutdown_delay 2s", "shutdown_delay 1ms", 1), ""},
		{"without asking its clients to leave", stock, "keep-alive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t, tt.caddyfile)
			tr := newTraffic(t, f.lab)
			tr.everything()
			f.roll(t, tr, 6, tt.kind)
			tr.wait()
			if tr.failures(tt.kind) == 0 {
				t.Errorf("nothing failed: %v", tr.served)
			}
		})
	}
}
