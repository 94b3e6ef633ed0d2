package tlspolicy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/exposure"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	suite.Contribute(watchCertificates)
}

// otherSubject is the label for names that no site has: they come from clients,
// where certificates are obtained on demand.
const otherSubject = "_other"

var (
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "certificate_failures_total",
		Help:      "Certificates that could not be obtained or renewed, by configured name; _other is every other name.",
	}, []string{"subject"})
	obtained = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "certificates_obtained_total",
		Help:      "Certificates that were obtained or renewed, by configured name; _other is every other name.",
	}, []string{"subject"})
	expiryDesc = prometheus.NewDesc(metric.Namespace+"_certificate_expiry_timestamp_seconds",
		"When the certificate that is served for a configured name expires, in Unix time.", []string{"subject"}, nil)
	refusedDesc = prometheus.NewDesc(metric.Namespace+"_mounted_certificate_refused",
		"1 while the files of a mounted certificate are not in force as they are, else 0.", []string{"certificate"}, nil)
)

// inForce is the inventory of the configuration that serves.
var inForce atomic.Pointer[inventory]

// watchCertificates is what the package does for every configuration: metrics,
// readiness, failures.
func watchCertificates(ctx caddy.Context, config *suite.Config) error {
	if err := metric.Register(ctx, failures, obtained, collector{}); err != nil {
		return err
	}
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	events := app.(*caddyevents.App)
	certificates := &inventory{ctx: ctx}
	config.AtEnd(certificates.leave)
	config.Ready("certificates", certificates.ready)
	return errors.Join(
		events.On("started", eventFunc(func(caddy.Event) {
			certificates.before = inForce.Swap(certificates)
			certificates.count()
		})),
		events.On("cert_failed", eventFunc(func(e caddy.Event) { failures.WithLabelValues(certificates.label(e)).Inc() })),
		events.On("cert_obtained", eventFunc(func(e caddy.Event) { obtained.WithLabelValues(certificates.label(e)).Inc() })),
	)
}

// inventory knows for which names a configuration has to have certificates. It
// finds out when it is first asked, because the apps are provisioned by then.
type inventory struct {
	ctx    caddy.Context
	once   sync.Once
	names  []*subject
	before *inventory // what this one replaces, until it has
}

// leave gives way to what was in force before, if that still serves: Caddy rejects
// some configurations when they have started.
func (v *inventory) leave() {
	before := v.before
	v.before = nil
	if inForce.CompareAndSwap(v, before) {
		return
	}
	if now := inForce.Load(); now != nil && now.before == v {
		now.before = nil // replaced: there is no way back
	}
}

// subject is a configured name that is served with TLS.
type subject struct {
	name    string
	label   string   // the name; for a site without one, the file of its certificate
	mounted *Mounted // nil unless the certificate is mounted
	// challenged says that the certificate is obtained by challenges that come in
	// like clients, through the balancer. A gateway that is not ready gets none.
	challenged bool
	// asked says that a manager of somebody else's is asked for the certificate at
	// each handshake. What it would answer is not known before.
	asked bool
}

// count begins the counters of the names: a rate sees no first failure.
func (v *inventory) count() {
	for _, s := range v.subjects() {
		failures.WithLabelValues(s.label)
		obtained.WithLabelValues(s.label)
	}
}

// subjects returns the configured names.
func (v *inventory) subjects() []*subject {
	v.once.Do(v.find)
	return v.names
}

func (v *inventory) find() {
	web, err := v.ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	app, err := v.ctx.AppIfConfigured("tls")
	if err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return
	}
	policies, _ := app.(*caddytls.TLS)
	known := make(map[string]bool)
	for _, server := range web.(*caddyhttp.App).Servers {
		if len(server.TLSConnPolicies) == 0 {
			continue
		}
		for _, name := range names(server) {
			if !known[name] {
				known[name] = true
				v.names = append(v.names, newSubject(name, server.AutoHTTPS, policies))
			}
		}
	}
	v.addNameless(policies, known)
	slices.SortFunc(v.names, func(a, b *subject) int { return strings.Compare(a.label, b.label) })
}

// addNameless adds the mounted certificates of sites without a name.
func (v *inventory) addNameless(app *caddytls.TLS, known map[string]bool) {
	if app == nil || app.Automation == nil {
		return
	}
	for _, policy := range app.Automation.Policies {
		mounted := mountedOf(policy)
		if mounted == nil || len(policy.Subjects()) > 0 {
			continue
		}
		if file := mounted.Pairs[0].Certificate; !known[file] {
			known[file] = true
			v.names = append(v.names, &subject{label: file, mounted: mounted})
		}
	}
}

// names are those of a server's sites.
func names(server *caddyhttp.Server) []string {
	var found []string
	for _, route := range server.Routes {
		for _, set := range route.MatcherSets {
			for _, m := range set {
				hosts, ok := m.(*caddyhttp.MatchHost)
				if !ok {
					continue
				}
				for _, host := range *hosts {
					if certmagic.SubjectQualifiesForCert(host) && (server.AutoHTTPS == nil || !slices.Contains(server.AutoHTTPS.Skip, host)) {
						found = append(found, strings.ToLower(host))
					}
				}
			}
		}
	}
	return found
}

