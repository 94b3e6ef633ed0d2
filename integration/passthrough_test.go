package integration

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// passthrough is a gateway whose TLS balancers pass through: one on 443, and on
// the ports above it one for each thing that vendors add to their headers, one
// that takes clients' own addresses, and one with another mode of desync.
const passthrough = `{
	admin {$ADMIN}
	auto_https disable_redirects
	persist_config off
	servers :443 {
		protocols h1 h2
		listener_wrappers {
			elb aws_nlb {
				from 10.0.1.5/32
				timeout 1s
			}
			tls
			desync strictest
		}
	}
	servers :444 {
		protocols h1 h2
		listener_wrappers {
			elb aws_nlb {
				from 10.0.1.5/32
				vpce_ids vpce-0a1b2c3d
			}
			tls
		}
	}
	servers :445 {
		protocols h1 h2
		listener_wrappers {
			elb gcp_tcp {
				from 10.0.1.5/32
				psc_connection_ids 72057594037927937
			}
			tls
		}
	}
	servers :446 {
		protocols h1 h2
		listener_wrappers {
			elb azure_pls {
				from 10.0.1.5/32
				link_ids 67305985
			}
			tls
		}
	}
	servers :447 {
		protocols h1 h2
		listener_wrappers {
			elb aws_nlb {
				from 198.51.100.0/24
				client_ip_preserved
			}
			tls
		}
	}
	servers :448 {
		protocols h1 h2
		listener_wrappers {
			elb proxy_protocol {
				from 10.0.1.5/32
			}
			tls
			desync defensive
		}
	}
}
(policy) {
	log
	tls cert.pem key.pem
	allowlist {
		allow 198.51.100.0/24 2001:db8:51::/64
		deny 198.51.100.66
	}
	reverse_proxy 10.0.2.10:8080 {
		header_up X-Vendor "{elb.vpce_id}/{elb.psc_connection_id}/{elb.link_id}"
	}
}
https://api.test, https://api.test:444, https://api.test:445, https://api.test:446, https://api.test:447, https://api.test:448 {
	import policy
}
https://probe.test {
	tls cert.pem key.pem
	health
}
`

// networkBalancer is HAProxy as a Network Load Balancer. Its health checks come through a
// header of their own, without a client (LOCAL), and ask the gateway over TLS.
const networkBalancer = `defaults
	mode tcp
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout check 2s
listen nlb
	bind :::443 v4v6
	option httpchk
	http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host probe.test
	http-check expect status 200
	server gw-a 10.0.1.11:443 send-proxy-v2 check check-send-proxy check-ssl verify none check-sni api.test inter 200ms fall 2 rise 2
listen plain
	bind :::448 v4v6
	server gw-a 10.0.1.11:448 send-proxy
`

// passed is that gateway in a lab, with the balancer in front of it.
type passed struct {
	lab     *lab
	gateway *gateway
	backend *backend
}

func newPassed(t *testing.T) *passed {
	t.Helper()
	p := &passed{lab: newLab(t)}
	p.backend = serveBackend(t, p.lab.listen(t, "backend", origin+":8080"))
	p.gateway = newGateway(t, t.TempDir(), "127.0.0.1:2019", nil)
	p.gateway.client = p.lab.client(t, "gw-a", "")
	selfSigned(t, p.gateway.dir)
	file := write(t, p.gateway.dir, "Caddyfile", passthrough)
	p.gateway.start(t, p.lab.command("gw-a", binary, "run", "--adapter", "caddyfile", "--config", file))
	p.lab.haproxy(t, networkBalancer, inside+":443")
	return p
}

// connections is how many the gateway counted so far on a port, with a result.
func (p *passed) connections(t *testing.T, port int, result string) float64 {
	t.Helper()
	return p.gateway.metric(t, fmt.Sprintf(`sallyport_elb_connections_total{result="%s",server=":%d"}`, result, port))
}

// The fields of a version 2 header (section 2.2 of its specification).
const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	localV2    = "\x20"
	proxiedV2  = "\x21"
	tcp4, tcp6 = "\x11", "\x21"
)

// v2 is the header about a connection from client, with what a vendor adds.
func v2(client string, tlvs ...string) string {
	addr, family := netip.MustParseAddr(client), tcp4
	server := netip.MustParseAddr(front)
	if addr.Is6() {
		family, server = tcp6, netip.MustParseAddr("2001:db8:51::10")
	}
	body := string(addr.AsSlice()) + string(server.AsSlice()) + "\x12\x34\x01\xbb" + strings.Join(tlvs, "")
	return rawV2(proxiedV2, family, len(body), body)
}

func rawV2(command, family string, length int, body string) string {
	return signature + command + family + bigEndian(length) + body
}

func tlv(kind byte, value string) string {
	return string([]byte{kind}) + bigEndian(len(value)) + value
}

func bigEndian(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }

