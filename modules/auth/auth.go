package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/exposure"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("auth", func() order.Directive { return new(Handler) })
}

// Handler finds out who calls. It fails closed: a request without exactly one
// valid credential is refused.
//
// It removes the headers in which gateways tell backends who calls from every
// request, also from those that its matcher does not match, sets the principal
// that access_rules and quota decide on, and mirrors it to placeholders:
//
// Placeholder | Description
// ------------|-------------
// `{http.auth.user.id}` | The token's subject, the API key's owner, the certificate's name; also the access log's user_id
// `{http.auth.user.issuer}` | The token's issuer, the certificate's authority
// `{http.auth.user.method}` | jwt, api_key, mtls, aws_alb_oidc, aws_alb_mtls, gcp_iap or cloudflare_access
// `{http.auth.user.scopes}` | The scopes, with spaces between them
// `{http.auth.user.roles}` | The roles, as a JSON array
// `{http.auth.user.tier}` | The class of service
// `{http.auth.user.claims.*}` | A claim, or with dots a value inside of it; JSON if it is no string or number
type Handler struct {
	guard.Guard

	// Alternatives are the ways to authenticate. The credential in a request
	// decides which of them judges it; there is no second try with another one.
	// At least one.
	Alternatives []Alternative `json:"alternatives,omitempty"`

	// Optional lets requests without any credential pass, with no principal. A bad
	// credential is refused all the same. Default: false.
	Optional bool `json:"optional,omitempty"`

	// Failures limits the failed attempts of each client. Default: 60/m with a burst
	// of 120.
	Failures *Failures `json:"failures,omitempty"`

	// Revocation says where the tokens are listed that were revoked. Default: nowhere.
	Revocation *Revocation `json:"revocation,omitempty"`

	// IdentityHeaders are more headers that are removed from requests, beside the
	// built-in list. Case does not matter, '_' and '.' are the same as '-', and
	// '*' at the end stands for any continuation. Default: none.
	IdentityHeaders []string `json:"identity_headers,omitempty"`

	identity   *identityHeaders
	tree       tree
	challenges challenges
	held       []io.Closer
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "auth"); err != nil {
		return err
	}
	errs := h.check()
	for _, m := range h.given() {
		errs = append(errs, m.check()...)
	}
	if h.Revocation != nil {
		errs = append(errs, h.Revocation.check()...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := h.open(ctx); err != nil {
		return err
	}
	if err := h.openFailures(); err != nil {
		return err
	}
	h.identity = newIdentityHeaders(h.removed(), h.tree.headers())
	h.challenges = newChallenges(h.given())
	if err := h.warnPlain(ctx); err != nil {
		return err
	}
	return h.guardErrorRoutes(ctx)
}

// warnPlain says when credentials come in unencrypted.
func (h *Handler) warnPlain(ctx caddy.Context) error {
	around, err := edge.Of(ctx)
	if err != nil {
		return err
	}
	if open := exposure.Plain(around.Caddy(), around.Balancer() != nil); len(open) > 0 {
		h.Logger().Warn("credentials arrive unencrypted: auth is on plain HTTP, and no balancer is trusted that could have ended TLS; "+
			"use https, bind to loopback, or name the balancer with trusted_proxies elb",
			zap.String("site", h.Site()), zap.Strings("listen", open))
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper.
func (h *Handler) Cleanup() error {
	var errs []error
	for _, c := range h.held {
		errs = append(errs, c.Close())
	}
	h.held = nil
	return errors.Join(errs...)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// Before anything is decided: a request that is refused can still reach a
	// backend in the error routes, and one that passes by, past the matcher, does.
	held := h.identity.takeFrom(r)
	guard.Expose(r)
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	found := h.tree.judge(&attempt{r: r, held: held, client: req.Client, now: time.Now()})
	switch {
	case found.reason == reasonNone && h.Optional:
	case found.reason != nil:
		if !h.DryRun() {
			h.challenges.set(w.Header(), &found)
		}
		if err := h.Deny(w, r, found.reason, found.cause); err != nil {
			return err
		}
		return next.ServeHTTP(w, r)
	}
	// Also if it is nobody: what a handler in front found out is not for this one.
	req.Principal = found.who
	forget(r)
	h.Allow()
	h.pass(w, r, held, &found)
	return next.ServeHTTP(w, r)
}

// forget drops what a handler in front, such as basic_auth, says about the caller:
// a value that was set stands before what guard.Expose shows.
func forget(r *http.Request) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.DeleteByPrefix("http.auth.user.")
	}
}

// pass makes r what the backend gets: without the credentials, unless they are to
// stay.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, held http.Header, o *outcome) {
	for i := range o.found[:o.n] {
		c := &o.found[i]
		s := c.door.source
		if s.kind == inQuery {
			// RFC 6750 section 2.3; what the backend says is added to it.
			w.Header().Set("Cache-Control", "private")
		}
		if c.forward || h.DryRun() {
			s.restore(r.Header, held)
		} else {
			remove(r, held, s)
		}
	}
}

// remove takes the credential out of r. One from the query also stands in the
// request as Caddy keeps it, which FastCGI and {http.request.orig_uri} show.
func remove(r *http.Request, held http.Header, s source) {
	delete(held, s.name)
	query := s.strip(r.Header, r.URL.RawQuery)
	if s.kind != inQuery {
		return
	}
	r.URL.RawQuery = query
	r.RequestURI = r.URL.RequestURI()
	sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return
	}
	sent.URL.RawQuery = s.strip(nil, sent.URL.RawQuery)
	sent.RequestURI = sent.URL.RequestURI()
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, sent))
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
