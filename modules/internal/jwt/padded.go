package jwt

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Padded is a token as AWS's Application Load Balancers write it: its segments are
// base64url with '=' at the end, which RFC 7515 section 2 leaves out and which is
// part of what is signed. Nothing in it is trusted before SignedBy says so.
type Padded struct {
	// Header are all parameters of the header.
	Header map[string]any
	// KeyID is the kid parameter, or empty.
	KeyID string

	parsed parsed
}

// paddedAlgorithm is the only one that the balancers use.
const paddedAlgorithm = "ES256"

// ParsePadded takes a padded token apart, as strictly as other tokens. The error is
// always a *Failure.
func ParsePadded(token string) (*Padded, error) {
	if len(token) > maxToken {
		return nil, errTooLong
	}
	if strings.Count(token, ".") != 2 {
		return nil, errSegments
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first > maxHeader {
		return nil, errHeader
	}
	p := new(Padded)
	header, err := decodePadded(token[:first])
	if err != nil {
		return nil, err
	}
	if err := p.parsed.readHeader(string(header)); err != nil {
		return nil, err
	}
	if p.parsed.alg != paddedAlgorithm {
		return nil, errAlgorithm
	}
	p.KeyID = p.parsed.kid
	if p.Header, _, err = decodeObject(string(header)); err != nil {
		return nil, err
	}
	text, err := decodePadded(token[first+1 : last])
	if err != nil {
		return nil, err
	}
	p.parsed.text, p.parsed.signed = string(text), token[:last]
	p.parsed.signature, err = decodePadded(token[last+1:])
	return p, err
}

// SignedBy returns nil if one of the keys signed the token.
func (p *Padded) SignedBy(keys *KeySet) error {
	if failure := keys.check(&p.parsed, algorithms[paddedAlgorithm]); failure != nil {
		return failure
	}
	return nil
}

// Claims reads the claims, which are strict JSON or refused. size is what they take
// in memory.
func (p *Padded) Claims() (claims map[string]any, size int, err error) { return p.parsed.claims() }

var strictPadded = base64.URLEncoding.Strict()

// decodePadded decodes base64url with padding, of which there is one spelling only.
func decodePadded(s string) ([]byte, error) {
	if hasLineBreak(s) {
		return nil, errBase64
	}
	b, err := strictPadded.DecodeString(s)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

// NumericDate reads a date among claims or header parameters: a number of seconds.
func NumericDate(claim any) (time.Time, error) { return date(claim) }

// IsName reports whether s can be the name of a caller or an issuer: it is there, of
// reasonable length and without line breaks and their like.
func IsName(s string) bool { return s != "" && len(s) <= maxSubject && !hasControl(s) }

// Mapper makes principals of claims that somebody else verified. It is safe for
// concurrent use.
type Mapper struct {
	mapping mapping
}

// NewMapper returns one that takes scopes, roles and the tier from the claims at
// these paths, and the caller's name from sub.
func NewMapper(method string, scopes, roles []string, tier string) *Mapper {
	return &Mapper{newMapping(&Issuer{Method: method, ScopesClaims: scopes, RolesClaims: roles, TierClaim: tier})}
}

// Principal returns who the claims of the issuer are about. The error is always a
// *Failure.
func (m *Mapper) Principal(issuer string, claims map[string]any) (*principal.Principal, error) {
	p := new(principal.Principal)
	if err := m.mapping.principal(p, issuer, claims); err != nil {
		return nil, err
	}
	return p, nil
}

// ParsePEM reads PEM blocks with public keys, as ParseKeys does, and no JWK set.
func ParsePEM(data []byte) (*KeySet, error) { return parsePEM(data) }
