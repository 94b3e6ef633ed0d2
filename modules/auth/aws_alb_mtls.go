package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/auth/clientcert"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/internal/trustpool"
)

const wordALBMTLS = "aws_alb_mtls"

// The modes of mutual TLS of an Application Load Balancer, and what it writes in each:
// docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html.
const (
	modeVerify      = "verify"
	modePassthrough = "passthrough"
	albLeafHeader   = "X-Amzn-Mtls-Clientcert-Leaf"
	albChainHeader  = "X-Amzn-Mtls-Clientcert"
)

// AWSALBMTLS accepts certificates with which clients opened their connections to an
// Application Load Balancer, as it (trusted_proxies elb aws_alb) reports them.
//
// The balancer writes the header only on listeners with mutual TLS in the mode; of
// others, a client's own header passes it. So all the listeners whose requests come to
// this gateway have to be in the mode, port 80 among them.
type AWSALBMTLS struct {
	// Mode is that of the listener: verify, in which the balancer verifies the
	// certificate against its trust store, or passthrough, in which it does not and we
	// do. Required.
	Mode string `json:"mode,omitempty"`

	// TrustPoolFiles are PEM files with the authorities whose certificates are
	// accepted. They are read when the configuration is loaded. Required with
	// passthrough; with verify, they are those that the balancer trusts, or fewer, and
	// what is between them and the client, of which it does not tell. Default: none.
	TrustPoolFiles []string `json:"trust_pool_files,omitempty"`

	// Principal is which name in the certificate is the caller's id, as in MTLS.
	Principal string `json:"principal,omitempty"`

	// AllowIssuer are the authorities whose certificates are accepted, as in MTLS.
	// Without TrustPoolFiles, they are those that issued the certificate itself.
	// Default: all.
	AllowIssuer []string `json:"allow_issuer,omitempty"`

	// Header is how the balancer's listener was told to call its header. Default:
	// X-Amzn-Mtls-Clientcert-Leaf with verify, X-Amzn-Mtls-Clientcert with passthrough.
	Header string `json:"header,omitempty"`
}

func (*AWSALBMTLS) scheme() string { return schemeCertificate }

func (a *AWSALBMTLS) claims(t taken) []error {
	return []error{t.once(wordALBMTLS, wordALBMTLS+" is"), t.place(source{inHeader, a.header()}, wordALBMTLS)}
}

// header is the canonical name of the header.
func (a *AWSALBMTLS) header() string {
	switch {
	case a.Header != "":
		return http.CanonicalHeaderKey(a.Header)
	case a.Mode == modePassthrough:
		return albChainHeader
	}
	return albLeafHeader
}

// reported implements reporter.
func (a *AWSALBMTLS) reported() []string { return []string{a.header()} }

func (a *AWSALBMTLS) check() []error {
	m := MTLS{Principal: a.Principal, AllowIssuer: a.AllowIssuer}
	errs := m.check()
	switch a.Mode {
	case modeVerify, modePassthrough, "":
	default:
		errs = append(errs, fmt.Errorf("mode %q is not verify or passthrough", a.Mode))
	}
	if a.Header != "" {
		if err := checkSourceHeader(a.Header); err != nil {
			errs = append(errs, fmt.Errorf("header %q: %w", a.Header, err))
		}
	}
	return in(wordALBMTLS, append(errs, a.gaps(a.Mode, len(a.TrustPoolFiles) > 0)...))
}

func (a *AWSALBMTLS) gaps(mode string, pool bool) []error {
	switch {
	case mode == "":
		return []error{errors.New("mode is missing: verify or passthrough, as the balancer's listener has it")}
	case mode == modePassthrough && !pool:
		return []error{errors.New("mode passthrough needs trust_pool: the balancer verifies nothing then")}
	}
	return nil
}

func (a *AWSALBMTLS) unmarshal(o *caddyfile.Dispenser) error {
	block, pool := *o, false
	err := read.Block(o, []string{"allow_issuer", "trust_pool"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "mode":
			a.Mode = "?" // given, if wrong
			return read.Word(o, &a.Mode, modeVerify, modePassthrough)
		case "trust_pool":
			pool = true
			var kind string
			if err := read.Word(o, &kind, "file"); err != nil {
				return err
			}
			return read.Strings(o, &a.TrustPoolFiles)
		case "principal":
			return read.Value(o, parseCertificateName, &a.Principal)
		case "allow_issuer":
			return read.Values(o, parseAuthority, &a.AllowIssuer)
		case "header":
			return read.Value(o, valid(checkSourceHeader), &a.Header)
		}
		return read.Unknown(o, "mode", "trust_pool", "principal", "allow_issuer", "header")
	})
	return errors.Join(err, located(block, in(wordALBMTLS, a.gaps(a.Mode, pool))))
}

func (a *AWSALBMTLS) open(b *builder) error {
	var roots *x509.CertPool // nil: the balancer verified the certificate
	if len(a.TrustPoolFiles) > 0 {
		text, err := trustpool.Read(a.TrustPoolFiles)
		if err != nil {
			return fmt.Errorf("%s: %w", wordALBMTLS, err)
		}
		if roots, err = trustpool.Parse(text); err != nil {
			return fmt.Errorf("%s: trust_pool: %w", wordALBMTLS, err)
		}
	}
	reporter, err := clientcert.NewReporter(wordALBMTLS, a.Principal, a.AllowIssuer, roots)
	if err != nil {
		return fmt.Errorf("%s: principal: %w", wordALBMTLS, err)
	}
	return b.stand(wordALBMTLS, vendorALB, &assertion{a.header(),
		func(_ context.Context, value string, now time.Time) (*principal.Principal, *decision.Reason, error) {
			who, err := reporter.Verify(value, now)
			switch {
			case errors.Is(err, clientcert.ErrReport):
				return nil, assertionMalformed, err
			case err != nil:
				return nil, certificateReason(err), err
			}
			return who, nil, nil
		}})
}
