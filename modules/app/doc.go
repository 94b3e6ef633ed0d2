// Package app is the `sallyport` app: what the modules of one configuration
// share, how reloads and rejected reloads leave running requests, logs and the
// admin endpoint alone, and the command `caddy sallyport`.
//
// Every configuration with a guard has the app; it needs to be written only for
// its options.
//
//	{
//		sallyport {
//			canonical {
//				mode enforce | dry_run
//				allow path_parameters | encoded_slash | empty_segments | query_semicolon | method_override …
//			}
//			session_tickets shared
//			store memory
//			store redis {                       # instead of memory
//				address  rediss://:{env.REDIS_PASSWORD}@redis.internal:6379/0
//				timeout  20ms                     # of one command, default 20ms
//				prefix   sallyport                # default sallyport: gateways with one prefix share
//				cluster, sentinel, username, password, ca, client_certificate, client_key, insecure_skip_verify
//			}
//			events stdout | file <path> | off
//		}
//	}
//
// canonical is the check that stands in front of every request of a server that
// has a guard: requests with two readings are refused with 400 request.*. allow
// names the ambiguous forms that a backend needs; dry_run counts refusals and
// lets the requests pass. Both weaken every guard behind them: a path rule judges
// what the gateway read, and the backend may read something else.
//
// session_tickets lets any gateway with the same storage resume the TLS sessions
// of another; package tlspolicy says how, and what it costs. Without it each
// gateway has keys of its own.
//
// # The store
//
// store says where the state is that requests are judged by: which tokens of one use
// were used. In memory, the default, it is that of this process, which begins with
// none of it; in Redis or Valkey it is that of all gateways with one prefix. The
// options of redis are those of `storage redis` but for the timeout, for which
// requests wait here, and are explained in modules/internal/store. With equal ones,
// the timeout included, they have one client and connection.
//
// State survives a reload, accepted or rejected, and stays where it is when a reload
// changes the store, its database or its prefix: what was used before can be used
// once more.
//
// Nothing is connected while provisioning; a gateway starts without its store. No
// command takes longer than timeout, and while the store is known to be away
// commands fail at once. What then happens is decided by each use and said in its
// documentation: a token of one use is refused, because nobody knows whether it was
// used, also when only the answer was lost; whoever sends it again may be refused for
// that first time. So the store is no condition of readiness: /readyz is 200 without
// it, or one store would take all gateways out of service at once.
// sallyport_store_up says whether it answers.
//
// Memory has room for 1000000 claims (tokens that were used and have not expired), at
// about 90 bytes each. It frees none of them before its time: when it is full, more
// are refused, which sallyport_store_commands_total{store="memory",outcome="busy"}
// counts. The Redis server must not evict either: maxmemory-policy noeviction. One
// that loses what it has, in a failover for example, forgets which tokens were used.
// events is where security events go, one JSON line for each refusal; off is the
// default. Package telemetry has their fields, and says what is lost when the
// output is slow (counted, and no request waits) or rotated (nothing).
//
// # Logs
//
// What is logged through the standard library, by net/http for one, goes to
// Caddy's default log and so through its encoder. That includes what a `sink` in a
// JSON configuration would get.
//
// # Reloads
//
// The old configuration answers with Connection: close until clients have moved
// to the new one, at most five seconds, and only then does Caddy stop its servers.
// A connection for each request still loses a few: they wait in the queue of the
// listening socket that is closed. It holds for servers with a guard, elb, desync
// or health, in HTTP/1 and HTTP/2. A reload does not change readiness.
//
// A configuration that cannot be provisioned is rejected before Caddy replaces
// the admin endpoint. One that cannot be started, or that says `admin off`, has
// replaced it by then: the configuration in force is loaded again to bring it
// back, and reads its files again. A rejected configuration's default logger does
// not stay.
//
// # The end of the process
//
// On SIGTERM (or SIGINT, or POST /stop) the gateway leaves in phases, each with a
// log line and a value of sallyport_drain_phase:
//
//	1 draining  at once: /readyz answers 503, every response says Connection: close
//	            (GOAWAY in HTTP/2). New requests are served, until the balancer has
//	            noticed: for Caddy's global option shutdown_delay.
//	2 closing   no new connections; requests under way, WebSockets and streams
//	            included, are finished: for Caddy's global option grace_period.
//	3 drained   nothing is under way. What was at the end of the grace period is cut.
//
// Unset, grace_period is 15s, and shutdown_delay 10s where there is a health
// directive, whose prober needs it, else 0: together less than the 30 s after which
// Kubernetes and ECS end a process. Make shutdown_delay longer than the balancer's
// probe interval times its unhealthy threshold, and the orchestrator's patience
// longer than both. Sites of servers without a guard, elb, desync or health do not
// ask clients to leave, and HTTP/3 does not.
//
// # Slow clients
//
// On the same servers, what a client may take its time for is set unless
// `servers { timeouts … }` says otherwise: 20 s for the head of a request and for
// the TLS handshake (read_header), 30 s between the parts of a body and, beyond
// that, 240 bytes a second on average (read_body_idle 30s 240; a negative rate
// turns it off, such as for streams of gRPC clients). What is cut is counted in
// sallyport_slow_clients_total{server,what}: header, body, and connections, those
// of a client beyond connections_per_client of http.ip_sources.elb. A connection
// on which a body was cut is closed, so that the rest of it is not taken for the
// next request.
//
// # Metrics
//
// sallyport_drain_phase, sallyport_requests_in_flight (upgraded connections
// included), sallyport_slow_clients_total{server,what}, sallyport_events_total{verdict},
// sallyport_events_dropped_total, and of all guards
// sallyport_decisions_total{site,guard,verdict,reason}.
package app
