package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/auth/clientcert"
	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

// MTLS accepts the certificate with which the client opened its connection to this
// gateway, where the site's client_auth verified it.
type MTLS struct {
	// Principal is which name in the certificate is the caller's id: san_uri,
	// san_dns, san_email, subject (the distinguished name as in RFC 4514) or
	// fingerprint (SHA-256). A certificate without that name, or with several of
	// the kind, is refused. Default: the URI; without one the DNS name; without
	// either the subject.
	Principal string `json:"principal,omitempty"`

	// AllowIssuer are the authorities whose certificates are accepted: the subjects
	// of certificates in the trust pool, as {http.auth.user.issuer} shows them.
	// Default: all that the site trusts.
	AllowIssuer []string `json:"allow_issuer,omitempty"`
}

// certificateReasons are the refusals of client certificates.
var certificateReasons = map[error]*decision.Reason{
	clientcert.ErrNone:       reasonNone,
	clientcert.ErrUnverified: invalid("auth.certificate_unverified"),
	clientcert.ErrExpired:    invalid("auth.certificate_expired"),
	clientcert.ErrIssuer:     invalid("auth.certificate_issuer"),
	clientcert.ErrName:       invalid("auth.certificate_name"),
}

func certificateReason(err error) *decision.Reason {
	if reason := certificateReasons[err]; reason != nil {
		return reason
	}
	return reasonFailed
}

// certificates judge who opened the connection.
type certificates struct {
	verifier *clientcert.Verifier
}

func (c *certificates) judge(r *http.Request, _ http.Header, now time.Time) outcome {
	if isForwarded(r) {
		return outcome{reason: reasonNone, cause: errProxys}
	}
	who, err := c.verifier.Verify(r.TLS, now)
	if err != nil {
		return outcome{reason: certificateReason(err), cause: err}
	}
	return outcome{who: who}
}

var errProxys = errors.New("the connection is a trusted proxy's, and so is its certificate")

// isForwarded reports whether the peer is not the client: it is a balancer or a
// proxy that forwards the requests of others.
func isForwarded(r *http.Request) bool {
	if seen := edge.From(r); seen != nil && seen.Balanced {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// schemeCertificate is none that is registered: Mutual (RFC 8120) is about passwords.
const schemeCertificate = "ClientCertificate"

func (*MTLS) scheme() string { return schemeCertificate }

func (*MTLS) claims(t taken) []error { return []error{t.once("mtls", "mtls is")} }

// check returns everything that is wrong with the mtls block.
func (m *MTLS) check() []error {
	var errs []error
	if m.Principal != "" {
		if _, err := parseCertificateName(m.Principal); err != nil {
			errs = append(errs, fmt.Errorf("mtls: principal %q: %w", m.Principal, err))
		}
	}
	for _, name := range m.AllowIssuer {
		if _, err := parseAuthority(name); err != nil {
			errs = append(errs, fmt.Errorf("mtls: allow_issuer %q: %w", name, err))
		}
	}
	return errs
}

func parseCertificateName(name string) (string, error) {
	if !slices.Contains(clientcert.Names(), name) {
		return "", fmt.Errorf("not one of %s", strings.Join(clientcert.Names(), ", "))
	}
	return name, nil
}

func parseAuthority(name string) (string, error) {
	if !strings.Contains(name, "=") {
		return "", errors.New(`not a distinguished name, such as "CN=Partner CA,O=Example" (openssl x509 -noout -subject -nameopt RFC2253)`)
	}
	return access.ParseText(name)
}

func (m *MTLS) unmarshal(o *caddyfile.Dispenser) error {
	return read.Block(o, []string{"allow_issuer"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "principal":
			return read.Value(o, parseCertificateName, &m.Principal)
		case "allow_issuer":
			return read.Values(o, parseAuthority, &m.AllowIssuer)
		}
		return read.Unknown(o, "principal", "allow_issuer")
	})
}

// open refuses a server on which mtls would refuse every caller, or on which the
// certificate could have been verified for another site.
func (m *MTLS) open(b *builder) error {
	server, ok := b.ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("mtls works only in a server of the http app")
	}
	verifier, err := clientcert.New(m.Principal, m.AllowIssuer)
	if err != nil {
		return fmt.Errorf("mtls: principal: %w", err)
	}
	b.attach(&certificates{verifier})
	if !slices.ContainsFunc(server.TLSConnPolicies, verifiesClients) {
		const why = "no connection policy of this server verifies client certificates: add client_auth to tls_policy or tls"
		if len(b.Alternatives) == 1 {
			return errors.New("mtls would refuse every caller: " + why)
		}
		// The same alternatives for a site behind an HTTPS balancer, as in a snippet.
		b.Logger().Warn("mtls accepts nobody here: "+why, zap.String("site", b.Site()))
		return nil
	}
	if server.StrictSNIHost == nil || !*server.StrictSNIHost {
		return errors.New("mtls needs strict_sni_host: without, the certificate may have been verified for another site")
	}
	return nil
}

// verifiesClients reports whether a certificate that is shown on connections of
// the policy is verified.
func verifiesClients(p *caddytls.ConnectionPolicy) bool {
	a := p.ClientAuthentication
	if p.Drop || a == nil || !a.Active() {
		return false
	}
	switch a.Mode {
	case "require_and_verify", "verify_if_given":
		return true
	case "":
		// Caddy verifies then if it knows whom to trust.
		return a.CARaw != nil || len(a.VerifiersRaw) == 0
	}
	return false
}
