package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

func init() {
	caddy.RegisterModule(new(Transport))
}

const (
	defaultIssuer = "sallyport"
	minTTL        = time.Second
	// maxText bounds issuers, audiences and names.
	maxText = 256
	// other is the service of a transport without a name in the metrics.
	other = "_other"
	// firstLook is how long requests wait for the first look at the storage.
	firstLook = 2 * time.Second
	// retryAfter is for requests that no key was there for, in seconds.
	retryAfter = 5
)

var reasonNoKey = decision.NewReason("upstream.no_key", http.StatusServiceUnavailable,
	"The request cannot be passed on at the moment.").RetryAfter(retryAfter)

// Transport is Caddy's HTTP transport, which adds to each attempt a proof that it
// came through this gateway, and measures where its time goes. It fails closed:
// without a key to sign with, nothing is sent.
type Transport struct {
	// The options of the transport http.
	reverseproxy.HTTPTransport

	// Name of the service in metrics. Default: the assertion's audience, or _other.
	Name string `json:"name,omitempty"`

	// Assertion proves to the service that a request came through the gateway.
	// Default: none.
	Assertion *Assertion `json:"assertion,omitempty"`

	next    http.RoundTripper // the embedded one, but in tests
	maker   *assertion.Maker
	aliases []string // spellings of the header, the right one first
	ring    *lease.Lease[sharedRing]
	observe *observer
}

// Assertion configures the proof.
type Assertion struct {
	// Audience names the service, which accepts no other. Required.
	Audience string `json:"audience,omitempty"`

	// TTL is how long an assertion is good, from 1s to 30s. Default: 30s.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// Header is the header that carries it. Default: Sallyport-Assertion.
	Header string `json:"header,omitempty"`

	// Issuer names the gateway. Default: sallyport.
	Issuer string `json:"issuer,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.sallyport",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision implements caddy.Provisioner.
func (t *Transport) Provision(ctx caddy.Context) error {
	if err := errors.Join(t.check()...); err != nil {
		return err
	}
	if err := metric.Register(ctx, collectors...); err != nil {
		return err
	}
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.next = &t.HTTPTransport
	t.observe = newObserver(t.service())
	if t.Assertion == nil {
		return nil
	}
	config, err := suite.Of(ctx)
	if err != nil {
		return err
	}
	name := http.CanonicalHeaderKey(cmp.Or(t.Assertion.Header, guard.AssertionHeader))
	guard.TakeAssertions(config, name)
	t.aliases = guard.Spellings(name)
	t.maker = assertion.NewMaker(cmp.Or(t.Assertion.Issuer, defaultIssuer), t.Assertion.Audience,
		cmp.Or(time.Duration(t.Assertion.TTL), assertion.MaxTTL))
	if t.ring, err = takeRing(ctx, config); err != nil {
		return err
	}
	// For refusals of ours on a server without guards; error routes can be added
	// only while routes are provisioned.
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok &&
		slices.ContainsFunc(server.Routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 }) {
		decision.FallBack(config, server)
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper.
func (t *Transport) Cleanup() error {
	return errors.Join(t.HTTPTransport.Cleanup(), t.ring.Release())
}

// RoundTrip implements http.RoundTripper. It is called once for each attempt.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req
	if t.maker != nil {
		signed, err := t.sign(req)
		if err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			if errors.Is(err, assertion.ErrTooLong) {
				return tooLong(req), nil
			}
			return nil, err
		}
		sent = signed
	}
	resp, err := t.observe.roundTrip(t.next, sent)
	if resp != nil {
		// What has the response must not find the assertion in it.
		resp.Request = req
	}
	return resp, err
}

// sign returns a copy of req with an assertion in its header. req itself goes to
// Caddy's debug log.
func (t *Transport) sign(req *http.Request) (*http.Request, error) {
	now := time.Now()
	key, err := t.key(req.Context(), now)
	if err != nil {
		return nil, err
	}
	var caller *principal.Principal
	if view := guard.From(req); view != nil {
		caller = view.Principal
	}
	to := assertion.Target{Method: cmp.Or(req.Method, http.MethodGet), Path: req.URL.EscapedPath(), Query: req.URL.RawQuery}
	if to.Path == "" {
		to.Path = "/"
	}
	token, err := t.maker.Make(key, to, decision.RequestID(req), caller, now)
	if err != nil {
		return nil, fmt.Errorf("making an assertion: %w", err)
	}
	signed := new(http.Request)
	*signed = *req
	signed.Header = maps.Clone(req.Header)
	if signed.Header == nil {
		signed.Header = make(http.Header)
	}
	for _, name := range t.aliases {
		delete(signed.Header, name)
	}
	signed.Header[t.aliases[0]] = []string{token}
	return signed, nil
}

// isHealthCheck: Caddy's active health checks are no requests of a server.
func isHealthCheck(ctx context.Context) bool {
	return ctx.Value(caddyhttp.VarsCtxKey) == nil
}

// key returns the key to sign with. A request waits for the first look at the
// storage, which begins when the configuration has started: just then requests
// arrive as well. A health check waits for a key until it is given up: the first one
// is made before that, and would count against the service.
func (t *Transport) key(ctx context.Context, now time.Time) (*assertion.Key, error) {
	ring := t.ring.Value()
	if key, _ := ring.Signer(now); key != nil {
		return key, nil
	}
	if isHealthCheck(ctx) {
		select {
		case <-ring.Available():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	} else {
		timer := time.NewTimer(firstLook)
		defer timer.Stop()
		select {
		case <-ring.Tried():
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if key, _ := ring.Signer(now); key != nil {
		return key, nil
	}
	t.observe.refused.Inc()
	return nil, caddyhttp.HandlerError{StatusCode: reasonNoKey.Status, Err: &decision.Refusal{Reason: reasonNoKey}}
}

// service is the label of the metrics.
func (t *Transport) service() string {
	if t.Name == "" && t.Assertion != nil {
		return t.Assertion.Audience
	}
	return cmp.Or(t.Name, other)
}

// Interface guards
var (
	_ caddy.Provisioner                                = (*Transport)(nil)
	_ caddy.CleanerUpper                               = (*Transport)(nil)
	_ http.RoundTripper                                = (*Transport)(nil)
	_ reverseproxy.TLSTransport                        = (*Transport)(nil)
	_ reverseproxy.H2CTransport                        = (*Transport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*Transport)(nil)
	_ reverseproxy.ProxyProtocolTransport              = (*Transport)(nil)
)
