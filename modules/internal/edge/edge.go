// Package edge stands outside of Caddy's own handler, around every server that
// has a guard, a balancer (elb) or health: there it sees each request before
// Caddy reads anything of it, and each response, also those that no module of
// the suite writes. It knows who the balancer says is calling, how many requests
// are under way, and asks clients to leave while the gateway drains.
//
// HTTP/3 passes it by: Caddy has another server for it. There is none behind a
// balancer.
package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// Request is what stands fixed about a request before Caddy reads it.
type Request struct {
	// Client is the established client's address, unmapped and without zone. The
	// zero Addr says that none is established.
	Client netip.Addr
	// Balanced says that the peer is the trusted balancer.
	Balanced bool
	// Trace is the balancer's identifier of the request, "" when it has none.
	Trace string
	// Crowded says that the client has too many connections in use; the module
	// that called LimitConnections has to refuse the request.
	Crowded bool
	// Measured is where the time of the request goes; nil unless MeterBy was called.
	Measured *Measurement
}

// Balancer is what stands in front of a server and names its clients.
type Balancer interface {
	// Identify reads what the balancer wrote about r into req, and rewrites or
	// removes every header of r that names an address or a trace, so that only
	// what was established is left. It is called once for each request.
	Identify(r *http.Request, req *Request)
}

// Vendor is a Balancer that says whose it is, as its headers differ: a word such as
// aws_alb.
type Vendor interface {
	Vendor() string
}

// Server is the edge of one server in one configuration. Behind and
// LimitConnections are for provisioning; the rest is safe for concurrent use.
type Server struct {
	caddy    *caddyhttp.Server
	suite    *suite.Config
	name     string
	balancer Balancer
	crowd    Crowd
	meter    Meter
	unset    unset

	enclose sync.Once
	inner   http.Handler
	heads   heads
	metrics serverMetrics
}

// Of returns the edge of the server that is being provisioned, and puts it in
// place the first time. Call it in Provision of a handler, a listener wrapper or
// an ip source.
func Of(ctx caddy.Context) (*Server, error) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil, errors.New("this module works only in a server of the http app")
	}
	if server.EnableFullDuplex {
		return nil, errors.New("enable_full_duplex: where a body is cut, net/http takes its rest for the next request of the connection: remove it")
	}
	config, err := suite.Of(ctx)
	if err != nil {
		return nil, err
	}
	if err := metric.Register(ctx, collectors...); err != nil {
		return nil, err
	}
	return config.Once(edgeOf{server}, func() any {
		s := New(server)
		s.suite = config
		s.limitSlowness()
		s.register()
		return s
	}).(*Server), nil
}

// New returns an edge of server that is around nothing yet: for tests of what
// modules ask of a server.
func New(server *caddyhttp.Server) *Server {
	name := nameOf(server)
	return &Server{
		caddy: server, name: name, metrics: metricsOf(name),
		unset: unset{idle: server.IdleTimeout == 0, header: server.ReadHeaderTimeout == 0},
	}
}

// edgeOf is the key under which a configuration keeps the edge of a server.
type edgeOf struct{ server *caddyhttp.Server }

// Caddy returns the server that the edge is around.
func (s *Server) Caddy() *caddyhttp.Server { return s.caddy }

// Name returns the configured name of the server, as in the metrics: its first
// address, which says more than what the Caddyfile adapter calls it.
func (s *Server) Name() string { return s.name }

func nameOf(server *caddyhttp.Server) string {
	if len(server.Listen) > 0 {
		return server.Listen[0]
	}
	return server.Name()
}

// unset are the timeouts of a server that were not configured, and that modules
// may set: more than one can want them longer.
type unset struct{ idle, header bool }

// KeepIdle makes the server keep a connection between requests for at least d, or
// reports false if it is configured to keep it for less. A negative timeout is
// for ever.
func (s *Server) KeepIdle(d time.Duration) bool {
	if s.unset.idle {
		s.caddy.IdleTimeout = max(s.caddy.IdleTimeout, caddy.Duration(d))
	}
	return s.caddy.IdleTimeout < 0 || s.caddy.IdleTimeout >= caddy.Duration(d)
}