func newSubject(name string, auto *caddyhttp.AutoHTTPSConfig, app *caddytls.TLS) *subject {
	s := &subject{name: name, label: name}
	obtained := auto == nil || !auto.Disabled && !auto.DisableCerts
	if app == nil || app.Automation == nil {
		return s
	}
	for _, policy := range app.Automation.Policies {
		if len(policy.Subjects()) > 0 && !slices.ContainsFunc(policy.Subjects(), func(pattern string) bool { return certmagic.MatchWildcard(name, pattern) }) {
			continue
		}
		s.mounted = mountedOf(policy)
		s.asked = s.mounted == nil && len(policy.Managers) > 0
		s.challenged = policy.OnDemand || obtained && exposure.ChallengesFromOutside(policy.Issuers)
		return s
	}
	s.challenged = obtained && certmagic.SubjectQualifiesForPublicCert(name)
	return s
}

func mountedOf(policy *caddytls.AutomationPolicy) *Mounted {
	for _, manager := range policy.Managers {
		if mounted, ok := manager.(*Mounted); ok {
			return mounted
		}
	}
	return nil
}

// served returns the best certificate there is for the name: a valid one if
// possible. It returns nil if there is none.
func (s *subject) served(now time.Time) *x509.Certificate {
	var best *x509.Certificate
	if s.name != "" {
		for _, c := range caddytls.AllMatchingCertificates(s.name) {
			if c.Leaf != nil && (best == nil || validAt(best, now) != nil && (validAt(c.Leaf, now) == nil || c.Leaf.NotAfter.After(best.NotAfter))) {
				best = c.Leaf
			}
		}
	}
	if best == nil && s.mounted != nil && !isAddress(s.name) {
		if held := s.mounted.choose(s.name, nil); held != nil {
			best = held.certificate.Leaf
		}
	}
	return best
}

// isAddress reports whether a site's name is an IP address. Handshakes name none
// (RFC 6066 section 3).
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// keepsNames returns why a pair's certificate in force is not to be replaced by
// the next: a site of the configuration that serves is left without one.
func keepsNames(p *pair, next *loaded) error {
	certificates := inForce.Load()
	if certificates == nil {
		return nil
	}
	current, now := p.inForce.Load(), time.Now()
	for _, s := range certificates.subjects() {
		if s.name == "" || s.mounted == nil || !slices.Contains(s.mounted.pairs, p) || !current.covers(s.name) || next.covers(s.name) {
			continue
		}
		if !slices.ContainsFunc(s.mounted.pairs, func(other *pair) bool {
			held := other.inForce.Load()
			return other != p && held != nil && held.covers(s.name) && held.validAt(now) == nil
		}) {
			return fmt.Errorf("the certificate is not for %s, as the one in force is", s.label)
		}
	}
	return nil
}

// ready is the condition of readiness: each name has a valid certificate, unless
// it is one that only a ready gateway can obtain, or that is not known before.
func (v *inventory) ready() error {
	var errs []error
	now := time.Now()
	for _, s := range v.subjects() {
		leaf := s.served(now)
		switch {
		case (s.challenged || s.asked) && s.mounted == nil && (leaf == nil || !isLoaded(s.name)):
		case leaf == nil && s.mounted != nil && isAddress(s.name):
			errs = append(errs, fmt.Errorf("%s has no certificate: handshakes name no address, and Caddy asks mounted for none; write the site without a name", s.label))
		case leaf == nil:
			errs = append(errs, fmt.Errorf("%s has no certificate", s.label))
		default:
			err := validAt(leaf, now)
			if err == nil && s.name != "" && !(&loaded{names: namesOf(leaf)}).covers(s.name) {
				err = errors.New("the certificate is for other names")
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.label, err))
			}
		}
	}
	return errors.Join(errs...)
}

// isLoaded reports whether the certificate for a name was loaded from files: it
// stays what it is, whatever challenges say.
func isLoaded(name string) bool {
	return !slices.ContainsFunc(caddytls.AllMatchingCertificates(name), func(c certmagic.Certificate) bool {
		// There is no exported way to ask.
		managed := reflect.ValueOf(c).FieldByName("managed")
		return managed.IsValid() && managed.Bool()
	})
}

// label is the label for the name that an event is about.
func (v *inventory) label(e caddy.Event) string {
	name, _ := e.Data["identifier"].(string)
	for _, s := range v.subjects() {
		if s.name != "" && s.name == strings.ToLower(name) {
			return s.label
		}
	}
	return otherSubject
}

// collector shows when the certificates expire that are served when it is asked.
type collector struct{}

// Describe implements prometheus.Collector.
func (collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- expiryDesc
	descs <- refusedDesc
}

// Collect implements prometheus.Collector.
func (collector) Collect(metrics chan<- prometheus.Metric) {
	certificates := inForce.Load()
	if certificates == nil {
		return
	}
	now := time.Now()
	files := make(map[string]float64)
	for _, s := range certificates.subjects() {
		if leaf := s.served(now); leaf != nil {
			metrics <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(leaf.NotAfter.Unix()), s.label)
		}
		if s.mounted == nil {
			continue
		}
		for _, p := range s.mounted.pairs {
			if _, err := p.state(); err != nil {
				files[p.certFile] = 1
			} else {
				files[p.certFile] += 0
			}
		}
	}
	for file, refused := range files {
		metrics <- prometheus.MustNewConstMetric(refusedDesc, prometheus.GaugeValue, refused, file)
	}
}

// eventFunc is a caddyevents.Handler that stops no event.
type eventFunc func(caddy.Event)

func (f eventFunc) Handle(_ context.Context, e caddy.Event) error {
	f(e)
	return nil
}
