package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	maxBody = 512 << 10
	// fetchTimeout bounds a fetch as a whole, and findTimeout what of it is for the
	// issuer's metadata.
	fetchTimeout = 10 * time.Second
	findTimeout  = 5 * time.Second
	maxRedirects = 3

	defaultRefresh = 15 * time.Minute
)

// newTransport keeps no connection: the next fetch is minutes away.
func newTransport(c Config) (http.RoundTripper, error) {
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	g := &gate{config: c, written: u.Hostname(), proxy: http.ProxyFromEnvironment}
	g.transport = &http.Transport{
		Proxy:                  chosenProxy,
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return g, nil
}

func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			asked := via[0].URL
			if r.URL.Scheme != asked.Scheme || r.URL.Host != asked.Host || r.URL.User != nil {
				return errors.New("redirect to another host or scheme")
			}
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			return nil
		},
	}
}

// fetch gets the key set once and puts it in force. It returns when to do it again,
// and whether the keys are others than before. fresh says that what is known of the
// issuer may be why it is fetched.
func (s *Source) fetch(fresh bool) (next time.Duration, changed bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	at, err := s.find(ctx, fresh)
	if err != nil {
		return 0, false, fmt.Errorf("the issuer's metadata: %w", err)
	}
	body, next, err := s.get(ctx, at, "application/jwk-set+json, application/json")
	if err != nil {
		return 0, false, err
	}
	now := time.Now()
	if old := s.current.Load(); old != nil && old.keys.IsFrom(body) {
		s.current.Store(&fetched{keys: old.keys, at: now})
		s.keep(now, false)
		return next, false, nil
	}
	keys, err := jwt.ParseJWKS(body)
	if err != nil {
		return 0, false, err
	}
	s.current.Store(&fetched{keys: keys, at: now})
	s.rounds.replaced()
	s.keep(now, true)
	return next, true, nil
}

// get fetches a document and says how long it may be kept.
func (s *Source) get(ctx context.Context, from, accept string) ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, 0, errors.New("not a URL")
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "sallyport")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, 0, bare(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, 0, bare(err)
	}
	if len(body) > maxBody {
		return nil, 0, fmt.Errorf("it is larger than %d bytes", maxBody)
	}
	return body, s.config.keepFor(resp.Header), nil
}

// bare returns why a request failed without the URL, of which a redirect may have
// made anything.
func bare(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	if strings.HasPrefix(err.Error(), "failed to parse Location header") { // net/http repeats it
		return errors.New("redirect to what is no URL")
	}
	return err
}

// keepFor reads how long the issuer wants a document to be kept (RFC 9111 sections
// 4.2 and 5.2.2). Too short would make us a burden, too long would keep a withdrawn
// key alive.
func (c Config) keepFor(h http.Header) time.Duration {
	keep := defaultRefresh
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-store", "no-cache":
				return c.MinRefresh
			case "max-age":
				if maxAge, ok := seconds(strings.Trim(value, `"`)); ok {
					age, _ := seconds(h.Get("Age"))
					keep = maxAge - age
				}
			}
		}
	}
	// Twice at least before the keys are too old.
	return max(min(keep, c.MaxRefresh, c.MaxStale/2), c.MinRefresh)
}

func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * time.Second, err == nil
}
