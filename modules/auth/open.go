package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/auth/jwks"
	"github.com/sallyport-gateway/sallyport/modules/auth/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

// keySets are the fetched key sets by URL. They outlive a reload, so that it
// neither fetches nor forgets anything.
var keySets = lease.NewPool[*jwks.Source]()

// open makes a door of each source of credentials. What it opens is in h.held,
// also if it fails.
func (h *Handler) open(ctx caddy.Context) error {
	var errs []error
	issuers := make(map[source][]jwt.Issuer)
	tokensOf := make(map[source]*tokens)
	for _, a := range h.Alternatives {
		if a.APIKey != nil {
			store, err := h.openKeys(a.APIKey)
			errs = append(errs, err)
			h.doors = append(h.doors, door{a.APIKey.source(), &keys{store, a.APIKey.Forward}})
			continue
		}
		source, err := h.keySource(ctx, a.JWT)
		if err != nil {
			errs = append(errs, fmt.Errorf("jwt %s: %w", a.JWT.Issuer, err))
			continue
		}
		from := a.JWT.From.source()
		if tokensOf[from] == nil {
			tokensOf[from] = new(tokens)
			h.doors = append(h.doors, door{from, tokensOf[from]})
		}
		tokensOf[from].forward = append(tokensOf[from].forward, a.JWT.Forward)
		issuers[from] = append(issuers[from], a.JWT.issuer(source))
	}
	for from, t := range tokensOf {
		var err error
		t.verifier, err = jwt.NewVerifier(issuers[from]...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (j *JWT) issuer(keys jwt.KeySource) jwt.Issuer {
	i := jwt.Issuer{
		Name: j.Issuer, Audiences: j.Audience, Algorithms: j.algorithms(), Keys: keys, Leeway: jwt.DefaultLeeway,
		ScopesClaim: j.ScopesClaim, RolesClaim: j.RolesClaim, TierClaim: j.TierClaim,
	}
	if j.Leeway != nil {
		i.Leeway = time.Duration(*j.Leeway)
	}
	if i.ScopesClaim == "" {
		i.ScopesClaim = defaultScopesClaim
	}
	return i
}

func (j *JWT) algorithms() []string {
	if len(j.Algorithms) == 0 {
		return jwt.DefaultAlgorithms
	}
	return j.Algorithms
}

// keySource opens the key file, or takes a share of the fetched key set, which
// begins to be fetched when this configuration has started: not before, because
// a configuration that is only validated must not reach out.
func (h *Handler) keySource(ctx caddy.Context, j *JWT) (jwt.KeySource, error) {
	if j.KeyFile != "" {
		return h.openKeyFile(j)
	}
	shared, err := keySets.Take(j.JWKS, func() (*jwks.Source, error) { return jwks.New(j.JWKS, logEvent) })
	if err != nil {
		return nil, err
	}
	h.held = append(h.held, releaser{shared})
	source := shared.Value()
	events, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	if err := events.(*caddyevents.App).On("started", starter{source}); err != nil {
		return nil, err
	}
	h.Suite().Ready("auth jwks "+j.JWKS, source.Ready)
	return source, nil
}

// openKeyFile refuses a file that cannot verify anything.
func (h *Handler) openKeyFile(j *JWT) (jwt.KeySource, error) {
	file, err := jwks.OpenFile(j.KeyFile, func(e jwks.Event) {
		logEvent(e)
		if e.Err == nil {
			h.Suite().Reread(j.KeyFile)
		}
	})
	if err != nil {
		return nil, err
	}
	h.held = append(h.held, file)
	h.Suite().Reread(j.KeyFile) // the digest may be older
	set, err := file.Keys(time.Now())
	if err != nil {
		return nil, err
	}
	if names := j.algorithms(); !set.Serves(names) {
		return nil, fmt.Errorf("key file %s: no key fits the algorithms %s", j.KeyFile, strings.Join(names, ", "))
	}
	if len(set.Skipped()) > 0 {
		h.Logger().Warn("some keys are not used", zap.String("key_file", j.KeyFile), zap.Errors("reasons", set.Skipped()))
	}
	return file, nil
}

func (h *Handler) openKeys(a *APIKey) (*apikey.Store, error) {
	pepper, err := secret.Resolve(a.Pepper)
	if err != nil {
		return nil, fmt.Errorf("api_key: pepper: %w", err)
	}
	store, err := apikey.Open(a.KeysFile, []byte(pepper), apikey.OnReload(logReload))
	if err != nil {
		return nil, fmt.Errorf("api_key: %w", err)
	}
	h.held = append(h.held, store)
	return store, nil
}

// releaser closes by giving a share back.
type releaser struct {
	shared *lease.Lease[*jwks.Source]
}

func (r releaser) Close() error { return r.shared.Release() }

// starter starts a source when its configuration has started.
type starter struct {
	source *jwks.Source
}

// Handle implements caddyevents.Handler.
func (s starter) Handle(context.Context, caddy.Event) error {
	s.source.Start()
	return nil
}

// logEvent writes what a source of keys has to say. Some outlive configurations, so
// it logs through whichever is in force.
func logEvent(e jwks.Event) {
	log := caddy.Log().Named("auth.jwt").With(zap.String("keys", e.Source))
	inForce := 0
	if e.Keys != nil {
		inForce = e.Keys.Len()
	}
	if e.Err != nil {
		log.Warn("the key set could not be read", zap.Int("keys_in_force", inForce), zap.Error(e.Err))
		return
	}
	log.Info("the key set is in force", zap.Int("keys_in_force", inForce), zap.Errors("not_used", e.Keys.Skipped()))
}

func logReload(s apikey.State) {
	log := caddy.Log().Named("auth.api_key")
	if s.Err != nil {
		log.Error("the key file is not in force, the keys read before are", zap.Int("keys_in_force", s.Keys), zap.Error(s.Err))
		return
	}
	log.Info("the key file is in force", zap.Int("keys_in_force", s.Keys))
}