// What the vendors add: AWS the PrivateLink endpoint, Google a big-endian number,
// Azure a little-endian one.
var (
	endpoint      = tlv(0xEA, "\x01vpce-0a1b2c3d")
	otherEndpoint = tlv(0xEA, "\x01vpce-0a1b2c3e")
	connectionID  = tlv(0xE0, "\x01\x00\x00\x00\x00\x00\x00\x01")
	linkID        = tlv(0xEE, "\x01\x01\x02\x03\x04")
)

// A knock is a connection to the gateway that begins with some bytes, goes on
// with TLS, and asks for something.
type knock struct {
	name         string
	host, source string
	addr         string
	port         int
	prefix       string
	result       string // that the gateway counts
	client       string // that the backend sees; "" when the connection is closed
	vendor       string // that the backend sees
}

func (p *passed) knock(t *testing.T, k knock) {
	t.Helper()
	p.backend.last()
	before := p.connections(t, k.port, k.result)
	status := p.ask(t, k)
	waitFor(t, "the gateway to count it as "+k.result, func() bool { return p.connections(t, k.port, k.result) > before })
	seen := p.backend.last()
	if k.client == "" {
		if status != 0 || seen != nil {
			t.Errorf("got %d, and the backend saw something: %v", status, seen != nil)
		}
		return
	}
	if status != 200 || seen == nil {
		t.Fatalf("got %d, and the backend saw something: %v", status, seen != nil)
	}
	if got := seen.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != k.client {
		t.Errorf("the backend saw X-Forwarded-For %q, want %q", got, k.client)
	}
	if got := seen.Header.Get("X-Vendor"); got != k.vendor {
		t.Errorf("the backend saw %q, want %q", got, k.vendor)
	}
}

// ask returns the status of the answer, or 0 when the connection was closed
// without one. That may be as soon as it is open.
func (p *passed) ask(t *testing.T, k knock) int {
	t.Helper()
	conn, err := p.lab.dial(t.Context(), k.host, k.source, net.JoinHostPort(k.addr, strconv.Itoa(k.port)))
	if errors.Is(err, syscall.ECONNRESET) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, k.prefix)
	secure := tls.Client(conn, &tls.Config{ServerName: site, InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection stays open")
		}
		return 0
	}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return secure, nil }}}
	return send(t, client, "GET", "https://"+site+"/", forgeries...).status
}

