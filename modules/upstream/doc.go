// Package upstream is the way to the backend: a transport that proves to a service
// that a request came through the gateway and measures where its time goes, and the
// guard in front of the service that demands the proof.
//
// # transport sallyport
//
//	reverse_proxy <upstreams...> {
//		transport sallyport {
//			assertion {
//				audience <text>      # required: which service it is
//				ttl      <duration>  # default: 30s, which is the most
//				header   <name>      # default: Sallyport-Assertion
//				issuer   <text>      # default: sallyport
//			}
//			name <text>              # of the service in metrics; default: the audience
//			...                      # every option of transport http
//		}
//	}
//
// Each attempt carries a new assertion (see the package assertion) about the method,
// the path and the query as they are sent, and about the caller that auth found: none
// for anonymous callers. Active health checks carry one without a caller. Headers
// of that name in front of it are replaced, whoever wrote them; those of clients are
// removed from every request to a server with a guard, whatever it does with it.
//
// Where the connection breaks after the service may have read a request, net/http
// itself sends some requests again on another one, with the same assertion: a service
// that saw the first then refuses the second.
//
// The keys are made, shared and rotated in Caddy's storage, as told by the package
// keyring; the public ones are served by the health directive of the same
// configuration, at /.well-known/sallyport/jwks.json. The storage is read from when
// the configuration has started, never before, and never on a request. Readiness
// waits for the first key.
//
// It fails closed: without a key requests are answered with 503 upstream.no_key, and
// nothing is sent. Health checks wait for one as long as their timeout lets them. A
// request whose assertion would be longer than 16 KiB, for its path or its caller's
// scopes and roles, is answered with 431 upstream.too_long.
//
// # verify_gateway
//
//	verify_gateway [<matcher>] {
//		audience <text>                     # required: as in the gateway's transport
//		jwks     <url> | file <path>        # required: the gateway's keys
//		issuer   <text>                     # default: sallyport
//		header   <name>                     # default: Sallyport-Assertion
//		leeway   <duration>                 # default: 5s, at most 30s
//		rule <name> {
//			methods <methods...>
//			path    <patterns...>
//			require role | scope | tier | method | issuer | claim …
//			deny
//			dry_run                         # record what it would refuse; decide as without it
//		}
//		otherwise allow | deny              # with rules; default: deny
//		mode enforce | dry_run
//	}
//
// It is for a Caddy in front of the service (or beside it) and refuses every request
// that has no good assertion for this audience, method, path and query, or one that
// was used before. The caller becomes the principal that its rules, and guards
// behind it, decide on, mirrored to {http.auth.user.*}; no caller is anonymous. Rules
// are those of access_rules (see the package access), judged on the canonical
// request. The assertion is removed before the service; in dry_run it stays.
//
// Uses are remembered in the store of the sallyport app: without `store redis`, in
// this process, so that of several instances of a service each accepts an assertion
// once. While the store cannot tell, requests are refused with 503.
//
// The peer is the gateway. Without trusted_proxies on its server, the gateway is also
// the client of guards and logs; the guard does not mind. With them, X-Forwarded-For
// has to name a client, which active health checks do not: give them one
// (health_headers { X-Forwarded-For … }), or check another port.
//
// The key set is fetched like that of an issuer (see the package jwks): over https, or
// http from loopback, never while a configuration is loaded; from private addresses
// too, since a gateway and its services are inside. Certificates of a private authority
// are trusted through the system (SSL_CERT_FILE).
//
// It fails closed:
//
//	401  verify_gateway.missing, malformed, header, algorithm, key, signature, issuer,
//	     audience, claims, expired, not_yet_valid, lifetime, method, path, query, replay
//	403  verify_gateway.rule_*, as the reasons of access_rules
//	503  verify_gateway.keys_unavailable, uses_unknown, with Retry-After
//
// The access log of the service shows the header of the request as it came, so a
// spent assertion: format redact masks it.
//
// # Metrics
//
//	sallyport_upstream_phase_seconds{service,phase}      connect, tls, send, wait, receive, of each attempt
//	sallyport_upstream_duration_seconds{service}         their sum
//	sallyport_upstream_responses_total{service,code}     1xx to 5xx, error; 101 is 1xx
//	sallyport_assertion_key_age_seconds                  since the signing key is in use
//	sallyport_assertion_rotation_failures_total          looks at the storage that failed
//	sallyport_assertions_refused_total{service}          requests that no key was there for
//
// service is the name, the audience, or _other. The phases also go to the timing of
// the request (see the package timing).
package upstream
