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
// Keys that were made elsewhere may have any form. They are found by their hash,
// and so by one lookup, as ours are by their id; [Import] adds them without seeing
// them. What looks like a key of ours is judged only as one.
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
//	  "expires": "2027-01-01T00:00:00Z", "status": "active",
//	  "rotated_to": "k9x2m"},
//	 {"id": "legacy1", "form": "whole", "hash": "hmac-sha256:<64 hex>",
//	  "owner": "acme", "status": "active"}]}
//
// id, hash, owner and status are required. With "form": "whole" the hash is
// HMAC-SHA-256(pepper, "whole:" and the 32 bytes of SHA-256(key)): it can be made
// from a plain SHA-256, and without the pepper no guess can be tried at it.
// rotated_to is for people. Unknown and repeated members, null, an empty allow and
// every value out of its form refuse the whole file; the error names each entry
// that has one.
//
// # Failing
//
// The package fails closed. [Open] refuses a bad file. Later the file is reread
// within a second or so of a change, and one that is missing, empty, half
// written or invalid never replaces the keys in force: that is reported (see
// [OnReload], [Store.State]) and tried again. A file with an empty list of keys
// is valid and does replace them: it says that no key is good any more.
//
// No beginning of a file is a file, so one that was cut off is refused. A program
// that overwrites the file in place, in steps with pauses between them, can leave
// for that long what is whole and neither the old file nor the new one. Write
// another file beside it and rename it, as the functions of this package do.
//
// # What strangers can learn
//
// Of keys they do not have, nothing: an unknown id, a wrong secret and an unknown
// key that was made elsewhere take the same path through one HMAC and one comparison
// in constant time. The only value of theirs that is looked up as it is, is the id,
// which is public; what is looked up for keys made elsewhere is an HMAC, of which
// they can neither choose nor know a bit. Revoked, expired, too early and from a wrong
// address are told apart only behind the right secret.
//
// # Last use
//
// sallyport_api_key_last_used_timestamp_seconds{file,key_id} is when a key was last
// accepted by this process, in Unix time to the second. A key has it from its first
// use until it leaves the file, over reloads.
package apikey
