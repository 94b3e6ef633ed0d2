package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// limit is how many requests the gateways of the matrix take from one client, for
// an hour.
const limit = 60

// matrix is one gateway with a server for each vendor, and the vendors' balancers
// in front of it, on the same ports.
type matrix struct {
	lab     *lab
	gateway *gateway
	backend *backend
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{lab: newLab(t)}
	m.backend = serveBackend(t, m.lab.listen(t, "backend", origin+":8080"))
	servers, sites, frontends := "", "", ""
	for i, v := range vendors {
		port := vendorPort(i)
		servers += fmt.Sprintf("\tservers :%d {\n\t\ttrusted_proxies elb %s {\n\t\t\tfrom 10.0.1.0/24\n\t\t\t%s\n\t\t}\n\t\ttrusted_proxies_strict\n\t}\n",
			port, v.profile, v.options())
		sites += fmt.Sprintf("http://:%d {\n\timport policy %d\n}\n", port, port)
		if v.haproxy == "" {
			m.play(t, v, port)
			continue
		}
		behind := fmt.Sprintf("%s:%d", gatewayA, port)
		if v.profile == "hops" {
			frontends += fmt.Sprintf("listen second\n\tbind 127.0.0.1:9000\n%s\tserver gate %s\n", v.haproxy, behind)
			behind = "127.0.0.1:9000"
		}
		frontends += fmt.Sprintf("listen %d\n\tbind :::%d v4v6\n%s\tserver gate %s\n", port, port, v.haproxy, behind)
	}
	m.gateway = m.lab.gateway(t, "gw-a", `{
	admin {$ADMIN}
	auto_https off
	persist_config off
`+servers+`}
(policy) {
	log
	allowlist {
		allow 198.51.100.0/24 2001:db8:51::/64 10.0.1.0/24 `+forged+`
		deny `+clientDenied+`
	}
	rate_limiter {
		zone per_client_{args[0]} {
			key client_ip
			rate 1/h
			burst `+fmt.Sprint(limit)+`
		}
	}
	reverse_proxy `+origin+`:8080
}
`+sites, nil)
	m.lab.haproxy(t, "global\n\tnbthread 1\ndefaults\n\tmode http\n\thttp-reuse always\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n"+frontends,
		fmt.Sprintf("%s:%d", front, vendorPort(2)))
	return m
}

func vendorPort(i int) int { return 8001 + i }

// play serves as a vendor's balancer.
func (m *matrix) play(t *testing.T, v vendor, port int) {
	t.Helper()
	gate := &url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", gatewayA, port)}
	proxy := &httputil.ReverseProxy{
		Transport: m.lab.client(t, "balancer", inside).Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gate)
			r.Out.Host, r.Out.Header = r.In.Host, r.In.Header.Clone()
			client := netip.MustParseAddrPort(r.In.RemoteAddr)
			v.write(r.Out.Header, netip.AddrPortFrom(client.Addr().Unmap(), client.Port()))
		},
	}
	server := &httptest.Server{Listener: m.lab.listen(t, "balancer", fmt.Sprintf(":%d", port)), Config: &http.Server{Handler: proxy}}
	server.Start()
	t.Cleanup(server.Close)
}

// A call is one cell of the matrix: who calls, where, with which headers.
type call struct {
	name         string
	host, source string
	url          string // without its port
	header       []string
	// verdict
	status  int
	reason  string
	client  string // what Caddy derived
	trusted bool   // what the balancer wrote about the request holds
}

// Where a call can go.
const (
	toBalancer = "http://" + front
	toGateway  = "http://" + gatewayA
)

