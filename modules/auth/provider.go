package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	for _, m := range methods {
		caddy.RegisterModule(newProvider(m.word))
	}
}

// Provider makes one of auth's methods a provider of Caddy's own `authentication`
// handler, sallyport_jwt, sallyport_api_key and so on, whose members are those of
// the method. auth is the form to prefer: what that handler cannot say is told in
// the package's documentation.
//
// The providers of one handler judge a request together and once, as the
// alternatives of one auth.
type Provider struct {
	word        string
	alternative *Alternative
	method      method

	handler Handler // of one alternative
	group   *providers
}

const providerPrefix = "sallyport_"

func newProvider(word string) *Provider {
	p := &Provider{word: word}
	p.alternative, p.method = newMethod(word)
	return p
}

// CaddyModule returns the Caddy module information.
func (p *Provider) CaddyModule() caddy.ModuleInfo {
	word := p.word
	return caddy.ModuleInfo{
		ID:  caddy.ModuleID("http.authentication.providers." + providerPrefix + word),
		New: func() caddy.Module { return newProvider(word) },
	}
}

// UnmarshalJSON reads the method's members.
func (p *Provider) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(p.method)
}

// Provision implements caddy.Provisioner.
func (p *Provider) Provision(ctx caddy.Context) error {
	modules := ctx.Modules()
	if len(modules) < 2 {
		return errNoAuthentication
	}
	parent, ok := modules[len(modules)-2].(*caddyauth.Authentication)
	if !ok {
		return errNoAuthentication
	}
	p.handler.Alternatives = []Alternative{*p.alternative}
	if err := p.handler.Provision(ctx); err != nil {
		return err
	}
	p.group = p.handler.Suite().Once(providersKey{parent}, func() any { return &providers{taken: make(taken)} }).(*providers)
	if err := p.group.add(p); err != nil {
		return err
	}
	for name := range parent.ProvidersRaw {
		if !strings.HasPrefix(name, providerPrefix) {
			p.handler.Logger().Warn("another provider stands beside those of the suite: Caddy asks them in random order, identity headers "+
				"stay in requests that it accepts first, and a failure of ours falls through to it; put it into an authentication handler of its own",
				zap.String("site", p.handler.Site()), zap.String("provider", name))
		}
	}
	return nil
}

var errNoAuthentication = errors.New("works only in Caddy's authentication handler: use auth")

// Cleanup implements caddy.CleanerUpper.
func (p *Provider) Cleanup() error { return p.handler.Cleanup() }

// Authenticate implements caddyauth.Authenticator. An error is a failure of ours or
// a request that must not be judged; every provider of the handler has it then.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	j := p.group.judge(p, w, r)
	if j.found.reason != nil {
		p.group.challenges.set(w.Header(), &j.found)
	}
	if j.found.reason != nil || j.err != nil {
		return caddyauth.User{}, false, j.err
	}
	// Caddy asks no other provider now, so it does not matter whose credential it was.
	req := guard.From(r)
	req.Principal = j.found.who
	forget(r)
	p.handler.Allow()
	p.handler.pass(w, r, j.held, &j.found)
	return caddyauth.User{ID: req.Principal.ID, Metadata: guard.Metadata(req.Principal)}, true, nil
}

// providers are those of one authentication handler. They are read-only once the
// configuration is loaded.
type providers struct {
	members    []*Provider
	taken      taken
	identity   *identityHeaders
	challenges challenges
}

// providersKey is the key of a handler's providers in a configuration.
type providersKey struct{ handler *caddyauth.Authentication }

// add takes in one more, in an order that does not depend on Caddy's.
func (g *providers) add(p *Provider) error {
	errs := p.method.claims(g.taken)
	g.members = append(g.members, p)
	slices.SortFunc(g.members, func(a, b *Provider) int { return strings.Compare(a.word, b.word) })
	var removed, headers []string
	var methods []method
	for _, m := range g.members {
		removed = append(removed, m.handler.removed()...)
		headers = append(headers, m.handler.tree.headers()...)
		methods = append(methods, m.method)
	}
	g.identity, g.challenges = newIdentityHeaders(removed, headers), newChallenges(methods)
	return errors.Join(errs...)
}

// judged is what the providers of one handler found out about a request.
type judged struct {
	group *providers
	found outcome
	held  http.Header
	err   error
}

// String keeps it out of whatever prints Caddy's variables.
func (*judged) String() string { return "" }

// judgedVar is the key of judged among Caddy's variables of a request.
const judgedVar = "sallyport.auth.judged"

// judge finds out about r, once for all providers of the handler: one credential in
// the request is judged, whoever of them is asked first. asked is that one.
func (g *providers) judge(asked *Provider, w http.ResponseWriter, r *http.Request) *judged {
	if j, _ := caddyhttp.GetVar(r.Context(), judgedVar).(*judged); j != nil && j.group == g {
		return j
	}
	j := &judged{group: g, held: g.identity.takeFrom(r)}
	caddyhttp.SetVar(r.Context(), judgedVar, j)
	guard.Expose(r)
	req, err := asked.handler.Begin(w, r)
	if err != nil {
		j.err = err
		return j
	}
	a := &attempt{r: r, held: j.held, client: req.Client, now: time.Now()}
	j.found = g.ask(a)
	if j.found.reason == nil {
		return j
	}
	err = asked.handler.Deny(w, r, j.found.reason, j.found.cause)
	if j.found.reason.Status >= http.StatusInternalServerError {
		j.err = err
	}
	return j
}

// ask has the credential judged by the provider that reads its place. Without one,
// the first that has a standing credential decides.
func (g *providers) ask(a *attempt) outcome {
	var owner *Provider
	total := 0
	for _, p := range g.members {
		for i := range p.handler.tree.doors {
			if _, n := p.handler.tree.doors[i].source.find(a.r, a.held); n > 0 {
				owner, total = p, total+n
			}
		}
	}
	switch {
	case total > 1:
		return outcome{reason: reasonSeveral}
	case total == 1:
		return owner.handler.tree.judge(a)
	}
	for _, p := range g.members {
		if o := p.handler.tree.judge(a); o.reason != reasonNone {
			return o
		}
	}
	return outcome{reason: reasonNone}
}

// Interface guards
var (
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddy.CleanerUpper      = (*Provider)(nil)
	_ caddyauth.Authenticator = (*Provider)(nil)
	_ json.Unmarshaler        = (*Provider)(nil)
)
