package elb

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/elb/forwarded"
)

// profile is what one balancer that speaks HTTP writes about a request, as its
// maker documents it, and the limits that a server behind it has to keep to.
type profile struct {
	name string

	// entry is the client's position in X-Forwarded-For, from the right; 0 takes
	// it from the option hops.
	entry int
	// notation is how the balancer writes addresses.
	notation forwarded.Notation
	// confirmed, where it is set, is another header in which the balancer writes the
	// same client. Both have to be there and agree.
	confirmed string

	// owns are the headers of the balancer's own that are kept.
	owns claim
	// trace is the balancer's identifier of a request.
	trace string
	// port says that it writes X-Forwarded-Port. Every profile's balancer writes
	// X-Forwarded-Proto.
	port bool
	// host is the header with the client's Host that it writes, or claimNone.
	host claim

	// idle is how long it keeps an unused connection to us; 0 when that is not
	// documented.
	idle time.Duration
	// head is how many bytes of request line and headers it passes on; 0 when that
	// is not documented.
	head int
}

const kib = 1 << 10

// profiles are the balancers that `elb` knows, as their makers document them, read
// in November 2026; some pages only in excerpts and copies.
var profiles = []profile{
	{
		// X-Forwarded-For (mode append, the default), -Proto, -Port:
		// docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
		// X-Amzn-Trace-Id: …/application/load-balancer-request-tracing.html
		// idle_timeout.timeout_seconds, 60 unless changed: …/application/application-load-balancers.html
		// Request line 16K, all request headers 64K: …/application/load-balancer-limits.html
		name: "aws_alb", entry: 1,
		owns: claimAWS, trace: "X-Amzn-Trace-Id", port: true,
		idle: 60 * time.Second, head: (16 + 64) * kib,
	},
	{
		// X-Forwarded-For, -Proto, -Port: docs.aws.amazon.com/elasticloadbalancing/latest/classic/x-forwarded-headers.html
		// Request tracing is documented for Application Load Balancers only, so a
		// X-Amzn-Trace-Id would be the caller's.
		// Idle timeout 60 seconds unless changed: …/classic/config-idle-timeout.html
		// Header sizes are not documented: those of aws_alb.
		name: "aws_clb", entry: 1,
		port: true,
		idle: 60 * time.Second, head: (16 + 64) * kib,
	},
	{
		// "[<supplied-value>,]<client-ip>,<load-balancer-ip>", of which what precedes
		// the last two is not verified; X-Forwarded-Proto: cloud.google.com/load-balancing/docs/https
		// X-Cloud-Trace-Context: cloud.google.com/trace/docs/trace-context
		// Backend keepalive 600 seconds, fixed: cloud.google.com/load-balancing/docs/https/request-distribution
		// URL and headers together 60 KiB, 64 KB before: cloud.google.com/load-balancing/docs/quotas
		name: "gcp_alb", entry: 2,
		owns: claimGoogle, trace: "X-Cloud-Trace-Context",
		idle: 600 * time.Second, head: 64 * kib,
	},
	{
		// X-Forwarded-For as "comma-separated list of IP:port", -Proto, -Port,
		// X-Original-Host, X-Appgw-Trace-Id, X-Azure-Ja4-Fingerprint:
		// learn.microsoft.com/azure/application-gateway/how-application-gateway-works
		// How IPv6 and a port are written is not documented: without brackets they
		// have two readings, and are not read.
		// Connections to backends are reused (application-gateway-faq), for how long
		// is not documented.
		// URL 32 KB, headers 32 KB: "Application Gateway limits" of
		// learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
		name: "azure_appgw", entry: 1, notation: forwarded.Bracketed,
		owns: claimAppGateway, trace: "X-Appgw-Trace-Id", port: true, host: claimOriginalHost,
		head: (32 + 32) * kib,
	},
	{
		// X-Forwarded-For with the socket address appended, X-Azure-SocketIP, -FDID,
		// -Ref, X-Forwarded-Host and -Proto overwritten, X-FD-* of callers removed:
		// learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol
		// X-Azure-ClientIP can be "arbitrarily overwritten by a user" and is not read.
		// "Front Door to the back-end TCP session timeout is 90 seconds", URL 8,192
		// bytes, each header 64 KB: "Azure Front Door limits" of
		// learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
		name: "azure_frontdoor", entry: 1, confirmed: "X-Azure-Socketip",
		owns: claimFrontDoor, trace: "X-Azure-Ref", host: claimHost,
		idle: 90 * time.Second, head: (16 + 64) * kib,
	},
	{
		// CF-Connecting-IP; X-Forwarded-For "has an identical value", or what connected
		// to Cloudflare is appended; X-Forwarded-Proto overwritten; Cf-Ray:
		// developers.cloudflare.com/fundamentals/reference/http-headers/
		// A Worker may make the two differ. Then neither is believed.
		// Proxy idle timeout 900 seconds, URL 16 KB, request headers 128 KB:
		// developers.cloudflare.com/fundamentals/reference/connection-limits/
		name: "cloudflare", entry: 1, confirmed: "Cf-Connecting-Ip",
		owns: claimCloudflare, trace: "Cf-Ray",
		idle: 900 * time.Second, head: (16 + 128) * kib,
	},
	{
		// Any other: nothing of it is known but the position.
		name:  "hops",
		trace: "Traceparent",
	},
}

func profileNamed(name string) *profile {
	for i := range profiles {
		if profiles[i].name == name {
			return &profiles[i]
		}
	}
	return nil
}

func profileNames() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	return names
}

// client returns the client that the balancer wrote into h, whose lines of
// X-Forwarded-For are lines, and its entry as written; n is its position from the
// right.
func (p *profile) client(h http.Header, lines []string, n int) (netip.Addr, string, bool) {
	addr, text, ok := forwarded.Entry(lines, n, p.notation)
	if !ok {
		return netip.Addr{}, "", false
	}
	if p.confirmed != "" {
		if again, ok := forwarded.Single(h[p.confirmed]); !ok || again != addr {
			return netip.Addr{}, "", false
		}
	}
	return addr, text, true
}
