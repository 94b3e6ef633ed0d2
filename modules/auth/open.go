package auth

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

// open makes a door of each source of credentials. What it opens is in h.held,
// also if it fails.
func (h *Handler) open(ctx caddy.Context) error {
	var errs []error
	issuers := make(map[source][]jwt.Issuer)
	tokensOf := make(map[source]*tokens)
	for _, a := range h.Alternatives {
		if a.MTLS != nil {
			errs = append(errs, h.openCertificates(ctx, a.MTLS))
			continue
		}
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

// keySource opens the key file, or takes a share of the fetched key set.
func (h *Handler) keySource(ctx caddy.Context, j *JWT) (jwt.KeySource, error) {
	var (
		source jwt.KeySource
		held   io.Closer
		err    error
	)
	if j.KeyFile != "" {
		source, held, err = keysets.File(h.Suite(), h.Logger(), j.KeyFile, j.algorithms())
	} else {
		source, held, err = keysets.URL(ctx, h.Suite(), "auth", j.JWKS)
	}
	if held != nil {
		h.held = append(h.held, held)
	}
	return source, err
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

func logReload(s apikey.State) {
	log := caddy.Log().Named("auth.api_key")
	if s.Err != nil {
		log.Error("the key file is not in force, the keys read before are", zap.Int("keys_in_force", s.Keys), zap.Error(s.Err))
		return
	}
	log.Info("the key file is in force", zap.Int("keys_in_force", s.Keys))
}
