package jwks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody      = 512 << 10
	fetchTimeout = 10 * time.Second
	maxRedirects = 3
)

// newTransport keeps no connection: the next fetch is minutes away.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout, // of the whole exchange, body included
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

// get fetches the URL's body and says when to fetch it again.
func (s *Source) get() ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	r.Header.Set("User-Agent", "sallyport")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > maxBody {
		return nil, 0, fmt.Errorf("the key set is larger than %d bytes", maxBody)
	}
	return body, refreshAfter(resp.Header), nil
}

// refreshAfter reads how long the issuer wants its keys to be kept (RFC 9111
// section 5.2.2). Too short would make us a burden, too long would keep a
// withdrawn key alive.
func refreshAfter(h http.Header) time.Duration {
	refresh := defaultRefresh
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-store", "no-cache":
				return minRefresh
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
				if err == nil {
					refresh = time.Duration(seconds) * time.Second
				}
			}
		}
	}
	return min(max(refresh, minRefresh), maxRefresh)
}
