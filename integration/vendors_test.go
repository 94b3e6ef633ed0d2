package integration

import (
	"net/http"
	"net/netip"
	"strings"
)

// forged is the mark of everything that a caller invents: no header with it may
// reach the backend. It stands on the allowlist, unlike the denied client.
const (
	forged     = "192.0.2.6"
	forgedHost = "forged.example"
)

// forgeries are headers of a caller who would like to be somebody else.
var forgeries = []string{
	"X-Forwarded-For", clientDenied + ", " + forged,
	"X-Forwarded-For", clientA + ", " + forged,
	"Forwarded", "for=" + forged + ";host=" + forgedHost,
	"X-Forwarded-Proto", forgedHost,
	"X-Forwarded-Port", forged,
	"X-Forwarded-Host", forgedHost,
	"X-Forwarded-Server", forgedHost,
	"X-Original-Host", forgedHost,
	"X-Host", forgedHost,
	"X-Real-Ip", forged,
	"X-Client-Ip", forged,
	"X-Cluster-Client-Ip", forged,
	"X-Original-Forwarded-For", forged,
	"X-Envoy-External-Address", forged,
	"True-Client-Ip", forged,
	"Cf-Connecting-Ip", forged,
	"Cf-Connecting-Ipv6", "::ffff:" + forged,
	"X-Azure-Clientip", forged,
	"X-Azure-Socketip", forged,
	"X-Azure-Fdid", forged,
	"X-Azure-Requestchain", forged,
	"X-Azure-Ref", forged,
	"X-Appgw-Trace-Id", forged,
	"X-Amzn-Trace-Id", "Root=" + forged,
	"X-Cloud-Trace-Context", forged,
	"Cf-Ray", forged,
	"Fastly-Client-Ip", forged,
	"Cloudfront-Viewer-Address", forged + ":1",
}

// A vendor is a balancer that speaks HTTP, as the gateway knows it and as this
// test plays it.
type vendor struct {
	name    string
	profile string // with its own options
	// write does to a request what the balancer is documented to do, when it
	// comes from client.
	write func(h http.Header, client netip.AddrPort)
	// tail is what the balancer writes to the right of the client.
	tail string
	// kept are the headers of write that the backend gets too.
	kept []string
	// haproxy is set where HAProxy is the balancer instead: its frontend's lines.
	haproxy string
}

const fdid = "1b2c3d4e-0000-4000-8000-1234567890ab"

