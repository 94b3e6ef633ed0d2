package elb_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/elb"
	_ "github.com/sallyport-gateway/sallyport/modules/health"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// behind is a gateway whose server has these options.
func behind(options, site string) string {
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
` + options + `
	}
}
` + site
}

// passed is a gateway behind a balancer that passes TCP through.
func passed(elb, site string) string {
	return behind("\t\tlistener_wrappers {\n\t\t\telb "+elb+"\n\t\t}", site)
}

// echo answers with the addresses that the gateway and the backend know.
const echo = `{$ADDR} {
	allowlist {
		allow 192.0.2.0/24 2001:db8::/32
	}
	reverse_proxy {$BACKEND} {
		header_up X-Client {client_ip}
		header_up X-Remote {remote_host}
		header_up X-Ids "{elb.vpce_id}|{elb.psc_connection_id}|{elb.link_id}"
	}
}
`

// tellHeaders makes the backend answer with what it saw.
func tellHeaders(g *gatetest.Gate) {
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "client=%s remote=%s xff=%s ids=%s real=%s", r.Header.Get("X-Client"), r.Header.Get("X-Remote"),
			strings.Join(r.Header["X-Forwarded-For"], ";"), r.Header.Get("X-Ids"), r.Header.Get("X-Real-Ip"))
	})
}

func address(g *gatetest.Gate) string { return strings.TrimPrefix(g.URL, "http://") }

// dial connects from an address of the loopback network.
func dial(t testing.TB, g *gatetest.Gate, from string) net.Conn {
	t.Helper()
	conn, err := dialer(from).Dial("tcp", address(g))
	if errors.Is(err, syscall.ECONNRESET) { // closed before we looked
		conn, _ = net.Pipe()
		_ = conn.Close()
		return conn
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func dialer(from string) *net.Dialer {
	return &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
}

const get = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

// ask sends bytes on a new connection from 127.0.0.1 and returns the status and
// all that came, or 0 where the gateway closed without an answer.
func ask(t testing.TB, g *gatetest.Gate, parts ...string) (int, string) {
	t.Helper()
	conn := dial(t, g, "127.0.0.1")
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			break
		}
	}
	return answer(t, conn)
}

func answer(t testing.TB, conn net.Conn) (int, string) {
	t.Helper()
	all, err := io.ReadAll(conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatalf("the gateway neither answers nor closes (so far %q)", all)
	}
	if len(all) == 0 {
		return 0, ""
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, all)
	}
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// v1 and v2 are headers of a balancer for a client.
func v1(client string) string {
	family, destination := "TCP4", "10.0.0.1"
	if strings.Contains(client, ":") {
		family, destination = "TCP6", "2001:db8::1"
	}
	return fmt.Sprintf("PROXY %s %s %s 4711 443\r\n", family, client, destination)
}

func v2(client string, tlvs ...string) string {
	addr := netip.MustParseAddr(client)
	family, destination := "\x11", "\x0a\x00\x00\x01"
	if addr.Is6() {
		family, destination = "\x21", string(netip.MustParseAddr("2001:db8::1").AsSlice())
	}
	payload := string(addr.AsSlice()) + destination + "\x12\x67\x01\xbb" + strings.Join(tlvs, "")
	return "\r\n\r\n\x00\r\nQUIT\n\x21" + family + string([]byte{byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// local is what a balancer's health check begins with.
const local = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

var (
	vpce = tlv(0xEA, "\x01vpce-0a1b2c3d")
	link = tlv(0xEE, "\x01\x2a\x00\x00\x01")
	psc  = tlv(0xE0, "\xff\xff\xff\xff\xc0\xa8\x64\x02")
)

// counts returns connections_total of a server by result.
func counts(t testing.TB, g *gatetest.Gate) map[string]int {
	t.Helper()
	active := caddy.ActiveContext()
	families, err := active.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address(g))
	found := make(map[string]int)
	for _, family := range families {
		if family.GetName() != "sallyport_elb_connections_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if strings.HasSuffix(labels["server"], ":"+port) {
				found[labels["result"]] += int(m.GetCounter().GetValue())
			}
		}
	}
	return found
}

// counted fails the test unless exactly these results are counted in the end:
// connections are counted by their own goroutine.
func counted(t testing.TB, g *gatetest.Gate, want map[string]int) {
	t.Helper()
	var got map[string]int
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if got = counts(t, g); equal(got, want) {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Errorf("counted %v, want %v", got, want)
}

func equal(got, want map[string]int) bool {
	for result, n := range got {
		if want[result] != n {
			return false
		}
	}
	return len(got) >= len(want)
}

func TestListenerAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/listener_*.caddyfiletest")
}

func TestTheAllowlistSeesTheClientOfTheHeader(t *testing.T) {
	g := gatetest.Run(t, passed("proxy_protocol {\n from 127.0.0.1\n }", echo))
	tellHeaders(g)
	tests := []struct {
		name, header string
		status       int
		client       string
	}{
		{"version 1", v1("192.0.2.7"), 200, "192.0.2.7"},
		{"version 1, IPv6", v1("2001:db8::7"), 200, "2001:db8::7"},
		{"version 1, mapped", v1("::ffff:192.0.2.7"), 200, "192.0.2.7"},
		{"version 1, not allowed", v1("198.51.100.1"), 403, ""},
		{"version 2", v2("192.0.2.7"), 200, "192.0.2.7"},
		{"version 2, IPv6", v2("2001:db8::7"), 200, "2001:db8::7"},
		{"version 2, mapped", v2("::ffff:192.0.2.7"), 200, "192.0.2.7"},
		{"version 2, mapped, not allowed", v2("::ffff:198.51.100.1"), 403, ""},
		{"the balancer's own address is not allowed", v2("127.0.0.1"), 403, ""},
		{"a health check is on behalf of nobody", local, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, g, tt.header, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"+
				"X-Forwarded-For: 192.0.2.66\r\nX-Real-IP: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\n\r\n")
			if status != tt.status {
				t.Fatalf("got %d, want %d: %s", status, tt.status, body)
			}
			if want := fmt.Sprintf("client=%[1]s remote=%[1]s xff=%[1]s ids=|| real=", tt.client); status == 200 && body != want {
				t.Errorf("the backend saw %q, want %q", body, want)
			}
		})
	}
}

func TestAHealthCheckIsAnswered(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", "{$ADDR} {\n\trespond {remote_host}\n}\n"))
	if status, body := ask(t, g, local, get); status != 200 || body != "127.0.0.1" {
		t.Errorf("got %d, %q", status, body)
	}
	counted(t, g, map[string]int{"local": 1})
}

func TestConnectionsThatAreNotTheBalancersAreClosedWithoutAnswer(t *testing.T) {
	tests := []struct {
		name, profile, bytes, result string
	}{
		{"no header", "aws_nlb", get, "missing"},
		{"a handshake without header", "aws_nlb", "\x16\x03\x01\x02\x00", "missing"},
		{"version 1 from a balancer of version 2", "aws_nlb", v1("192.0.2.7") + get, "malformed"},
		{"version 2 from a balancer of version 1", "aws_clb_tcp", v2("192.0.2.7") + get, "malformed"},
		{"version 1 on Azure", "azure_pls", v1("192.0.2.7") + get, "malformed"},
		{"UNKNOWN", "proxy_protocol", "PROXY UNKNOWN\r\n" + get, "malformed"},
		{"UNKNOWN with an address", "gcp_tcp", "PROXY UNKNOWN 192.0.2.7 10.0.0.1 1 2\r\n" + get, "malformed"},
		{"no family", "aws_nlb", "\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00" + get, "malformed"},
		{"a client without address", "aws_nlb", v2("0.0.0.0") + get, "malformed"},
		{"oversized", "aws_nlb", v2("192.0.2.7", tlv(4, strings.Repeat("x", 4096))) + get, "oversized"},
		{"a second header of version 2", "aws_nlb", v2("192.0.2.7") + v2("192.0.2.8") + get, "repeated"},
		{"a second header of version 1", "aws_nlb", v2("192.0.2.7") + v1("192.0.2.8") + get, "repeated"},
		{"version 2 behind version 1", "proxy_protocol", v1("192.0.2.7") + v2("192.0.2.8") + get, "repeated"},
		{"a header behind a health check", "aws_nlb", local + v2("192.0.2.8") + get, "repeated"},
		{"a wrong checksum", "aws_nlb", v2("192.0.2.7", tlv(3, "\x01\x02\x03\x04")) + get, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, passed(tt.profile+" {\n from 127.0.0.1\n }", echo))
			if status, body := ask(t, g, tt.bytes); status != 0 {
				t.Errorf("got %d: %s", status, body)
			}
			counted(t, g, map[string]int{tt.result: 1})
		})
	}
}

func TestAConnectionFromElsewhereIsClosedAtOnce(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.2\n }", echo))
	// The reset may arrive before the connection is known to be open.
	if conn, err := dialer("127.0.0.1").Dial("tcp", address(g)); err == nil {
		_, _ = io.WriteString(conn, v2("192.0.2.7")+get)
		if status, _ := answer(t, conn); status != 0 {
			t.Errorf("got %d", status)
		}
		_ = conn.Close()
	}
	counted(t, g, map[string]int{"untrusted_peer": 1})
	conn := dial(t, g, "127.0.0.2")
	_, _ = io.WriteString(conn, v2("192.0.2.7")+get)
	if status, body := answer(t, conn); status != 200 {
		t.Errorf("from the balancer: got %d: %s", status, body)
	}
}

func TestATCPHealthCheckIsAProbe(t *testing.T) {
	g := gatetest.Run(t, passed("aws_clb_tcp {\n from 127.0.0.1\n }", echo))
	_ = dial(t, g, "127.0.0.1").Close()
	counted(t, g, map[string]int{"probe": 1})
}

func TestGooglesHealthCheckIsAnswered(t *testing.T) {
	g := gatetest.Run(t, passed("gcp_tcp {\n from 127.0.0.1\n }", "{$ADDR} {\n\trespond ok\n}\n"))
	if status, _ := ask(t, g, "PROXY UNKNOWN\r\n", get); status != 200 {
		t.Errorf("got %d", status)
	}
	if status, _ := ask(t, g, v1("192.0.2.7"), get); status != 200 {
		t.Errorf("version 1: got %d", status)
	}
	if status, _ := ask(t, g, v2("192.0.2.7", psc), get); status != 200 {
		t.Errorf("version 2 of Private Service Connect: got %d", status)
	}
}

func TestSilentConnectionsDoNotStopOthers(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n timeout 1m\n }", echo))
	var silent []net.Conn
	for range 5 {
		silent = append(silent, dial(t, g, "127.0.0.1"))
	}
	if status, body := ask(t, g, v2("192.0.2.7"), get); status != 200 {
		t.Errorf("got %d: %s", status, body)
	}
	for _, conn := range silent {
		_ = conn.Close()
	}
}

func TestASlowHeaderIsCutOff(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n timeout 50ms\n }", echo))
	if status, _ := ask(t, g, v2("192.0.2.7")[:20]); status != 0 {
		t.Errorf("got %d", status)
	}
	counted(t, g, map[string]int{"timeout": 1})
}

func TestOnlyTheNamedEndpointsAreLetIn(t *testing.T) {
	tests := []struct {
		name, elb, tlvs string
		status          int
	}{
		{"the endpoint", "aws_nlb {\n vpce_ids vpce-1 vpce-0a1b2c3d", vpce, 200},
		{"another endpoint", "aws_nlb {\n vpce_ids vpce-1", vpce, 0},
		{"no endpoint", "aws_nlb {\n vpce_ids vpce-0a1b2c3d", "", 0},
		{"a TLV of another vendor", "aws_nlb {\n vpce_ids vpce-0a1b2c3d", link + psc, 0},
		{"two endpoints", "aws_nlb {\n vpce_ids vpce-0a1b2c3d", vpce + tlv(0xEA, "\x01vpce-1"), 0},
		{"the link", "azure_pls {\n link_ids 16777258", link, 200},
		{"another link, the same bytes in the other order", "azure_pls {\n link_ids 704643073", link, 0},
		{"no link", "azure_pls {\n link_ids 0", "", 0},
		{"the connection", "gcp_tcp {\n psc_connection_ids 18446744072646845442", psc, 200},
		{"another connection", "gcp_tcp {\n psc_connection_ids 1", psc, 0},
		{"no connection", "gcp_tcp {\n psc_connection_ids 0", "", 0},
		{"one of several kinds", "proxy_protocol {\n vpce_ids vpce-1\n link_ids 16777258", link, 200},
		{"the number of one kind is not that of another", "proxy_protocol {\n psc_connection_ids 16777258\n vpce_ids vpce-1", link, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, passed(tt.elb+"\n from 127.0.0.1\n }", echo))
			if status, body := ask(t, g, v2("192.0.2.7", tt.tlvs), get); status != tt.status {
				t.Errorf("got %d: %s", status, body)
			}
			if tt.status == 0 && tt.name != "two endpoints" {
				counted(t, g, map[string]int{"not_allowed": 1})
			}
		})
	}
	t.Run("a health check", func(t *testing.T) {
		g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n vpce_ids vpce-1\n }", "{$ADDR} {\n\trespond ok\n}\n"))
		if status, _ := ask(t, g, local, get); status != 200 {
			t.Errorf("got %d", status)
		}
	})
}

func TestIdsAreKnownToHandlers(t *testing.T) {
	g := gatetest.Run(t, passed("proxy_protocol {\n from 127.0.0.1\n }", echo))
	tellHeaders(g)
	for tlvs, want := range map[string]string{
		"": "||", vpce: "vpce-0a1b2c3d||", link: "||16777258", psc: "|18446744072646845442|",
		vpce + link + psc: "vpce-0a1b2c3d|18446744072646845442|16777258",
	} {
		if _, body := ask(t, g, v2("192.0.2.7", tlvs), get); !strings.Contains(body, " ids="+want+" ") {
			t.Errorf("want %q in %q", want, body)
		}
	}
}

func TestACrowdedClientIsClosedAndOthersAreNot(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n connections_per_client 2\n }", echo))
	open := func(client string) net.Conn {
		conn := dial(t, g, "127.0.0.1")
		_, _ = io.WriteString(conn, v2(client)+"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		return conn
	}
	served := func(conn net.Conn) bool {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
		return err == nil
	}
	first, second := open("2001:db8::1"), open("2001:db8::2")
	if !served(first) || !served(second) {
		t.Fatal("two connections of a client are not served")
	}
	if served(open("2001:db8::3")) {
		t.Error("a third connection of the same /64 is served")
	}
	for range 5 {
		if !served(open("127.0.0.1")) {
			t.Error("the balancer itself is counted")
		}
	}
	if !served(open("2001:db8:0:1::1")) || !served(open("192.0.2.7")) {
		t.Error("others are not served")
	}
	_ = first.Close()
	for try := 0; !served(open("2001:db8::4")); try++ {
		if try == 1000 {
			t.Fatal("a place that was left is not free")
		}
	}
}

func TestWhereTheClientsAddressIsPreservedAForgedHeaderIsWorthless(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 0.0.0.0/0 ::/0\n client_ip_preserved\n connections_per_client 1\n }",
		"{$ADDR} {\n\tallowlist {\n\t\tallow 127.0.0.0/8 192.0.2.7\n\t}\n\trespond {client_ip}\n}\n"))
	tests := []struct {
		name, from, header string
		status             int
	}{
		{"the client itself", "127.0.0.1", v2("127.0.0.1"), 200},
		{"the client itself, mapped", "127.0.0.2", v2("::ffff:127.0.0.2"), 200},
		{"as somebody else", "127.0.0.4", v2("192.0.2.7"), 0},
		{"as a neighbour", "127.0.0.5", v2("127.0.0.4"), 0},
		{"as a health check", "127.0.0.6", local, 400},
	}
	for _, tt := range tests {
		conn := dial(t, g, tt.from)
		_, _ = io.WriteString(conn, tt.header+get)
		status, body := answer(t, conn)
		if status != tt.status || status == 200 && body != tt.from {
			t.Errorf("%s: got %d, %q, want %d", tt.name, status, body, tt.status)
		}
	}
	// Nobody gets around the limit by calling themselves a health check.
	conn := dial(t, g, "127.0.0.3")
	_, _ = io.WriteString(conn, local+"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}
	another := dial(t, g, "127.0.0.3")
	_, _ = io.WriteString(another, local+get)
	if status, _ := answer(t, another); status != 0 {
		t.Errorf("a second health check: got %d", status)
	}
	counted(t, g, map[string]int{"accepted": 2, "local": 2, "forged": 2, "crowded": 1})
}

func TestAReloadKeepsTheListener(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", echo))
	conn := dial(t, g, "127.0.0.1")
	_, _ = io.WriteString(conn, v2("192.0.2.7"))
	for range 3 {
		if err := g.Reload(t, passed("aws_nlb {\n from 127.0.0.1\n timeout 2s\n }", echo)); err != nil {
			t.Fatal(err)
		}
		// The kernel may give a connection to the socket that was just closed.
		status, body := ask(t, g, v2("192.0.2.7"), get)
		for try := 0; status == 0 && try < 5; try++ {
			status, body = ask(t, g, v2("192.0.2.7"), get)
		}
		if status != 200 {
			t.Errorf("got %d: %s", status, body)
		}
	}
	if err := g.Reload(t, passed("aws_nlb {\n from 127.0.0.1\n }", "{$ADDR} {\n\tallowlist {\n\t\tallow nonsense\n\t}\n}\n")); err == nil {
		t.Fatal("not rejected")
	}
	if status, body := ask(t, g, v2("192.0.2.7"), get); status != 200 {
		t.Errorf("after a rejected reload: got %d: %s", status, body)
	}
	// The end of the test stops Caddy: an Accept that does not fail after Close
	// would never return.
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
	// Caddy closes the sockets in the background.
	for deadline := time.Now().Add(10 * time.Second); ; {
		left, err := net.Dial("tcp", address(g))
		if err != nil {
			break
		}
		_ = left.Close()
		if time.Now().After(deadline) {
			t.Fatal("the port is still open")
		}
	}
}

// certificate writes a key pair for localhost and returns its files and the pool
// that trusts it.
func certificate(t testing.TB) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(certPEM)
	for file, content := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, pool
}

// secure is a site with TLS.
func secure(cert, key string) string {
	return "https://localhost:{$PORT} {\n\ttls " + cert + " " + key + "\n" + strings.TrimPrefix(echo, "{$ADDR} {\n")
}

const wrapperWithTLS = `		protocols h1 h2
		listener_wrappers {
			elb aws_nlb {
				from 127.0.0.1
			}
			tls
		}`

func TestTheClientAndItsEndpointAreKnownBehindTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	g := gatetest.Run(t, behind(wrapperWithTLS, secure(cert, key)))
	tellHeaders(g)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(protocol == "HTTP/1.1")
		protocols.SetHTTP2(protocol == "HTTP/2.0")
		transport := &http.Transport{
			Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"},
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				conn := dial(t, g, "127.0.0.1")
				_, err := io.WriteString(conn, v2("192.0.2.7", vpce))
				return conn, err
			},
		}
		for range 2 {
			resp, err := (&http.Client{Transport: transport}).Get("https://" + strings.Replace(address(g), "127.0.0.1", "localhost", 1))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := "client=192.0.2.7 remote=192.0.2.7 xff=192.0.2.7 ids=vpce-0a1b2c3d|| real="; resp.Proto != protocol || string(body) != want {
				t.Errorf("%s: %q, want %q", resp.Proto, body, want)
			}
		}
		transport.CloseIdleConnections()
	}
	// A header in front of the handshake that is the client's reaches nothing.
	if status, _ := ask(t, g, v2("192.0.2.7")+v2("192.0.2.8")+"\x16\x03\x01"); status != 0 {
		t.Errorf("a second header: got %d", status)
	}
	conn := dial(t, g, "127.0.0.1")
	if err := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "localhost"}).Handshake(); err == nil {
		t.Error("a handshake without a header succeeds")
	}
}

func TestServersThatAreNotBehindTheListenerAreRefused(t *testing.T) {
	cert, key, _ := certificate(t)
	site := secure(cert, key)
	elb := "elb aws_nlb {\n from 127.0.0.1\n }\n"
	tests := []struct {
		name, options, site, want string
	}{
		{"HTTP/3", "listener_wrappers {\n" + elb + "tls\n }", site, "HTTP/3 is UDP, which no balancer passes on to what is behind it: set `protocols h1 h2`"},
		{"behind tls", "protocols h1 h2\n listener_wrappers {\n http_redirect\n tls\n" + elb + "}", site, "put elb in front of tls"},
		{"no tls line", "protocols h1 h2\n listener_wrappers {\n" + elb + "}", site, "add tls in a line below elb"},
		{"twice", "listener_wrappers {\n" + elb + elb + "}", echo, "twice"},
		{"Caddy's own wrapper behind it", "listener_wrappers {\n" + elb + "proxy_protocol\n }", echo, "proxy_protocol reads the header"},
		{"Caddy's own wrapper before it", "listener_wrappers {\n proxy_protocol\n" + elb + "}", echo, "proxy_protocol reads the header"},
		{"idle too short", "timeouts {\n idle 5m\n }\n listener_wrappers {\n" + elb + "}", echo, "timeouts idle 5m0s is not longer than the 5m50s for which aws_nlb keeps connections"},
		{"idle as long as the balancer's", "timeouts {\n idle 350s\n }\n listener_wrappers {\n" + elb + "}", echo, "is not longer than the 5m50s"},
	}
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", echo))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.Reload(t, behind(tt.options, tt.site)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		err := g.Reload(t, behind("timeouts {\n idle 1m\n }\n listener_wrappers {\n"+elb+"proxy_protocol\n}", site))
		for _, want := range []string{"add tls", "HTTP/3", "proxy_protocol", "timeouts idle"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	})
	if status, _ := ask(t, g, v2("192.0.2.7"), get); status != 200 {
		t.Errorf("after all that was refused: got %d", status)
	}
}

func TestACDNInFrontOfTheBalancerNamesTheClient(t *testing.T) {
	g := gatetest.Run(t, behind(`		trusted_proxies elb cloudflare {
			from 203.0.113.0/24
		}
		trusted_proxies_strict
		listener_wrappers {
			elb aws_nlb {
				from 127.0.0.1
			}
		}`, echo))
	tellHeaders(g)
	request := "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.66, 192.0.2.7\r\nCF-Connecting-IP: 192.0.2.7\r\n\r\n"
	tests := []struct {
		name, header string
		status       int
		client       string
	}{
		{"through the CDN", v2("203.0.113.9"), 200, "client=192.0.2.7 remote=203.0.113.9"},
		{"past the CDN, a header is only a claim", v2("192.0.2.8"), 200, "client=192.0.2.8 remote=192.0.2.8"},
		{"past the CDN, not allowed", v2("198.51.100.1"), 403, ""},
		{"a health check with the headers of a CDN", local, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, g, tt.header, request)
			if status != tt.status || !strings.Contains(body, tt.client) || strings.Contains(body, "192.0.2.66") {
				t.Errorf("got %d, %q, want %d, %q", status, body, tt.status, tt.client)
			}
		})
	}
}

func TestAServerWithAutomaticHTTPSIsChecked(t *testing.T) {
	for wrappers, want := range map[string]string{
		"elb aws_nlb {\n from 10.0.0.0/16\n }":       "add tls in a line below elb",
		"elb aws_nlb {\n from 10.0.0.0/16\n }\n tls": "HTTP/3 is UDP",
	} {
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n\tadmin off\n\tpersist_config off\n\tservers :443 {\n\t\tlistener_wrappers {\n"+
			wrappers+"\n\t\t}\n\t}\n}\nexample.com {\n\trespond ok\n}\n"), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Fatal(err)
		}
		var parsed caddy.Config
		if err := json.Unmarshal(config, &parsed); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&parsed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", wrappers, err, want)
		}
	}
}
