package jwks

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestWhichAddressesAreOfTheInternet(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "2001:4860:4860::8888": true, "64:ff9b::808:808": true, "2002:808:808::1": true,
		"::ffff:8.8.8.8": true,

		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "::1": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.170.2": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"100.64.0.1": false, "100.127.255.255": false, "198.18.0.1": false, "198.19.255.255": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "192.88.99.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"fc00::1": false, "fdff::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
		"2606:2800:21f::1%eth0": false,
		"::ffff:10.0.0.1":       false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "64:ff9b:1::808:808": false,
		"2002:a00:1::1": false, "2002:7f00:1::1": false, "::10.0.0.1": false, "::8.8.8.8": false, "100::1": false,
		"2001::1": false, "2001:db8::1": false, "3fff::1": false, "5f00::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is of the internet")
	}
}

// The address of a connection counts, not what the name meant before: a second answer
// of the resolver is of no use to an attacker.
func TestConnectionsToPrivateAddressesAreRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	tests := []struct {
		name, written, asked string
		allow, want          bool
	}{
		{"a loopback address that nobody wrote", "issuer.example", "127.0.0.1", false, false},
		{"a name that means a loopback address", "issuer.example", "localhost", false, false},
		{"the operator wrote the name, and it means a loopback address", "localhost", "localhost", false, true},
		{"the operator wrote the address", "127.0.0.1", "127.0.0.1", false, true},
		{"the operator wrote another loopback address", "127.0.0.2", "127.0.0.1", false, false},
		{"private addresses are allowed", "issuer.example", "127.0.0.1", true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := &gate{config: Config{AllowPrivate: test.allow}, written: test.written}
			conn, err := g.dial(t.Context(), "tcp", net.JoinHostPort(test.asked, port))
			if conn != nil {
				conn.Close()
			}
			if (err == nil) != test.want || err != nil && !errors.Is(err, errPrivate) {
				t.Errorf("got %v", err)
			}
		})
	}
	g := &gate{written: "internal.example"}
	for resolved, host := range map[string]string{"10.0.0.1:443": "internal.example", "127.0.0.1:443": "internal.example", "[::ffff:127.0.0.1]:443": "issuer.example", "[fe80::1%eth0]:443": "internal.example", "nonsense": "internal.example"} {
		if g.check(host, resolved) == nil {
			t.Errorf("%s as %s is let through", resolved, host)
		}
	}
	if err := g.check("internal.example", "8.8.8.8:443"); err != nil {
		t.Error(err)
	}
}

// The proxy's address is the operator's; the URL that goes through it is not.
func TestAProxyIsAskedAndPrivateAddressesAreNotThroughIt(t *testing.T) {
	asked := make(chan string, 8)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	via, _ := url.Parse(proxy.URL)
	for host, want := range map[string]bool{"issuer.example": true, "10.0.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "localhost": false, "LOCALHOST": false, "localhost.": false, "a.Localhost": false} {
		transport, err := newTransport(Config{URL: "https://issuer.example/keys"})
		if err != nil {
			t.Fatal(err)
		}
		transport.(*gate).proxy = func(*http.Request) (*url.URL, error) { return via, nil }
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+"/keys", nil)
		if resp, err := transport.RoundTrip(r); err == nil {
			resp.Body.Close()
			t.Errorf("%s: answered", host)
		}
		select {
		case got := <-asked:
			if !want {
				t.Errorf("%s: the proxy was asked for %s", host, got)
			}
		default:
			if want {
				t.Errorf("%s: the proxy was not asked", host)
			}
		}
	}
}

