// Package elb establishes who is calling a gateway behind a load balancer, and
// removes what anybody else claims about it.
//
// http.ip_sources.elb is for a balancer that speaks HTTP and writes the client's
// address into a header:
//
//	servers :8080 {
//		trusted_proxies elb <profile> {
//			from <prefixes...>            # required: the balancer's own addresses
//			hops <n>                      # profile hops, required: the client is the n-th entry from the right, 1 to 10
//			fdid <uuid>                   # profile azure_frontdoor, required: X-Azure-FDID of your Front Door
//			connections_per_client <n>    # default 1000, 0 for no limit
//		}
//		trusted_proxies_strict            # required
//	}
//
// Profiles: aws_alb, aws_clb, gcp_alb, azure_appgw, azure_frontdoor, cloudflare,
// and hops for any other. from may be repeated.
//
// The client is the entry of X-Forwarded-For that this balancer wrote, counted
// from the right; what stands to the left of it was written by the caller and is
// not looked at. azure_frontdoor and cloudflare write it into a second header,
// X-Azure-SocketIP and CF-Connecting-IP, which has to agree. A caller whose own
// address is not in from is its own client, and nothing that it says about
// addresses is believed.
//
//   - aws_alb needs the balancer's default, routing.http.xff_header_processing.mode
//     append: with preserve, the caller writes the whole header.
//   - cloudflare: its other customers can reach you from the same addresses. Demand
//     a client certificate of your own zone (Authenticated Origin Pulls) as well.
//   - azure_appgw: entries of IPv6 clients without brackets have two readings, with
//     a port and without, and are not read.
//   - hops: the balancer has to overwrite X-Forwarded-Proto, too.
//
// Before any other part of the gateway, and before Caddy, reads the request,
// X-Forwarded-For is replaced by the established client and the other headers
// that name an address, a scheme, a host or a trace are removed unless this
// balancer is documented to write them. So {client_ip}, Caddy's matchers, access
// logs and backends see established addresses only. X-Forwarded-Client-Cert,
// X-Amzn-Oidc-* and X-Amzn-Mtls-* tell who rather than where from: auth has them.
//
// The balancer's identifier of the request is read from X-Amzn-Trace-Id (aws_alb),
// X-Cloud-Trace-Context (gcp_alb), X-Azure-Ref (azure_frontdoor), X-Appgw-Trace-Id
// (azure_appgw), Cf-Ray (cloudflare) or traceparent (hops); aws_clb has none.
// traceparent and tracestate reach backends only through the balancer.
//
// Unset, `timeouts idle` becomes 30 seconds longer than the balancer keeps unused
// connections, but not less than Caddy's 5 minutes, and max_header_size as large as
// the request line and headers that it passes on. Lower values are refused: the
// balancer would answer 502, and the gateway 431, at random. Where you raised the
// balancer's idle timeout, raise `timeouts idle`.
//
// It fails closed: where the balancer's header is short, cannot be read or
// contradicts another, no client is established, and every guard refuses with
// 400 client.address_unknown, also when the balancer's own address is on an
// allowlist.
package elb
