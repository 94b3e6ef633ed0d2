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
//			seal on | off
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
// were used, and which were revoked (package revocation says how). In memory, the default, it is that of this process, which begins with
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
// # The policy's digest
//
// The log says which policy has come into force: SHA-256 over the canonical JSON
// (RFC 8785) of the configuration and the content of the files that it names, as
// they were when it was loaded; a key_file, which is followed, as it is in force. The
// metric sallyport_policy_info{digest} and, for whom `health { details }` names, the
// header Sallyport-Policy of /readyz have it too. `caddy sallyport digest` computes
// it from a Caddyfile, `caddy sallyport drift` compares gateways with it.
//
// Files that are policy count: lists of addresses, keys of issuers, certificates of
// trusted authorities, OpenAPI documents (the tables are in package policy). What is
// replaced while a gateway runs does not: API keys, mounted certificates, secrets.
// {env.NAME} and {file.PATH} count as they are written, never with their values;
// what {$NAME} became counts. A file_server hides the Caddyfile by the name that
// --config has for it, so there the names have to be the same.
//
// # The seal
//
// seal on makes the configuration the last one of the process, from its first start
// or from the reload that brings it. Refused are POST, PUT, PATCH and DELETE on
// /config/ and /id/, POST on /load, /stop and /adapt (403), on the remote admin
// endpoint too, and any other configuration that comes to be loaded; SIGUSR1 is
// ignored; it does not start with --watch, --resume or admin.config.load, nor where
// Go's ServeMux has no precedence of methods (GODEBUG=httpmuxgo121=1). GET /config/
// and /metrics go on, SIGTERM ends it as ever. A rejected configuration seals
// nothing, but SIGUSR1 stays ignored if it came as far as to start.
//
// What no seal can do: stop root of the machine, SIGKILL, a debugger, another
// binary or another file at the next start; stop other modules in the binary from
// calling Caddy's functions; keep --resume from starting an older, unsealed
// configuration that was saved (use persist_config off).
//
// # Metrics
//
// sallyport_drain_phase, sallyport_requests_in_flight (upgraded connections
// included), sallyport_slow_clients_total{server,what}, sallyport_events_total{verdict},
// sallyport_events_dropped_total, and of all guards
// sallyport_decisions_total{site,guard,verdict,reason}. Of the policy:
// sallyport_policy_info{digest} and sallyport_config_changes_refused_total{way}, the
// way being config, id, load, stop, adapt, or other where a configuration came to be
// loaded.
package app
