package elb

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// over sends bytes from a loopback address and returns the answer.
func over(t *testing.T, g *gatetest.Gate, from, request string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request)
	all, _ := io.ReadAll(bufio.NewReader(conn))
	return string(all)
}

func TestConnectionsPerClientHoldsWithoutAGuard(t *testing.T) {
	g := gatetest.Run(t, behind("trusted_proxies elb aws_alb {\n from 127.0.0.1\n connections_per_client 1\n}\ntrusted_proxies_strict",
		"reverse_proxy {$BACKEND}"))
	first, release, done := make(chan struct{}), make(chan struct{}), make(chan int)
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Slow") != "" {
			close(first)
			<-release
		}
	})
	go func() { done <- g.Do(t, "GET", "/", "Slow", "yes", "X-Forwarded-For", "192.0.2.1").Status }()
	<-first
	if got := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1").Status; got != 429 {
		t.Errorf("a second connection of the client got %d, want 429", got)
	}
	close(release)
	<-done
}

func TestAConnectionHeaderDoesNotHideTheClient(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	var xff, proto []string
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		xff, proto = r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"]
	})
	got := over(t, g, "127.0.0.1", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close, X-Forwarded-For, X-Forwarded-Proto\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n\r\n")
	if strings.HasPrefix(got, "HTTP/1.1 200") && (strings.Join(xff, "|") != "198.51.100.7, 127.0.0.1" || strings.Join(proto, "|") != "https") {
		t.Errorf("the backend's X-Forwarded-For is %q, -Proto %q", xff, proto)
	}
}

func TestTrailersCarryNoClaims(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	var trailer http.Header
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailer = r.Trailer
	})
	over(t, g, "127.0.0.9", "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Real-Ip, X-Forwarded-For\r\n\r\n"+
		"1\r\nx\r\n0\r\nX-Real-Ip: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
	if len(trailer) > 0 {
		t.Errorf("the backend sees the trailers %v", trailer)
	}
}

func TestACallersTraceAndAddressAreRemovedUnderEveryName(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	got := send(t, g, "127.0.0.9", nil, "X-B3-Traceid", "80f198ee56343ba864fe8b2a57d3eff7", "B3", "0", "Uber-Trace-Id", "1:2:3:1",
		"X-Original-For", "6.6.6.6", "X-Datadog-Trace-Id", "1", "Request-Id", "|1.", "X-Original-Scheme", "https", "Remote-Addr", "6.6.6.6")
	for _, name := range []string{"X-B3-Traceid", "B3", "Uber-Trace-Id", "X-Original-For", "X-Datadog-Trace-Id", "Request-Id", "X-Original-Scheme", "Remote-Addr"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("the backend sees %s: %s", name, v)
		}
	}
}

func TestMatchersDoNotTakeAnUnknownClientForTheBalancer(t *testing.T) {
	g := gatetest.Run(t, behind(elb("azure_appgw"), "@internal client_ip private_ranges\nrespond @internal secret\nrespond public"))
	if got := g.Do(t, "GET", "/", "X-Forwarded-For", "2001:db8::6:6:4711"); strings.Contains(got.Body, "secret") {
		t.Errorf("an IPv6 client that is not established got %d %q", got.Status, got.Body)
	}
}

func TestAnUntrustedPeersClientHeaderIsRemoved(t *testing.T) {
	for _, options := range []string{
		"trusted_proxies static 10.0.0.0/8\ntrusted_proxies_strict\nclient_ip_headers X-Real-IP CF-Connecting-IP",
		"trusted_proxies static 127.0.0.1/32\ntrusted_proxies_strict\nclient_ip_headers X-Forwarded-For X-Real-IP CF-Connecting-IP",
	} {
		g := gatetest.Run(t, behind(options, "allowlist {\n deny 192.0.2.1\n}\nreverse_proxy {$BACKEND}"))
		got := send(t, g, "127.0.0.1", []string{"198.51.100.7"}, "X-Real-IP", "6.6.6.6", "CF-Connecting-IP", "6.6.6.7")
		if got.Status != 200 || got.Header.Get("X-Real-Ip") != "" || got.Header.Get("Cf-Connecting-Ip") != "" {
			t.Errorf("%d: the backend sees X-Real-IP %q CF %q (XFF %q)", got.Status, got.Header.Get("X-Real-Ip"), got.Header.Get("Cf-Connecting-Ip"), got.Header["X-Forwarded-For"])
		}
	}
}

func TestABalancerThatIsItsOwnClientKeepsItsScheme(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	got := send(t, g, "127.0.0.1", []string{"127.0.0.1"}, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443")
	if got.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("X-Forwarded-Proto %q with Port %q", got.Header.Get("X-Forwarded-Proto"), got.Header.Get("X-Forwarded-Port"))
	}
}

func TestHalfOfIPv6IsNoBalancer(t *testing.T) {
	for _, s := range []string{"2000::/7", "64:ff9b::/96"} {
		if _, err := parseBalancer(s); err == nil {
			t.Errorf("%s is accepted", s)
		}
	}
}

func TestNAT64ClientsAreNotOneClient(t *testing.T) {
	c := edge.Crowd{Limit: 1}
	if !c.Enter(netip.MustParseAddr("64:ff9b::192.0.2.1")) || !c.Enter(netip.MustParseAddr("64:ff9b::198.51.100.1")) {
		t.Error("one client of a NAT64 locks out all others")
	}
}

func TestPreopenedConnectionsOfTheBalancerOutliveIt(t *testing.T) {
	gatetest.Run(t, behind(elb("aws_clb"), "respond ok"))
	if s := server(t); time.Duration(s.ReadHeaderTimeout) <= 60*time.Second {
		t.Errorf("a connection without a request is closed after %s, the balancer keeps it 60s", time.Duration(s.ReadHeaderTimeout))
	}
}

func TestHeadersThatALBWritesOnlyOnRequestAreRemoved(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	got := send(t, g, "127.0.0.1", []string{"198.51.100.7"}, "X-Amzn-Tls-Version", "TLSv1.3", "X-Amzn-Tls-Cipher-Suite", "chosen-by-the-caller")
	if v := got.Header.Get("X-Amzn-Tls-Cipher-Suite"); v != "" {
		t.Errorf("off by default at ALB, which then passes the caller's on: %q", v)
	}
}
