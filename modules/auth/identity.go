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
	"X-User*", "X-Auth", "X-Auth-*", "X-Authenticated*", "X-Remote-User*", "X-Remote-Group*", "X-Remote-Role*", "X-Remote-Extra-*",
	"X-Remote-Email", "X-Remote-Name", "X-Remote-Uid", "X-Real-User", "X-Proxy-User*", "X-Logged-In-*", "X-Acting-User",
	"X-Principal*", "X-Identity*", "X-Sub", "X-Subject", "X-Login", "X-Email", "X-Role", "X-Roles", "X-Group", "X-Groups", "X-Scope", "X-Scopes",
	"X-Oidc-*", "X-Jwt-*", "X-Claim-*", "X-Token-*", "X-Id-Token", "X-Spiffe-*", "Remote-User*", "Remote-Group*", "Remote-Name", "Remote-Email", "Proxy-User*",
	// oauth2-proxy, Traefik, Envoy.
	"X-Forwarded-User*", "X-Forwarded-Email", "X-Forwarded-Group*", "X-Forwarded-Role*", "X-Forwarded-Preferred-Username", "X-Forwarded-Login",
	"X-Forwarded-Access-Token", "X-Forwarded-Id-Token", "X-Forwarded-Client-Cert*", "X-Forwarded-Tls-Client-Cert*",
	// Kong.
	"X-Consumer-*", "X-Credential-*", "X-Anonymous-Consumer",
	// AWS, Google Cloud, Azure, Cloudflare.
	"X-Amzn-Oidc-*", "X-Amzn-Mtls-*", "X-Goog-Iap-*", "X-Goog-Authenticated-User-*", "X-Endpoint-Api-Userinfo",
	"X-Apigateway-Api-Userinfo", "X-Ms-Client-Principal*", "X-Ms-Token-*", "X-Arr-Clientcert", "Cf-Access-*",
	// Client certificates: RFC 9440, nginx, Apache, HAProxy.
	"Client-Cert*", "X-Client-Cert*", "X-Client-Dn", "X-Client-Verify", "X-Ssl-Client*", "X-Ssl-Cert*", "Ssl-Client-*", "X-Tls-Client-*",
	// Products.
	"Impersonate-*", "X-Authentik-*", "X-Pomerium-*", "X-Vouch-*", "X-Webauth-*", "Oidc-*", "Shib-*", "Sm-User*", "Iv-User", "Iv-Groups", "Iv-Creds",
	"Oam-Remote-User",
}

// notIdentity begin like identity headers and are none: a gRPC-Web client's name,
// and a credential, which proves itself to a backend that checks it.
var notIdentity = []string{"x-user-agent", "x-auth-token"}

// identityHeaders takes the headers that carry identity out of requests. Names are
// compared without regard to case and with '_' and '.' equal to '-', because CGI,
// PHP and their relatives make X-User, X_User and X.User one variable.
type identityHeaders struct {
	buckets [256][]headerPattern // by the hash of their first letters
	keep    []headerPattern
}

// headerPattern is a name in folded form, or the beginning of names.
type headerPattern struct {
	name   string
	prefix bool
	except string // a spelling that the pattern does not mean
	meant  bool   // also where it is one of notIdentity
}

// newIdentityHeaders compiles the built-in names, more, and the aliases of the
// headers, in canonical spelling, that credentials are read from.
func newIdentityHeaders(more, sources []string) *identityHeaders {
	i := new(identityHeaders)
	add := func(p headerPattern) {
		b := bucketOf(p.name)
		i.buckets[b] = append(i.buckets[b], p)
	}
	for _, name := range defaultIdentityHeaders {
		add(newHeaderPattern(name))
	}
	for _, name := range more {
		p := newHeaderPattern(name)
		p.meant = !p.prefix
		add(p)
	}
	for _, name := range sources {
		p := newHeaderPattern(name)
		p.except, p.meant = name, true
		add(p)
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
	return headerPattern{name: string(folded), prefix: prefix}
}

// take moves every identity header from h to held, which it returns. held is made
// when there is one and may be nil.
func (i *identityHeaders) take(h, held http.Header) http.Header {
	for name, lines := range h {
		if !i.carries(name) {
			continue
		}
		delete(h, name)
		if held == nil {
			held = make(http.Header)
		}
		held[name] = lines
	}
	return held
}

// carries reports whether the header called name is one of them.
func (i *identityHeaders) carries(name string) bool {
	for _, p := range i.buckets[bucketOf(name)] {
		if p.matches(name) && (p.meant || !slices.ContainsFunc(i.keep, func(k headerPattern) bool { return k.matches(name) })) {
			return true
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
	return name != p.except
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
