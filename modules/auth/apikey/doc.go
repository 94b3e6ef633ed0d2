// Package apikey checks API keys against a file of hashed keys, and writes that
// file. It imports no Caddy package.
//
// # Keys
//
// A key is what the client sends:
//
//	sp_<id>_<secret>_<checksum>
//
// The id is public: it names the entry in the file, the log line and the
// metric. The secret is 32 characters, 160 bits, from an alphabet without the
// letters i, l, o and u, so that no character can be read as another one. The
// checksum is the CRC-32 of everything before it: a mistyped or cut-off key is
// told from a wrong one, and a scanner for leaked credentials can match
//
//	sp_[0-9a-z]{1,32}_[0-9a-hjkmnp-tv-z]{32}_[0-9a-hjkmnp-tv-z]{7}
//
// and verify what it found. The checksum protects nothing: whoever can guess a
// secret can compute it.
//
// # The file
//
// The file holds HMAC-SHA-256(pepper, secret), never a secret. A fast hash is
// right here and a slow one would be wrong: the secret is random and too long
// to be guessed, and a slow hash would let strangers spend our processor time.
//
//	{"keys": [{"id": "k7f3a", "hash": "hmac-sha256:<64 hex>", "owner": "acme",
//	  "scopes": ["orders:read"], "roles": ["buyer"], "tier": "gold",
//	  "allow": ["192.0.2.0/24"], "not_before": "2026-01-01T00:00:00Z",
//	  "expires": "2027-01-01T00:00:00Z", "status": "active"}]}
//
// id, hash, owner and status are required. Unknown and repeated members, null,
// an empty allow and every value out of its form refuse the whole file; the
// error names each entry that has one.
//
// # Failing
//
// The package fails closed. [Open] refuses a bad file. Later the file is reread
// within a second or so of a change, and one that is missing, empty, half
// written or invalid never replaces the keys in force: that is reported (see
// [OnReload], [Store.State]) and tried again. A file with an empty list of keys
// is valid and does replace them: it says that no key is good any more.
package apikey