// throughCalls are sent through every balancer.
var throughCalls = []call{
	{"through the balancer", "client", clientA, toBalancer, nil, 200, "", clientA, true},
	{"through the balancer, from a denied address", "client", clientDenied, toBalancer, nil, 403, "allowlist.denied", clientDenied, true},
	{"through the balancer, over IPv6", "client", clientA6, "http://[2001:db8:51::10]", nil, 200, "", clientA6, true},
	{"through the balancer, from inside of its network", "insider", insider, "http://" + inside, nil, 200, "", insider, true},
	{"through the balancer, from outside", "attacker", attacker, toBalancer, nil, 403, "allowlist.not_allowed", attacker, true},
	{"through the balancer, with forged headers", "client", clientA, toBalancer, forgeries, 200, "", clientA, true},
	{"through the balancer, with forged headers, from a denied address", "client", clientDenied, toBalancer, forgeries, 403, "allowlist.denied", clientDenied, true},
	{"through the balancer, with forged headers, from inside of its network", "insider", insider, "http://" + inside, forgeries, 200, "", insider, true},
	{"through the balancer, with forged headers, from outside", "attacker", attacker, toBalancer, forgeries, 403, "allowlist.not_allowed", attacker, true},
	{"through the balancer, with a short forged header", "attacker", attacker, toBalancer, []string{"X-Forwarded-For", forged}, 403, "allowlist.not_allowed", attacker, true},
	{"through the balancer, with junk in front", "client", clientA, toBalancer, []string{"X-Forwarded-For", "unknown, , _x"}, 200, "", clientA, true},
}

// calls are what is sent to a vendor's server.
func (v *vendor) calls() []call {
	calls := append(slices.Clone(throughCalls),
		call{"direct, from a client", "client", clientA, toGateway, nil, 200, "", clientA, false},
		call{"direct, from a denied address", "client", clientDenied, toGateway, nil, 403, "allowlist.denied", clientDenied, false},
		call{"direct, from outside", "attacker", attacker, toGateway, nil, 403, "allowlist.not_allowed", attacker, false},
		call{"direct, over IPv6", "client", clientA6, "http://[2001:db8:1::11]", nil, 200, "", clientA6, false},
		call{"direct, with forged headers", "client", clientA, toGateway, forgeries, 200, "", clientA, false},
		call{"direct, with forged headers, from outside", "attacker", attacker, toGateway, forgeries, 403, "allowlist.not_allowed", attacker, false},
		call{"direct, with what the balancer would write", "attacker", attacker, toGateway, v.written(clientA), 403, "allowlist.not_allowed", attacker, false},
		call{"direct, from a denied address with what the balancer would write", "client", clientDenied, toGateway, v.written(clientA), 403, "allowlist.denied", clientDenied, false},
		call{"direct, with what the balancer would write about a denied address", "client", clientA, toGateway, v.written(clientDenied), 200, "", clientA, false},
		call{"direct, from inside of the balancer's network, with nothing", "insider", insider, toGateway, nil, 400, "client.address_unknown", "", false},
	)
	// What the balancer writes, sent in its name.
	for _, w := range []struct {
		name   string
		lines  []string
		client string // "": none
	}{
		{"the client alone", []string{clientA + v.tail}, clientA},
		{"a denied client", []string{forged + "," + clientDenied + v.tail}, clientDenied},
		{"two lines", []string{forged, clientA + v.tail}, clientA},
		{"two lines of which the first is empty", []string{"", clientA + v.tail}, clientA},
		{"a port", []string{clientA + ":4711" + v.tail}, clientA},
		{"IPv6 in brackets with a port", []string{forged + ",[" + clientA6 + "]:4711" + v.tail}, clientA6},
		{"the mapped form", []string{"[::ffff:" + clientA + "]" + v.tail}, clientA},
		{"the mapped form of a denied address", []string{"[::ffff:" + clientDenied + "]" + v.tail}, clientDenied},
		{"no entry at all", nil, ""},
		{"an empty line", []string{""}, ""},
		{"an entry less", []string{strings.TrimLeft(v.tail, ", ")}, ""},
		{"junk", []string{forged + ",unknown" + v.tail}, ""},
		{"an identifier", []string{forged + ",_hidden" + v.tail}, ""},
		{"a zone", []string{forged + ",fe80::1%eth0" + v.tail}, ""},
		{"an empty entry", []string{forged + "," + v.tail}, ""},
		{"an empty last entry", []string{clientA + v.tail + ","}, ""},
		{"an empty last line", []string{clientA + v.tail, ""}, ""},
		{"junk as the last entry", []string{clientA + v.tail + ", unknown"}, ""},
		{"the unspecified address", []string{forged + ",0.0.0.0" + v.tail}, ""},
	} {
		c := call{"the balancer writes " + w.name, "balancer", inside, toGateway, nil, 200, "", w.client, true}
		switch w.client {
		case clientDenied:
			c.status, c.reason = 403, "allowlist.denied"
		case "":
			c.status, c.reason = 400, "client.address_unknown"
		}
		c.header = v.writtenAs(w.client, w.lines)
		calls = append(calls, c)
	}
	if v.profile != "hops" { // of whose balancer nothing is known
		calls = append(calls, call{"as many headers as the balancer passes on", "balancer", inside, toGateway,
			append(v.written(clientA), "X-Large", strings.Repeat("x", 50<<10)), 200, "", clientA, true})
	}
	return append(calls, v.contradictions()...)
}

