// Package securityheaders is the http.handlers.security_headers module: which
// response headers tell browsers and caches to be careful, and which must not
// leave.
//
// # Directive
//
//	security_headers [<matcher>] [api | html | none] {
//		set     <name> <value>
//		default <name> <value>
//		remove  <name...>
//		mode    enforce | dry_run
//	}
//
// The preset is api unless another one is named. The options go over it: set
// replaces what the backend and the preset say, default is for responses that
// have no such header, remove takes it from both. A name may end in * in remove.
// Values are written as they are sent; placeholders are not expanded.
//
// # Presets
//
// The values are those of OWASP's Secure Headers Project and REST Security Cheat
// Sheet. (d) is for responses without the header; the others are replaced.
//
//	                                    api                                   html
//	Strict-Transport-Security           max-age=63072000; includeSubDomains   the same
//	X-Content-Type-Options              nosniff                               the same
//	Content-Security-Policy             default-src 'none';                   (d) default-src 'self'; form-action 'self'; base-uri 'self';
//	                                    frame-ancestors 'none'                object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests
//	X-Frame-Options                     DENY                                  the same
//	Referrer-Policy                     (d) no-referrer                       the same
//	Cross-Origin-Resource-Policy        (d) same-origin, or cross-origin      the same
//	Cross-Origin-Opener-Policy                                                (d) same-origin
//	Cross-Origin-Embedder-Policy                                              (d) require-corp
//	Permissions-Policy                                                        (d) every powerful feature off
//	X-Permitted-Cross-Domain-Policies   none                                  the same
//	Cache-Control                       (d) no-store                          (d) no-store
//
// api and html also remove what OWASP lists as giving the server away (Server, Via,
// X-Powered-By and some ninety others) and X-XSS-Protection, which does harm. none
// is empty.
//
// Strict-Transport-Security is sent only where the client's connection was https:
// as a trusted balancer says in X-Forwarded-Proto, or else on our TLS. The same holds
// for upgrade-insecure-requests, which breaks pages on plain HTTP.
// Cross-Origin-Resource-Policy is cross-origin where the response may be read by
// every origin (Access-Control-Allow-Origin: *, as cors sends it), so that the two
// do not contradict each other. A response with a body and without a Content-Type
// gets application/octet-stream: otherwise one would be guessed, text/html too.
//
// # When
//
// The header is written when the response's is, over what handlers and the backend
// said, and on refusals and errors, handle_errors included. Of several instances
// that a request meets, the first whose matcher matches decides alone. Requests
// that end before any of them (the canonical check, allowlist, the jail) get the
// headers of the server's first instance without a matcher. Answers of net/http
// itself (400, 431) and trailers have none.
//
// # Failure
//
// It refuses nothing and depends on nothing that could fail while a request runs.
// In dry_run responses are left alone.
package securityheaders
