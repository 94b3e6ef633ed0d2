// Package access decides which caller may call what: rules over the method, the
// host and the path of a request, and over who makes it. It imports no Caddy
// package.
//
// # How rules combine
//
// A rule names requests: by methods, by path, by host; the words of one line
// are alternatives, and all lines have to hold. A rule that names a request
// either denies it or says what its caller must have.
//
//  1. If a deny rule names the request, it is denied, whoever calls.
//  2. Every other rule that names the request has to be satisfied: all of its
//     require lines, in each of which one word is enough.
//  3. If no rule names it, `otherwise` decides; its default is deny.
//
// The order of rules plays no part. So a rule that is added can only take away
// what its requests were allowed before, with one exception that is the point
// of rules: under `otherwise deny` it opens requests that no rule named. Envoy's
// RBAC is different: there one satisfied policy is enough, and a broad one
// undoes a narrow one.
//
// # Paths
//
// Rules see the canonical path (decoded, without dot segments and empty
// segments), segment by segment, without regard to case, as Caddy's own path
// matcher does: backends exist to which /Admin is /admin. A trailing slash makes
// no difference, for the same reason.
//
//	/orders            that path
//	/orders/*          /orders and everything below it, but not /orders2
//	/users/*/orders    * as a whole segment: exactly one, whatever it is
//	/files/*.pdf       * once inside a segment: any text, but no slash
//	/*                 every path
//
// A last segment such as admin* is refused: in Caddy's matcher it covers
// /admin/users too, here it could not, and whoever writes it means one of both.
//
// # Hosts
//
// The host is what the caller wrote. A rule with a host protects a backend only
// if that backend serves nothing under another one; together with `otherwise
// allow`, prefer rules without it.
//
// # Methods
//
// Methods are compared exactly. GET names HEAD requests too, which are the same
// request without the answer's body (RFC 9110 section 9.3.2): a rule about
// reading would otherwise be evaded with HEAD.
package access
