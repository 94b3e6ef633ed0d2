package guard

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/clientip"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
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

	clientErr error
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
	suite  *suite.Config
	site   string
	logger *zap.Logger
}

// frontOf returns the front of server in this configuration and puts it in place
// the first time.
func frontOf(server *caddyhttp.Server, config *suite.Config, logger *zap.Logger) (*front, error) {
	if err := clientip.CheckServer(server); err != nil {
		return nil, err
	}
	return config.Once(server, func() any {
		f := &front{suite: config, site: nameOf(server), logger: logger}
		f.precede(server)
		server.RegisterConnState(config.TrackConnection)
		return f
	}).(*front), nil
}

// precede makes f the first matcher of the server's first route. Routes cannot
// be added here: they are being provisioned, and a copied list would be compiled
// without its handlers. Matcher sets can, because they are read at compile time,
// and an error from a matcher ends a request through the error routes.
//
// Error routes are provisioned after the handlers, so that one can be added there.
//
// Both come too late for a server whose only guards are in named routes or error
// routes, which Caddy provisions last: those guards check by themselves, and their
// refusals have an empty body unless the site has error routes.
func (f *front) precede(server *caddyhttp.Server) {
	if currentRoute(server) == nil {
		return
	}
	sets := &server.Routes[0].MatcherSets
	if len(*sets) == 0 {
		*sets = caddyhttp.MatcherSets{nil}
	}
	for i := range *sets {
		(*sets)[i] = slices.Insert((*sets)[i], 0, any(f))
	}
	if server.Errors == nil {
		server.Errors = new(caddyhttp.HTTPErrorConfig)
	}
	fallback := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(decision.FallbackRoute)}}
	server.Errors.Routes = slices.Insert(server.Errors.Routes, 0, fallback)
}

// MatchWithError implements caddyhttp.RequestMatcherWithError. It matches every
// request that it does not refuse.
func (f *front) MatchWithError(r *http.Request) (bool, error) {
	if _, err := f.check(r); err != nil {
		return false, err
	}
	return true, nil
}

// check makes the view of r, once: guards call it too, because the routes of a
// named route are not behind the server's first one.
func (f *front) check(r *http.Request) (*Request, error) {
	if req := From(r); req != nil {
		return req, nil
	}
	req := new(Request)
	var refused *canonical.Refusal
	req.Request, refused = canonical.Parse(original(r), f.suite.Canonical)
	if refused != nil {
		err := refuse(r, refusal{site: f.site, guard: "canonical", dryRun: f.suite.CanonicalDryRun,
			reason: canonicalReasons[refused], logger: f.logger})
		if err != nil {
			return nil, err
		}
		req.Request = canonical.Lenient(r)
	}
	canonical.Clean(r)
	req.Client, req.clientErr = clientip.FromRequest(r)
	caddyhttp.SetVar(r.Context(), requestVar, req)
	return req, nil
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