// AwaitRequests makes the server wait for the first request of a connection for
// at least d, unless configured: balancers open connections before they need them.
func (s *Server) AwaitRequests(d time.Duration) {
	if s.unset.header {
		s.caddy.ReadHeaderTimeout = max(s.caddy.ReadHeaderTimeout, caddy.Duration(d))
	}
}

// Behind says that the server's clients are named by b.
func (s *Server) Behind(b Balancer) error {
	if s.balancer != nil {
		return errors.New("the server has a balancer already")
	}
	s.balancer = b
	return nil
}

// Balancer returns what Behind was called with, or nil.
func (s *Server) Balancer() Balancer { return s.balancer }

// Vendor returns whose balancer stands in front, or "" if there is none, or one of
// which that is not known.
func (s *Server) Vendor() string {
	if v, ok := s.balancer.(Vendor); ok {
		return v.Vendor()
	}
	return ""
}

// LimitConnections bounds how many connections one client, or one /64 of IPv6,
// has in use at a time; 0 is no bound. A connection is in use while a request on
// it is under way, so this holds behind a balancer that pools its connections.
// Requests beyond it are Crowded, and counted as cut.
func (s *Server) LimitConnections(limit int) { s.crowd.Limit = limit }

// register puts the edge in front of the server's handler. Caddy has no hook
// outside of its own handler that knows the response: the http.Server is reached
// through the context of a connection, which net/http makes before it serves
// that connection, so that no handler runs before it was replaced.
func (s *Server) register() {
	s.caddy.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		s.enclose.Do(func() {
			if server, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
				s.inner, server.Handler = server.Handler, s
			}
		})
		return s.heads.track(ctx, conn)
	})
	s.caddy.RegisterConnState(s.suite.TrackConnection)
	s.caddy.RegisterConnState(s.connectionState)
	s.caddy.RegisterOnShutdown(s.suite.Closing)
	s.caddy.RegisterOnStop(s.suite.WaitForRequests)
}

// ServeHTTP lets the balancer identify the client, and Caddy handle the request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.suite.RequestStarted()
	defer s.suite.RequestEnded()
	head(r).complete()
	ctx := &requestContext{Context: r.Context()}
	ctx.response = response{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, draining: s.suite.Draining}
	if s.meter != nil {
		ctx.measured.begin(r, s.meter)
		ctx.request.Measured, ctx.response.measured = &ctx.measured, &ctx.measured
		defer ctx.measured.end()
	}
	if s.balancer != nil {
		s.balancer.Identify(r, &ctx.request)
	}
	if client := ctx.request.Client; client.IsValid() {
		if s.crowd.Enter(client) {
			defer s.crowd.Leave(client)
		} else {
			ctx.request.Crowded = true
			s.metrics.crowded.Inc()
		}
	}
	// A copy, always: Caddy replaces the Body of the request it gets, and net/http
	// closes a connection whose body was not read to its end only if it finds its
	// own Body in the request that it made. It would take the rest of the body for
	// the next request of the connection.
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &body{ReadCloser: r.Body, cut: s.metrics.slowBody, measured: ctx.request.Measured}
	}
	s.inner.ServeHTTP(&ctx.response, r)
	ctx.response.begin() // of a handler that wrote nothing
	ctx.measured.answered()
}

// requestContext carries a Request, and is what the edge allocates for one: its
// context, its values there, and the writer of its response.
type requestContext struct {
	context.Context
	request  Request
	response response
	measured Measurement
}

type requestKey struct{}

func (c *requestContext) Value(key any) any {
	if key == (requestKey{}) {
		return &c.request
	}
	return c.Context.Value(key)
}

// From returns what the edge found out about r, or nil where there is no edge.
// Without a Balancer it knows nothing about the client.
func From(r *http.Request) *Request {
	req, _ := r.Context().Value(requestKey{}).(*Request)
	return req
}
