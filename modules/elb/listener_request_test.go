package elb_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestASourceAndAListenerNeedNoIdleTimeout(t *testing.T) {
	for source, listener := range map[string]string{
		"azure_frontdoor {\n from 203.0.113.0/24\n fdid 0a1b2c3d-0000-0000-0000-000000000000\n}": "azure_pls",
		"hops {\n from 203.0.113.0/24\n hops 1\n}":                                               "aws_nlb",
		"aws_alb {\n from 203.0.113.0/24\n}":                                                     "aws_nlb",
	} {
		t.Run(listener, func(t *testing.T) {
			gatetest.Run(t, behind("trusted_proxies elb "+source+"\ntrusted_proxies_strict\nlistener_wrappers {\n elb "+listener+" {\n from 127.0.0.1\n }\n}", echo))
		})
	}
}

func TestWhereTheAddressIsPreservedNobodyNamesAnEndpoint(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 0.0.0.0/0 ::/0\n client_ip_preserved\n }",
		"{$ADDR} {\n\trespond \"{elb.vpce_id}\"\n}\n"))
	if status, body := ask(t, g, v2("127.0.0.1", vpce), get); status == 200 && body != "" {
		t.Errorf("a caller past the security group is taken for endpoint %q", body)
	}
}

func TestOtherTrustedProxiesBesideTheListenerAreRefused(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", echo))
	err := g.Reload(t, behind("trusted_proxies static 203.0.113.0/24\ntrusted_proxies_strict\nlistener_wrappers {\n elb aws_nlb {\n from 127.0.0.1\n }\n}", echo))
	if err == nil {
		tellHeaders(g)
		status, body := ask(t, g, v2("203.0.113.9"), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
		t.Errorf("it is accepted, and ignored: %d %s", status, body)
	}
}

func TestPlaceholdersAreKnownInErrorRoutes(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", "{$ADDR} {\n\tallowlist {\n\t\tallow 192.0.2.0/24\n\t}\n\thandle_errors {\n\t\trespond \"<{elb.vpce_id}>\"\n\t}\n\trespond ok\n}\n"))
	for _, request := range []string{
		"GET /%2e%2e/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
	} {
		_, body := ask(t, g, v2("192.0.2.7", vpce), request)
		if body != "<vpce-0a1b2c3d>" {
			t.Errorf("%q: got %q", request, body)
		}
	}
}

func TestTrailersBehindAListener(t *testing.T) {
	g := gatetest.Run(t, passed("aws_nlb {\n from 127.0.0.1\n }", "{$ADDR} {\n\treverse_proxy {$BACKEND}\n}\n"))
	var trailer http.Header
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailer = r.Trailer
	})
	ask(t, g, v2("192.0.2.7"), "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Real-Ip\r\n\r\n1\r\nx\r\n0\r\nX-Real-Ip: 6.6.6.6\r\n\r\n")
	if len(trailer) > 0 {
		t.Errorf("the backend sees the trailers %v", trailer)
	}
}

func TestACDNsConnectionsAreNotOneClients(t *testing.T) {
	g := gatetest.Run(t, behind(`		trusted_proxies elb cloudflare {
			from 203.0.113.0/24
		}
		trusted_proxies_strict
		listener_wrappers {
			elb aws_nlb {
				from 127.0.0.1
				connections_per_client 1
			}
		}`, echo))
	tellHeaders(g)
	request := func(client, connection string) string {
		return "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: " + connection + "\r\nX-Forwarded-For: " + client + "\r\nCF-Connecting-IP: " + client + "\r\n\r\n"
	}
	first := dial(t, g, "127.0.0.1")
	_, _ = io.WriteString(first, v2("203.0.113.9")+request("192.0.2.7", "keep-alive"))
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, g, v2("203.0.113.9"), request("192.0.2.8", "close")); status != 200 {
		t.Errorf("another client of the CDN got %d", status)
	}
}
