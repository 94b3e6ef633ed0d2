package tlspolicy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(Mounted))
}

const (
	defaultPoll  = 2 * time.Second
	shortestPoll = 50 * time.Millisecond
	longestPoll  = time.Hour
)

// pairs are those that are followed, by their files. They outlive a reload, so
// that it loses no good certificate whose files are bad by now.
var pairs = lease.NewPool[*pair]()

// Mounted takes certificates out of files that somebody else renews, and rereads
// them when they change, without a reload. It answers every handshake that it is
// asked for: with the certificate for the name, else with the first. While it has
// none, handshakes fail; nothing is obtained from anywhere else.
type Mounted struct {
	// Pairs are the certificates, each with its key. Required.
	Pairs []Files `json:"pairs,omitempty"`

	// Poll is how often the files are looked at. A change is in force when it was
	// seen twice. Where the same files are mounted several times, the shortest
	// counts. Between 50ms and 1h. Default: 2s.
	Poll caddy.Duration `json:"poll,omitempty"`

	leases []*lease.Lease[*pair]
	pairs  []*pair
	paces  []func() // give back the intervals
}

// Files are a certificate and its key.
type Files struct {
	// Certificate is a PEM file: the certificate, then its chain. Required.
	Certificate string `json:"certificate,omitempty"`

	// Key is a PEM file with the private key, not encrypted. Required.
	Key string `json:"key,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Mounted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "tls.get_certificate.mounted",
		New: func() caddy.Module { return new(Mounted) },
	}
}

// Provision implements caddy.Provisioner.
func (m *Mounted) Provision(ctx caddy.Context) error {
	repl := caddy.NewReplacer()
	for i := range m.Pairs {
		m.Pairs[i].Certificate = repl.ReplaceAll(m.Pairs[i].Certificate, "")
		m.Pairs[i].Key = repl.ReplaceAll(m.Pairs[i].Key, "")
	}
	if err := errors.Join(m.check()...); err != nil {
		return err
	}
	// The app watches over the certificates, also where there is no guard.
	if _, err := suite.Of(ctx); err != nil {
		return err
	}
	for _, files := range m.Pairs {
		if err := m.take(files); err != nil {
			return err
		}
	}
	for _, p := range m.pairs {
		held, err := p.state()
		if held == nil || err != nil {
			ctx.Logger().Warn("mounted certificate is not good: the gateway is not ready until one is", zap.String("certificate", p.certFile),
				zap.String("key", p.keyFile), zap.Bool("an_older_one_is_served", held != nil), zap.Error(err))
		}
	}
	return nil
}

// take takes a share of a pair. The interval is no part of the key: a reload that
// changes it would have to read the files anew, whatever they are by then.
func (m *Mounted) take(files Files) error {
	interval := time.Duration(m.Poll)
	if interval == 0 {
		interval = defaultPoll
	}
	shared, err := pairs.Take(files, func() (*pair, error) {
		return newPair(files.Certificate, files.Key, logPair), nil
	})
	if err != nil {
		return err
	}
	m.leases = append(m.leases, shared)
	m.pairs = append(m.pairs, shared.Value())
	m.paces = append(m.paces, shared.Value().pace(interval))
	return nil
}

// Cleanup implements caddy.CleanerUpper.
func (m *Mounted) Cleanup() error {
	for _, release := range m.paces {
		release()
	}
	m.paces = nil
	var errs []error
	for _, l := range m.leases {
		errs = append(errs, l.Release())
	}
	m.leases = nil
	return errors.Join(errs...)
}

// GetCertificate implements certmagic.Manager. It never says that it has
// nothing to say: Caddy would go on to obtain a certificate by ACME.
func (m *Mounted) GetCertificate(_ context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(m.pairs) == 1 {
		if held := m.pairs[0].inForce.Load(); held != nil {
			return &held.certificate, nil
		}
		return nil, errMissing
	}
	if held := m.choose(strings.ToLower(hello.ServerName), hello.SupportsCertificate); held != nil {
		return &held.certificate, nil
	}
	return nil, errMissing
}

// choose returns the best certificate for a name: one that covers it, is valid
// and suits the client, as far as there is one. It returns nil if there is none
// at all.
func (m *Mounted) choose(name string, suits func(*tls.Certificate) error) *loaded {
	var best *loaded
	most := -1
	now := time.Now()
	for _, p := range m.pairs {
		held := p.inForce.Load()
		if held == nil {
			continue
		}
		points := 0
		if held.covers(name) {
			points += 4
		}
		if held.validAt(now) == nil {
			points += 2
		}
		if suits != nil && suits(&held.certificate) == nil {
			points++
		}
		if points > most {
			best, most = held, points
		}
	}
	return best
}

// check returns all that is wrong with the configuration.
func (m *Mounted) check() []error {
	var errs []error
	if len(m.Pairs) == 0 {
		errs = append(errs, errors.New("mounted needs cert and key"))
	}
	for i, files := range m.Pairs {
		if files.Certificate == "" || files.Key == "" {
			errs = append(errs, fmt.Errorf("pairs[%d] needs a certificate and a key", i))
		}
		if !utf8.ValidString(files.Certificate) { // it is a metric's label
			errs = append(errs, fmt.Errorf("pairs[%d]: the certificate's file name is not UTF-8", i))
		}
	}
	if poll := time.Duration(m.Poll); poll != 0 && (poll < shortestPoll || poll > longestPoll) {
		errs = append(errs, fmt.Errorf("poll %s is not between %s and %s", poll, shortestPoll, longestPoll))
	}
	return errs
}

// logPair writes what happens to a pair. Pairs outlive configurations, so it
// logs through whichever is in force.
func logPair(p *pair, err error) {
	log := caddy.Log().Named("tls.mounted").With(zap.String("certificate", p.certFile))
	if err != nil {
		log.Error("the files are not put in force", zap.Bool("an_older_one_is_served", p.inForce.Load() != nil), zap.Error(err))
		return
	}
	leaf := p.inForce.Load().certificate.Leaf
	log.Info("certificate in force", zap.Strings("names", leaf.DNSNames), zap.Time("not_after", leaf.NotAfter))
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Mounted)(nil)
	_ caddy.CleanerUpper = (*Mounted)(nil)
	_ certmagic.Manager  = (*Mounted)(nil)
)