func TestConnectionsThroughATCPBalancer(t *testing.T) {
	p := newPassed(t)
	t.Run("health checks are accepted without a client", func(t *testing.T) {
		waitFor(t, "a check", func() bool { return p.connections(t, 443, "local") > 2 })
	})
	t.Run("the client is the one the balancer saw", func(t *testing.T) {
		for _, tt := range []struct {
			name, source, addr string
			h2                 bool
			status             int
		}{
			{"HTTP/1.1", clientA, front, false, 200},
			{"HTTP/2", clientB, front, true, 200},
			{"over IPv6", clientA6, "[2001:db8:51::10]", false, 200},
			{"a denied address", clientDenied, front, false, 403},
			{"a denied address over HTTP/2", clientDenied, front, true, 403},
		} {
			t.Run(tt.name, func(t *testing.T) {
				p.backend.last()
				client := p.lab.client(t, "client", tt.source)
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = tt.h2
				before := len(p.gateway.log.String())
				got := send(t, client, "GET", "https://"+tt.addr+"/", append(forgeries, "Host", site)...)
				if entry := p.gateway.accessLog(t, before); got.status != tt.status || entry.Request.ClientIP != tt.source {
					t.Errorf("got %d for %s, want %d for %s", got.status, entry.Request.ClientIP, tt.status, tt.source)
				}
				seen := p.backend.last()
				if (seen != nil) != (tt.status == 200) {
					t.Fatalf("the backend saw it: %v", seen != nil)
				}
				if seen == nil {
					return
				}
				if got := seen.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != tt.source {
					t.Errorf("the backend saw X-Forwarded-For %q, want %q", got, tt.source)
				}
				for name, lines := range seen.Header {
					if strings.Contains(strings.Join(lines, " "), forged) || strings.Contains(strings.Join(lines, " "), forgedHost) {
						t.Errorf("the backend saw the forged %s: %q", name, lines)
					}
				}
			})
		}
	})

	huge := strings.Repeat(tlv(0x04, strings.Repeat("\x00", 1000)), 20)
	for _, k := range []knock{
		{"a header as the balancer writes it", "balancer", inside, gatewayA, 443, v2(clientA), "accepted", clientA, "//"},
		{"a header about an IPv6 client", "balancer", inside, gatewayA, 443, v2(clientA6), "accepted", clientA6, "//"},
		{"a header with an endpoint nobody asked for", "balancer", inside, gatewayA, 443, v2(clientA, endpoint), "accepted", clientA, "vpce-0a1b2c3d//"},

		{"from outside, without a header", "attacker", attacker, gatewayA, 443, "", "untrusted_peer", "", ""},
		{"from outside, with a forged header", "attacker", attacker, gatewayA, 443, v2(clientA), "untrusted_peer", "", ""},
		{"from outside, with a forged header in text", "attacker", attacker, gatewayA, 443, "PROXY TCP4 198.51.100.7 198.51.100.10 4711 443\r\n", "untrusted_peer", "", ""},
		{"from outside, as a health check", "attacker", attacker, gatewayA, 443, rawV2(localV2, "\x00", 0, ""), "untrusted_peer", "", ""},
		{"from a client past the balancer", "client", clientA, gatewayA, 443, v2(clientA), "untrusted_peer", "", ""},
		{"from a neighbour of the balancer", "insider", insider, gatewayA, 443, v2(clientA), "untrusted_peer", "", ""},
		{"from the balancer's IPv6 address, which is not in from", "balancer", "2001:db8:1::5", "2001:db8:1::11", 443, v2(clientA), "untrusted_peer", "", ""},

		{"through the balancer, with a second header", "client", clientDenied, front, 443, v2(clientA), "repeated", "", ""},
		{"through the balancer, with a second header in text", "client", clientDenied, front, 443, "PROXY TCP4 198.51.100.7 198.51.100.10 4711 443\r\n", "repeated", "", ""},
		{"through the balancer, with a second header as a health check", "client", clientDenied, front, 443, rawV2(localV2, "\x00", 0, ""), "repeated", "", ""},

		{"no header from the balancer", "balancer", inside, gatewayA, 443, "", "missing", "", ""},
		{"a header in text, which an NLB does not write", "balancer", inside, gatewayA, 443, "PROXY TCP4 198.51.100.7 198.51.100.10 4711 443\r\n", "malformed", "", ""},
		{"a header of version 3", "balancer", inside, gatewayA, 443, rawV2("\x31", tcp4, 12, strings.Repeat("\x01", 12)), "malformed", "", ""},
		{"a header shorter than its addresses", "balancer", inside, gatewayA, 443, rawV2(proxiedV2, tcp4, 4, "\x01\x01\x01\x01"), "malformed", "", ""},
		{"a header longer than any balancer's", "balancer", inside, gatewayA, 443, v2(clientA, huge), "oversized", "", ""},
		{"a header about no TCP connection", "balancer", inside, gatewayA, 443, rawV2(proxiedV2, "\x12", 12, strings.Repeat("\x01", 12)), "malformed", "", ""},

		{"with the endpoint that may call", "balancer", inside, gatewayA, 444, v2(clientA, endpoint), "accepted", clientA, "vpce-0a1b2c3d//"},
		{"with another endpoint", "balancer", inside, gatewayA, 444, v2(clientA, otherEndpoint), "not_allowed", "", ""},
		{"without an endpoint", "balancer", inside, gatewayA, 444, v2(clientA), "not_allowed", "", ""},
		{"with the connection id that may call", "balancer", inside, gatewayA, 445, v2(clientA, connectionID), "accepted", clientA, "/72057594037927937/"},
		{"without a connection id", "balancer", inside, gatewayA, 445, v2(clientA), "not_allowed", "", ""},
		{"with the link id that may call", "balancer", inside, gatewayA, 446, v2(clientA, linkID), "accepted", clientA, "//67305985"},
		{"with an endpoint for a link id", "balancer", inside, gatewayA, 446, v2(clientA, endpoint), "not_allowed", "", ""},

		{"where the balancer preserves the client's address", "client", clientA, gatewayA, 447, v2(clientA), "accepted", clientA, "//"},
		{"where it preserves it, about somebody else", "client", clientDenied, gatewayA, 447, v2(clientA), "forged", "", ""},
		{"where it preserves it, from outside", "attacker", attacker, gatewayA, 447, v2(attacker), "untrusted_peer", "", ""},
	} {
		t.Run(k.name, func(t *testing.T) { p.knock(t, k) })
	}

	t.Run("connections that say nothing stop nobody", func(t *testing.T) {
		before := p.connections(t, 443, "timeout")
		var silent []net.Conn
		for _, prefix := range []string{"", signature, v2(clientA)[:20], v2(clientA)[:27]} {
			conn, err := p.lab.dial(t.Context(), "balancer", inside, gatewayA+":443")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(conn, prefix)
			silent = append(silent, conn)
		}
		if got := send(t, p.lab.client(t, "client", clientA), "GET", "https://"+front+"/", "Host", site); got.status != 200 {
			t.Errorf("somebody else got %d", got.status)
		}
		for _, conn := range silent {
			if n, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("a silent connection got %d bytes", n)
			}
		}
		waitFor(t, "all of them to be counted", func() bool { return p.connections(t, 443, "timeout") == before+float64(len(silent)) })
	})
}
