package keysets

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/trustpool"
)

// Fetch is how a guard's users say where keys are fetched from.
type Fetch struct {
	// URL is where the key set is, or the issuer's metadata: over https (http for
	// loopback addresses, for tests).
	URL string `json:"url,omitempty"`

	// AllowPrivate lets addresses be asked that are not of the internet: private
	// networks, this machine, a cloud's metadata service. Default: only a loopback
	// address that URL itself names.
	AllowPrivate bool `json:"allow_private,omitempty"`

	// TrustPoolFiles are PEM files with the certificates of the authorities that the
	// server's certificate has to be issued by. They are read when the configuration is
	// loaded. Default: the system's.
	TrustPoolFiles []string `json:"trust_pool_files,omitempty"`

	// Refresh bounds how long keys are kept before they are fetched again, within
	// which the issuer's Cache-Control decides. Default: 1m to 1h.
	Refresh *Refresh `json:"refresh,omitempty"`

	// MaxStale is how long keys stay in force without a successful fetch, at most 7
	// days. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`
}

// Refresh are the bounds of Fetch.Refresh, from 1s to 24h.
type Refresh struct {
	Min caddy.Duration `json:"min,omitempty"`
	Max caddy.Duration `json:"max,omitempty"`
}

// Check returns everything that is wrong with f as the source of an issuer's keys,
// or of a key set if issuer is empty. It reads no file.
func (f *Fetch) Check(issuer string) error {
	if f.Refresh != nil && (f.Refresh.Min == 0 || f.Refresh.Max == 0) {
		return errors.New("refresh needs two durations")
	}
	config, err := f.base(issuer)
	if err != nil {
		return err
	}
	return config.Check()
}

// base is the configuration without the trust pool.
func (f *Fetch) base(issuer string) (jwks.Config, error) {
	config := jwks.Config{URL: f.URL, Issuer: issuer, AllowPrivate: f.AllowPrivate, MaxStale: time.Duration(f.MaxStale)}
	if f.Refresh != nil {
		config.MinRefresh, config.MaxRefresh = time.Duration(f.Refresh.Min), time.Duration(f.Refresh.Max)
	}
	if config.URL != "" || issuer == "" {
		return config, nil
	}
	at, err := jwks.DiscoveryURL(issuer)
	if err != nil {
		return config, fmt.Errorf("the issuer has no metadata by itself: %w; name their URL", err)
	}
	config.URL = at
	return config, nil
}

// Config reads the trust pool.
func (f *Fetch) Config(issuer string) (jwks.Config, error) {
	config, err := f.base(issuer)
	if err != nil {
		return config, err
	}
	config.TrustPool, err = trustpool.Read(f.TrustPoolFiles)
	return config.Complete(), err
}

// Unmarshal reads what follows the option's name, without a block too:
//
//	<url> {
//		allow_private
//		trust_pool file <paths...>
//		refresh    <min> <max>
//		max_stale  <duration>
//	}
//
// With an optional URL it can be left out.
func (f *Fetch) Unmarshal(o *caddyfile.Dispenser, optional bool) error {
	name := o.Val()
	var at error
	switch {
	case o.NextArg():
		f.URL = o.Val()
		if err := jwks.CheckURL(f.URL); err != nil {
			at = o.Errf("%s: %v", name, err) // without the URL, which may have a password
		}
	case !optional:
		at = o.Errf("%s needs a value", name)
	}
	begin := *o
	err := errors.Join(at, read.Block(o, []string{"trust_pool"}, f.option))
	if err != nil {
		return err
	}
	if f.URL != "" { // without one, the issuer decides
		if err := f.Check(""); err != nil {
			return begin.Errf("%s: %v", name, err)
		}
	}
	return nil
}

func (f *Fetch) option(o *caddyfile.Dispenser) error {
	switch o.Val() {
	case "allow_private":
		return read.Flag(o, &f.AllowPrivate)
	case "trust_pool":
		var kind string
		if err := read.Word(o, &kind, "file"); err != nil {
			return err
		}
		return read.Strings(o, &f.TrustPoolFiles)
	case "refresh":
		if o.CountRemainingArgs() != 2 {
			o.RemainingArgs()
			return o.Err("refresh needs two durations, the shortest and the longest")
		}
		f.Refresh = new(Refresh)
		return errors.Join(
			read.Duration(o, jwks.ShortestRefresh, jwks.LongestRefresh, &f.Refresh.Min),
			read.Duration(o, jwks.ShortestRefresh, jwks.LongestRefresh, &f.Refresh.Max),
		)
	case "max_stale":
		return read.Duration(o, jwks.ShortestStale, jwks.LongestStale, &f.MaxStale)
	}
	return read.Unknown(o, "allow_private", "trust_pool", "refresh", "max_stale")
}
