package elb

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

const (
	testFDID        = "55ce4ed1-4b06-4bf1-b40e-4638452104da"
	testTraceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// newSource returns a source of the profile, with the options that it needs and
// from 10.0.0.0/16 and 2001:db8:b::/48.
func newSource(t testing.TB, profile string) *Source {
	t.Helper()
	s := &Source{Profile: profile, From: []string{"10.0.0.0/16", "2001:db8:b::/48"}}
	switch profile {
	case "hops":
		s.Hops = 3
	case "azure_frontdoor":
		s.FDID = testFDID
	}
	if err := s.compile(); err != nil {
		t.Fatal(err)
	}
	return s
}

// balancer says how each profile's balancer tells of a client: what it appends
// to X-Forwarded-For, and the headers that it writes beside it.
var balancers = []struct {
	profile string
	appends func(client string) string
	writes  func(client string) []string
	trace   string
}{
	{"aws_alb", appendsClient, nil, "X-Amzn-Trace-Id"},
	{"aws_clb", appendsClient, nil, ""},
	{"gcp_alb", func(client string) string { return client + ",34.120.1.1" }, nil, "X-Cloud-Trace-Context"},
	{"azure_appgw", func(client string) string {
		if strings.Contains(client, ":") {
			return "[" + client + "]:4711"
		}
		return client + ":4711"
	}, nil, "X-Appgw-Trace-Id"},
	{"azure_frontdoor", appendsClient, func(client string) []string {
		return []string{"X-Azure-FDID", testFDID, "X-Azure-SocketIP", client, "X-Azure-ClientIP", "6.6.6.6"}
	}, "X-Azure-Ref"},
	{"cloudflare", appendsClient, func(client string) []string { return []string{"CF-Connecting-IP", client} }, "Cf-Ray"},
	{"hops", func(client string) string { return client + ", 192.0.2.10, [2001:db8::11]:80" }, nil, "Traceparent"},
}

func appendsClient(client string) string { return client }

// ask returns a request from peer with header lines name, value, …
func ask(peer string, header ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = peer
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestTheBalancersEntryIsTheClient(t *testing.T) {
	for _, b := range balancers {
		s := newSource(t, b.profile)
		written := func(client string) []string {
			if b.writes == nil {
				return nil
			}
			return b.writes(client)
		}
		tests := []struct {
			name, peer, client string
			lines              []string
			want               string
		}{
			{"through the balancer", "10.0.1.5:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "198.51.100.7"},
			{"spoofed entries on the left", "10.0.1.5:99", "198.51.100.7", []string{"127.0.0.1, 10.0.1.1, " + b.appends("198.51.100.7")}, "198.51.100.7"},
			{"junk on the left", "10.0.1.5:99", "198.51.100.7", []string{"unknown,,[, " + b.appends("198.51.100.7")}, "198.51.100.7"},
			{"two lines", "10.0.1.5:99", "198.51.100.7", []string{"127.0.0.1", b.appends("198.51.100.7")}, "198.51.100.7"},
			{"a client inside from", "10.0.1.5:99", "10.0.9.9", []string{b.appends("10.0.9.9")}, "10.0.9.9"},
			{"a client inside from that spoofs", "10.0.1.5:99", "10.0.9.9", []string{"203.0.113.66, " + b.appends("10.0.9.9")}, "10.0.9.9"},
			{"the balancer itself", "10.0.1.5:99", "10.0.1.5", []string{b.appends("10.0.1.5")}, "10.0.1.5"},
			{"an IPv6 client", "10.0.1.5:99", "2001:db8::7", []string{b.appends("2001:db8::7")}, "2001:db8::7"},
			{"an IPv6 client in another form", "10.0.1.5:99", "2001:DB8:0::7", []string{b.appends("2001:DB8:0::7")}, "2001:db8::7"},
			{"a mapped client", "10.0.1.5:99", "::ffff:198.51.100.7", []string{b.appends("::ffff:198.51.100.7")}, "198.51.100.7"},
			{"a mapped balancer", "[::ffff:10.0.1.5]:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "198.51.100.7"},
			{"an IPv6 balancer", "[2001:db8:b::5]:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "198.51.100.7"},

			{"no header", "10.0.1.5:99", "198.51.100.7", nil, ""},
			{"an empty header", "10.0.1.5:99", "198.51.100.7", []string{""}, ""},
			{"junk in the client's place", "10.0.1.5:99", "unknown", []string{"198.51.100.66, " + b.appends("unknown")}, ""},
			{"nothing in the client's place", "10.0.1.5:99", "", []string{"198.51.100.66, " + b.appends("")}, ""},
			{"a trailing comma", "10.0.1.5:99", "198.51.100.7", []string{b.appends("198.51.100.7") + ","}, ""},
			{"an empty last line", "10.0.1.5:99", "198.51.100.7", []string{b.appends("198.51.100.7"), ""}, ""},
			{"the unspecified address", "10.0.1.5:99", "0.0.0.0", []string{b.appends("0.0.0.0")}, ""},
			{"a zone", "10.0.1.5:99", "fe80::1%eth0", []string{b.appends("fe80::1%eth0")}, ""},
			{"a peer without an address", "@", "198.51.100.7", []string{b.appends("198.51.100.7")}, ""},

			{"direct", "10.9.0.1:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "10.9.0.1"},
			{"direct, mapped", "[::ffff:10.9.0.1]:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "10.9.0.1"},
			{"direct, with a zone", "[fe80::9%eth0]:99", "198.51.100.7", []string{b.appends("198.51.100.7")}, "fe80::9"},
		}
		for _, tt := range tests {
			t.Run(b.profile+"/"+tt.name, func(t *testing.T) {
				r := ask(tt.peer, written(tt.client)...)
				r.Header["X-Forwarded-For"] = tt.lines
				if tt.lines == nil {
					delete(r.Header, "X-Forwarded-For")
				}
				direct := strings.HasPrefix(tt.name, "direct") || tt.peer == "@"
				var req edge.Request
				s.Identify(r, &req)
				if got := addrString(req.Client); got != tt.want {
					t.Errorf("the client is %q, want %q", got, tt.want)
				}
				if req.Balanced == direct {
					t.Errorf("balanced is %t", req.Balanced)
				}
				want := []string{tt.want}
				if tt.want == "" || direct {
					want = nil
				}
				if got := r.Header["X-Forwarded-For"]; strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
					t.Errorf("X-Forwarded-For is %q, want %q", got, want)
				}
				for name := range r.Header {
					if name != "X-Forwarded-For" {
						t.Errorf("%s is left", name)
					}
				}
			})
		}
	}
}

func addrString(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestFewerEntriesThanTheBalancerWrites(t *testing.T) {
	for profile, line := range map[string]string{"gcp_alb": "198.51.100.7", "hops": "198.51.100.7, 192.0.2.10"} {
		s := newSource(t, profile)
		r := ask("10.0.1.5:99", "X-Forwarded-For", line)
		var req edge.Request
		if s.Identify(r, &req); req.Client.IsValid() || !req.Balanced || len(r.Header) != 0 {
			t.Errorf("%s: %v, %v", profile, req, r.Header)
		}
	}
}

func TestABareIPv6AddressOfApplicationGatewayIsNotRead(t *testing.T) {
	r := ask("10.0.1.5:99", "X-Forwarded-For", "2001:db8::7:4711")
	var req edge.Request
	if newSource(t, "azure_appgw").Identify(r, &req); req.Client.IsValid() {
		t.Errorf("it is %v", req.Client)
	}
}

func TestASecondHeaderHasToAgree(t *testing.T) {
	frontDoor := []string{"X-Azure-FDID", testFDID}
	tests := []struct {
		name, profile string
		header        []string
		want          string
	}{
		{"Cloudflare's two headers agree", "cloudflare", []string{"CF-Connecting-IP", "198.51.100.7"}, "198.51.100.7"},
		{"and in two forms", "cloudflare", []string{"CF-Connecting-IP", "::ffff:198.51.100.7"}, "198.51.100.7"},
		{"CF-Connecting-IP is another", "cloudflare", []string{"CF-Connecting-IP", "198.51.100.66"}, ""},
		{"CF-Connecting-IP is missing", "cloudflare", nil, ""},
		{"CF-Connecting-IP is there twice", "cloudflare", []string{"CF-Connecting-IP", "198.51.100.7", "CF-Connecting-IP", "198.51.100.7"}, ""},
		{"CF-Connecting-IP is a list", "cloudflare", []string{"CF-Connecting-IP", "198.51.100.7, 198.51.100.7"}, ""},
		{"CF-Connecting-IP is empty", "cloudflare", []string{"CF-Connecting-IP", ""}, ""},
		{"True-Client-IP is no substitute", "cloudflare", []string{"True-Client-IP", "198.51.100.7"}, ""},
		{"Front Door's two headers agree", "azure_frontdoor", append(frontDoor, "X-Azure-SocketIP", "198.51.100.7"), "198.51.100.7"},
		{"X-Azure-SocketIP is another", "azure_frontdoor", append(frontDoor, "X-Azure-SocketIP", "198.51.100.66"), ""},
		{"X-Azure-SocketIP is missing", "azure_frontdoor", frontDoor, ""},
		{"X-Azure-SocketIP is there twice", "azure_frontdoor",
			append(frontDoor, "X-Azure-SocketIP", "198.51.100.7", "X-Azure-SocketIP", "198.51.100.7"), ""},
		{"X-Azure-ClientIP is no substitute", "azure_frontdoor", append(frontDoor, "X-Azure-ClientIP", "198.51.100.7"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask("10.0.1.5:99", append([]string{"X-Forwarded-For", "6.6.6.6, 198.51.100.7"}, tt.header...)...)
			var req edge.Request
			newSource(t, tt.profile).Identify(r, &req)
			if got := addrString(req.Client); got != tt.want || !req.Balanced {
				t.Errorf("got %q, balanced %t; want %q", got, req.Balanced, tt.want)
			}
		})
	}
}

func TestAnotherCustomersFrontDoorIsNotOurs(t *testing.T) {
	other := "aaaaaaaa-4b06-4bf1-b40e-4638452104da"
	for name, ids := range map[string][]string{
		"another id": {other}, "no id": nil, "an empty id": {""}, "ours and another": {testFDID, other}, "ours twice": {testFDID, testFDID},
		"ours in a list": {testFDID + "," + other}, "ours in capital letters": {strings.ToUpper(testFDID)}, "ours with a space": {testFDID + " "},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask("10.0.1.5:99", "X-Forwarded-For", "198.51.100.7", "X-Azure-SocketIP", "198.51.100.7", "X-Forwarded-Proto", "https",
				"X-Azure-Ref", "0zxV", "Traceparent", testTraceparent)
			r.Header["X-Azure-Fdid"] = ids
			var req edge.Request
			newSource(t, "azure_frontdoor").Identify(r, &req)
			if req != (edge.Request{}) || len(r.Header) > 0 {
				t.Errorf("established %+v, left %v", req, r.Header)
			}
		})
	}
}

// everyClaim is a request that says everything about itself that it can.
func everyClaim() []string {
	var header []string
	for name, value := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Host": "api.example.com", "X-Original-Host": "api.example.com",
		"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678", "X-Amzn-Tls-Version": "TLSv1.3", "X-Amzn-Tls-Cipher-Suite": "TLS_AES_128_GCM_SHA256",
		"X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1",
		"X-Azure-Ref":           "0zxV+XAAAAABKMMOjBv2NT4TY6SQVjC0zV1NURURHRTA2MTkA", "X-Azure-RequestChain": "hops=1", "X-FD-HealthProbe": "1",
		"X-AppGW-Trace-Id": "ac882cd65a2712a0fe1289ec2bb6aee7", "X-Azure-JA4-Fingerprint": "t13d1516h2_8daaf6152771_02713d6af862",
		"CF-Ray": "230b030023ae2822-SJC", "CF-IPCountry": "DE", "CF-Visitor": `{"scheme":"https"}`,
		"traceparent": testTraceparent, "tracestate": "rojo=00f067aa0ba902b7",
		"Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6", "True-Client-IP": "6.6.6.6", "CF-Connecting-IPv6": "2001:db8::6", "Fastly-Client-IP": "6.6.6.6",
		"X-Client-IP": "6.6.6.6", "X-Forwarded-Prefix": "/admin", "X-Forwarded-User": "root", "X_Forwarded_For": "6.6.6.6", "X-FD-ClientIP": "6.6.6.6",
		"B3": "1", "X-B3-TraceId": "1", "Uber-Trace-Id": "1", "X-Datadog-Trace-Id": "1", "Request-Id": "1", "X-Original-For": "6.6.6.6",
		"X-Original-Scheme": "https", "Remote-Addr": "6.6.6.6",
	} {
		header = append(header, name, value)
	}
	return header
}

func TestOnlyWhatTheBalancerWritesIsLeft(t *testing.T) {
	trace := []string{"Traceparent", "Tracestate"}
	for profile, want := range map[string][]string{
		"aws_alb":         append(trace, "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id"),
		"aws_clb":         append(trace, "X-Forwarded-Proto", "X-Forwarded-Port"),
		"gcp_alb":         append(trace, "X-Forwarded-Proto", "X-Cloud-Trace-Context"),
		"azure_appgw":     append(trace, "X-Forwarded-Proto", "X-Forwarded-Port", "X-Original-Host", "X-Appgw-Trace-Id"),
		"azure_frontdoor": append(trace, "X-Forwarded-Proto", "X-Forwarded-Host", "X-Azure-Ref", "X-Azure-Requestchain", "X-Fd-Healthprobe"),
		"cloudflare":      append(trace, "X-Forwarded-Proto", "Cf-Ray"),
		"hops":            append(trace, "X-Forwarded-Proto"),
	} {
		t.Run(profile, func(t *testing.T) {
			r := ask("10.0.1.5:99", everyClaim()...)
			r.Header.Set("X-Azure-FDID", testFDID)
			var req edge.Request
			newSource(t, profile).Identify(r, &req)
			for _, name := range want {
				if len(r.Header[name]) != 1 {
					t.Errorf("%s is %q", name, r.Header[name])
				}
				delete(r.Header, name)
			}
			if len(r.Header) > 0 {
				t.Errorf("left are also %v", r.Header)
			}
		})
		t.Run(profile+", direct", func(t *testing.T) {
			r := ask("10.9.0.1:99", append(everyClaim(), "Accept", "*/*")...)
			r.Header.Set("X-Azure-FDID", testFDID)
			var req edge.Request
			newSource(t, profile).Identify(r, &req)
			if len(r.Header) != 1 || req.Trace != "" {
				t.Errorf("left are %v, the trace is %q", r.Header, req.Trace)
			}
		})
	}
}

func TestTheTraceIsTheBalancersOwn(t *testing.T) {
	for _, b := range balancers {
		t.Run(b.profile, func(t *testing.T) {
			r := ask("10.0.1.5:99", everyClaim()...)
			r.Header.Set("X-Azure-FDID", testFDID)
			want := ""
			if b.trace != "" {
				want = r.Header.Get(b.trace)
			}
			var req edge.Request
			if newSource(t, b.profile).Identify(r, &req); req.Trace != want {
				t.Errorf("got %q, want %q", req.Trace, want)
			}
			if b.trace == "" {
				return
			}
			for _, bad := range [][]string{{""}, {"a b"}, {"a\"b"}, {"a,b"}, {strings.Repeat("a", 257)}, {want, want}} {
				r := ask("10.0.1.5:99", "X-Azure-FDID", testFDID)
				r.Header[b.trace] = bad
				var req edge.Request
				if newSource(t, b.profile).Identify(r, &req); req.Trace != "" || len(r.Header) > 0 {
					t.Errorf("%q: the trace is %q, left is %v", bad, req.Trace, r.Header)
				}
			}
		})
	}
}

func TestWhatTheBalancerCannotHaveWrittenIsRemoved(t *testing.T) {
	tests := []struct {
		name, profile, header string
		lines                 []string
		want                  string
	}{
		{"a scheme in capital letters is written small", "azure_appgw", "X-Forwarded-Proto", []string{"HTTPS"}, "https"},
		{"a scheme of another protocol", "aws_alb", "X-Forwarded-Proto", []string{"ftp"}, ""},
		{"two schemes", "aws_alb", "X-Forwarded-Proto", []string{"https", "https"}, ""},
		{"a list of schemes", "aws_alb", "X-Forwarded-Proto", []string{"https, http"}, ""},
		{"a port", "aws_alb", "X-Forwarded-Port", []string{"443"}, "443"},
		{"a port out of range", "aws_alb", "X-Forwarded-Port", []string{"65536"}, ""},
		{"a port with text", "aws_alb", "X-Forwarded-Port", []string{"443; DROP"}, ""},
		{"two ports", "aws_alb", "X-Forwarded-Port", []string{"443", "80"}, ""},
		{"a host", "azure_frontdoor", "X-Forwarded-Host", []string{"api.example.com"}, "api.example.com"},
		{"a host with a path", "azure_frontdoor", "X-Forwarded-Host", []string{"api.example.com/x"}, ""},
		{"two hosts", "azure_frontdoor", "X-Forwarded-Host", []string{"api.example.com", "evil.example"}, ""},
		{"a list of hosts", "azure_frontdoor", "X-Forwarded-Host", []string{"api.example.com, evil.example"}, ""},
		{"two traceparents", "aws_alb", "Traceparent", []string{testTraceparent, testTraceparent}, ""},
		{"a traceparent of zeros", "aws_alb", "Traceparent", []string{"00-00000000000000000000000000000000-00f067aa0ba902b7-01"}, ""},
		{"a tracestate without a traceparent", "aws_alb", "Tracestate", []string{"a=1"}, ""},
		{"two TLS versions", "aws_alb", "X-Amzn-Tls-Version", []string{"TLSv1.3", "TLSv1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask("10.0.1.5:99", "X-Azure-FDID", testFDID)
			r.Header[tt.header] = tt.lines
			var req edge.Request
			newSource(t, tt.profile).Identify(r, &req)
			if got := strings.Join(r.Header[tt.header], "|"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestATracestateHasToBeReadable(t *testing.T) {
	for state, want := range map[string]string{"a=1,b=2": "a=1,b=2", "a": ""} {
		r := ask("10.0.1.5:99", "traceparent", testTraceparent, "tracestate", state)
		var req edge.Request
		newSource(t, "aws_alb").Identify(r, &req)
		if got := r.Header.Get("Tracestate"); got != want || r.Header.Get("Traceparent") == "" {
			t.Errorf("%q becomes %q", state, got)
		}
	}
	r := ask("10.0.1.5:99", "traceparent", testTraceparent, "tracestate", "a=1", "tracestate", "b=2")
	var req edge.Request
	if newSource(t, "aws_alb").Identify(r, &req); len(r.Header["Tracestate"]) > 0 {
		t.Errorf("two lines become %q", r.Header["Tracestate"])
	}
}

func TestIdentityHeadersAreLeftToAuth(t *testing.T) {
	names := []string{"X-Amzn-Oidc-Data", "X-Amzn-Mtls-Clientcert", "Cf-Access-Jwt-Assertion", "X-Forwarded-Client-Cert", "Authorization"}
	for _, peer := range []string{"10.0.1.5:99", "10.9.0.1:99"} {
		r := ask(peer)
		for _, name := range names {
			r.Header[name] = []string{"x"}
		}
		var req edge.Request
		if newSource(t, "aws_alb").Identify(r, &req); len(r.Header) != len(names) {
			t.Errorf("from %s %v are left", peer, r.Header)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add("198.51.100.7", "198.51.100.7", "10.0.1.5:99")
	f.Add("6.6.6.6, 198.51.100.7\n34.120.1.1", "", "10.0.1.5:99")
	f.Add("unknown, [2001:db8::7]:1", "2001:db8::7", "[::ffff:10.0.1.5]:1")
	f.Add("198.51.100.7,", "\n", "10.9.0.1:1")
	f.Add("", "", "@")
	sources := make([]*Source, len(balancers))
	for i, b := range balancers {
		sources[i] = newSource(f, b.profile)
	}
	f.Fuzz(func(t *testing.T, forwardedFor, again, peer string) {
		for _, s := range sources {
			request := func(left ...string) (*http.Request, edge.Request) {
				r := ask(peer, "X-Real-Ip", again, "X-Azure-FDID", testFDID)
				r.Header["X-Forwarded-For"] = append(left, strings.Split(forwardedFor, "\n")...)
				r.Header["Cf-Connecting-Ip"] = strings.Split(again, "\n")
				r.Header["X-Azure-Socketip"] = strings.Split(again, "\n")
				var req edge.Request
				s.Identify(r, &req)
				return r, req
			}
			r, req := request()
			lines := r.Header["X-Forwarded-For"]
			switch {
			case req.Balanced && req.Client.IsValid():
				if len(lines) != 1 || lines[0] != req.Client.String() {
					t.Errorf("%s: the client is %v, the header %q", s.Profile, req.Client, lines)
				}
			case len(lines) > 0:
				t.Errorf("%s: no client, but the header %q", s.Profile, lines)
			}
			if len(r.Header) > len(r.Header["X-Forwarded-For"]) {
				t.Errorf("%s: left are %v", s.Profile, r.Header)
			}
			if _, more := request("6.6.6.6", "junk, 7.7.7.7"); req.Client.IsValid() && more != req {
				t.Errorf("%s: lines on the left change %v to %v", s.Profile, req, more)
			}
			if s.entry != 1 || s.profile.confirmed != "" || !req.Balanced {
				continue
			}
			text := append([]string(nil), lines...)
			second := edge.Request{}
			if s.Identify(r, &second); second != req || strings.Join(r.Header["X-Forwarded-For"], "|") != strings.Join(text, "|") {
				// Application Gateway writes a port, without which IPv6 has two readings.
				if s.Profile != "azure_appgw" || !req.Client.Is6() {
					t.Errorf("%s: a second time changes %v to %v", s.Profile, req, second)
				}
			}
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	plain := []string{
		"Accept", "*/*", "User-Agent", "curl/8.5.0", "Accept-Encoding", "gzip", "Authorization", "Bearer x", "Content-Type", "application/json",
		"Cookie", "a=b", "Via", "1.1 x", "X-Api-Key", "k",
	}
	for _, tt := range []struct {
		name, profile, peer string
		header              []string
	}{
		{"aws_alb", "aws_alb", "10.0.1.5:99", []string{"X-Forwarded-For", "6.6.6.6, 198.51.100.7", "X-Forwarded-Proto", "https",
			"X-Forwarded-Port", "443", "X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678"}},
		{"cloudflare", "cloudflare", "10.0.1.5:99", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https",
			"CF-Connecting-IP", "198.51.100.7", "CF-Ray", "230b030023ae2822-SJC", "CF-Visitor", "x", "CF-IPCountry", "DE"}},
		{"direct", "aws_alb", "10.9.0.1:99", []string{"X-Forwarded-For", "6.6.6.6", "X-Real-IP", "6.6.6.6"}},
		{"unknown", "aws_alb", "10.0.1.5:99", []string{"X-Forwarded-For", "6.6.6.6, unknown"}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s := newSource(b, tt.profile)
			r := ask(tt.peer, append(plain, tt.header...)...)
			type line struct {
				name  string
				lines []string
				value string
			}
			var sent []line
			for i := 0; i+1 < len(tt.header); i += 2 {
				name := http.CanonicalHeaderKey(tt.header[i])
				sent = append(sent, line{name, r.Header[name], tt.header[i+1]})
			}
			var req edge.Request
			b.ReportAllocs()
			for b.Loop() {
				// What one request leaves has to be sent again: about 30 ns a line.
				for i := range sent {
					sent[i].lines[0] = sent[i].value
					r.Header[sent[i].name] = sent[i].lines
				}
				req = edge.Request{}
				s.Identify(r, &req)
			}
		})
	}
}
