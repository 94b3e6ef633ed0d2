// Package store has what gateways share: Store, the state that requests are judged
// by, in the memory of the process or in Redis or Valkey, and Client, the client of
// the latter. Modules reach the Store of their configuration through suite.Config.
// The client is configured with the same options wherever it is used:
//
//	address              <urls...>            # redis, rediss (TLS), unix; several are a cluster
//	cluster                                   # the one address is a cluster's
//	sentinel             <master> <urls...>   # instead of address
//	username             <name> | {env.NAME} | {file.PATH}
//	password             {env.NAME} | {file.PATH}
//	ca                   <file>               # authorities of the server's certificate; default: the system's
//	client_certificate   <file>
//	client_key           <file>
//	insecure_skip_verify                      # believes any server
//	timeout              <duration>           # of one command, 1ms to 1m; default 1s, of the app 20ms
//
// An address is [scheme://][[user]:password@]host[:port][/database], and its
// password a placeholder, too. With sentinel, the credentials in the addresses are
// the sentinels'. {file.NAME} needs a slash. Files and variables are read again for
// each connection, so that certificates and passwords can be rotated in place;
// only sentinel keeps the password it began with.
//
// # Connections
//
// Modules with equal options share one client, which lives as long as one of them
// does, over reloads. Nothing is connected while provisioning. The first command
// connects; when a connection fails, one goroutine tries again, at most once a
// second, until the store is back, and commands meanwhile fail at once. Commands
// are not repeated here: their callers know which may be. Concurrent ones share a
// connection and are pipelined, at no delay. There is no cache in the client.
//
// A command ends with its context and timeout, and waits for a place if 448 are
// under way. After one without an answer the server gets a PING; if that has no
// answer within the timeout (at least 200ms), the connection is given up with all
// that is under way on it.
//
// After READONLY from a single server its connection is given up, and the store is
// down until the address leads to a server that is no replica, by ROLE. A user who
// may not send ROLE finds out by writing, once a second. Sentinels and clusters name
// their masters themselves.
//
// A reply that says that the server cannot now, for lack of memory, of disk or of
// connections for example, may pass; so may all errors while connecting but
// WRONGPASS, NOAUTH and NOPERM.
//
// A server whose maxmemory-policy is not noeviction is warned of, once, if the user
// may send INFO.
//
// # Claims
//
// Store.Claim is SET NX PX, one name for each claim, on whichever node of a cluster
// it is. It is as good as the server's memory: one that evicts (maxmemory-policy
// other than noeviction), that starts empty, or that fails over to a replica which
// had not received a claim, lets a second one be first. Memory keeps 1000000 claims,
// at about 90 bytes each, and refuses more until one is over; it begins empty with
// the process, and knows nothing of other gateways.
//
// # Revocations
//
// The list of Revocations is a hash, a sorted set and a sorted set of marks, in one
// slot: {<prefix>:revocations}:entries, :log and :marks. Scripts change and read it, so
// that it is always whole; one that lost a part is an error until somebody who has a
// copy restores it, and each change has a random mark by which a reader notices that
// the list is not the one it knew: after FLUSHALL, a failover that took changes back, or
// a start from an old dump. It is not read from a replica, which may be cut off: an old
// master after a failover. What a reader knows it need not forget then. A reader who
// starts has to believe the list it finds, also an empty one: so keep it
// (appendonly yes), and let gateways run. There is room for 1000000 entries, at about
// 250 bytes of the server's memory each.
//
// # Hostile servers
//
// valkey-go panics at malformed answers, in goroutines of its own, which nobody can
// recover. So connections are cut at lengths that are negative or above 64 MiB, at
// more than 1048576 elements or 16 levels in one reply, at lines above 64 KiB, at
// attributes and lengths that come later, and, unless there are sentinels, at
// pushes and at answers without a command. Panics in goroutines that are ours are
// errors. What is left: with sentinel, a server or a sentinel that answers or pushes
// unasked may end the process; and so may a cluster's node or a sentinel whose
// answers about the topology are well-formed and senseless, since valkey-go reads
// them in goroutines of its own. TLS keeps others from being that server.
//
// # Metrics
//
// sallyport_store_commands_total{store,outcome}, where outcome is ok, refused (the
// server's answer was an error), busy (it will answer another time), timeout, or
// away; and sallyport_store_up{store}. store is the first address. Going away and
// coming back is a log line each. Of the memory there are only
// sallyport_store_commands_total{store="memory"}, ok and, when it is full, busy; that
// is a log line a minute at most.
package store
