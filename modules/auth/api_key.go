package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

const defaultAPIKeyHeader = "X-Api-Key"

// APIKey accepts keys from a file that `caddy sallyport key` writes.
type APIKey struct {
	// Header is the header with the key. Default: X-Api-Key.
	Header string `json:"header,omitempty"`

	// KeysFile is the file with the hashed keys. It is reread when it changes.
	// Required.
	KeysFile string `json:"keys_file,omitempty"`

	// Pepper is the secret under which the keys are hashed, as {env.NAME} or
	// {file.PATH}. Required.
	Pepper string `json:"pepper,omitempty"`

	// Forward leaves the key in the request to the backend. Default: it is
	// removed.
	Forward bool `json:"forward,omitempty"`
}

// scheme is what is commonly written: keys have no registered one, and 401 needs a
// challenge.
func (*APIKey) scheme() string { return "ApiKey" }

func (a *APIKey) claims(t taken) []error {
	s := a.source()
	return []error{t.once(s.key(), "api_key: "+s.name+" is"), t.place(s, "api_key")}
}

// check returns everything that is wrong with one api_key block.
func (a *APIKey) check() []error {
	errs := a.gaps(map[string]bool{"keys_file": a.KeysFile != "", "pepper": a.Pepper != ""})
	if a.Pepper != "" {
		if err := secret.Check(a.Pepper); err != nil {
			errs = append(errs, fmt.Errorf("api_key: pepper: %w", err))
		}
	}
	if err := checkKeyHeader(a.header()); err != nil {
		errs = append(errs, fmt.Errorf("api_key: header: %w", err))
	}
	return errs
}

func (a *APIKey) gaps(given map[string]bool) []error {
	var errs []error
	for _, option := range []string{"keys_file", "pepper"} {
		if !given[option] {
			errs = append(errs, fmt.Errorf("api_key: %s is missing", option))
		}
	}
	return errs
}

func (a *APIKey) header() string {
	if a.Header == "" {
		return defaultAPIKeyHeader
	}
	return a.Header
}

func (a *APIKey) source() source {
	return source{inHeader, http.CanonicalHeaderKey(a.header())}
}

func checkKeyHeader(name string) error {
	if strings.EqualFold(name, "Authorization") {
		return errors.New("header Authorization is for schemes such as Bearer")
	}
	return checkSourceHeader(name)
}

func (a *APIKey) unmarshal(o *caddyfile.Dispenser) error {
	block := *o
	given := make(map[string]bool)
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return a.option(o)
	})
	return errors.Join(err, located(block, a.gaps(given)))
}

func (a *APIKey) option(o *caddyfile.Dispenser) error {
	switch o.Val() {
	case "header":
		return read.Value(o, valid(checkKeyHeader), &a.Header)
	case "keys_file":
		return read.String(o, &a.KeysFile)
	case "pepper":
		return readQuietly(o, secret.Check, &a.Pepper)
	case "forward":
		return read.Flag(o, &a.Forward)
	}
	return read.Unknown(o, "header", "keys_file", "pepper", "forward")
}

func (a *APIKey) open(b *builder) error {
	if err := metric.Register(b.ctx, apikey.Collectors...); err != nil {
		return err
	}
	pepper, err := secret.Resolve(a.Pepper)
	if err != nil {
		return fmt.Errorf("api_key: pepper: %w", err)
	}
	store, err := apikey.Open(a.KeysFile, []byte(pepper), apikey.OnReload(logReload))
	if err != nil {
		return fmt.Errorf("api_key: %w", err)
	}
	b.hold(store)
	b.door(a.source(), &keys{store, b.leaf, a.Forward})
	return nil
}

func logReload(s apikey.State) {
	log := caddy.Log().Named("auth.api_key")
	if s.Err != nil {
		log.Error("the key file is not in force, the keys read before are", zap.Int("keys_in_force", s.Keys), zap.Error(s.Err))
		return
	}
	log.Info("the key file is in force", zap.Int("keys_in_force", s.Keys))
}

// keys are the API keys of one file.
type keys struct {
	store   *apikey.Store
	leaf    leaf
	forward bool
}

func (k *keys) verify(_ context.Context, key string, client netip.Addr, now time.Time) verdict {
	who, err := k.store.Verify(key, client, now)
	if err != nil {
		return verdict{reason: keyReason(err), cause: err}
	}
	return verdict{who: who, leaf: k.leaf, forward: k.forward}
}

func (*keys) token() bool { return false }
func (*keys) dear() bool  { return false }

// keyReasons are the refusals of API keys.
var keyReasons = map[error]*decision.Reason{
	apikey.ErrMalformed:   invalid("auth.key_malformed"),
	apikey.ErrUnknown:     invalid("auth.key_unknown"),
	apikey.ErrRevoked:     invalid("auth.key_revoked"),
	apikey.ErrExpired:     invalid("auth.key_expired"),
	apikey.ErrNotYetValid: invalid("auth.key_not_yet_valid"),
	apikey.ErrAddress:     invalid("auth.key_address"),
}

func keyReason(err error) *decision.Reason {
	if reason := keyReasons[err]; reason != nil {
		return reason
	}
	return reasonFailed
}
