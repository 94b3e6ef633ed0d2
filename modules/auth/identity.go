package auth

import (
	"net/http"
	"slices"
	"strings"
)

// maxHeaderName is the longest name of an identity header.
const maxHeaderName = 64

// defaultIdentityHeaders are the headers in which gateways, proxies and balancers
// tell backends who calls, by who writes them. A client that writes one itself
// must not be believed. '*' at the end stands for any continuation.
var defaultIdentityHeaders = []string{
	"X-Sallyport-*",
	// Many.
	"X-User*", "X-Auth-*", "X-Authenticated-*", "X-Remote-User*", "X-Remote-Group*", "X-Remote-Extra-*",
	"X-Remote-Email", "X-Remote-Name", "X-Remote-Uid", "X-Principal*", "X-Identity*", "X-Subject", "X-Roles", "X-Groups",
	"X-Oidc-*", "X-Jwt-*", "X-Claim-*", "X-Token-*", "Remote-User*", "Remote-Group*", "Remote-Name", "Remote-Email",
	// oauth2-proxy, Traefik, Envoy.
	"X-Forwarded-User*", "X-Forwarded-Email", "X-Forwarded-Group*", "X-Forwarded-Preferred-Username", "X-Forwarded-Login",
	"X-Forwarded-Access-Token", "X-Forwarded-Id-Token", "X-Forwarded-Client-Cert*", "X-Forwarded-Tls-Client-Cert*",
	// Kong.
	"X-Consumer-*", "X-Credential-*", "X-Anonymous-Consumer",
	// AWS, Google Cloud, Azure, Cloudflare.
	"X-Amzn-Oidc-*", "X-Amzn-Mtls-*", "X-Goog-Iap-*", "X-Goog-Authenticated-User-*", "X-Endpoint-Api-Userinfo",
	"X-Apigateway-Api-Userinfo", "X-Ms-Client-Principal*", "X-Ms-Token-*", "X-Arr-Clientcert", "Cf-Access-*",
	// Client certificates: RFC 9440, nginx, Apache, HAProxy.
	"Client-Cert*", "X-Client-Cert*", "X-Client-Dn", "X-Client-Verify", "X-Ssl-Client*", "X-Ssl-Cert*", "Ssl-Client-*", "X-Tls-Client-*",
	// Products.
	"X-Authentik-*", "X-Pomerium-*", "X-Vouch-*", "X-Webauth-*", "Oidc-*", "Shib-*", "Sm-User*", "Iv-User", "Iv-Groups", "Iv-Creds",
	"Oam-Remote-User",
}

// notIdentity begin like identity headers and are none: a gRPC-Web client's name,
// and a credential that its backend checks by itself.
var notIdentity = []string{"x-user-agent", "x-auth-token"}

// identityHeaders removes the headers that carry identity. Names are compared
// without regard to case and with '_' and '.' equal to '-', because CGI, PHP and
// their relatives make X-User, X_User and X.User one variable.
type identityHeaders struct {
	patterns []headerPattern // sorted by name; none continues another
	initial  [256]bool       // the first letters of the patterns
	keep     []string        // folded names that are none
	sources  []string        // canonical names of the headers that credentials are read from
}

type headerPattern struct {
	name   string // folded
	prefix bool
}

// newIdentityHeaders compiles the default names, more, and the aliases of the
// sources of credentials, whose own spelling is kept.
func newIdentityHeaders(more, sources []string) *identityHeaders {
	i := &identityHeaders{keep: notIdentity, sources: sources}
	var all []headerPattern
	for _, name := range slices.Concat(defaultIdentityHeaders, more, sources) {
		name, prefix := strings.CutSuffix(name, "*")
		var buf [maxHeaderName]byte
		all = append(all, headerPattern{string(foldHeader(&buf, name)), prefix})
	}
	// A prefix comes in front of what continues it, and of the same exact name.
	slices.SortFunc(all, func(a, b headerPattern) int {
		if a.name == b.name && a.prefix {
			return -1
		}
		return strings.Compare(a.name, b.name)
	})
	for _, p := range all {
		i.initial[p.name[0]] = true
		if n := len(i.patterns); n > 0 {
			last := i.patterns[n-1]
			if last.name == p.name || last.prefix && strings.HasPrefix(p.name, last.name) {
				continue
			}
		}
		i.patterns = append(i.patterns, p)
	}
	return i
}

// strip removes every identity header from h.
func (i *identityHeaders) strip(h http.Header) {
	for name := range h {
		if i.carries(name) {
			delete(h, name)
		}
	}
}

// carries reports whether the header called name is one of them.
func (i *identityHeaders) carries(name string) bool {
	if name == "" || !i.initial[lower(name[0])] {
		return false
	}
	var buf [maxHeaderName]byte
	folded := foldHeader(&buf, name)
	// Of sorted patterns none of which continues another, only the last one that
	// is not greater can fit.
	low, high := 0, len(i.patterns)
	for low < high {
		if middle := (low + high) / 2; i.patterns[middle].name <= string(folded) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return false
	}
	p := i.patterns[low-1]
	switch {
	case len(folded) < len(p.name) || string(folded[:len(p.name)]) != p.name:
		return false
	case !p.prefix && len(name) != len(p.name):
		return false
	}
	return !slices.Contains(i.sources, name) && !slices.Contains(i.keep, string(folded))
}

// foldHeader writes the form in which names are compared to buf: the first
// maxHeaderName bytes, which are more than any pattern has.
func foldHeader(buf *[maxHeaderName]byte, name string) []byte {
	n := min(len(name), len(buf))
	for i := range n {
		switch c := name[i]; c {
		case '_', '.':
			buf[i] = '-'
		default:
			buf[i] = lower(c)
		}
	}
	return buf[:n]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
