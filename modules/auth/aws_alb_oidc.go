package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/auth/alb"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const wordALBOIDC = alb.Method

const (
	albOIDCHeader = "X-Amzn-Oidc-Data"
	vendorALB     = "aws_alb"
)

// AWSALBOIDC accepts users whom an Application Load Balancer authenticated with OpenID
// Connect or Cognito, as it (trusted_proxies elb aws_alb) says in X-Amzn-Oidc-Data.
// The caller's id is the claim sub, the issuer is that of the user's provider. What
// X-Amzn-Oidc-Identity and X-Amzn-Oidc-Accesstoken say is not signed, and not read.
type AWSALBOIDC struct {
	// Balancers are the ARNs of the load balancers. Required: the keys are those of all
	// balancers of a region, whoever owns them.
	Balancers []string `json:"balancers,omitempty"`

	// Client are the ids of OAuth clients with which the balancer asks the provider.
	// Default: all those of its rules.
	Client []string `json:"client,omitempty"`

	// Issuer are the providers. Default: all those of the balancer's rules.
	Issuer []string `json:"issuer,omitempty"`

	ClaimsOf

	// Keys is where the keys are, up to the slash before a key's id: for a mirror, and
	// for regions of which AWS does not document it, as those in China. Default: the
	// server of the balancer's region.
	Keys *keysets.Fetch `json:"keys,omitempty"`
}

// albKeys are the keys of balancers by where they are. They outlive reloads.
var albKeys = lease.NewPool[*alb.Keys]()

func (*AWSALBOIDC) scheme() string { return schemeAssertion }

func (*AWSALBOIDC) claims(t taken) []error {
	return []error{t.once(wordALBOIDC, wordALBOIDC+" is"), t.place(source{inHeader, albOIDCHeader}, wordALBOIDC)}
}

func (a *AWSALBOIDC) check() []error {
	errs := append(a.ClaimsOf.faults(), a.gaps()...)
	for _, arn := range a.Balancers {
		if err := alb.CheckARN(arn); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", arn, err))
		}
	}
	for _, name := range append(append([]string{}, a.Client...), a.Issuer...) {
		if !jwt.IsName(name) {
			errs = append(errs, errors.New("client or issuer is empty or no name"))
		}
	}
	if a.Keys != nil {
		errs = append(errs, checkKeys(a.Keys))
	}
	return in(wordALBOIDC, withoutNil(errs))
}

// gaps returns what is missing.
func (a *AWSALBOIDC) gaps() []error {
	if len(a.Balancers) == 0 {
		return []error{errors.New("no balancer's ARN is given: those of all other customers of AWS would be accepted")}
	}
	if a.Keys != nil {
		return nil
	}
	var errs []error
	for _, arn := range a.Balancers {
		if alb.CheckARN(arn) == nil {
			_, err := alb.KeysOf(arn)
			errs = append(errs, err)
		}
	}
	return withoutNil(errs)
}

