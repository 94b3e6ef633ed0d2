package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

// Secret is a secret that an issuer shares with this gateway.
type Secret struct {
	// Name is the kid of the tokens that are signed with it. Tokens without kid are
	// tried with each secret. Required.
	Name string `json:"name,omitempty"`

	// Value is the secret as {env.NAME} or {file.PATH}. Its bytes are taken as they
	// are: base64 is not decoded. Required.
	Value string `json:"value,omitempty"`
}

func (s *Secret) check() error {
	if err := jwt.CheckSecretName(s.Name); err != nil {
		return err
	}
	return secret.Check(s.Value)
}

// unmarshal reads a name and a value. Neither is in an error before it is known
// which is which: either may be the secret itself.
func (s *Secret) unmarshal(o *caddyfile.Dispenser) error {
	args := o.RemainingArgs()
	if len(args) != 2 {
		return o.Err("secret needs a name and a value: secret <name> {env.<NAME>} | {file.<PATH>}")
	}
	s.Name, s.Value = args[0], args[1]
	if err := s.check(); err != nil {
		return o.Errf("secret: %v", err)
	}
	return nil
}

// checkSecrets keeps the two kinds of algorithms apart: HS algorithms are for secrets,
// and for nothing else.
func (j *JWT) checkSecrets(given bool) []error {
	var errs []error
	seen := make(map[string]bool)
	for _, s := range j.Secrets {
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("secret %s is given twice", s.Name))
		}
		seen[s.Name] = true
	}
	for _, name := range j.Algorithms {
		switch symmetric := slices.Contains(jwt.SecretAlgorithms(), name); {
		case symmetric && !given:
			errs = append(errs, fmt.Errorf("algorithms %s needs a secret: with a public key, who can read it could make tokens", name))
		case !symmetric && given:
			errs = append(errs, fmt.Errorf("algorithms %s does not work with a secret", name))
		}
	}
	return errs
}

// resolve reads the secrets.
func (j *JWT) resolve() ([]jwt.Secret, error) {
	var errs []error
	secrets := make([]jwt.Secret, 0, len(j.Secrets))
	for _, s := range j.Secrets {
		value, err := secret.Resolve(s.Value)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", s.Name, err))
			continue
		}
		resolved, err := jwt.NewSecret(s.Name, value)
		errs = append(errs, err)
		secrets = append(secrets, resolved)
	}
	return secrets, errors.Join(errs...)
}

// RequiredClaim is a claim that a token must have.
type RequiredClaim struct {
	// Claim is the name, or with dots the path into objects. Required.
	Claim string `json:"claim,omitempty"`

	// Values are those of which the claim must be one or, if it is a list, have
	// one; numbers and true and false as they are written in JSON. Default: the claim
	// must be there and not null.
	Values []string `json:"values,omitempty"`
}

func (c *RequiredClaim) unmarshal(o *caddyfile.Dispenser) error {
	if err := read.Value(o, parseClaimPath, &c.Claim); err != nil {
		return err
	}
	for o.NextArg() {
		c.Values = append(c.Values, o.Val())
	}
	return nil
}

func parseAlgorithm(name string) (string, error) {
	all := slices.Concat(jwt.Algorithms(), jwt.SecretAlgorithms())
	switch {
	case slices.Contains(all, name):
		return name, nil
	case strings.EqualFold(name, "none"):
		return "", errors.New("a token without signature proves nothing")
	}
	return "", fmt.Errorf("not one of %s", strings.Join(all, ", "))
}

func parseClaimPath(path string) (string, error) {
	return path, jwt.CheckClaimPath(path)
}
