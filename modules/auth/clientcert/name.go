package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name, in bytes.
const maxName = 1024

// namers are the ways to name the caller.
var namers = map[string]func(*x509.Certificate) (string, error){
	"":            byDefault,
	"subject":     subject,
	"san_uri":     func(c *x509.Certificate) (string, error) { return only(uris(c)) },
	"san_dns":     func(c *x509.Certificate) (string, error) { return only(hosts(c)) },
	"san_email":   func(c *x509.Certificate) (string, error) { return only(emails(c)) },
	"fingerprint": func(c *x509.Certificate) (string, error) { return fingerprint(c), nil },
}

// Names are what a certificate can name its holder by.
func Names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(namers)), func(s string) bool { return s == "" })
}

func byDefault(c *x509.Certificate) (string, error) {
	switch {
	case len(c.URIs) > 0:
		return only(uris(c))
	case len(c.DNSNames) > 0:
		return only(hosts(c))
	}
	return subject(c)
}

// only returns the one name. Which of several an authority means is not ours to
// guess.
func only(names []string) (string, error) {
	if len(names) != 1 || names[0] == "" {
		return "", ErrName
	}
	return names[0], nil
}

// uris are the URIs, empty where one is no absolute URI that names somebody.
func uris(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		text := ""
		if u.Scheme != "" && u.User == nil && u.Fragment == "" {
			text = checked(u.String())
		}
		names = append(names, text)
	}
	return names
}

// hosts are the DNS names in lower case, empty where one is a pattern or no name
// at all.
func hosts(c *x509.Certificate) []string {
	var names []string
	for _, name := range c.DNSNames {
		name = strings.ToLower(name)
		if strings.ContainsFunc(name, func(r rune) bool {
			return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
		}) {
			name = ""
		}
		names = append(names, checked(name))
	}
	return names
}

func emails(c *x509.Certificate) []string {
	var names []string
	for _, name := range c.EmailAddresses {
		names = append(names, checked(name))
	}
	return names
}

// subject is the whole distinguished name as RFC 4514 writes it. It is read from
// the certificate's own bytes: x509 keeps but one of several common names.
func subject(c *x509.Certificate) (string, error) { return distinguished(c.RawSubject) }

// nameOfIssuer is the subject of the authority, or what the certificate calls its
// issuer where the authority is not known.
func nameOfIssuer(c, authority *x509.Certificate) (string, error) {
	if authority == nil {
		return distinguished(c.RawIssuer)
	}
	return subject(authority)
}

func distinguished(raw []byte) (string, error) {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return "", ErrName
	}
	name := checked(sequence.String())
	if name == "" {
		return "", ErrName
	}
	return name, nil
}

// checked returns name, or nothing if it may not be one: it ends up in headers
// and logs.
func checked(name string) string {
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return ""
	}
	return name
}

// fingerprint is the SHA-256 of the certificate, as Caddy's
// {http.request.tls.client.fingerprint}.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// claims are what else the certificate says, for access rules. What may not be a
// name is left out.
func claims(leaf, authority *x509.Certificate) map[string]any {
	all := map[string]any{"fingerprint": fingerprint(leaf), "serial": leaf.SerialNumber.Text(16)}
	if authority != nil {
		all["issuer_fingerprint"] = fingerprint(authority)
	}
	if name, err := subject(leaf); err == nil {
		all["subject"] = name
	}
	for claim, names := range map[string][]string{"san_uri": uris(leaf), "san_dns": hosts(leaf), "san_email": emails(leaf)} {
		var list []any
		for _, name := range names {
			if name != "" {
				list = append(list, name)
			}
		}
		if list != nil {
			all[claim] = list
		}
	}
	return all
}
