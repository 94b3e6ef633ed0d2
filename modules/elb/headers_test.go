package elb

import (
	"net/http"
	"testing"
)

func TestWhatNobodyEstablishedIsRemoved(t *testing.T) {
	for _, name := range []string{
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Path",
		"X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Server", "X-Forwarded-By", "X-Forwarded-User", "X-Forwarded-Anything",
		"Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Visitor", "CF-Ray",
		"Fastly-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Azure-FDID",
		"X-Azure-Ref", "X-AppGW-Trace-Id", "X-Original-Host", "X-Original-Forwarded-For", "X-Envoy-External-Address",
		"X-AppEngine-User-IP", "X-ProxyUser-Ip", "WL-Proxy-Client-IP", "Front-End-Https", "X-Amzn-Trace-Id",
		"X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite", "X-Cloud-Trace-Context", "traceparent", "tracestate",
		"X_Forwarded_For", "x.forwarded.for", "X-Forwarded_For", "x_real_ip", "CF_Connecting_IP", "forwarded.for",
	} {
		h := http.Header{"Accept": {"*/*"}}
		h.Set(name, "x")
		removeClaims(h)
		if len(h) != 1 {
			t.Errorf("%s is left: %v", name, h)
		}
	}
}

func TestWhatIsNoClaimStays(t *testing.T) {
	for _, name := range []string{
		"Accept", "Host", "Authorization", "Via", "X-Request-Id", "X-Api-Key", "X_Api_Key", "Cf-Access-Jwt-Assertion",
		"X-Amzn-Oidc-Data", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Leaf", "X-Forwarded-Client-Cert",
		"X-Forwarded-Tls-Client-Cert-Info", "X-Forwardedness",
	} {
		h := http.Header{}
		h.Set(name, "x")
		removeClaims(h)
		if len(h) != 1 {
			t.Errorf("%s is gone", name)
		}
	}
}

func BenchmarkRemoveClaims(b *testing.B) {
	h := http.Header{
		"Accept": {"*/*"}, "User-Agent": {"curl"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"en"}, "Cookie": {"a=b"},
		"Authorization": {"Bearer x"}, "Content-Type": {"text/plain"}, "X-Request-Id": {"1"},
	}
	spoofed := []string{"x"}
	b.ReportAllocs()
	for b.Loop() {
		h["X-Forwarded-For"], h["X-Real-Ip"] = spoofed, spoofed
		removeClaims(h)
	}
}
