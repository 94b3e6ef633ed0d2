// Package revocation judges whether tokens were revoked, by lists in a file and in the
// store that gateways share. It never fails open. Its core imports no Caddy package.
//
// # Records
//
// A record names tokens by their claims, as a signature can be written in two ways:
//
//	{"revocations": [
//	  {"issuer": "https://issuer.example", "jti": "8f3c", "until": "2027-01-01T00:00:00Z", "reason": "ticket 1234"},
//	  {"issuer": "https://issuer.example", "sub": "alice"},
//	  {"issuer": "https://issuer.example", "sid": "08a5"},
//	  {"issuer": "https://issuer.example", "sub": "bob", "issued_before": "2026-11-28T14:00:00Z"},
//	  {"issuer": "https://issuer.example", "issued_before": "2026-11-28T14:00:00Z"},
//	  {"issuer": "*", "issued_before": "2026-11-28T14:00:00Z"}
//	]}
//
// jti, sub and sid are those of one issuer, byte for byte. sub is also compared with
// the principal's id, where that is not the sub claim. A token without iat was issued
// before any moment; one without jti or sid cannot be named by these. Moments count
// whole seconds, rounded up. They are compared with the issuer's clock: where that may
// be ahead of yours, name a later one.
//
// until is when the last of the tokens has expired: then the record need not be kept.
// It stays in force for ten minutes more, for leeways and clocks that differ.
//
// # The file
//
// It is read strictly: unknown, repeated and empty members are errors, and a file with
// one is refused whole, at load. Later it is reread within about a second of a
// change, and one that is missing, half written or wrong then never replaces what was
// read before: that is an error in the log and in sallyport_revocations_failures_total.
//
// # The store
//
// The store has digests of what records name, no names: whoever reads it can only
// guess them. Reasons it has as they are. Each gateway has a copy of the list, about 130 bytes for a
// record and at most 1000000 records, and asks for what is new about every second. No
// request waits for the store. A copy that has not been refreshed for max_age is not
// believed any more: tokens that it does not refuse are then answered with 503, and so
// are all before it was read whole for the first time, when the gateway is not ready
// either. An older one does not make a gateway unready: one store would take all out of
// service, and what needs no token.
//
// A copy forgets a record only when it is over or was taken off the list. If the store
// loses records (FLUSHALL, a failover, eviction, a start from an old dump), gateways
// notice, keep what they know and put it on the list again. A gateway that starts
// while no other runs has to believe a list that was emptied; one of which a part was
// lost it does not believe. A copy with more records than there is room for, or with one of a
// kind that it does not know, is not believed when it is older than max_age either.
//
// # Metrics
//
// sallyport_revocations{source,kind} counts the records in force, by their file or
// store; sallyport_revocations_refreshed_timestamp_seconds{source} is when they were
// last known to be what it has, and sallyport_revocations_failures_total{source} how
// often it could not be read. Names are in no metric, log or error.
package revocation
