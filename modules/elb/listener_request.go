package elb

import (
	"context"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

// connKey is the key of a request's connection in its context.
type connKey struct{}

// keepConnections makes requests on server know their connection.
func keepConnections(server *caddyhttp.Server) {
	server.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		// This is net/http's accept loop. To ask for the address here would wait
		// for the header, and three silent connections would stop the server.
		return context.WithValue(ctx, connKey{}, conn)
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

// Interface guards
var _ edge.Balancer = passthrough{}
