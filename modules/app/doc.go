// Package app is the `sallyport` app: what the modules of one configuration
// share, how reloads and rejected reloads leave running requests, logs and the
// admin endpoint alone, and the command `caddy sallyport`.
//
// Every configuration with a guard has the app; it needs to be written only for
// its options.
//
//	{
//		sallyport {
//			canonical {
//				mode enforce | dry_run
//				allow path_parameters | encoded_slash | empty_segments | query_semicolon | method_override …
//			}
//		}
//	}
//
// canonical is the check that stands in front of every request of a server that
// has a guard: requests with two readings are refused with 400 request.*. allow
// names the ambiguous forms that a backend needs; dry_run counts refusals and
// lets the requests pass. Both weaken every guard behind them: a path rule judges
// what the gateway read, and the backend may read something else.
//
// # Logs
//
// What is logged through the standard library, by net/http for one, goes to
// Caddy's default log and so through its encoder. That includes what a `sink` in a
// JSON configuration would get.
//
// # Reloads
//
// The old configuration's guards answer with Connection: close until clients have
// moved to the new one, at most five seconds, and only then does Caddy stop its
// servers. A connection for each request still loses a few: they wait in the
// queue of the listening socket that is closed.
//
// It holds for clients whose requests pass a guard; others learn of the reload as
// from stock Caddy, when their connection is closed.
//
// A configuration that cannot be provisioned is rejected before Caddy replaces
// the admin endpoint. One that cannot be started, or that says `admin off`, has
// replaced it by then: the configuration in force is loaded again to bring it
// back, and reads its files again. A rejected configuration's default logger does
// not stay.
package app
