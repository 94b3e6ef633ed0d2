// Package cors is the http.handlers.cors module: which pages of other origins
// may call the API from a browser and read its responses (CORS, as the WHATWG
// Fetch Standard defines it).
//
// # Directive
//
//	cors [<matcher>] {
//		allow_origins <origin...> | *
//		allow_methods <method...> | *
//		allow_headers <name...> | * [Authorization]
//		expose_headers <name...> | *
//		allow_credentials
//		max_age <duration>
//		mode enforce | dry_run
//	}
//
// allow_origins is required and may be repeated; the lists add up. An origin is
// written as browsers send it and compared byte for byte:
//
//	https://app.example.com       this origin, on port 443
//	https://app.example.com:8443  another origin
//	http://localhost:5173         a development server
//	https://*.example.com         the names below example.com, at any depth, not example.com itself
//	*                             every origin, also null; not with allow_credentials
//
// GET, HEAD and POST need no mention in allow_methods. `allow_headers *` does
// not cover Authorization, which can be named beside it.
//
// # What it does
//
// A preflight (OPTIONS with Origin and Access-Control-Request-Method) is
// answered here, before authentication, because browsers send it without
// credentials: 204 if the origin, the method and the headers are allowed, with
// only what was asked for; otherwise 403 without CORS fields. Any other request
// passes, whatever its origin. CORS keeps pages from reading responses; it does
// not keep requests away and is no defence against cross-site request forgery.
//
// All responses that pass through carry the fields of this policy and no others:
// responses of the backend, whose own Access-Control-* fields are removed, and
// refusals and errors of whatever stands behind it in the chain, including
// handle_errors, so that a page can read a 401 or a 429. What stands in front
// of it (the canonical check, allowlist) refuses without them. Unless
// all origins are allowed, `Vary: Origin` is on every response; a backend's Vary
// is kept.
//
// Of several cors directives that a request meets, the first whose matcher
// matches decides alone. Put the special ones in front:
//
//	cors /public/* {
//		allow_origins *
//	}
//	cors {
//		allow_origins https://app.example.com
//		allow_credentials
//	}
//
// The matcher has to match the preflight too: a method matcher would keep it
// from being answered. In a named route or in handle_errors, cors needs another
// one in a site of the same server; it could not see all responses otherwise.
//
// # What it refuses to be configured with
//
// With all errors at once: origins no browser sends (a path or trailing slash,
// capitals, international names, a written default port, user names, opaque
// schemes, IP addresses in another than the canonical form), the origin null,
// wildcards that are not the whole first label, methods and headers that
// scripts cannot use or read, `*` beside the values it covers, repeated values,
// and with allow_credentials: `*` as origin or exposed header, origins that are
// neither https nor loopback, and wildcards below a public suffix.
//
// # Failure
//
// It fails closed: what is not recognised as allowed gets no CORS fields. It
// depends on nothing that could fail while a request runs. In dry_run it leaves
// requests and responses alone, and the backend's own CORS in force; preflights
// that it would refuse are counted.
//
// # Metrics and placeholders
//
// sallyport_decisions_total with guard="cors" and the reasons
// cors.origin_not_allowed, cors.method_not_allowed and cors.headers_not_allowed,
// which are given to preflights only. It sets no placeholders.
package cors
