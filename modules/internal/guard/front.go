package guard

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/clientip"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// Request is the one view of a request that all guards share.
type Request struct {
	canonical.Request

	// Client is the client's address, unmapped and without zone. It is valid
	// unless the guard is in dry_run.
	Client netip.Addr

	// Principal is who calls; nil before auth, and for anonymous callers.
	Principal *principal.Principal

	// CORS is what the cors guard that decides about the request keeps, for that
	// package alone; nil before there is one.
	CORS any

	// SecurityHeaders is what the security_headers that decides about the request
	// keeps, for that package alone; nil before there is one.
	SecurityHeaders any

	assertions map[string][]string
	clientErr  error
	ambiguous  bool // the path has a form that Options allow, or nobody refused
}

// String keeps the view out of whatever prints Caddy's variables.
func (*Request) String() string { return "" }

// requestVar is the key of the Request among Caddy's variables of a request.
const requestVar = "sallyport.request"

// From returns the view of r that Begin made, or nil in front of every guard.
func From(r *http.Request) *Request {
	req, _ := caddyhttp.GetVar(r.Context(), requestVar).(*Request)
	return req
}

// front checks every request of one server, before any matcher and handler:
// Caddy's matchers read requests in their own way, and a guard behind one that
// missed never runs.
type front struct {
	suite         *suite.Config
	edge          *edge.Server
	site          string
	clientHeaders []string // where the client's address is read from
	assertions    *assertions
	logger        *zap.Logger
}

// frontOf returns the front of server in this configuration and puts it in place
// the first time.
func frontOf(around *edge.Server, config *suite.Config, logger *zap.Logger) (*front, error) {
	server := around.Caddy()
	if err := clientip.CheckServer(server); err != nil {
		return nil, err
	}
	taken := assertionsOf(config)
	made := config.Once(server, func() any {
		if currentRoute(server) == nil {
			return errNoFront
		}
		f := &front{suite: config, edge: around, site: around.Name(), clientHeaders: server.ClientIPHeaders,
			assertions: taken, logger: logger}
		f.precede(server)
		return f
	})
	if err, ok := made.(error); ok {
		return nil, err
	}
	decision.FallBack(config, server)
	return made.(*front), nil
}

// errNoFront is for a server whose only guards are where Caddy comes too late to
// put anything in front of its routes.
var errNoFront = errors.New("the server's only guards stand in named routes or error routes: put one into a site, or use " +
	"a snippet and import instead of a named route and invoke")

// precede makes f the first matcher of the server's first route. Routes cannot
// be added here: they are being provisioned, and a copied list would be compiled
// without its handlers. Matcher sets can, because they are read at compile time,
// and an error from a matcher ends a request through the error routes.
func (f *front) precede(server *caddyhttp.Server) {
	sets := &server.Routes[0].MatcherSets
	if len(*sets) == 0 {
		*sets = caddyhttp.MatcherSets{nil}
	}
	for i := range *sets {
		(*sets)[i] = slices.Insert((*sets)[i], 0, any(f))
	}
}

// FrontErrorRoutes puts handler in front of the error routes of the guard's server,
// once for each key and server, and returns the handler that stands there: for what
// a guard does to every response, refusals included. That is possible while the
// server's routes are being provisioned; error routes come after them, and named
// routes last. Call it after Setup.
func (g *Guard) FrontErrorRoutes(ctx caddy.Context, key any, handler caddyhttp.MiddlewareHandler) (caddyhttp.MiddlewareHandler, error) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil { // Setup has seen to both
		return nil, fmt.Errorf("%s works only in a server of the http app", g.name)
	}
	inPlace, ok := g.suite.Once(errorRouteOf{server, key}, func() any {
		if currentRoute(server) == nil {
			return nil
		}
		route := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{handler}}
		server.Errors.Routes = slices.Insert(server.Errors.Routes, 0, route)
		return handler
	}).(caddyhttp.MiddlewareHandler)
	if !ok {
		return nil, fmt.Errorf("the server's only %s stands in a named route or an error route, where it cannot see all "+
			"responses: put it into a site, or use a snippet and import instead of a named route and invoke", g.name)
	}
	return inPlace, nil
}

// errorRouteOf is the key under which a server's handler in front of its error
// routes is kept.
type errorRouteOf struct {
	server *caddyhttp.Server
	key    any
}

// MatchWithError implements caddyhttp.RequestMatcherWithError. It matches every
// request that it does not refuse.
func (f *front) MatchWithError(r *http.Request) (bool, error) {
	if _, err := f.check(r); err != nil {
		return false, err
	}
	return true, nil
}

// check makes the view of r, once. A refused request has a view too, what Go read
// of it: guards in the error routes that answer it need one.
func (f *front) check(r *http.Request) (*Request, error) {
	if req := From(r); req != nil {
		return req, nil
	}
	sent := original(r)
	req := new(Request)
	var refused *canonical.Refusal
	if req.Request, refused = canonical.Parse(sent, f.suite.Canonical); refused != nil {
		req.Request = canonical.Lenient(sent)
	}
	req.ambiguous = refused != nil || req.Path != sent.URL.Path
	req.Client, req.clientErr = clientip.FromRequest(r, f.edge)
	canonical.Clean(r, f.readFrom(r))
	req.assertions = f.assertions.take(r.Header)
	caddyhttp.SetVar(r.Context(), requestVar, req)
	f.correlate(r)
	if refused == nil {
		return req, nil
	}
	err := refuse(r, refusal{site: f.site, guard: "canonical", dryRun: f.suite.CanonicalDryRun,
		reason: canonicalReasons[refused], logger: f.logger, events: f.suite.Events})
	return req, err
}

// readFrom are the headers that the client's address was read from. A peer that is
// no trusted proxy may write what it likes into them.
func (f *front) readFrom(r *http.Request) []string {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return nil
	}
	for i, name := range f.clientHeaders {
		if len(r.Header.Values(name)) > 0 {
			return f.clientHeaders[i : i+1]
		}
	}
	return nil
}

// correlate gives r the one identifier under which the access log, problem
// documents and the backend know it. A caller's own is replaced: two requests
// could have the same.
func (f *front) correlate(r *http.Request) {
	id := decision.RequestID(r)
	if id != "" {
		r.Header["X-Request-Id"] = []string{id}
	}
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	extra.Add(zap.String("request_id", id))
	if seen := edge.From(r); seen != nil && seen.Trace != "" {
		extra.Add(zap.String("balancer_trace", seen.Trace))
	}
}

// original is the request as the client sent it, also behind a rewrite.
func original(r *http.Request) *http.Request {
	sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || sent.RequestURI == r.RequestURI && sent.Method == r.Method {
		return r
	}
	sent.Host, sent.Header = r.Host, r.Header
	return &sent
}

var canonicalReasons = func() map[*canonical.Refusal]*decision.Reason {
	reasons := make(map[*canonical.Refusal]*decision.Reason, len(canonical.Refusals))
	for _, refused := range canonical.Refusals {
		reasons[refused] = decision.NewReason(refused.Code, http.StatusBadRequest, refused.Title)
	}
	return reasons
}()

// Interface guards
var _ caddyhttp.RequestMatcherWithError = (*front)(nil)
