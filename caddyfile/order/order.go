// Package order holds the order in which Sallyport's directives run. Order is a
// security property: a limit behind the check it protects protects nothing. So
// it is one table, registered in one place and imported by every module that
// has a directive.
//
// Separate registrations in the modules would follow Go's initialisation order,
// which is the alphabet of import paths and puts auth ahead of CORS.
package order

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Entry is one directive's place in the chain.
type Entry struct {
	// Directive is the word in the Caddyfile and the last label of the module ID.
	Directive string
	// Before is the standard directive in front of which this one is placed.
	// Entries with the same anchor keep the order of the table.
	Before string
	// Reason says why the directive stands where it stands.
	Reason string
}

// Table is the chain from the outside inwards.
var Table = []Entry{
	{"telemetry", "tracing", "outermost: what it times and counts includes every other handler, and it refuses nothing"},
	{"tls_policy", "redir", "a request that came over a connection made for another site is refused before anything is judged by it"},
	{"allowlist", "redir", "cheapest verdict first: an address that may not call costs nothing else"},
	{"security_headers", "redir", "every response has them, the refusals of what stands behind too; outside cors, with which it has to agree"},
	{"cors", "redir", "a preflight carries no credentials, so it is answered before auth; its headers stay on every later refusal"},
	{"rate_limiter", "redir", "protects auth, whose signature checks are the dearest step, from floods"},
	{"verify_gateway", "redir", "in front of a service: what did not come through the gateway costs nothing more, and its caller is the principal below"},
	{"auth", "redir", "finds the principal that everything below decides on"},
	{"access_rules", "redir", "decides what that principal may call, before it can cost anything"},
	{"quota", "redir", "charges the principal that auth found, and only for calls it may make"},
	{"validate", "redir", "strangers neither make us parse a megabyte nor learn the API's shape from errors"},
	{"redact", "push", "inside encode, so that it reads what the backend wrote and clients still get compression"},
	{"health", "respond", "answers probes; a terminal handler like respond"},
	{"problem", "respond", "answers errors inside handle_errors; a terminal handler like respond"},
}

func init() {
	for _, e := range Table {
		httpcaddyfile.RegisterDirectiveOrder(e.Directive, httpcaddyfile.Before, e.Before)
	}
}

// Directive is a handler that reads itself from a Caddyfile. If it also has
// SetMatcher(caddy.ModuleMap), its directive takes an optional matcher token.
type Directive interface {
	caddyfile.Unmarshaler
	caddyhttp.MiddlewareHandler
}

type matchable interface {
	SetMatcher(caddy.ModuleMap)
}

// Register makes newHandler the handler of a directive of the Table, and
// panics if the directive is not in it.
//
// A matcher does not go on the route, where Caddy would judge it before the
// canonical check and sort instances by it, but into the handler, which judges
// it after that check: the guard always runs, and instances keep their order in
// the file.
func Register(directive string, newHandler func() Directive) {
	if !known(directive) {
		panic("directive " + directive + " is not in the order table")
	}
	httpcaddyfile.RegisterDirective(directive, func(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
		if !h.Next() {
			return nil, h.ArgErr()
		}
		matcher, err := h.ExtractMatcherSet()
		if err != nil {
			return nil, err
		}
		handler := newHandler()
		if matcher != nil {
			m, ok := handler.(matchable)
			if !ok {
				h.Next()
				return nil, h.Errf("%s takes no matcher", directive)
			}
			m.SetMatcher(matcher)
		}
		if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
			return nil, err
		}
		return h.NewRoute(nil, handler), nil
	})
}

func known(directive string) bool {
	for _, e := range Table {
		if e.Directive == directive {
			return true
		}
	}
	return false
}
