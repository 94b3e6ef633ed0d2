package elb

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

func init() {
	caddy.RegisterModule(new(placeholders))
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// nameClients makes requests on server know their connection, and puts the
// placeholders in front of its routes. That is safe in a listener wrapper's
// Provision only: routes are provisioned after it.
func nameClients(server *caddyhttp.Server) {
	server.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		// This is net/http's accept loop. To ask for the address here would wait
		// for the header, and three silent connections would stop the server.
		return context.WithValue(ctx, connKey{}, conn)
	})
	server.Routes = slices.Insert(server.Routes, 0, caddyhttp.Route{
		HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler":"elb_placeholders"}`)},
	})
}

// clientOf returns what the header of r's connection says, or nil.
func clientOf(r *http.Request) *proxyheader.Addr {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return nil
	}
	return proxyheader.Find(conn.RemoteAddr())
}

// passthrough is a balancer that passes TCP through: the client is who the
// connection's header says, and what the request says about it, the client wrote.
type passthrough struct{}

// Identify implements edge.Balancer. The balancer's health checks are on behalf
// of nobody.
func (passthrough) Identify(r *http.Request, req *edge.Request) {
	if a := clientOf(r); a != nil && !a.Local {
		req.Client = a.Client.Addr()
	}
	removeClaims(r.Header)
}

// placeholders makes {elb.vpce_id}, {elb.psc_connection_id} and {elb.link_id}
// known. The listener wrapper puts it in front of a server's routes; it has no
// directive.
type placeholders struct{}

// CaddyModule returns the Caddy module information.
func (*placeholders) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.elb_placeholders",
		New: func() caddy.Module { return new(placeholders) },
	}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (*placeholders) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return next.ServeHTTP(w, r)
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
	return next.ServeHTTP(w, r)
}

var noHeader proxyheader.Header

// noPlaceholders makes the placeholders known as empty: some directives write
// out the names of those that are not known.
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
var (
	_ edge.Balancer               = passthrough{}
	_ caddyhttp.MiddlewareHandler = (*placeholders)(nil)
)
