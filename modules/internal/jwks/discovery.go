package jwks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// found is where an issuer's metadata say that its key set is.
type found struct {
	url string
	// at is when they were read, until when they may be kept.
	at, until time.Time
}

// find returns the URL of the key set. The issuer's metadata are read when they are
// too old, and also before that if fresh; while they cannot be, the URL that they
// had last stays good as long as keys would.
func (s *Source) find(ctx context.Context, fresh bool) (string, error) {
	if s.config.Issuer == "" {
		return s.config.URL, nil
	}
	now, known := time.Now(), s.found.Load()
	if !fresh && known != nil && now.Before(known.until) {
		return known.url, nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	body, keep, err := s.get(ctx, s.config.URL, "application/json")
	if err != nil {
		if known != nil && now.Sub(known.at) <= s.config.MaxStale {
			return known.url, nil
		}
		return "", err
	}
	at, err := s.config.readMetadata(body)
	if err != nil {
		return "", err
	}
	s.found.Store(&found{at, now, now.Add(keep)})
	return at, nil
}

// readMetadata returns the URL of the key set that an issuer's metadata name (OpenID
// Connect Discovery 1.0 section 3, RFC 8414 section 2). They have to be the
// configured issuer's (section 4.3, and 3.3): otherwise whoever can put a document at
// the URL would choose the keys.
func (c Config) readMetadata(body []byte) (string, error) {
	metadata, err := jwt.Object(body)
	if err != nil {
		return "", err
	}
	switch issuer, ok := metadata["issuer"].(string); {
	case !ok:
		return "", errors.New("they have no issuer")
	case issuer != c.Issuer:
		return "", fmt.Errorf("they are of the issuer %.100q", issuer)
	}
	at, ok := metadata["jwks_uri"].(string)
	if !ok || at == "" {
		return "", errors.New("they have no jwks_uri")
	}
	if err := c.checkFound(at); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return at, nil
}
