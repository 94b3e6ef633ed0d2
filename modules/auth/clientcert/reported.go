package clientcert

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	// maxReported is the longest report of certificates, and maxChain how many may be
	// in it: each costs a signature check at least.
	maxReported = 48 << 10
	maxChain    = 8
	// maxRSA is the largest key in bits, as in crypto/tls. AWS takes none that is
	// larger, and each check with one takes longer than all else about a request.
	maxRSA = 8192
	// reportEntries reports are remembered.
	reportEntries = 256
)

// ErrReport is for a report that is not of the form that balancers write.
var ErrReport = errors.New("what the balancer reports is not certificates in the form it has")

// Reporter judges certificates with which clients opened connections to a balancer,
// as the balancer reports them: URL-encoded PEM. It is safe for concurrent use.
type Reporter struct {
	verifier *Verifier
	roots    *x509.CertPool // nil: the balancer verified
	cache    [reportEntries]atomic.Pointer[report]
}

// report is what was reported, read and, if there are roots, verified.
type report struct {
	text  string
	state tls.ConnectionState
}

// NewReporter returns one whose principals have the method. With roots, what is
// reported is a chain that nobody verified; without, it is a certificate that the
// balancer verified against authorities of its own. name and issuers are those of
// New; without roots, an issuer is the name that the certificate has for it.
func NewReporter(method, name string, issuers []string, roots *x509.CertPool) (*Reporter, error) {
	v, err := New(name, issuers)
	if err != nil {
		return nil, err
	}
	v.method = method
	return &Reporter{verifier: v, roots: roots}, nil
}

// Verify returns who opened the connection. The dates are judged each time.
func (r *Reporter) Verify(text string, now time.Time) (*principal.Principal, error) {
	place := &r.cache[maphash.String(r.verifier.cache.seed, text)%reportEntries]
	if known := place.Load(); known != nil && known.text == text {
		// Where its chains expired, there may be another one meanwhile.
		if who, err := r.judge(known, now); !errors.Is(err, ErrExpired) {
			return who, err
		}
	}
	chain, err := parseReport(text)
	if err != nil {
		return nil, err
	}
	if r.roots == nil && len(chain) != 1 {
		return nil, ErrReport
	}
	fresh := &report{text: strings.Clone(text), state: tls.ConnectionState{PeerCertificates: chain}}
	if r.roots != nil {
		if fresh.state.VerifiedChains, err = r.chains(chain, now); err != nil {
			return nil, err
		}
	}
	place.Store(fresh)
	return r.judge(fresh, now)
}

func (r *Reporter) judge(known *report, now time.Time) (*principal.Principal, error) {
	if r.roots != nil {
		return r.verifier.Verify(&known.state, now)
	}
	leaf := known.state.PeerCertificates[0]
	if !isCurrent(known.state.PeerCertificates[:1], now) {
		return nil, ErrExpired
	}
	return r.verifier.caller(leaf, nil)
}

// chains verifies the first certificate, for the use as a client's, with the others
// in between.
func (r *Reporter) chains(chain []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	opts := x509.VerifyOptions{
		Roots: r.roots, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(opts)
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return nil, ErrExpired
	}
	if err != nil {
		return nil, ErrUnverified
	}
	return chains, nil
}

// parseReport reads certificates in PEM of which what is not safe in a header is
// percent-encoded. A plus stands for itself: it is a digit of base64.
func parseReport(text string) ([]*x509.Certificate, error) {
	if text == "" || len(text) > maxReported {
		return nil, ErrReport
	}
	data, err := unescape(text)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	begun := bytes.Count(data, []byte("-----BEGIN"))
	if begun == 0 || begun > maxChain {
		return nil, ErrReport
	}
	for range begun {
		// pem.Decode passes over what it cannot read.
		data = bytes.TrimLeft(data, "\r\n")
		if !bytes.HasPrefix(data, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, ErrReport
		}
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return nil, ErrReport
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || isHuge(c) {
			return nil, ErrReport
		}
		chain, data = append(chain, c), rest
	}
	if len(bytes.TrimLeft(data, "\r\n")) > 0 {
		return nil, ErrReport
	}
	return chain, nil
}

func isHuge(c *x509.Certificate) bool {
	k, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && k.N.BitLen() > maxRSA
}

// unescape decodes percent-encoding. What AWS leaves as it is, is letters, digits and
// "-._~+=/"; spaces, in the lines around the base64, may be either.
func unescape(text string) ([]byte, error) {
	decoded := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '%':
			if i+2 >= len(text) {
				return nil, ErrReport
			}
			high, low := unhex(text[i+1]), unhex(text[i+2])
			if high > 15 || low > 15 {
				return nil, ErrReport
			}
			c = high<<4 | low
			i += 2
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+=/ ", c) >= 0:
		default:
			return nil, ErrReport
		}
		decoded = append(decoded, c)
	}
	return decoded, nil
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}