// contradictions are what the balancer never writes: headers that do not agree.
func (v *vendor) contradictions() []call {
	var calls []call
	unknown := func(name string, header []string) {
		calls = append(calls, call{"the balancer writes " + name, "balancer", inside, toGateway, header, 400, "client.address_unknown", "", false})
	}
	switch v.profile {
	case "azure_frontdoor":
		unknown("another X-Azure-SocketIP", replaced(v.written(clientA), "X-Azure-Socketip", clientB))
		unknown("no X-Azure-SocketIP", replaced(v.written(clientA), "X-Azure-Socketip"))
		unknown("two X-Azure-SocketIP", replaced(v.written(clientA), "X-Azure-Socketip", clientA, clientB))
		unknown("another customer's X-Azure-FDID", replaced(v.written(clientA), "X-Azure-Fdid", "1b2c3d4e-0000-4000-8000-000000000000"))
		unknown("no X-Azure-FDID", replaced(v.written(clientA), "X-Azure-Fdid"))
		unknown("two X-Azure-FDID", replaced(v.written(clientA), "X-Azure-Fdid", "1b2c3d4e-0000-4000-8000-000000000000", fdid))
	case "cloudflare":
		unknown("another CF-Connecting-IP", replaced(v.written(clientA), "Cf-Connecting-Ip", clientB))
		unknown("no CF-Connecting-IP", replaced(v.written(clientA), "Cf-Connecting-Ip"))
		unknown("two CF-Connecting-IP", replaced(v.written(clientA), "Cf-Connecting-Ip", clientA, clientB))
	case "gcp_alb":
		unknown("its own address alone", replaced(v.written(clientA), "X-Forwarded-For", vip))
	}
	return calls
}

func TestWhoIsCallingBehindEveryBalancer(t *testing.T) {
	m := newMatrix(t)
	for i, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			for _, c := range v.calls() {
				t.Run(c.name, func(t *testing.T) { m.check(t, v, vendorPort(i), c) })
			}
			t.Run("the limit is of the client", func(t *testing.T) { m.flood(t, v, vendorPort(i)) })
		})
	}
}

// check makes a call and looks at everything that came of it.
func (m *matrix) check(t *testing.T, v vendor, port int, c call) {
	t.Helper()
	m.backend.last()
	before := len(m.gateway.log.String())
	got := send(t, m.lab.client(t, c.host, c.source), "GET", fmt.Sprintf("%s:%d/", c.url, port), append(c.header, "Host", site)...)
	entry := m.gateway.accessLog(t, before)
	if got.status != c.status || entry.Reason != c.reason {
		t.Errorf("got %d %q, want %d %q", got.status, entry.Reason, c.status, c.reason)
	}
	if c.client != "" && entry.Request.ClientIP != c.client {
		t.Errorf("Caddy derived %s, want %s", entry.Request.ClientIP, c.client)
	}
	seen := m.backend.last()
	if c.status != 200 {
		if seen != nil {
			t.Error("the backend saw the request")
		}
		return
	}
	if seen == nil {
		t.Fatal("the backend did not see the request")
	}
	m.checkBackend(t, v, c, seen.Header)
}

