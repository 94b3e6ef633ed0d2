// Package telemetry measures the requests of a site: how many there are, how long
// they take, and whose time that is, the gateway's, the backend's or the client's.
//
//	telemetry {
//		log_principal    # the caller's id in the access log, unless it has an "@"
//	}
//
// It stands outside of every other handler, refuses nothing, and needs no guard.
// It takes no matcher: name it once in a site. A server with enable_full_duplex is
// refused, and the limits of package app for slow clients hold.
//
// # Metrics
//
//	sallyport_requests_total{site,method,code}       answered requests; code is the class, 2xx;
//	                                                 a method that no RFC has is _OTHER
//	sallyport_request_duration_seconds{site}         from the head of a request to the end of its
//	                                                 handling, or to the upgrade of its connection
//	sallyport_gateway_duration_seconds{site}         the gateway's own share of it
//	sallyport_request_phase_seconds{site,phase}      what a request waited for
//	sallyport_decisions_total{site,guard,verdict,reason}    of the guards
//	sallyport_events_total{verdict}                  security events that were written
//	sallyport_events_dropped_total                   and those that were not
//
// site is the first host of the site, or its server's first address. Requests that
// reach no site with telemetry count under their server's address: those that the
// canonical check refuses, those of other sites, unknown hosts. Counters outlive
// reloads, so buckets are fixed.
//
// The status is what the client got, after handle_errors. A request whose
// connection is upgraded (101, CONNECT) counts when that happens. One that was
// aborted before it had a status is a 5xx. Over HTTP/3 the error routes are not
// seen: there the status is that of the error, and what reaches no site is not
// counted.
//
// # Phases
//
// The time of a request is shared out. Summed over all attempts at a backend:
//
//	connect       name resolution and the TCP connection
//	tls           the handshake with the backend
//	send          from a connection to the last byte of the request, the client's upload included
//	wait          from there to the first byte of the response
//	receive       waiting for the response's body
//
// and of the client:
//
//	client_read   waiting for the request's body before a backend was asked, as where it is buffered
//	client_write  waiting for the client to take the response
//
// What is left is the gateway's own: guards, copying, Caddy, its logs. A phase that
// did not happen is not observed. The phases of the backend come from `transport
// sallyport`; where another transport asked one, nobody knows how long it took, and
// the own share is left out. What net/http still has to send when a request has
// been handled, at most a few KiB, is in no share. With a flush_interval other than
// -1 the client is waited for beside the backend, and the own share comes out too
// small.
//
// # Access log
//
// If the server has one, its entries get
//
//	timing       {"gateway": 0.0002, "wait": 0.013, …, "attempts": 1}: the own share, if known, and
//	             the phases in seconds; attempts is how often a backend was asked
//	principal    with log_principal: the id that auth found
//
// and, of every site, from the guards: guard, verdict, reason and decision of each
// refusal, request_id, balancer_trace.
//
// # Security events
//
// The global option `sallyport { events stdout | file <path> | off }` (package app)
// writes one line of JSON for each refusal of a guard, the canonical check
// included, of all sites. Fields that are not known are left out:
//
//	time            when, in UTC, with milliseconds
//	schema          sallyport.event.v1; fields may be added to it
//	decision        the id of this decision, also in the access log: 128 random bits in hex
//	verdict         deny, or would_deny where the guard or its rule is in dry_run
//	guard           which: its directive, or canonical
//	rule            of access_rules and verify_gateway, the name of the rule that refuses
//	reason          why: auth.token_expired; package problem has the titles that callers see
//	status          of the refusal, which handle_errors may replace; of would_deny, what it would be
//	site            as in the metrics
//	client          the established address
//	method          as sent, at most 32 bytes
//	path            as sent, without the query, at most 1 KiB; only where redact is compiled in
//	request_id      as in the access log, in the problem document and at the backend
//	balancer_trace  the balancer's id of the request
//	principal       the authenticated caller's id, which may be an email address
//	key_id          the id of the caller's API key, which is not the key
//	jti_sha256      of the caller's token, the SHA-256 of its jti in hex
//	gateway         the host name of this machine
//
// What ends before a guard sees it is counted and has no event: connections that
// elb, desync or tls_policy refuse, and requests beyond connections_per_client.
//
// Lines go through the cleaner of `format redact`, with its defaults; without it
// paths are left out. No header, query or body is in them. A segment that is a
// secret and has no mark of one stays.
//
// A request never waits for the output: 4096 events wait for it, and what comes
// beyond them is dropped and counted, as is what cannot be written. A file is
// appended to, made for its owner alone, and made again within a second after it
// was renamed or removed; copytruncate works too. A reload loses no event, a
// rejected one changes nothing, and what is queued at the end is written, for which
// the output has two seconds.
package telemetry
