package jwks

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/trustpool"
)

// What a Config has where it says nothing.
const (
	DefaultMinRefresh = time.Minute
	DefaultMaxRefresh = time.Hour
	DefaultMaxStale   = 24 * time.Hour
)

// What a Config may have.
const (
	ShortestRefresh = time.Second
	LongestRefresh  = 24 * time.Hour
	ShortestStale   = time.Second
	LongestStale    = 7 * 24 * time.Hour
)

// Config says where a key set is and how it is fetched. Two that are equal are of one
// source; it can be compared and be a key of a map.
type Config struct {
	// URL is where the key set is; with an Issuer, where the issuer's metadata are
	// that say so.
	URL string
	// Issuer is who the metadata have to be of, byte for byte. Empty: URL is that of
	// the key set.
	Issuer string
	// AllowPrivate lets addresses be asked that are not of the internet.
	AllowPrivate bool
	// TrustPool are the certificates, in PEM, that the server's has to be issued by.
	// Empty: those of the system.
	TrustPool string
	// MinRefresh and MaxRefresh bound what the issuer says about how long its keys may
	// be kept. 0: the default.
	MinRefresh, MaxRefresh time.Duration
	// MaxStale is how long keys stay in force without a successful fetch. 0: the
	// default.
	MaxStale time.Duration
}

// Complete returns c with the defaults filled in.
func (c Config) Complete() Config {
	if c.MinRefresh == 0 {
		c.MinRefresh = DefaultMinRefresh
	}
	if c.MaxRefresh == 0 {
		c.MaxRefresh = max(DefaultMaxRefresh, c.MinRefresh)
	}
	if c.MaxStale == 0 {
		c.MaxStale = DefaultMaxStale
	}
	return c
}

// Check returns everything that is wrong with c. Nothing is fetched or resolved.
func (c Config) Check() error {
	c = c.Complete()
	errs := []error{CheckURL(c.URL)}
	if errs[0] == nil && !c.AllowPrivate {
		u, _ := url.Parse(c.URL)
		errs = append(errs, checkLiteral(u.Hostname(), u.Hostname()))
	}
	if _, err := c.roots(); err != nil {
		errs = append(errs, err)
	}
	if c.MinRefresh < ShortestRefresh || c.MinRefresh > c.MaxRefresh || c.MaxRefresh > LongestRefresh {
		errs = append(errs, fmt.Errorf("refresh is not two durations between %s and %s, the shorter one first", ShortestRefresh, LongestRefresh))
	}
	if c.MaxStale < ShortestStale || c.MaxStale > LongestStale {
		errs = append(errs, fmt.Errorf("max_stale is not between %s and %s", ShortestStale, LongestStale))
	} else if c.MaxStale < c.MinRefresh {
		errs = append(errs, errors.New("max_stale is shorter than the shortest refresh: the keys would go stale between two fetches"))
	}
	return errors.Join(errs...)
}

// roots returns the certificates of the trust pool, or nil for the system's.
func (c Config) roots() (*x509.CertPool, error) {
	if c.TrustPool == "" {
		return nil, nil
	}
	pool, err := trustpool.Parse(c.TrustPool)
	if err != nil {
		return nil, fmt.Errorf("trust_pool: %w", err)
	}
	return pool, nil
}

// key is where the last good key set is in the storage. What decides whom it is from
// is part of it, and how often it is fetched is not.
func (c Config) key() string {
	h := sha256.New()
	for _, part := range []string{c.URL, c.Issuer, fmt.Sprint(c.AllowPrivate), c.TrustPool} {
		fmt.Fprintf(h, "%d:", len(part))
		_, _ = io.WriteString(h, part)
	}
	return fmt.Sprintf("sallyport/jwks/%x.json", h.Sum(nil))
}
