package elb

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

func TestTheIdleTimeoutIsLongerThanTheBalancers(t *testing.T) {
	tests := []struct {
		profile         string
		configured, set time.Duration
		refused         bool
	}{
		{"aws_nlb", 0, 380 * time.Second, false},
		{"aws_nlb", 351 * time.Second, 351 * time.Second, false},
		{"aws_nlb", 350 * time.Second, 0, true},
		{"aws_nlb", -1, -1, false},
		{"aws_clb_tcp", 0, 5 * time.Minute, false},
		{"aws_clb_tcp", time.Minute, 0, true},
		{"gcp_tcp", 0, 5 * time.Minute, false},
		{"gcp_tcp", 30 * time.Second, 0, true},
		{"azure_pls", 0, 330 * time.Second, false},
		{"azure_pls", 5 * time.Minute, 0, true},
		{"proxy_protocol", 0, 5 * time.Minute, false},
		{"proxy_protocol", time.Second, time.Second, false},
	}
	for _, tt := range tests {
		server := &caddyhttp.Server{IdleTimeout: caddy.Duration(tt.configured)}
		profile := tcpProfileOf(tt.profile)
		err := keepIdle(edge.New(server), profile.name, profile.idle)
		if (err != nil) != tt.refused || err == nil && time.Duration(server.IdleTimeout) != tt.set {
			t.Errorf("%s, configured %s: %s, %v", tt.profile, tt.configured, time.Duration(server.IdleTimeout), err)
		}
	}
}

func TestHTTP3IsRefusedOnAnyAddressOfAServerWithTLS(t *testing.T) {
	policies := caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
	tests := []struct {
		name    string
		server  *caddyhttp.Server
		refused bool
	}{
		{"without TLS there is none", &caddyhttp.Server{Protocols: []string{"h1", "h2", "h3"}}, false},
		{"of the server", &caddyhttp.Server{TLSConnPolicies: policies, Protocols: []string{"h1", "h3"}}, true},
		{"not of the server", &caddyhttp.Server{TLSConnPolicies: policies, Protocols: []string{"h1", "h2"}}, false},
		{"of the second address", &caddyhttp.Server{
			TLSConnPolicies: policies, Protocols: []string{"h1", "h2"},
			Listen: []string{":1", ":2"}, ListenProtocols: [][]string{nil, {"h1", "h3"}},
		}, true},
		{"of no address", &caddyhttp.Server{
			TLSConnPolicies: policies, Protocols: []string{"h1", "h3"},
			Listen: []string{":1"}, ListenProtocols: [][]string{{"h1"}},
		}, false},
	}
	for _, tt := range tests {
		if err := checkProtocols(tt.server); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestTheOrderOfWrappersIsChecked(t *testing.T) {
	policies := caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
	tests := []struct {
		wrappers string
		tls      bool
		want     string
	}{
		{"elb tls", true, ""},
		{"elb tls desync", true, ""},
		{"elb", false, ""},
		{"elb desync", false, ""},
		{"other tls elb", true, "in front of tls"},
		{"other tls elb", false, "in front of tls"},
		{"elb", true, "add tls"},
		{"elb elb tls", true, "twice"},
		{"elb tls elb", true, "twice"},
		{"proxy_protocol elb tls", true, "proxy_protocol"},
		{"elb tls proxy_protocol", true, "proxy_protocol"},
	}
	for _, tt := range tests {
		server := new(caddyhttp.Server)
		if tt.tls {
			server.TLSConnPolicies = policies
		}
		for name := range strings.FieldsSeq(tt.wrappers) {
			server.ListenerWrappersRaw = append(server.ListenerWrappersRaw, json.RawMessage(`{"wrapper":"`+name+`"}`))
		}
		err := checkWrappers(server)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, TLS %v: got %v, want %q", tt.wrappers, tt.tls, err, tt.want)
		}
	}
}

func TestEveryBadValueOfTheListenerIsNamed(t *testing.T) {
	negative := -1
	l := &ListenerWrapper{
		Profile: "aws_nlb", From: []string{"10.0.0.0/16", "private_ranges", "10.1.2.3/8"}, Timeout: -1,
		VPCEIDs: []string{"vpce-1", "vpce-%"}, PSCConnectionIDs: []string{"x"}, LinkIDs: []string{"-1"}, ConnectionsPerClient: &negative,
	}
	err := l.compile()
	for _, want := range []string{"from[1]", "from[2]", "timeout", "vpce_ids[1]", "psc_connection_ids[0]", "link_ids[0]", "connections_per_client"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
	l.Timeout = caddy.Duration(2 * time.Minute)
	if err := l.compile(); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a timeout of two minutes: %v", err)
	}
}

// headerConn is a connection that delivers a header and ends.
type headerConn struct {
	net.Conn
	reader *strings.Reader
}

func (h headerConn) Read(p []byte) (int, error)               { return h.reader.Read(p) }
func (headerConn) SetReadDeadline(time.Time) error            { return nil }
func (headerConn) RemoteAddr() net.Addr                       { return &net.TCPAddr{IP: net.IP{10, 0, 0, 1}, Port: 9} }
func (headerConn) Close() error                               { return nil }
func (headerConn) Admit(*proxyheader.Addr) error              { return nil }
func (headerConn) Leave(*proxyheader.Addr)                    {}
func (headerConn) Settled(*proxyheader.Addr, net.Addr, error) {}

// requestOn returns a request on a connection with that header.
func requestOn(header string) *http.Request {
	conn := headerConn{reader: strings.NewReader(header)}
	c := proxyheader.NewConn(conn, proxyheader.Rules{Version1: true, Version2: true}, time.Time{}, conn)
	r := httptest.NewRequest("GET", "/", nil)
	return r.WithContext(context.WithValue(r.Context(), connKey{}, net.Conn(c)))
}

func TestPassthroughNamesTheClientAndRemovesClaims(t *testing.T) {
	tests := []struct {
		name, header, want string
	}{
		{"a client", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n", "192.0.2.7"},
		{"a mapped client", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 4711 443\r\n", "192.0.2.7"},
		{"a health check", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "invalid IP"},
		{"a refused connection", "GET / HTTP/1.1\r\n", "invalid IP"},
	}
	for _, tt := range tests {
		r := requestOn(tt.header)
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Cf-Connecting-Ip", "X-Amzn-Trace-Id", "Traceparent"} {
			r.Header.Set(name, "203.0.113.66")
		}
		var req edge.Request
		passthrough{}.Identify(r, &req)
		if req.Client.String() != tt.want || req.Balanced || req.Trace != "" || len(r.Header) > 0 {
			t.Errorf("%s: %+v, headers %v", tt.name, req, r.Header)
		}
	}
	// A request that came past the listener, if there were a way.
	var req edge.Request
	passthrough{}.Identify(httptest.NewRequest("GET", "/", nil), &req)
	if req.Client.IsValid() {
		t.Errorf("without a connection: %+v", req)
	}
}

func BenchmarkPassthrough(b *testing.B) {
	r := requestOn("PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Authorization": {"Bearer x"}}
	b.ReportAllocs()
	for b.Loop() {
		var req edge.Request
		passthrough{}.Identify(r, &req)
		if !req.Client.IsValid() {
			b.Fatal("no client")
		}
	}
}
