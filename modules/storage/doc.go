// Package storage keeps Caddy's certificates, private keys, challenges and locks
// in Redis or Valkey: what identical, short-lived gateways need to share.
//
//	{
//		storage redis {
//			address              rediss://:{env.REDIS_PASSWORD}@redis.internal:6379/0
//			cluster                                     # the one address is a cluster's; several are one anyway
//			sentinel             <master> <urls...>     # instead of address
//			username             <name> | {env.NAME} | {file.PATH}
//			password             {env.NAME} | {file.PATH}
//			ca                   <file>                 # default: the system's authorities
//			client_certificate   <file>
//			client_key           <file>
//			insecure_skip_verify                        # believes any server
//			timeout              <duration>             # of one command, default 1s
//
//			prefix               <text>                 # default caddy: gateways with one prefix share
//			key                  <id> {env.NAME} | {file.PATH}    # required; the first encrypts, all decrypt
//			insecure_plaintext                          # instead of key
//			lock_lease           <duration>             # 1s to 10m, default 30s
//			wait                 <duration>             # 10ms to 1h, default 10s
//		}
//	}
//
// timeout has to be shorter than wait, so that a store that hangs is found out
// before an operation ends, and at most half of lock_lease, so that one lost answer
// does not cost a lock.
//
// What an address may be, and when files and variables are read, stands in the
// comment of modules/internal/store. {file.NAME} needs a slash.
//
// It fails closed. A value that cannot be read, or is not what was stored under
// its name, is an error that names it, and never an absent value, which Caddy
// would replace. A store that is away is waited for, for `wait` in each operation;
// then the operation fails. Certificates that a gateway has in memory go on being
// served. Nothing is connected while provisioning, except that Caddy itself loads
// the authority of `tls internal` from storage then. A site that has no
// certificate in memory and whose first load fails is not tried again by Caddy
// until the next reload: where the store may start later than the gateway, make
// `wait` longer than that.
//
// # Encryption
//
// Values are sealed with AES-256-GCM and bound to the prefix and their name. The
// store and its backups therefore have no private key, and whoever can write to
// the store can delete or go back to an older value of the same name, but not
// change one or put it under another name. Names are not secret. A key is 32
// random bytes in base64 or hexadecimal: openssl rand -base64 32.
//
// To rotate, put the new key behind the old one on all gateways, then in front,
// and remove the old one when everything was stored again: certificates are when
// they are renewed, accounts of authorities never, so that removing the old key
// makes Caddy unable to read them until `caddy storage export` and `import` have
// written all values anew.
//
// # Names
//
// They are the path-like names of certmagic, with the semantics of its file
// storage, except that a directory ends with the last value in it, and that the
// root cannot be deleted. All keys have one hash tag, and so are on one node of a
// cluster: {prefix}:values and :names, and :writer:*, :lock:*, :fence:* and
// :ended:*, which expire within eighty minutes when nothing is written or locked. A
// value and its name in the index change in one script. The store must not evict
// (maxmemory-policy noeviction; another policy is warned of on connecting), and
// should write to disk (appendonly yes). While it is out of memory nothing is
// stored or locked anew; locks are renewed and released. A name may have 4096
// bytes, a value 32 MiB.
//
// # Late attempts
//
// When a connection breaks, a command is sent again over another, and the first
// attempt may arrive after the second, and after what was done since. Calls of
// Store and Delete have the number in which they began in their process, over
// reloads, the same for all attempts, and the store remembers the last for each
// name, for eighty minutes, twenty more than the longest `wait`: what is not newer
// does nothing. The store remembers for twenty minutes who has released a lock or
// given up waiting for it: whoever has does not get it, and is told again what
// Unlock found.
//
// # Locks and fencing
//
// A lock is a random token of its owner in the store that runs out after
// lock_lease; the owner renews it at a third of that, and releases and renews only
// its own token. A gateway that dies leaves its locks for at most lock_lease, or,
// if the store's clock is set back, ten minutes from when the next one asks.
// While the store is away locks are kept: if nobody took one in the meantime, its
// owner has it again, else it is lost. Waiters ask again at random intervals of at
// most half a second. RenewLockLease, by which certmagic asks for leases of hours,
// confirms ownership and renews for lock_lease only.
//
// Each time a lock is taken, its name gets a fencing token that is larger than all
// before, also than those of a store that has lost its memory, as long as its
// clock does not go back. Tokens are kept for an hour after the last renewal; a
// lock without one counts as lost. certmagic does not say under which lock it stores. So
// Store and Delete name all locks that this gateway took through this storage and
// has not released, with their tokens, and the script that writes first
// compares: if one of them has another owner, or was had by another since, nothing
// is written. That holds also for a process that was stopped for longer than its
// lease, and for a command that was under way all the time. It goes on until the
// lock that was lost is unlocked, which is an error then and leaves the next
// owner's alone; other stores of this gateway fail meanwhile, too. Gateways before
// and after a reload do not see each other's locks.
//
// What it cannot do: a server that fails over to a replica which had not received
// a lock lets a second owner in. The first finds that out at its next renewal or
// Store, and not before.
//
// # Metrics
//
// sallyport_storage_errors_total{operation,reason}, where operation is store,
// load, delete, exists, list, stat, lock, unlock or renew. Of the reasons, away,
// timeout, busy, refused and closed are about the store; key_unknown, key_wrong,
// encrypted, plaintext, tampered, truncated, foreign and version about a value;
// lock_lost and lock_not_held about a lock; further answer, not_a_file,
// too_large, cancelled and other. The store's own metrics are sallyport_store_*.
package storage
