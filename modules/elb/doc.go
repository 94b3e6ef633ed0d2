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
// not looked at. aws_alb needs the balancer's default, routing.http.xff_header_processing.mode
// append. A caller whose own address is not in from is its own client, and
// nothing that it says about addresses is believed.
//
// Before any other part of the gateway, and before Caddy, reads the request,
// X-Forwarded-For is replaced by the established client and the other headers
// that name an address, a scheme, a host or a trace are removed unless this
// balancer is documented to write them. So {client_ip}, Caddy's matchers, access
// logs and backends see established addresses only. X-Forwarded-Client-Cert,
// X-Amzn-Oidc-* and X-Amzn-Mtls-* tell who rather than where from: auth has them.
//
// The balancer's identifier of the request is read from X-Amzn-Trace-Id (aws_alb,
// aws_clb), X-Cloud-Trace-Context (gcp_alb), X-Azure-Ref (azure_frontdoor),
// X-Appgw-Trace-Id (azure_appgw), Cf-Ray (cloudflare) or traceparent (hops).
//
// Unset, idle_timeout becomes longer than the balancer keeps connections, and
// max_header_size as large as the headers that it passes on. Values below are
// refused, as the balancer would answer 502 and clients 431 at random.
//
// It fails closed: where the balancer's header is short, cannot be read or
// contradicts another, no client is established, and every guard refuses with
// 400 client.address_unknown, also when the balancer's own address is on an
// allowlist.
package elb
