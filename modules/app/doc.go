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
// # Reloads
//
// The old configuration's guards answer with Connection: close until clients have
// moved to the new one, at most five seconds, and only then does Caddy stop its
// servers. What is provisioned badly is rejected before Caddy replaces the admin
// endpoint, and a rejected configuration's default logger does not stay.
//
// What this cannot cover, because Caddy offers no place for it: a configuration
// that provisions and then fails to start (a port in use), or that says `admin
// off` and is rejected, has replaced the admin endpoint before it fails.
package app
