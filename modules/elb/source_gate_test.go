package elb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestSourceAdapts(t *testing.T) {
	gatetest.Adapt(t, "testdata/source/*.caddyfiletest")
}

// behind is a Caddyfile with the lines of the servers block and a site.
func behind(server, site string) string {
	return `{
	admin off
	auto_https off
	default_bind 127.0.0.1
	persist_config off
	grace_period 1s
	log {
		output discard
	}
	servers {
		` + server + `
	}
}
{$ADDR} {
	` + site + `
}
`
}

// elb is the lines for a balancer of the profile on 127.0.0.1.
func elb(profile string) string {
	option := map[string]string{"hops": "hops 3", "azure_frontdoor": "fdid " + testFDID}[profile]
	return "trusted_proxies elb " + profile + " {\n from 127.0.0.1\n" + option + "\n}\ntrusted_proxies_strict\n"
}

// seen is what a request looks like behind the gate.
type seen struct {
	Status int
	// Derived is Caddy's {client_ip}, Matched whether its matcher took it for one of
	// 198.51.100.0/24 or 2001:db8::/32.
	Derived, Matched string
	Header           http.Header
}

// send asks the gate from the loopback address with the lines of X-Forwarded-For
// and other headers, name, value, ….
func send(t *testing.T, g *gatetest.Gate, from string, lines []string, header ...string) seen {
	t.Helper()
	var got seen
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		got.Header = r.Header.Clone()
		got.Derived, got.Matched = r.Header.Get("Derived"), r.Header.Get("Matched")
	})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
	}}
	r, err := http.NewRequest("GET", g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	for _, line := range lines {
		r.Header.Add("X-Forwarded-For", line)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got.Status = resp.StatusCode
	return got
}

const allowing = `allowlist {
		allow 198.51.100.0/24 2001:db8::/32 127.0.0.1 127.0.0.9
		deny 198.51.100.66
	}
	@known client_ip 198.51.100.0/24 2001:db8::/32
	request_header @known Matched yes
	request_header Derived {client_ip}
	reverse_proxy {$BACKEND}`

func TestTheMatrixOfProfiles(t *testing.T) {
	for _, b := range balancers {
		g := gatetest.Run(t, behind(elb(b.profile), allowing))
		good, bad := b.appends("198.51.100.7"), b.appends("198.51.100.66")
		tests := []struct {
			name, from, client string
			lines              []string
			status             int
			derived, backend   string
		}{
			{"through the balancer", "127.0.0.1", "198.51.100.7", []string{good}, 200, "198.51.100.7", "198.51.100.7, 127.0.0.1"},
			{"a denied client", "127.0.0.1", "198.51.100.66", []string{bad}, 403, "", ""},
			{"a denied client that spoofs", "127.0.0.1", "198.51.100.66", []string{"198.51.100.7, " + bad}, 403, "", ""},
			{"spoofed entries on the left", "127.0.0.1", "198.51.100.7", []string{"203.0.113.6, 127.0.0.1, " + good}, 200, "198.51.100.7", "198.51.100.7, 127.0.0.1"},
			{"junk on the left", "127.0.0.1", "198.51.100.7", []string{"unknown, , " + good}, 200, "198.51.100.7", "198.51.100.7, 127.0.0.1"},
			{"two lines", "127.0.0.1", "198.51.100.7", []string{"203.0.113.6", good}, 200, "198.51.100.7", "198.51.100.7, 127.0.0.1"},
			{"an IPv6 client", "127.0.0.1", "2001:db8::7", []string{b.appends("2001:db8::7")}, 200, "2001:db8::7", "2001:db8::7, 127.0.0.1"},
			{"a mapped client", "127.0.0.1", "::ffff:198.51.100.7", []string{b.appends("::ffff:198.51.100.7")}, 200, "198.51.100.7", "198.51.100.7, 127.0.0.1"},
			{"a mapped client that is denied", "127.0.0.1", "::ffff:198.51.100.66", []string{b.appends("::ffff:198.51.100.66")}, 403, "", ""},
			{"a client inside from", "127.0.0.1", "127.0.0.1", []string{"203.0.113.6, " + b.appends("127.0.0.1")}, 200, "127.0.0.1", "127.0.0.1, 127.0.0.1"},
			{"no header", "127.0.0.1", "198.51.100.7", nil, 400, "", ""},
			{"junk", "127.0.0.1", "junk", []string{"198.51.100.7, " + b.appends("junk")}, 400, "", ""},
			{"an empty entry", "127.0.0.1", "", []string{"198.51.100.7, " + b.appends("")}, 400, "", ""},
			{"an empty last entry", "127.0.0.1", "198.51.100.7", []string{good + ","}, 400, "", ""},
			{"direct", "127.0.0.9", "198.51.100.7", []string{good}, 200, "127.0.0.9", "127.0.0.9"},
			{"direct, not allowed", "127.0.0.8", "198.51.100.7", []string{good}, 403, "", ""},
		}
		for _, tt := range tests {
			t.Run(b.profile+"/"+tt.name, func(t *testing.T) {
				header := []string{"X-Real-IP", "203.0.113.6", "Forwarded", "for=203.0.113.6", "X-Forwarded-Prefix", "/x"}
				if b.writes != nil {
					header = append(header, b.writes(tt.client)...)
				}
				got := send(t, g, tt.from, tt.lines, header...)
				if got.Status != tt.status || got.Derived != tt.derived {
					t.Errorf("got %d and {client_ip} %q, want %d and %q", got.Status, got.Derived, tt.status, tt.derived)
				}
				if tt.status != 200 {
					return
				}
				if matched := got.Matched != ""; matched != (tt.from == "127.0.0.1" && tt.client != "127.0.0.1") {
					t.Errorf("the client_ip matcher says %t", matched)
				}
				for name, want := range map[string]string{
					"X-Forwarded-For": tt.backend, "X-Real-Ip": "", "Forwarded": "", "X-Forwarded-Prefix": "", "Cf-Connecting-Ip": "",
					"X-Azure-Socketip": "", "X-Azure-Clientip": "", "X-Azure-Fdid": "",
				} {
					if value := strings.Join(got.Header[name], "|"); value != want {
						t.Errorf("the backend's %s is %q, want %q", name, value, want)
					}
				}
			})
		}
		if b.profile == "gcp_alb" || b.profile == "hops" {
			t.Run(b.profile+"/short", func(t *testing.T) {
				if got := send(t, g, "127.0.0.1", []string{"198.51.100.7"}); got.Status != 400 {
					t.Errorf("got %d, want 400", got.Status)
				}
			})
		}
	}
}

func TestBackendsSeeTheBalancersScheme(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "reverse_proxy {$BACKEND}"))
	header := []string{"X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Forwarded-Host", "evil.example",
		"X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678"}
	got := send(t, g, "127.0.0.1", []string{"198.51.100.7"}, header...)
	host := strings.TrimPrefix(g.URL, "http://")
	for name, want := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Host": host,
		"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	got = send(t, g, "127.0.0.9", []string{"198.51.100.7"}, header...)
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.9", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "", "X-Forwarded-Host": host, "X-Amzn-Trace-Id": "",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("direct: %s is %q, want %q", name, value, want)
		}
	}
	// A client that is not established is not made up without a guard, either.
	got = send(t, g, "127.0.0.1", []string{"203.0.113.6, unknown"})
	if value := got.Header.Get("X-Forwarded-For"); value != "127.0.0.1" {
		t.Errorf("without a client X-Forwarded-For is %q", value)
	}
}

