// Package sallyport is the whole suite: importing it compiles every module into
// Caddy. It is what makes the usual line work:
//
//	xcaddy build --with github.com/sallyport-gateway/sallyport
//
// The modules are in modules/, one folder each.
package sallyport

import (
	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/app"
	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	_ "github.com/sallyport-gateway/sallyport/modules/cors"
	_ "github.com/sallyport-gateway/sallyport/modules/desync"
	_ "github.com/sallyport-gateway/sallyport/modules/elb"
	_ "github.com/sallyport-gateway/sallyport/modules/health"
	_ "github.com/sallyport-gateway/sallyport/modules/problem"
	_ "github.com/sallyport-gateway/sallyport/modules/ratelimiter"
	_ "github.com/sallyport-gateway/sallyport/modules/redact"
	_ "github.com/sallyport-gateway/sallyport/modules/securityheaders"
	_ "github.com/sallyport-gateway/sallyport/modules/storage"
	_ "github.com/sallyport-gateway/sallyport/modules/telemetry"
	_ "github.com/sallyport-gateway/sallyport/modules/tlspolicy"
	_ "github.com/sallyport-gateway/sallyport/modules/upstream"
	_ "github.com/sallyport-gateway/sallyport/modules/validate"
)
