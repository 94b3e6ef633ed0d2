package elb

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

func init() {
	caddy.RegisterModule(new(requests))
}

var reasonCrowded = decision.NewReason("client.too_many_connections", http.StatusTooManyRequests, "The client has too many connections in use.")

// requests stands in front of the routes of a server behind a balancer, also of
// those without a guard. It refuses the requests of a client with too many
// connections in use, leaves Caddy's matchers no address where none is
// established, keeps the caller from removing or adding headers behind our back,
// and makes {elb.vpce_id}, {elb.psc_connection_id} and {elb.link_id} known. It has
// no directive.
type requests struct{}

// requestsRoute is the route with it.
const requestsRoute = `{"handler":"elb_requests"}`

// precede puts requests in front of server's routes, and of its error routes,
// which may name the placeholders. That is safe in Provision of an ip source or a
// listener wrapper only: routes are provisioned after them.
func precede(server *caddyhttp.Server) {
	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(requestsRoute)}}
	if precedes(server.Routes) {
		return
	}
	server.Routes = slices.Insert(server.Routes, 0, route)
	if server.Errors != nil {
		server.Errors.Routes = slices.Insert(server.Errors.Routes, 0, route)
	}
}

func precedes(routes caddyhttp.RouteList) bool {
	return len(routes) > 0 && len(routes[0].HandlersRaw) == 1 && string(routes[0].HandlersRaw[0]) == requestsRoute
}

// CaddyModule returns the Caddy module information.
func (*requests) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.elb_requests",
		New: func() caddy.Module { return new(requests) },
	}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (*requests) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	name(r)
	if r.Context().Value(caddyhttp.ErrorCtxKey) != nil {
		return next.ServeHTTP(w, r)
	}
	if seen := edge.From(r); seen == nil || !seen.Client.IsValid() {
		// Caddy took the balancer for the client, and a matcher may admit it.
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, nobody)
	} else if seen.Crowded {
		return caddyhttp.HandlerError{StatusCode: reasonCrowded.Status, Err: &decision.Refusal{Reason: reasonCrowded}}
	}
	keepConnectionHeader(r.Header)
	// Some backends merge trailers into the header.
	r.Trailer = nil
	return next.ServeHTTP(w, r)
}

// nobody is the client's address in Caddy's eyes where none is established: it is
// no caller's, and in no list of private or public networks.
const nobody = "0.0.0.0"

// keepConnectionHeader makes the Connection header name nothing but what belongs
// to the connection: the proxy removes what it names, and X-Forwarded-For is ours.
func keepConnectionHeader(h http.Header) {
	switch {
	case canonical.ConnectionOnly(h):
	case len(h["Upgrade"]) > 0:
		h["Connection"] = []string{"Upgrade"}
	default:
		delete(h, "Connection")
	}
}

// name makes the placeholders known, empty where there is nothing: some
// directives write out the names of those that are not known.
func name(r *http.Request) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	var h proxyheader.Header
	if a := clientOf(r); a != nil {
		h = a.Header
	}
	if h.VPCEndpoint == "" && !h.HasPSCConnection && !h.HasLink {
		repl.Map(noPlaceholders)
	} else {
		repl.Map(func(key string) (any, bool) { return placeholder(&h, key) })
	}
}

var noHeader proxyheader.Header

func noPlaceholders(key string) (any, bool) { return placeholder(&noHeader, key) }

func placeholder(h *proxyheader.Header, key string) (any, bool) {
	switch key {
	case "elb.vpce_id":
		return h.VPCEndpoint, true
	case "elb.psc_connection_id":
		if !h.HasPSCConnection {
			return "", true
		}
		return strconv.FormatUint(h.PSCConnection, 10), true
	case "elb.link_id":
		if !h.HasLink {
			return "", true
		}
		return strconv.FormatUint(uint64(h.Link), 10), true
	}
	return nil, false
}

// Interface guards
var _ caddyhttp.MiddlewareHandler = (*requests)(nil)