// TestClientsThatShareAConnection shows that nothing about a client sticks to the
// connection on which HAProxy, as most balancers, sends the requests of them all.
func TestClientsThatShareAConnection(t *testing.T) {
	m := newMatrix(t)
	i := slices.IndexFunc(vendors, func(v vendor) bool { return v.name == "aws_alb, played by HAProxy that adds a line" })
	sharing := map[string]map[string]bool{} // by the gateway's connection, the clients
	for range 5 {
		for _, c := range vendors[i].calls()[:len(throughCalls)] {
			before := len(m.gateway.log.String())
			m.check(t, vendors[i], vendorPort(i), c)
			entry := m.gateway.accessLog(t, before)
			if sharing[entry.Request.RemotePort] == nil {
				sharing[entry.Request.RemotePort] = map[string]bool{}
			}
			sharing[entry.Request.RemotePort][entry.Request.ClientIP] = true
		}
	}
	for _, clients := range sharing {
		if len(clients) == 5 {
			return
		}
	}
	t.Errorf("no connection was shared by all: %v", sharing)
}

// claims begin the names of headers that tell a backend about the way of a
// request.
var claims = []string{"X-Forward", "Forward", "X-Real", "X-Original", "X-Client", "X-Cluster", "X-Host", "X-Envoy", "X-Azure", "X-Amzn",
	"X-Cloud", "X-Appgw", "X-Fd", "Cf-", "True-", "Fastly-", "Cloudfront-"}

// checkBackend looks at the headers that the backend saw.
func (m *matrix) checkBackend(t *testing.T, v vendor, c call, h http.Header) {
	t.Helper()
	client, proto := c.client, "http"
	if c.trusted {
		client, proto = c.client+", "+inside, "https"
	}
	if got := h["X-Forwarded-For"]; len(got) != 1 || got[0] != client {
		t.Errorf("the backend saw X-Forwarded-For %q, want %q", got, client)
	}
	if got := h["X-Forwarded-Proto"]; len(got) != 1 || got[0] != proto {
		t.Errorf("the backend saw X-Forwarded-Proto %q, want %q", got, proto)
	}
	if got := h["X-Forwarded-Host"]; len(got) != 1 || got[0] != site {
		t.Errorf("the backend saw X-Forwarded-Host %q, want %q", got, site)
	}
	for name, lines := range h {
		for _, line := range lines {
			if strings.Contains(line, forged) || strings.Contains(line, forgedHost) {
				t.Errorf("the backend saw the forged %s: %q", name, line)
			}
		}
		claimed := slices.ContainsFunc(claims, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		own := name == "X-Forwarded-For" || name == "X-Forwarded-Proto" || name == "X-Forwarded-Host"
		if claimed && !own && !(c.trusted && slices.Contains(v.kept, name)) {
			t.Errorf("the backend saw %s: %q", name, lines)
		}
	}
	for _, name := range v.kept {
		if c.trusted && h.Get(name) == "" {
			t.Errorf("the backend did not see the balancer's %s", name)
		}
	}
}

// flood uses up what client B may send, with other forged headers each time, and
// looks who else is limited then.
func (m *matrix) flood(t *testing.T, v vendor, port int) {
	t.Helper()
	neighbour, flooder := m.lab.client(t, "client", "198.51.100.7"), m.lab.client(t, "client", clientB)
	through := fmt.Sprintf("%s:%d/", toBalancer, port)
	for i := range limit {
		lies := []string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%250)}
		if i%2 == 0 {
			lies = append(forgeries, "Host", site)
		}
		if got := send(t, flooder, "GET", through, lies...); got.status != 200 {
			t.Fatalf("request %d of the flooder got %d", i, got.status)
		}
	}
	for _, lies := range [][]string{nil, {"X-Forwarded-For", clientA}, {"X-Forwarded-For", attacker}, forgeries} {
		if got := send(t, flooder, "GET", through, lies...); got.status != 429 {
			t.Errorf("the flooder with %q got %d", lies, got.status)
		}
	}
	if got := send(t, flooder, "GET", fmt.Sprintf("%s:%d/", toGateway, port), v.written(clientA)...); got.status != 429 {
		t.Errorf("the flooder that calls the gateway directly got %d", got.status)
	}
	if got := send(t, neighbour, "GET", through); got.status != 200 {
		t.Errorf("the neighbour got %d", got.status)
	}
}