func TestARedirectToAPrivateAddressOfTheSameHostIsRefused(t *testing.T) {
	// The name is the same, so only the address can tell.
	g := &gate{config: Config{}, written: "issuer.example", proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
	g.transport = &http.Transport{Proxy: chosenProxy, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return g.dial(ctx, network, "localhost:443")
	}}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://issuer.example/keys", nil)
	if _, err := g.RoundTrip(r); !errors.Is(err, errPrivate) {
		t.Errorf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	const good = "https://issuer.example/keys"
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pool := pemOf(server.Certificate())
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"a URL is enough", Config{URL: good}, ""},
		{"a URL is needed", Config{}, "not an absolute URL"},
		{"a private address", Config{URL: "https://10.0.0.1/keys"}, "allow_private"},
		{"the metadata service", Config{URL: "https://169.254.169.254/keys"}, "allow_private"},
		{"a private IPv6 address", Config{URL: "https://[fd00::1]/keys"}, "allow_private"},
		{"a private address that is allowed", Config{URL: "https://10.0.0.1/keys", AllowPrivate: true}, ""},
		{"a loopback address", Config{URL: "https://127.0.0.1/keys"}, ""},
		{"a public address", Config{URL: "https://8.8.8.8/keys"}, ""},
		{"this machine in capitals", Config{URL: "https://LOCALHOST/keys"}, "allow_private"},
		{"this machine with a dot", Config{URL: "https://localhost./keys"}, "allow_private"},
		{"http stays for loopback", Config{URL: "http://10.0.0.1/keys", AllowPrivate: true}, "not https"},
		{"a trust pool", Config{URL: good, TrustPool: pool}, ""},
		{"a trust pool of two", Config{URL: good, TrustPool: pool + pool}, ""},
		{"a trust pool with junk", Config{URL: good, TrustPool: "junk"}, "trust_pool"},
		{"a trust pool with a key", Config{URL: good, TrustPool: pool + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "no certificate"},
		{"a trust pool with a broken block", Config{URL: good, TrustPool: strings.Replace(pool, "\n-----END", "*\n-----END", 1) + pool}, "trust_pool"},
		{"a trust pool with a certificate that is none", Config{URL: good, TrustPool: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "cannot be read"},
		{"bounds", Config{URL: good, MinRefresh: time10, MaxRefresh: 2 * time10, MaxStale: 3 * time10}, ""},
		{"bounds the wrong way round", Config{URL: good, MinRefresh: 2 * time10, MaxRefresh: time10}, "refresh"},
		{"a shortest refresh of nothing", Config{URL: good, MinRefresh: 1}, "refresh"},
		{"a negative refresh", Config{URL: good, MinRefresh: -1}, "refresh"},
		{"a longest refresh of a week", Config{URL: good, MaxRefresh: 7 * LongestRefresh}, "refresh"},
		{"a month of stale keys", Config{URL: good, MaxStale: 5 * LongestStale}, "max_stale"},
		{"no time at all", Config{URL: good, MaxStale: -1}, "max_stale"},
		{"stale before the first refresh", Config{URL: good, MaxStale: ShortestStale}, "max_stale"},
	}
	for _, test := range tests {
		err := test.config.Check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if s, err := New(test.config, nil); (err == nil) != (test.want == "") {
			t.Errorf("%s: New says %v", test.name, err)
		} else if s != nil {
			s.Close()
		}
	}
}

const time10 = 10 * ShortestRefresh

func TestTheTrustPoolReplacesTheSystems(t *testing.T) {
	ours := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, set("a")) }))
	ours.Config.ErrorLog = discard
	ours.StartTLS()
	defer ours.Close()
	s, err := New(Config{URL: ours.URL, TrustPool: otherCertificate}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.fetch(false); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestWhatDecidesAboutTrustDecidesWhereKeysAreStored(t *testing.T) {
	base := Config{URL: "https://issuer.example/keys"}
	seen := map[string]bool{base.key(): true}
	for _, other := range []Config{
		{URL: "https://issuer.example/keys2"}, {URL: base.URL, Issuer: "https://issuer.example"}, {URL: base.URL, AllowPrivate: true}, {URL: base.URL, TrustPool: "a"},
		{URL: base.URL + "0:", Issuer: ""}, {URL: base.URL, Issuer: "a"},
	} {
		if seen[other.key()] {
			t.Errorf("%+v shares the key of another", other)
		}
		seen[other.key()] = true
	}
	if (Config{URL: base.URL, MaxStale: time10, MinRefresh: time10}).key() != base.key() {
		t.Error("how often it is fetched changes whose keys they are")
	}
}

// otherCertificate is of no server here.
const otherCertificate = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUIEGwzgs1pcNeQD3HyVCkNeBXWiAwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTI4MTQzMjI1WhgPMjEyNjExMDQxNDMy
MjVaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
zbUGJ0BRx4hRGuMRlzJNfM3fltv+5i8wc7JKWTohLwQ62fbr1v+44/BLjNTI+p6P
qPJBotlVxGA95y8UWSOqEKNTMFEwHQYDVR0OBBYEFGNSmAGeirilXHVdFC9GO1Xx
CkhMMB8GA1UdIwQYMBaAFGNSmAGeirilXHVdFC9GO1XxCkhMMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgWxUnry6GErMcNLPvGt/fhlivezIZXK6A
iN2WwLHEYbcCIQCOE08yKTJCvZR0sNwtwGHNgwJG9JZjCVyFsTRrUuXBxg==
-----END CERTIFICATE-----
`
