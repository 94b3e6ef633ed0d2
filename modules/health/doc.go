// Package health answers the probes of balancers and orchestrators, for any Host:
//
//	:8081 {
//		health {
//			details 10.0.9.0/24
//		}
//	}
//
//	GET /livez     200 while the process serves requests
//	GET /readyz    200 when every condition of readiness holds, else 503
//	GET /startupz  200 once every condition has held, from then on, else 503
//
// The configuration has to be in force, and the gateway not about to end: from
// SIGTERM on it is not ready (see package app for what follows). Other conditions
// come from the modules of the same configuration, such as a key set that was
// loaded. Which one does not hold is logged, when that changes, and not shown: a
// prober may be anybody.
//
// It also serves what other modules publish for machines that trust this gateway,
// such as the keys of its assertions (/.well-known/sallyport/jwks.json, see package
// upstream). Other paths go on to the next handler, other methods than GET and HEAD
// are answered with 405.
//
// details names who is told, in the header Sallyport-Policy of /readyz, the digest
// of the policy in force: `caddy sallyport drift` asks there. It goes by the address
// of the connection, and what a header says can only take that away: a balancer that
// is named and forwards a request tells nobody who is not named too. Without details
// nobody is told.
//
// Put it on a port of its own, or in front of the guards' sites: it is no guard
// and passes none.
package health
