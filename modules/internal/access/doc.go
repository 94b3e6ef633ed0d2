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
// A rule in dry_run refuses nothing, names nothing and satisfies nothing: decisions
// are as if it were not there, so none changes when one is added to a policy that
// runs. Of the requests that are allowed without it, those are recorded that it
// would refuse, for each such rule; not what it would open under `otherwise deny`.
// An enforced rule that is put in dry_run is as if it were taken out: what only it
// named is then left to `otherwise`, what it denied is open.
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
//
// # Claims
//
// `require claim realm_access.roles admin` goes into objects at the dots. A claim
// that has the whole name wins, since some issuers use URLs as names. A list holds
// if one of its elements does; lists are not gone into. Values are compared as texts,
// numbers as they are written: 9007199254740993 is not its neighbour.
//
// # Expressions
//
// What lines of words cannot say, `require expression` says in CEL
// (https://cel.dev): a condition that has to be true, one to a line, compiled
// when the configuration is loaded.
//
//	principal.id, .issuer, .method, .tier    string
//	principal.scopes, .roles                 list(string)
//	principal.claims                         map(string, dyn): numbers, lists and objects as in the token
//	request.method, .host, .path             string, canonical; of the path case counts, in paths of rules it does not
//	request.client_ip                        string; cidr('192.0.2.0/24').containsIP(request.client_ip)
//
// Beside CEL's operators and functions there are has, exists, all and exists_one,
// and ip and cidr as in Kubernetes; map and filter are not, nor are the query (of
// a repeated parameter, which one counts differs), headers and bodies.
//
// An expression asks about a known caller; without one the rule is not satisfied.
// One that cannot be evaluated is not satisfied either, whatever is negated in it:
// a claim that is not there, a claim of another type. Only || does with what is
// true on its other side. `has(principal.claims.x)` asks whether there is one.
// Numbers are exact: whole ones fail beyond 64 bits, others from 2^53 on.
//
// Refused at load are syntax errors, unknown names, results that are no bool (a
// claim by itself: compare it), patterns that are not written out, and what is too
// costly; what gets too costly with a caller's own claims is cut then.
package access
