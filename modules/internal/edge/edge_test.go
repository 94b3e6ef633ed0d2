package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/health"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// config is what the modules of the running configuration share.
func config(t *testing.T) *suite.Config {
	t.Helper()
	app, err := caddy.ActiveContext().App(suite.AppName)
	if err != nil {
		t.Fatal(err)
	}
	return app.(suite.Owner).Suite()
}

func TestADrainingGatewayAsksEveryClientToLeave(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	handle /guarded {
		allowlist {
			deny 192.0.2.66
		}
		respond ok
	}
	handle /proxied {
		reverse_proxy {$BACKEND}
	}
	handle /probe/* {
		uri strip_prefix /probe
		health
	}
	handle /missing {
		error 404
	}
	handle {
		respond unguarded
	}
}
`)
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "keep-alive")
		_, _ = io.WriteString(w, "ok")
	})
	tests := []struct {
		name, path, client string
		status             int
	}{
		{"allowed by a guard", "/guarded", "192.0.2.1", 200},
		{"refused by a guard", "/guarded", "192.0.2.66", 403},
		{"refused before any guard", "/guarded/%2e%2e", "192.0.2.1", 400},
		{"proxied, without a guard", "/proxied", "192.0.2.1", 200},
		{"without a guard", "/", "192.0.2.1", 200},
		{"an error without a guard", "/missing", "192.0.2.1", 404},
		{"not ready", "/probe/readyz", "192.0.2.1", 503},
		{"live", "/probe/livez", "192.0.2.1", 200},
		{"started", "/probe/startupz", "192.0.2.1", 200},
	}
	ask := func(path, client string) string {
		return g.Raw(t, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: "+client+"\r\n\r\nGET /stays HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	}
	if got := ask("/", "192.0.2.1"); strings.Count(got, "HTTP/1.1 ") != 2 {
		t.Fatalf("a gateway that does not drain sends clients away: %q", got)
	}
	config(t).Exit(zap.NewNop(), 0, 0, false)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(tt.path, tt.client)
			head, _, _ := strings.Cut(got, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+http.StatusText(tt.status)) && !strings.Contains(head, " "+http.StatusText(tt.status)+"\r\n") {
				t.Errorf("got %q, want %d", head, tt.status)
			}
			if !strings.Contains(head, "\r\nConnection: close") || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("the client is not asked to leave: %q", got)
			}
		})
	}
}

func TestAnUpgradeIsNotAskedToLeave(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tallowlist {\n\t\tdeny 192.0.2.66\n\t}\n\treverse_proxy {$BACKEND}\n}\n")
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		_ = buffered.Flush()
	})
	config(t).Exit(zap.NewNop(), 0, 0, false)
	got := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "hello") || strings.Contains(got, "close") {
		t.Errorf("got %q", got)
	}
}

// slow is a site whose clients have little time.
const slow = `{
	admin off
	auto_https off
	default_bind 127.0.0.1
	persist_config off
	grace_period 1s
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
		timeouts {
			read_header 200ms
			read_body_idle 200ms 1000000
		}
	}
}
{$ADDR} {
	allowlist {
		deny 192.0.2.66
	}
	reverse_proxy {$BACKEND}
}
`

func TestWhatIsTooSlowIsCutAndCounted(t *testing.T) {
	g := gatetest.Run(t, slow)
	g.Backend(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	const head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n"
	tests := []struct {
		name, sent, what string
		trickle          string // sent again and again
	}{
		{"a connection that sends nothing", "", "header", ""},
		{"half of a header", head, "header", ""},
		{"a header byte by byte", head + "X-Slow: ", "header", "a"},
		{"half of a second header", "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + head, "", ""},
		{"half of a body", head + "Content-Length: 100\r\n\r\nhalf", "body", ""},
		{"a body byte by byte", head + "Content-Length: 1000000\r\n\r\n", "body", "a"},
		{"a chunked body that stops", head + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "body", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := edge.Slow(g.URL, tt.what)
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, tt.sent)
			stop := make(chan struct{})
			defer close(stop)
			if tt.trickle != "" {
				go trickle(conn, tt.trickle, stop)
			}
			// An end, however it comes, is what is waited for.
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Fatal("the connection is not cut")
			}
			if tt.what == "" {
				return
			}
			for deadline := time.Now().Add(30 * time.Second); edge.Slow(g.URL, tt.what) == before; {
				if time.Now().After(deadline) {
					t.Fatal("it is not counted")
				}
			}
			if got := edge.Slow(g.URL, tt.what) - before; got != 1 {
				t.Errorf("counted %v times", got)
			}
		})
	}
}

// A body that is cut must not leave its rest on the connection: it would be read
// as the next request, which may be another caller's behind a balancer.
func TestTheRestOfACutBodyIsNoRequest(t *testing.T) {
	g := gatetest.Run(t, slow)
	var seen atomic.Int32
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 100\r\n\r\nhalf")
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode < 400 || !resp.Close {
		t.Errorf("got %d, close %v", resp.StatusCode, resp.Close)
	}
	_, _ = io.WriteString(conn, "GET /rest HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
	if rest, err := http.ReadResponse(answer, nil); err == nil {
		t.Errorf("the rest of the body is answered with %d", rest.StatusCode)
	}
	if n := seen.Load(); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
}

// In full duplex, net/http leaves the rest on the connection, and says nothing.
func TestFullDuplexIsRefused(t *testing.T) {
	g := gatetest.Run(t, slow)
	err := g.Reload(t, strings.Replace(slow, "timeouts {", "enable_full_duplex\n\t\ttimeouts {", 1))
	if err == nil || !strings.Contains(err.Error(), "enable_full_duplex") {
		t.Errorf("got %v", err)
	}
}

func trickle(conn net.Conn, s string, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, s); err != nil {
				return
			}
		}
	}
}

func TestClientsInNoHurryAreNotCounted(t *testing.T) {
	g := gatetest.Run(t, slow)
	before := edge.Slow(g.URL, "header") + edge.Slow(g.URL, "body")
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
	} {
		g.Raw(t, request)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")); err == nil {
		conn.Close() // a probe of a TCP balancer
	}
	if got := edge.Slow(g.URL, "header") + edge.Slow(g.URL, "body"); got != before {
		t.Errorf("%v more were counted", got-before)
	}
}

func TestLimitsThatAreNotConfigured(t *testing.T) {
	gatetest.Run(t, "{$ADDR} {\n\tallowlist {\n\t\tdeny 192.0.2.66\n\t}\n}\n")
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if header, idle, rate := time.Duration(server.ReadHeaderTimeout), time.Duration(server.ReadIdleTimeout), server.ReadMinRate; header != 20*time.Second || idle != 30*time.Second || rate != 240 {
			t.Errorf("got %s for a header, %s and %d bytes a second for a body", header, idle, rate)
		}
	}
}

func TestConfiguredLimitsStay(t *testing.T) {
	gatetest.Run(t, slow)
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if time.Duration(server.ReadHeaderTimeout) != 200*time.Millisecond || time.Duration(server.ReadIdleTimeout) != 200*time.Millisecond || server.ReadMinRate != 1000000 {
			t.Errorf("got %v, %v, %v", server.ReadHeaderTimeout, server.ReadIdleTimeout, server.ReadMinRate)
		}
	}
}

func TestRequestsUnderWayAreCounted(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\thandle /probe/* {\n\t\turi strip_prefix /probe\n\t\thealth\n\t}\n\treverse_proxy {$BACKEND}\n}\n")
	inside, leave := make(chan struct{}), make(chan struct{})
	g.Backend(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-leave
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(suite.Collectors...)
	underWay := func() float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "sallyport_requests_in_flight" {
				return family.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	before := underWay()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Do(t, "GET", "/")
	}()
	<-inside
	if got := underWay() - before; got != 1 {
		t.Errorf("%v requests are under way, want 1", got)
	}
	close(leave)
	<-done
	if got := underWay() - before; got > 1 {
		t.Errorf("%v requests are under way", got)
	}
}