// checkKeys refuses what does not make sense for single keys.
func checkKeys(f *keysets.Fetch) error {
	switch {
	case f.Refresh != nil || f.MaxStale != 0:
		return errors.New("keys: refresh and max_stale are options of key sets")
	case strings.Contains(f.URL, "?"):
		return errors.New("keys: the URL has a query")
	}
	if err := f.Check(""); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

func (a *AWSALBOIDC) unmarshal(o *caddyfile.Dispenser) error {
	block := *o
	var errs []error
	for o.NextArg() {
		if err := alb.CheckARN(o.Val()); err != nil {
			errs = append(errs, o.Errf("%s: %q: %v", wordALBOIDC, o.Val(), err))
		}
		a.Balancers = append(a.Balancers, o.Val())
	}
	errs = append(errs, read.Block(o, []string{"client", "issuer"}, func(o *caddyfile.Dispenser) error {
		if ok, err := a.ClaimsOf.option(o); ok {
			return err
		}
		switch o.Val() {
		case "client":
			return read.Values(o, valid(checkNotEmpty), &a.Client)
		case "issuer":
			return read.Values(o, valid(checkNotEmpty), &a.Issuer)
		case "keys":
			at := *o
			a.Keys = new(keysets.Fetch)
			if err := a.Keys.Unmarshal(o, false); err != nil {
				return err
			}
			if err := checkKeys(a.Keys); err != nil {
				return at.WrapErr(err)
			}
			return nil
		}
		return read.Unknown(o, append([]string{"client", "issuer", "keys"}, claimOptions...)...)
	}))
	errs = append(errs, located(block, in(wordALBOIDC, a.gaps())))
	return errors.Join(errs...)
}

func (a *AWSALBOIDC) open(b *builder) error {
	if err := metric.Register(b.ctx, alb.Collectors...); err != nil {
		return err
	}
	config := alb.Config{
		Balancers: make(map[string]*alb.Keys), Issuers: a.Issuer, Clients: a.Client,
		Mapper: jwt.NewMapper(alb.Method, claimPaths(a.ScopesClaim, ""), claimPaths(a.RolesClaim, ""), a.TierClaim),
	}
	for _, arn := range a.Balancers {
		keys, err := a.keys(b, arn)
		if err != nil {
			return fmt.Errorf("%s: keys: %w", wordALBOIDC, err)
		}
		config.Balancers[arn] = keys
	}
	if len(a.Client) == 0 || len(a.Issuer) == 0 {
		b.Logger().Warn("whoever any rule of the balancer authenticates is accepted: name the rule's client and issuer", zap.String("site", b.Site()))
	}
	verifier, revocations := alb.New(config), b.revoked()
	return b.stand(wordALBOIDC, vendorALB, &assertion{albOIDCHeader,
		func(ctx context.Context, value string, now time.Time) (*principal.Principal, *decision.Reason, error) {
			who, err := verifier.Verify(ctx, value, now)
			if err != nil {
				return nil, albReason(err), err
			}
			if revocations != nil {
				// It has no jti and no iat, and ends after two minutes: those of a sub, or
				// of the issuer, are what can be revoked.
				facts := jwt.TokenFacts{Issuer: who.Issuer, Subject: who.ID, Principal: who.ID}
				facts.SetNames()
				if err := revocations.Check(&facts, now); err != nil {
					return nil, tokenReason(err), err
				}
			}
			return who, nil, nil
		}})
}

// keys takes a share of the keys of the balancer's region, or of the configured ones.
func (a *AWSALBOIDC) keys(b *builder, arn string) (*alb.Keys, error) {
	fetch := a.Keys
	if fetch == nil {
		prefix, err := alb.KeysOf(arn)
		if err != nil {
			return nil, err
		}
		fetch = &keysets.Fetch{URL: prefix}
	}
	from, err := fetch.Config("")
	if err != nil {
		return nil, err
	}
	from.URL = strings.TrimSuffix(from.URL, "/") + "/"
	share, err := albKeys.Take(from, func() (*alb.Keys, error) {
		client, err := from.Client()
		if err != nil {
			return nil, err
		}
		return alb.NewKeys(from.URL, alb.GetWith(client)), nil
	})
	if err != nil {
		return nil, err
	}
	b.hold(leased[*alb.Keys]{share})
	return share.Value(), nil
}

// leased closes by giving a share back.
type leased[T any] struct{ share *lease.Lease[T] }

func (l leased[T]) Close() error { return l.share.Release() }

// albReasons are the refusals of a balancer's assertions.
var albReasons = map[error]*decision.Reason{
	alb.ErrMalformed:   assertionMalformed,
	alb.ErrSigner:      assertionSigner,
	alb.ErrIssuer:      assertionIssuer,
	alb.ErrClient:      assertionClient,
	alb.ErrKey:         assertionKey,
	alb.ErrSignature:   assertionSignature,
	alb.ErrClaims:      assertionClaims,
	alb.ErrExpired:     assertionExpired,
	alb.ErrUnavailable: tokenReasons[jwt.KeysUnavailable],
}

func albReason(err error) *decision.Reason {
	if reason := albReasons[err]; reason != nil {
		return reason
	}
	return reasonFailed
}
