// Package store is the client of the Redis or Valkey that several gateways share.
// Modules configure it with the same options:
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
//	timeout              <duration>           # of one command, 1ms to 1m; default 1s
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
// # Metrics
//
// sallyport_store_commands_total{store,outcome}, where outcome is ok, refused (the
// server's answer was an error), busy (it will answer another time), timeout, or
// away; and sallyport_store_up{store}. store is the first address. Going away and
// coming back is a log line each.
package store