var vendors = []vendor{
	{
		name: "aws_alb", profile: "aws_alb", kept: []string{"X-Forwarded-Port", "X-Amzn-Trace-Id"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String())
			set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")
		},
	},
	{
		name: "aws_alb with client ports", profile: "aws_alb", kept: []string{"X-Forwarded-Port", "X-Amzn-Trace-Id"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.String())
			set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")
		},
	},
	{
		name: "aws_alb, played by HAProxy that appends to the line", profile: "aws_alb", kept: []string{"X-Forwarded-Port", "X-Amzn-Trace-Id"},
		write: writeAsHAProxy,
		haproxy: `	http-request set-header X-Forwarded-For %[req.fhdr(X-Forwarded-For)],%[src] if { req.fhdr(X-Forwarded-For) -m found }
	http-request set-header X-Forwarded-For %[src] unless { req.fhdr(X-Forwarded-For) -m found }
` + haproxyALB,
	},
	{
		name: "aws_alb, played by HAProxy that adds a line", profile: "aws_alb", kept: []string{"X-Forwarded-Port", "X-Amzn-Trace-Id"},
		write:   writeAsHAProxy,
		haproxy: "	option forwardfor\n" + haproxyALB,
	},
	{
		name: "aws_clb", profile: "aws_clb", kept: []string{"X-Forwarded-Port"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String())
			set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443")
		},
	},
	{
		name: "gcp_alb", profile: "gcp_alb", tail: "," + vip, kept: []string{"X-Cloud-Trace-Context"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String()+","+vip)
			set(h, "X-Forwarded-Proto", "https", "Via", "1.1 google", "X-Cloud-Trace-Context", "105445aa7843bc8bf206b12000100000/1;o=1")
		},
	},
	{
		name: "azure_appgw", profile: "azure_appgw", kept: []string{"X-Forwarded-Port", "X-Original-Host", "X-Appgw-Trace-Id"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.String())
			set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Original-Host", site,
				"X-Appgw-Trace-Id", "0123456789abcdef0123456789abcdef")
		},
	},
	{
		name: "azure_frontdoor", profile: "azure_frontdoor", kept: []string{"X-Azure-Ref", "X-Azure-Requestchain"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String())
			set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Host", site, "X-Azure-Socketip", client.Addr().String(),
				"X-Azure-Fdid", fdid, "X-Azure-Requestchain", "hops=1", "X-Azure-Ref", "0zxV+XAAAAABKMMOjBv2NT4TY6SQVjC0zV1NURURHRTA2MTkANDM3YzgyY2QtMzYwYS00YTU0LTk0YzMtNWZmNzA3NjQ3Nzgz")
		},
	},
	{
		name: "cloudflare", profile: "cloudflare", kept: []string{"Cf-Ray"},
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String())
			set(h, "X-Forwarded-Proto", "https", "Cf-Connecting-Ip", client.Addr().String(), "Cf-Ray", "230b030023ae2822-SJC",
				"True-Client-Ip", client.Addr().String(), "Cf-Visitor", `{"scheme":"https"}`)
		},
	},
	{
		name: "hops 2, played by two HAProxies", profile: "hops", tail: ", 127.0.0.1",
		write: func(h http.Header, client netip.AddrPort) {
			add(h, "X-Forwarded-For", client.Addr().String()+", 127.0.0.1")
			set(h, "X-Forwarded-Proto", "https")
		},
		haproxy: "	http-request set-header X-Forwarded-Proto https\n	option forwardfor\n",
	},
}

const haproxyALB = `	http-request set-header X-Forwarded-Proto https
	http-request set-header X-Forwarded-Port 443
	http-request set-header X-Amzn-Trace-Id Root=1-67891233-abcdef012345678912345678
`

// writeAsHAProxy is for what the test sends in HAProxy's name.
func writeAsHAProxy(h http.Header, client netip.AddrPort) {
	add(h, "X-Forwarded-For", client.Addr().String())
	set(h, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")
}

// add appends an entry to a header, in one line.
func add(h http.Header, name, entry string) {
	if lines := h[name]; len(lines) > 0 {
		entry = strings.Join(lines, ",") + "," + entry
	}
	h[name] = []string{entry}
}

func set(h http.Header, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = []string{pairs[i+1]}
	}
}

// options are what a vendor's profile needs in the gateway's configuration.
func (v *vendor) options() string {
	switch v.profile {
	case "azure_frontdoor":
		return "fdid " + fdid
	case "hops":
		return "hops 2"
	}
	return ""
}

// written is what the balancer writes about a client, as names and values.
func (v *vendor) written(client string) []string {
	return v.writtenAs(client, []string{client + v.tail})
}

// writtenAs is written with other lines of X-Forwarded-For.
func (v *vendor) writtenAs(client string, lines []string) []string {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		addr = netip.MustParseAddr(clientA)
	}
	h := http.Header{}
	v.write(h, netip.AddrPortFrom(addr, 4711))
	var pairs []string
	for name, values := range h {
		pairs = append(pairs, name, values[0])
	}
	return replaced(pairs, "X-Forwarded-For", lines...)
}

// replaced is names and values with other values for one name.
func replaced(pairs []string, name string, values ...string) []string {
	var result []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != name {
			result = append(result, pairs[i:i+2]...)
		}
	}
	for _, value := range values {
		result = append(result, name, value)
	}
	return result
}
