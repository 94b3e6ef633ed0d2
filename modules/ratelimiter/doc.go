// Package ratelimiter limits how often somebody may call: rate_limiter before
// authentication, by client; quota after it, by consumer.
//
//	rate_limiter [<matcher>] {
//		zone <name> {
//			key         <part> [<part>...]   # client_ip | header <name> | {placeholder}
//			rate        <number>/<period>    # s, m, h, d or a duration: 50/s 1000/h 5/10s
//			burst       <number>             # default: the number of the rate
//			limit       <number>/<window>    # day, week, month; instead of rate
//			max_keys    <number>             # default: 1000000
//			ipv4_prefix <bits>               # default: 32
//			ipv6_prefix <bits>               # default: 64
//		}
//		concurrency <name> {
//			key         <part> [<part>...]
//			max         <number>             # requests under way at a time
//			ipv4_prefix <bits>               # default: 32
//			ipv6_prefix <bits>               # default: 64
//		}
//		mode enforce | dry_run
//	}
//
//	quota [<matcher>] {
//		zone <name> {
//			key <part> [<part>...]           # principal | client_ip | header <name> | {placeholder}
//			tier <name> {                    # another limit for principals of that tier
//				rate  <number>/<period>      # as the zone has it: rate and burst, or
//				burst <number>
//				limit <number>/<window>      # limit, of the same windows
//			}
//			…                                # the rest as above
//		}
//		concurrency <name> {
//			…                                # as above
//		}
//		mode enforce | dry_run
//	}
//
// A guard has up to eight zones and eight concurrencies, and at least one of either.
// All of them have to admit a request; one that is refused counts in none of them.
// They set no placeholders.
//
// # Limits
//
// Each key has a bucket of burst requests that refills at the rate (GCRA). In
// any stretch of time t a key gets at most burst + rate × t requests, exactly,
// however many arrive at once. A zone is 1 to 1000000 requests a second; its
// burst comes back within a year. Rates are not calendar windows: 1000/d gives
// one request every 86.4 s, and what was saved up to the burst.
//
// limit is for calendar windows: as many requests in each day, week (from Monday)
// or month of UTC, exactly, at any pace. The window is that of the gateway's clock
// when it started and of its monotonic clock since.
//
// tier gives principals of a tier (the API key's record, or tier_claim of a token)
// another limit in the same zone. Who has no tier, or one that the zone does not
// name, has the zone's. What one tier used counts for all callers of the same key.
//
// # Concurrency
//
// concurrency bounds how many requests of a key are under way at a time, streams
// and WebSockets for as long as they are open. It is decided before the zones.
// Refused is 429 rate.concurrency with Retry-After: 1; no RateLimit field tells of
// it. It takes memory for keys with requests under way alone. Those of one name are
// one, as zones are, and count on over a reload.
//
// # Keys
//
// client_ip is the client's address as the gateway established it, never a header
// of the client's: IPv4 addresses one by one, also in IPv6 form, IPv6 by /64. Where
// a translator maps all IPv4 clients into one /96, set ipv6_prefix 128.
//
// principal is the caller that auth found; callers of one name from two issuers or
// by two methods are two. A request without a principal, or whose token names
// nobody, is charged to its client_ip, apart from requests with one.
//
// header takes the value of a header that has one line. Requests that lack it, or
// have it empty, share one bucket, and those that repeat it another, so that
// leaving it out is no way around the limit. A client that invents values has a
// bucket for each: add a zone by client_ip.
//
// A placeholder is the only part that runs Caddy's replacer. Empty and undefined
// ones share one bucket. {http.request.host}, {http.request.method} and
// {http.request.uri.path} are read from the canonical request.
//
// Several parts make one key. A part that the client chooses gives it a bucket
// for each value.
//
// # Memory
//
// A key takes 17 bytes, whatever its length, and max_keys bounds them; it is
// rounded up to a multiple of 2048. A zone begins empty and grows with the keys
// that are in use, those whose bucket is not full. Once max_keys are, a key that
// finds no room shares a bucket with the others of its set of eight slots, and
// starts where the least used key that lost its slot there left off. So a flood
// of new keys frees nobody from a limit, and nobody gets more than the limit. What
// it can do, by more than max_keys × rate requests a second with ever new keys, is
// have other newcomers refused while it lasts, and for one refill after. Watch
// sallyport_zone_full_total and raise max_keys.
//
// # Reloads
//
// Zones of one name are one zone, in every site and in both directives: defining
// it differently in one configuration is an error. Buckets belong to the name and
// outlive a reload, accepted or rejected. Where the rate or burst changes, a bucket
// keeps the time until it is full, and one that would need longer than an empty
// one does now counts as empty. A zone that changes between rate and limit, or its
// windows, begins anew. A restart begins with full buckets, calendar windows too: a
// gateway counts what it has seen itself. A zone that a
// request passes twice charges it twice.
//
// # Responses
//
// A response has the fields of draft-ietf-httpapi-ratelimit-headers-11, one item
// a zone, those of rate_limiter and quota in one list:
//
//	RateLimit-Policy: "per_client";q=100;w=2, "per_consumer";q=20;w=2
//	RateLimit: "per_client";r=99;t=2, "per_consumer";r=19;t=2
//
// q in w seconds is the rate, over whole seconds in which an empty bucket fills; r
// is what would be admitted at once, and t the time in which r requests come back,
// so that a client which spreads r over t keeps to the rate. Of a limit, q is the
// number, w the length of the window (left out for months), and t what is left of
// it. There is no pk, which
// would show the key. A 429 lists in RateLimit only the zones that refuse, with
// r=0 and the time until they admit a request; Retry-After is the longest of these.
// The same fields of a backend are dropped: they would claim to be the gateway's,
// and in an older syntax make the whole list unreadable; not so those in trailers, or of a
// backend that answers error routes. A limiter does not add
// fields in dry_run.
//
// # Failure
//
// Both fail closed: 429 rate.limited, rate.concurrency and quota.exhausted, 400
// client.address_unknown. State is in this process's memory, so nothing can be
// unavailable.
//
// In dry_run a guard charges its zones as if it enforced them, counts and logs
// would_deny, and lets pass. A zone that another site enforces is charged all the
// same: give a trial a name of its own.
//
// # Metrics
//
// sallyport_decisions_total{guard="rate_limiter"|"quota"}, and
// sallyport_zone_full_total{zone}: requests whose key shared a bucket because
// the zone had max_keys in use.
package ratelimiter
