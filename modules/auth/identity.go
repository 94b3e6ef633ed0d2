package auth

import (
	"net/http"
	"slices"
	"strings"
)

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
	buckets [256][]headerPattern // by the hash of their first letters
	keep    []headerPattern
	sources []string // canonical names of the headers that credentials are read from
}

// headerPattern is a name in folded form, or the beginning of names.
type headerPattern struct {
	name   string
	prefix bool
}

// newIdentityHeaders compiles the built-in names, more, and the aliases of the
// sources of credentials, whose own spelling is kept.
func newIdentityHeaders(more, sources []string) *identityHeaders {
	i := &identityHeaders{sources: sources}
	for _, name := range slices.Concat(defaultIdentityHeaders, more, sources) {
		p := newHeaderPattern(name)
		b := bucketOf(p.name)
		i.buckets[b] = append(i.buckets[b], p)
	}
	for _, name := range notIdentity {
		i.keep = append(i.keep, newHeaderPattern(name))
	}
	return i
}

func newHeaderPattern(name string) headerPattern {
	name, prefix := strings.CutSuffix(name, "*")
	folded := make([]byte, len(name))
	for i := range len(name) {
		folded[i] = foldByte[name[i]]
	}
	return headerPattern{string(folded), prefix}
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
	for _, p := range i.buckets[bucketOf(name)] {
		if p.matches(name) {
			return !slices.Contains(i.sources, name) &&
				!slices.ContainsFunc(i.keep, func(k headerPattern) bool { return k.matches(name) })
		}
	}
	return false
}

func (p headerPattern) matches(name string) bool {
	if len(name) < len(p.name) || len(name) > len(p.name) && !p.prefix {
		return false
	}
	for i := range len(p.name) {
		if foldByte[name[i]] != p.name[i] {
			return false
		}
	}
	return true
}

// bucketLetters is how many letters of a name choose its bucket; a pattern with
// '*' has at least as many.
const bucketLetters = 3

func bucketOf(name string) (hash byte) {
	for i := range min(len(name), bucketLetters) {
		hash = hash*31 + foldByte[name[i]]
	}
	return hash
}

// foldByte maps bytes to the form in which names are compared.
var foldByte = func() (table [256]byte) {
	for i := range table {
		c := byte(i)
		switch {
		case c == '_' || c == '.':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		table[i] = c
	}
	return table
}()