func TestNamesThatBackendsMistakeAreRemoved(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb")+"expected_underscore_headers x_forwarded_for x_real_ip\nexpected_dot_headers x.forwarded.for",
		"reverse_proxy {$BACKEND}"))
	for _, from := range []string{"127.0.0.1", "127.0.0.9"} {
		got := send(t, g, from, []string{"198.51.100.7"}, "x_forwarded_for", "6.6.6.6", "x_real_ip", "6.6.6.6", "x.forwarded.for", "6.6.6.6")
		for name, values := range got.Header {
			if strings.Contains(strings.Join(values, ","), "6.6.6.6") {
				t.Errorf("from %s the backend sees %s: %q", from, name, values)
			}
		}
	}
}

func TestTheAccessLogShowsTheClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	g := gatetest.Run(t, behind(elb("aws_alb"), "log {\n output file "+path+"\n format json\n}\nreverse_proxy {$BACKEND}"))
	send(t, g, "127.0.0.1", []string{"203.0.113.6, 198.51.100.7:4711"})
	send(t, g, "127.0.0.1", []string{"203.0.113.6, unknown"})
	// A reload waits for the requests to be over, and their log lines.
	if err := g.Reload(t, behind(elb("aws_alb"), "respond ok")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var clients []string
	for line := range strings.Lines(string(content)) {
		var entry struct {
			Request struct {
				ClientIP string `json:"client_ip"`
			} `json:"request"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, entry.Request.ClientIP)
	}
	if got := strings.Join(clients, " "); got != "198.51.100.7 0.0.0.0" {
		t.Errorf("the log shows %q", got)
	}
	if strings.Contains(string(content), "203.0.113.6") {
		t.Errorf("the log shows what the caller wrote:\n%s", content)
	}
}

// server is the one that the running configuration has on the gate's address.
func server(t *testing.T) *caddyhttp.Server {
	t.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*caddyhttp.App).Servers["srv0"]
}

func TestLimitsFitTheBalancer(t *testing.T) {
	tests := []struct {
		profile, options string
		idle             time.Duration
		head             int
	}{
		{"aws_alb", "", 5 * time.Minute, 80 << 10},
		{"aws_clb", "", 5 * time.Minute, 80 << 10},
		{"gcp_alb", "", 630 * time.Second, 64 << 10},
		{"azure_appgw", "", 5 * time.Minute, 64 << 10},
		{"azure_frontdoor", "", 5 * time.Minute, 80 << 10},
		{"cloudflare", "", 930 * time.Second, 144 << 10},
		{"hops", "", 5 * time.Minute, 16 << 10},
		{"gcp_alb", "timeouts {\n idle 601s\n}\nmax_header_size 1MiB", 601 * time.Second, 1 << 20},
		{"aws_alb", "timeouts {\n idle 61s\n}", 61 * time.Second, 80 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.profile+tt.options, func(t *testing.T) {
			gatetest.Run(t, behind(elb(tt.profile)+tt.options, "respond ok"))
			s := server(t)
			if got := time.Duration(s.IdleTimeout); got != tt.idle {
				t.Errorf("the idle timeout is %s, want %s", got, tt.idle)
			}
			if s.MaxHeaderBytes != tt.head {
				t.Errorf("headers have %d bytes, want %d", s.MaxHeaderBytes, tt.head)
			}
		})
	}
}

func TestServersThatDeriveAnotherClientAreRefused(t *testing.T) {
	g := gatetest.Run(t, behind(elb("aws_alb"), "respond ok"))
	tests := []struct {
		name, server string
		want         []string
	}{
		{"not strict", "trusted_proxies elb aws_alb {\n from 127.0.0.1\n}", []string{"elb needs trusted_proxies_strict"}},
		{"another header", elb("aws_alb") + "client_ip_headers X-Forwarded-For X-Real-IP", []string{"client_ip_headers X-Real-IP"}},
		{"a Unix socket", elb("aws_alb") + "trusted_proxies_unix", []string{"trusted_proxies_unix trusts"}},
		{"an idle timeout as long as the balancer's", elb("gcp_alb") + "timeouts {\n idle 600s\n}", []string{"timeouts idle 10m0s is not longer", "set 10m30s"}},
		{"headers smaller than the balancer's", elb("aws_alb") + "max_header_size 32KiB", []string{"max_header_size 32768 is less than the 81920 bytes"}},
		{"everything at once", "trusted_proxies elb cloudflare {\n from 127.0.0.1\n}\ntrusted_proxies_unix\nclient_ip_headers CF-Connecting-IP\n" +
			"max_header_size 1KiB\ntimeouts {\n idle 5m\n}", []string{"elb needs trusted_proxies_strict", "trusted_proxies_unix trusts",
			"client_ip_headers CF-Connecting-IP", "max_header_size 1024", "timeouts idle 5m0s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Reload(t, behind(tt.server, "respond ok"))
			if err == nil {
				t.Fatal("it is not refused")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
	if got := send(t, g, "127.0.0.9", nil); got.Status != 200 {
		t.Errorf("after rejected reloads: %d", got.Status)
	}
}

func TestTheConfigurationInJSONIsChecked(t *testing.T) {
	tests := []struct {
		source string
		want   []string
	}{
		{`{}`, []string{`profile "" is not one of aws_alb`, "elb needs from"}},
		{`{"profile": "hops", "from": ["10.0.0.0/8", "0.0.0.0/0", "x"], "hops": 11, "fdid": "x", "connections_per_client": -1}`,
			[]string{`from[1]: "0.0.0.0/0" lets everyone`, `from[2]: "x" is not`, "hops 11 is not between 1 and 10", "fdid is not a UUID",
				"fdid is an option of the profile azure_frontdoor", "connections_per_client is negative"}},
		{`{"profile": "hops", "from": ["10.0.0.0/8"], "hops": -1}`, []string{"hops -1 is not between"}},
		{`{"profile": "hops", "from": ["10.0.0.0/8"]}`, []string{"profile hops needs hops"}},
		{`{"profile": "azure_frontdoor", "from": ["10.0.0.0/8"]}`, []string{"profile azure_frontdoor needs fdid"}},
		{`{"profile": "aws_alb", "from": ["::/6"], "hops": 1}`, []string{`from[0]: "::/6" lets everyone`, "hops is an option of the profile hops"}},
	}
	for _, tt := range tests {
		source := strings.Replace(tt.source, "{", `{"source": "elb",`, 1)
		source = strings.Replace(source, ",}", "}", 1)
		config := fmt.Sprintf(`{"admin": {"disabled": true}, "apps": {"http": {"servers": {"a": {"listen": ["127.0.0.1:0"],
			"trusted_proxies_strict": 1, "trusted_proxies": %s}}}}}`, source)
		err := caddy.Validate(mustParse(t, config))
		if err == nil {
			t.Errorf("%s is not refused", tt.source)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q: %v", tt.source, want, err)
			}
		}
	}
}

func mustParse(t *testing.T, config string) *caddy.Config {
	t.Helper()
	parsed := new(caddy.Config)
	if err := json.Unmarshal([]byte(config), parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestWithoutAnEdgeNothingIsTrusted(t *testing.T) {
	r := ask("10.0.1.5:99", "X-Forwarded-For", "198.51.100.7")
	if got := newSource(t, "aws_alb").GetIPRanges(r); got != nil {
		t.Errorf("it trusts %v", got)
	}
}

func TestOneClientHasOnlySoManyConnections(t *testing.T) {
	g := gatetest.Run(t, behind("trusted_proxies elb aws_alb {\n from 127.0.0.1\n connections_per_client 1\n}\ntrusted_proxies_strict",
		"allowlist {\n deny 192.0.2.66\n}\nreverse_proxy {$BACKEND}"))
	first, release, done := make(chan struct{}), make(chan struct{}), make(chan int)
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Slow") != "" {
			close(first)
			<-release
		}
	})
	ask := func(client string, header ...string) int {
		return g.Do(t, "GET", "/", append(header, "X-Forwarded-For", client)...).Status
	}
	go func() { done <- ask("192.0.2.1", "Slow", "yes") }()
	<-first
	for client, want := range map[string]int{"192.0.2.1": 429, "6.6.6.6, 192.0.2.1": 429, "192.0.2.2": 200} {
		if got := ask(client); got != want {
			t.Errorf("%s: got %d, want %d", client, got, want)
		}
	}
	close(release)
	if got := <-done; got != 200 {
		t.Errorf("the first got %d", got)
	}
}

func TestHTTP3BypassesTheBalancer(t *testing.T) {
	for protocol, refused := range map[string]bool{"h2": false, "h3": true} {
		server := &caddyhttp.Server{TrustedProxiesStrict: 1, Protocols: []string{"h1", protocol}, TLSConnPolicies: caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}}
		if err := errors.Join(new(Source).checkServer(edge.New(server))...); (err != nil) != refused {
			t.Errorf("%s: got %v", protocol, err)
		}
	}
}
