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
//   - hops: the balancer has to overwrite X-Forwarded-Proto, too. With more than one
//     hop, nobody may reach the inner proxies past the outer one: who does writes the
//     entry that is taken for the client's.
//
// Before any other part of the gateway, and before Caddy, reads the request,
// X-Forwarded-For is replaced by the established client and the other headers
// that name an address, a scheme, a host or a trace are removed unless this
// balancer is documented to write them always: not X-Amzn-Tls-Version and its like,
// which a setting of the balancer switches on. So are trailers. So {client_ip},
// Caddy's matchers, access logs and backends see established addresses only; where
// none is established, {client_ip} is 0.0.0.0. X-Forwarded-Client-Cert,
// X-Amzn-Oidc-* and X-Amzn-Mtls-* tell who rather than where from: auth has them.
//
// The balancer's identifier of the request is read from X-Amzn-Trace-Id (aws_alb),
// X-Cloud-Trace-Context (gcp_alb), X-Azure-Ref (azure_frontdoor), X-Appgw-Trace-Id
// (azure_appgw), Cf-Ray (cloudflare) or traceparent (hops); aws_clb has none.
// traceparent and tracestate reach backends only through the balancer.
//
// Unset, `timeouts idle` becomes 30 seconds longer than the balancer keeps unused
// connections, but not less than Caddy's 5 minutes, and max_header_size as large as
// the request line and headers that it passes on; `timeouts read_header` becomes as
// long as the idle timeout of the balancer, which may open connections before it
// has requests for them. Lower values of the first two are refused: the
// balancer would answer 502, and the gateway 431, at random. Where you raised the
// balancer's idle timeout, raise `timeouts idle`.
//
// The address of the `servers` block has to be that of a server as it listens, with
// the host of `bind` or default_bind: Caddy drops the options of any other without a
// word. `caddy run` refuses a first configuration in which elb got lost that way;
// `caddy reload` and `caddy validate` cannot see it.
//
// Requests of a client beyond connections_per_client are refused with 429
// client.too_many_connections, and counted in sallyport_slow_clients_total. HTTP/3
// is refused: no balancer passes it on.
//
// Metric: sallyport_elb_requests_total{server,origin}, one for each request:
// established, unknown (the balancer names no client that can be relied on),
// past_balancer (the peer is not in from), foreign (another customer's Front Door),
// local (a health check of a TCP balancer in front).
//
// It fails closed: where the balancer's header is short, cannot be read or
// contradicts another, no client is established, and every guard refuses with
// 400 client.address_unknown, also when the balancer's own address is on an
// allowlist.
//
// # Balancers that pass TCP through
//
// caddy.listeners.elb is for a balancer that leaves TLS to the gateway and writes
// the client's address into a PROXY protocol header in front of the connection's
// bytes:
//
//	servers :443 {
//		protocols h1 h2                     # HTTP/3 does not come through a TCP balancer
//		listener_wrappers {
//			elb <profile> {
//				from <prefixes...>                # required: where the balancer's connections come from
//				timeout <duration>                # for the whole header, default 3s
//				vpce_ids <ids...>                 # aws_nlb: only these PrivateLink endpoints
//				psc_connection_ids <numbers...>   # gcp_tcp: only these Private Service Connect connections
//				link_ids <numbers...>             # azure_pls: only these private endpoints
//				connections_per_client <n>        # default 1000, 0 for no limit
//				client_ip_preserved               # aws_nlb, see below
//			}
//			tls
//		}
//	}
//
// Profiles, and the versions of the header that they send: aws_nlb 2, aws_clb_tcp
// 1, gcp_tcp 1 (2 for Private Service Connect), azure_pls 2, proxy_protocol both,
// for any other, with all three allow rules. from and the ids may be repeated.
//
// The header is required. These connections are closed without an answer: from
// elsewhere than from (a Unix socket too); without a header, or with one of
// another version, cut off, against the protocol's rules, longer than 4096 bytes
// (107 in version 1), with a wrong checksum, or without a TCP client's address;
// with a second header, which a Network Load Balancer leaves where a client wrote
// one; and those whose header takes longer than timeout. No connection waits for
// another. HTTP, TLS and all handlers see the client's address as the peer's.
// What a request claims about addresses and traces is removed, unless
// http.ip_sources.elb stands on the same server, for a CDN in front of the
// balancer.
//
// The balancer's health checks (LOCAL in version 2; in version 1 the bare PROXY
// UNKNOWN of Google's) are answered, on behalf of nobody: they have the balancer's
// address, and every guard refuses them with 400 client.address_unknown. Point them
// at health. Allow rules and connections_per_client do not hold for them. A
// Classic Load Balancer's health checks have no header: give them a port without
// elb. Health checks that only open a connection are counted as probe.
//
// With an allow rule, a client's connection has to bear one of the ids.
// Placeholders, empty where there is no such id, also behind TLS and HTTP/2:
//
//	{elb.vpce_id}              AWS: the PrivateLink endpoint
//	{elb.psc_connection_id}    Google: the Private Service Connect connection
//	{elb.link_id}              Azure: the private endpoint
//
// connections_per_client counts open connections by the client's address, IPv6 by
// /64, in each configuration of its own; connections on behalf of the balancer
// itself do not count, nor those of a CDN that http.ip_sources.elb names.
//
// Client IP preservation of a Network Load Balancer (the default for instance
// targets) leaves the client's address on the connection, so that from cannot tell
// the balancer from anybody who reaches the gateway past it. Switch it off
// (preserve_client_ip.enabled false) where you can. Otherwise there is one safe
// configuration:
//
//	elb aws_nlb {
//		from 0.0.0.0/0 ::/0      # the clients that may come
//		client_ip_preserved
//	}
//
// together with a security group of the gateway's that admits only the security
// group of the balancer. A connection whose header names another address than the
// one it comes from, or an endpoint, is closed (forged), so that whoever gets past the security
// group is still nobody but themselves. Connections through PrivateLink come from
// the balancer's address and are closed; they need a listener without preservation.
//
// Unset, `timeouts idle` becomes 30 seconds longer than the balancer keeps idle
// connections (NLB 350 s, Classic 60 s, Google 30 s, Private Link 300 s), but not
// less than 5 minutes. Values that are not longer are refused, as are HTTP/3, a
// place behind tls, a server with TLS and no tls line, Caddy's proxy_protocol
// beside elb, and elb twice.
//
// Metric: sallyport_elb_connections_total{server,result}, one for each connection:
// accepted, local (a health check), probe (closed before a byte), untrusted_peer,
// missing, malformed, oversized, repeated, timeout, not_allowed, forged, crowded.
//
// It fails closed.
package elb
