// Package auth finds out who calls, and decides what they may call.
//
// # auth
//
//	auth [<matcher>] {
//		jwt <issuer> {
//			audience     <audience...>       # required
//			algorithms   <algorithm...>      # default: RS256 ES256 EdDSA
//			discovery    [<url>] {           # default without jwks, key_file and secret:
//				...                          # <issuer>/.well-known/openid-configuration
//			}
//			jwks         <url> {             # instead: where the JWK set is
//				allow_private                # also addresses that are not of the internet
//				trust_pool file <paths...>   # PEM; default: the system's authorities
//				refresh    <min> <max>       # bounds of Cache-Control; default: 1m 1h
//				max_stale  <duration>        # default: 24h, at most 7d
//			}
//			key_file     <path>              # PEM (public keys, certificates) or a JWK set
//			secret       <name> {env.<NAME>} | {file.<PATH>}   # for HS256 HS384 HS512; may be repeated
//			type         access_token | id_token | any   # default: any
//			subject_claim <claim>            # default: sub
//			scopes_claim <claim...>          # default: scope
//			roles_claim  <claim...>          # such as realm_access.roles; default: none
//			tier_claim   <claim>             # default: none
//			require_claim <claim> [<value...>]   # may be repeated
//			leeway       <duration>          # default: 30s, at most 5m
//			from         header <name> | cookie <name> | query <name>   # default: Authorization: Bearer
//			forward                          # leave the token in the request
//		}
//		api_key {
//			header    <name>                 # default: X-Api-Key
//			keys_file <path>                 # required; written by `caddy sallyport key`
//			pepper    {env.<NAME>} | {file.<PATH>}   # required
//			forward                          # leave the key in the request
//		}
//		mtls {                               # the block can be left out
//			principal    san_uri | san_dns | san_email | subject | fingerprint   # default: see below
//			allow_issuer <distinguished name...>   # default: every authority that the site trusts
//		}
//		aws_alb_oidc <ARN of the balancer...> {
//			client       <id...>             # default: those of all rules of the balancer
//			issuer       <issuer...>         # default: the same
//			keys         <url> {             # default: the server of the balancer's region
//				allow_private
//				trust_pool file <paths...>
//			}
//			scopes_claim, roles_claim, tier_claim <claim>   # default: none
//		}
//		aws_alb_mtls {
//			mode         verify | passthrough        # required: as the balancer's listener has it
//			trust_pool   file <paths...>     # required with passthrough
//			principal    san_uri | san_dns | san_email | subject | fingerprint   # as in mtls
//			allow_issuer <distinguished name...>   # as in mtls
//			header       <name>              # if the listener renames its header
//		}
//		gcp_iap {
//			audience     <resource...>       # required: /projects/<n>/global/backendServices/<n> or the like
//			jwks         <url> { ... }       # default: Google's; options as in jwt
//			scopes_claim, roles_claim, tier_claim <claim>   # default: none
//		}
//		cloudflare_access <team> {
//			audience     <tag...>            # required: AUD tags of the applications
//			jwks         <url> { ... }       # default: the team's; options as in jwt
//			scopes_claim, roles_claim, tier_claim <claim>   # default: none
//		}
//		all {                                # every member's credential is needed; may be repeated
//			<two to four of the above>
//		}
//		optional                             # nothing attached is accepted too, as nobody
//		failures <rate> [burst <number>] | off   # of each client; default: 60/m burst 120
//		revocation {
//			file    <path>                   # written by `caddy sallyport revoke`
//			store                            # the list in `sallyport { store redis }`
//			max_age <duration>               # of our copy of that, then 503; default 30s
//		}
//		identity_headers <name...>           # more headers to remove; '*' at the end
//		mode enforce | dry_run
//	}
//
// jwt and api_key may be repeated: with other issuers, from other places. mtls and
// what balancers say stand once.
//
// # Which alternative judges
//
// The credential in the request decides, by the place where it stands, and a
// token's iss by whose keys it is checked. It is judged once: a bad credential is
// refused and no weaker alternative is tried. A request without one is refused;
// so is one with two, whatever they are: two tokens, a token and a key, one in
// two places, a list in one header.
//
// A jwt token needs iss, aud, sub and exp; nbf and iat are checked if they are
// there. How strictly tokens and keys are read is told by the package jwt, and how
// key sets are fetched by the package jwks: never while a configuration is loaded or
// validated. Until one was fetched, tokens of its issuer are answered with 503, all
// other callers are served, and /readyz says no; after a restart the last good one, from
// Caddy's storage, does. A token whose key is not in the set waits up to three seconds
// for a fetch, if tokens may cause one at the moment; while the issuer fails, an unknown
// key is answered with 503, not called invalid. A key set stays in force for max_stale without a successful fetch. A key_file and a
// keys_file are reread within about a second of a change, without a reload; one
// that is missing or bad then never replaces what was read before. Replace them
// whole (write another file, rename it): what is read half-written might be valid.
//
// Tokens that were verified are remembered until they expire or their issuer's key
// set changes, for each place at most 8192 and 64 MiB of them, counted with what
// their claims take. What cannot change is remembered of tokens that were refused,
// too: that a signature is bad, by this key set.
//
// # Tokens
//
// type says what kind of token is accepted, because issuers sign more than access
// tokens (RFC 8725 section 3.11). access_token is RFC 9068: typ at+jwt, and the claims
// iss, exp, aud, sub, client_id, iat and jti. id_token is OpenID Connect: typ JWT or
// none, iat, and an azp that is one of the audiences. any takes what does not say that
// it is something else: not logout+jwt, dpop+jwt or any other type ending so, and
// nothing with the events of a logout or security event token. Where an issuer tells
// its tokens apart by a claim, ask for it: `require_claim token_use access` for
// Cognito, `require_claim typ Bearer` for Keycloak.
//
// A claim is a name, or names joined by dots that lead into objects
// (realm_access.roles), unless a claim has the whole name; a dot that belongs to a
// name has a backslash in front (resource_access.my\.api.roles). scopes_claim and
// roles_claim may name several: what one of them grants is granted. Scopes are words
// between spaces or a list, roles a list or one string; neither is ever split at
// commas, tabs or other kinds of space. A claim of another type is refused.
// subject_claim names the caller: text or a whole number, as it is written; sub is
// text. require_claim wants a claim to be there and not null, or to be, or as a list
// to have, one of the values.
//
// secret is for issuers that sign with a shared secret. Its name is the kid of the
// tokens; one without kid is tried with each, of which there are 4 at most. It is
// taken byte for byte, a line break at the end of a file aside: base64 is not decoded.
// It must be at least as long as the hash of each algorithm (32, 48, 64 bytes). An
// issuer has public keys or secrets, never both, and public keys never check an HMAC.
// Prefer public keys: whoever has the secret, this gateway too, can make tokens.
//
// # Revocation
//
// revocation refuses tokens by their jti, sub or sid, or because they were issued
// before a moment: verified ones, each time they are used, remembered ones too, and
// the assertions of aws_alb_oidc, gcp_iap and cloudflare_access. Those of aws_alb_oidc
// have neither jti nor iat: a sub can be revoked, and any moment is all of them. API
// keys are revoked in their file, certificates by whom issues them. The package
// revocation describes the records, the file and the store. It never fails open: while
// the gateway's copy of the store's list is older than max_age, or was not read yet,
// tokens are answered with 503. No request waits for the store.
//
// What was revoked is refused within about a second, everywhere.
// `caddy sallyport revoke add --token - --config Caddyfile` takes a token from stdin.
//
// # Groups
//
// all { } is an alternative that needs the credential of each of its members, all of
// them valid, and no other in the request. The first member is the caller: its id,
// issuer, method, scopes, roles, tier and claims. The others are conditions, of whose
// claims nothing is known to rules, quotas and backends; put first what rules ask
// about.
//
//	all {
//		jwt https://issuer.example { … }     # the caller
//		mtls { … }                           # and only over a connection of its own
//	}
//
// What a request attaches decides for which alternative it is, by place and issuer,
// and has to be what exactly one of them needs. So each issuer at a place, each place
// of keys and mtls can stand in one alternative only, and two members need two places;
// anything else is refused at load, as are groups in groups. One credential more than
// an alternative needs is 400. One too few is 401 (auth.incomplete) and to the caller
// as if it were wrong; another alternative that the rest would do for is not tried.
// Certificates count in the group that names them and are nothing to other
// alternatives; alone, a certificate of a group is an incomplete one.
//
// The cheap members are judged first: keys and certificates before signatures. A
// failure of ours in one of them is 503.
//
// # Optional
//
// With optional, a request without any credential passes: there is no principal, the
// placeholders are empty, identity headers are removed, and access_rules refuses what
// a rule requires anything for (403). A credential that is there is judged as without
// optional: a bad one is 401, also a certificate that is not verified, two are 400,
// and a failure of ours is 503. An Authorization header of another scheme than Bearer
// is no credential here. `caddy sallyport lint` warns of a backend behind an optional
// auth without rules.
//
// # Failed attempts
//
// A client that failed too often is answered 429 with Retry-After for what it sends,
// before a signature or a key is checked: a flood of forged tokens costs no more than
// another refusal. A client is the established address, or the /64 of IPv6; where none
// is established, every guard refuses (400 client.address_unknown), so there is always
// one. Credentials that were accepted lately are exempt, and judged as ever: who shares
// an address with a guesser keeps working, with a token that was seen or a key that was
// used, whoever sent it from wherever; 8192 of them are remembered for each site. A
// token that was never seen has to wait with the guesser, a second at a time by default.
//
// A failure is a refusal with 401 of what was attached, auth.incomplete and revoked
// credentials included. None are: requests without a credential (CORS preflights have
// none), what is expired or not yet valid, which clients of good faith send and many
// of them may share an address, two credentials, failures of ours, and what nobody
// attached, such as a certificate. Those are not refused for it either.
//
// What is remembered is a site's, of one rate and burst, survives reloads, accepted
// or rejected, and takes 64 KiB, and 1.5 MiB more from the first failure on, however
// many addresses fail; a flood of them frees nobody. It is estimated: while ten thousand
// networks are beyond the limit, about one other client in three hundred is too. In
// dry_run it counts and blocks nobody.
//
// # Caddy's own handler
//
// Each method is also a provider of Caddy's handler authentication, for configurations
// in JSON that have it already: sallyport_jwt, sallyport_api_key, sallyport_mtls and so
// on, with the method's members.
//
//	{"handler": "authentication", "providers": {
//		"sallyport_jwt": {"issuer": "https://issuer.example", "audience": ["api"], "jwks": {"url": "https://issuer.example/jwks"}},
//		"sallyport_api_key": {"keys_file": "keys.json", "pepper": "{env.PEPPER}"}
//	}}
//
// They judge no revocations, which are an option of auth: use auth where you need them.
// The providers of one handler judge a request together and once, as alternatives of
// one auth: identity headers and the credential are removed, two credentials are
// refused, failed attempts are limited as by default, a failure of ours is no other's
// success, and the principal is there for access_rules and quota. User has the
// placeholders' texts. Metrics and events are those of auth.
//
// auth is the form to prefer. Caddy answers every refusal of its handler with 401 and
// gives it no reason: what is 400, 429 or 503 here is 401 there, with the challenge and,
// of a single provider, Retry-After. One handler has one issuer, no groups, no optional
// and no dry_run. Beside a provider of somebody else's, which a warning tells of, Caddy
// asks them in random order until one accepts: a failure of ours then falls through to
// that one, and what it accepts first keeps its identity headers. Handlers one behind
// the other ask for both, and the last one's caller is the principal.
//
// # Client certificates
//
// mtls accepts the certificate with which the client opened its connection to this
// gateway, as client_auth of tls_policy or tls verified it. Where nobody verifies
// certificates, mtls alone is refused at load, since it would refuse everybody;
// beside other alternatives it is a warning, so that sites behind a balancer that
// ends TLS can share the block. The certificate of a trusted proxy or balancer
// names nobody: it is not the client's. What a balancer reports about its client's
// certificate is not read.
//
// The certificate comes with every request of a connection, so it speaks only for
// requests that bring no credential of their own. A token or a key is judged alone,
// and a bad one is refused whatever the certificate is: it never falls back. To ask
// for both, put both into a group, or let client_auth require the certificate and
// leave mtls out.
//
// The dates of the certificate and of its chain are judged on every request, as
// connections outlive them. Revocation is for Caddy's verifiers in client_auth and
// for short lives. Each connection shows its certificate anew, as Caddy resumes no
// session where it asks for one; so a reload that takes an authority out of the
// trust pool holds for the next connection. A site that verifies certificates needs
// strict_sni_host, Caddy's default there: without, a connection that was opened
// for another site, whose clients others vouch for, would do.
//
// The caller's id is by default the certificate's URI (SPIFFE); without one its DNS
// name; without either its whole subject as RFC 4514 writes it. The common name
// alone is no identity (RFC 9525). A certificate with several URIs or DNS names is
// refused then: choose what names its holder with principal. The issuer is the
// subject of the authority in the trust pool, which only the operator writes; what
// authorities below it call themselves does not count. Two authorities of one name
// in one pool are one issuer. Claims, for rules and placeholders: subject, serial (hexadecimal),
// fingerprint, issuer_fingerprint (of the trusted authority; both SHA-256), san_uri,
// san_dns, san_email (lists).
//
// # What balancers say
//
// aws_alb_oidc, aws_alb_mtls, gcp_iap and cloudflare_access accept what a balancer
// says about the caller in a header that it adds to each request. Only the connection
// of a balancer that trusted_proxies elb names, with the profile aws_alb, gcp_alb or
// cloudflare, can bring it: from anybody else, and through any other balancer, it is
// removed and says nothing, however well it is signed. (cloudflared is a balancer of
// the profile cloudflare, from its address.) Where a server has no such balancer, one
// of them alone is refused at load; beside other alternatives it is a warning. Like
// certificates, they speak only for requests without a credential of their own. The
// backend never gets these headers.
//
// aws_alb_oidc: X-Amzn-Oidc-Data is signed with ES256 by a key that is on a server of
// AWS for all balancers of the region, whoever owns them. So its signer has to be one
// of the given balancers. Name the client and the issuer too, where rules of the
// balancer authenticate for other services; it is a warning if you do not. The key is
// fetched the first time that it is named, while the request waits for at most 3
// seconds; it is looked at again every day, and used for 7 days if that fails. Where
// AWS does not document the server (China and other partitions), name it with keys.
// X-Amzn-Oidc-Identity and -Accesstoken prove nothing and are not read.
//
// aws_alb_mtls: with verify, the balancer verified the certificate against its trust
// store, and its dates are judged here on every request; with a trust_pool, which must
// have the authorities in between as well, the certificate is verified again. With
// passthrough nobody did: the chain is verified here against trust_pool, for the use
// as a client's, with at most 8 certificates. The balancer proves possession of the
// key only on listeners in that mode. On others, a header that a client made up passes
// it. So every listener that forwards to this gateway, also that of port 80, must be
// in this mode or redirect.
//
// gcp_iap: the assertion must be for one of the resources, with an iat, and live no
// longer than 11 minutes. cloudflare_access: for one of the applications, of type app.
// The caller is a user (sub), or a service token (common_name, where sub is empty);
// with Access's own mutual TLS, common_name is that of the client's certificate.
//
// # What the backend gets
//
// Headers in which gateways name the caller (X-User*, X-Auth-*, Remote-User,
// X-Forwarded-User, X-Consumer-*, X-Amzn-Oidc-*, Cf-Access-*: the whole list is
// in identity.go) are removed from every request that comes to this directive:
// anonymous ones, those its matcher does not match, in dry_run. '_' and '.' count
// as '-', since PHP and CGI make one variable of X-User, X_User and X.User. They are
// removed in front of all error routes of the server too, because a guard in front
// may have refused. The suite drops trailers. X-Auth-Token and X-User-Agent are no
// identity and stay. Sites without auth are left alone.
//
// The credential that was accepted is removed too, without forward: its header,
// its cookie, its query parameter, and not a byte else. In dry_run it stays,
// since the backend may still rely on it. Where the credential stands in an
// identity header, the backend gets it only if it was accepted. Cookies and
// parameters whose name some backends take for the credential's ("session ",
// "access.token") count as a second one.
//
// Answers to requests with a token in the query are Cache-Control: private.
//
// Name the caller to the backend with `header_up X-User-Id {http.auth.user.id}`.
//
// # Placeholders
//
// {http.auth.user.id}, .issuer, .method, .scopes, .roles, .tier and .claims.*, as
// described at Handler, empty for nobody. They are for backends and logs: no guard
// decides on them, because other handlers can overwrite them. What handlers in front
// of auth set is dropped.
//
// # Refusals
//
// It fails closed, also on failures of its own, which never fall through to
// another alternative. Callers are told no more than RFC 6750 has words for; the
// reasons are in metrics and logs.
//
//	401  auth.no_credential; auth.token_* malformed, header, issuer, algorithm, key,
//	     signature, claims, audience, expired, not_yet_valid, revoked; auth.key_* malformed,
//	     unknown, revoked, expired, not_yet_valid, address; auth.certificate_*
//	     unverified, expired, issuer, name; auth.assertion_* malformed, signer, issuer,
//	     client, key, signature, claims, audience, expired, not_yet_valid; auth.incomplete
//	400  auth.several_credentials
//	429  auth.too_many_failures, with Retry-After
//	503  auth.keys_unavailable, auth.revocations_unavailable, auth.failed, with Retry-After
//
// A token's signature is judged before its dates and its audience.
//
// # access_rules
//
// Decides on the canonical request and the principal; see AccessRules and, for how
// rules combine and what expressions know, the package access. It fails closed.
//
//	access_rules {
//		rule <name> {
//			methods <methods...>
//			path    <patterns...>
//			host    <hosts...>
//			require scope | role | issuer | method | tier <words...>
//			require claim <name> <values...>     # such as realm_access.roles
//			require expression `<CEL>`           # one to a line
//			deny
//			dry_run                              # record what it would refuse; decide as without it
//		}
//		otherwise allow | deny                   # default: deny
//		mode enforce | dry_run
//	}
//
// What a rule in dry_run would refuse of the requests that are allowed is counted by
// rule, and shown as would_deny, in place of allow, for each such rule: in the metric
// of decisions, in the access log, in events. Events and the log at level debug name
// the rule, also of refusals; callers are never told.
//
// Metrics: sallyport_decisions_total for both,
// sallyport_access_rule_would_deny_total{site,guard,rule}, and for each JWKS URL of auth
// sallyport_jwks_fetched_timestamp_seconds{source} (0 if never) and
// sallyport_jwks_failures_total{source}, _jwks_keys{source} in force,
// _jwks_stale_timestamp_seconds{source} and _jwks_token_fetches_total{source}, the
// fetches that tokens caused. `caddy sallyport jwks` shows the state of each, from GET
// /sallyport/jwks of the admin endpoint. For the keys of balancers
// sallyport_assertion_keys_fetches_total{source,result}. For each API key that was accepted
// sallyport_api_key_last_used_timestamp_seconds{file,key_id}, over reloads, until
// the key leaves its file.
package auth
