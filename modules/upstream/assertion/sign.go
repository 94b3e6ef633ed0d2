package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	// Type is the typ of an assertion, so that no other token passes for one.
	Type = "sallyport-assertion+jwt"
	// Algorithm is the only one.
	Algorithm = "ES256"
	// MaxTTL is the longest time for which an assertion may be good.
	MaxTTL = 30 * time.Second
	// maxLength is the longest assertion, in bytes: package jwt reads no more.
	maxLength = 16 << 10
)

// Target is the part of a request that an assertion is bound to.
type Target struct {
	Method string
	// Path is the path as sent, percent-encoded.
	Path string
	// Query is the query as sent, without '?'.
	Query string
}

// Key signs assertions. It is safe for concurrent use; make one with NewKey.
type Key struct {
	private *ecdsa.PrivateKey
	id      string
	jwk     []byte
	header  []byte // encoded, with the dot behind it
}

// NewKey wraps a P-256 key. Its id is the key's thumbprint (RFC 7638).
func NewKey(private *ecdsa.PrivateKey) (*Key, error) {
	if private.Curve != elliptic.P256() {
		return nil, errors.New("not a P-256 key")
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, errors.New("not a usable P-256 key")
	}
	x, y := encode(point[1:33]), encode(point[33:])
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	k := &Key{private: private, id: encode(sum[:])}
	k.jwk = []byte(`{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"` + k.id + `","x":"` + x + `","y":"` + y + `"}`)
	k.header = append(k.header, encode([]byte(`{"alg":"`+Algorithm+`","typ":"`+Type+`","kid":"`+k.id+`"}`))+"."...)
	return k, nil
}

// ID is the key's kid.
func (k *Key) ID() string { return k.id }

// JWK is the public key (RFC 7517), as JSON.
func (k *Key) JWK() json.RawMessage { return k.jwk }

// Maker makes the assertions for one service. It is safe for concurrent use; make
// one with NewMaker.
type Maker struct {
	constant []byte // the members that are the same in all, from the brace on
	ttl      time.Duration
}

// NewMaker returns what makes assertions by issuer for audience that are good for
// ttl, in whole seconds up to MaxTTL.
func NewMaker(issuer, audience string, ttl time.Duration) *Maker {
	m := &Maker{ttl: min(ttl, MaxTTL)}
	m.constant = appendString([]byte(`{"iss":`), issuer)
	m.constant = appendString(append(m.constant, `,"aud":`...), audience)
	return m
}

// ErrTooLong says that no verifier would read the assertion: the path is too long, or
// the caller has too many scopes or roles.
var ErrTooLong = errors.New("the assertion would be too long")

// Make returns a new assertion about a request, its id and its caller, who is nil
// if unknown.
func (m *Maker) Make(key *Key, to Target, requestID string, caller *principal.Principal, now time.Time) (string, error) {
	claims := make([]byte, 0, 1024)
	claims = append(claims, m.constant...)
	iat := now.Unix()
	claims = strconv.AppendInt(append(claims, `,"iat":`...), iat, 10)
	claims = strconv.AppendInt(append(claims, `,"nbf":`...), iat, 10)
	claims = strconv.AppendInt(append(claims, `,"exp":`...), iat+int64(m.ttl/time.Second), 10)
	var id [16]byte
	_, _ = rand.Read(id[:]) // which never fails
	claims = appendBase64(append(claims, `,"jti":"`...), id[:])
	claims = appendString(append(claims, `","htm":`...), to.Method)
	claims = appendString(append(claims, `,"path":`...), to.Path)
	query := sha256.Sum256([]byte(to.Query))
	claims = append(appendBase64(append(claims, `,"qh":"`...), query[:]), '"')
	if requestID != "" {
		claims = appendString(append(claims, `,"rid":`...), requestID)
	}
	if caller != nil {
		claims = appendCaller(claims, caller)
	}
	claims = append(claims, '}')

	token := make([]byte, 0, len(key.header)+base64.RawURLEncoding.EncodedLen(len(claims))+1+base64.RawURLEncoding.EncodedLen(64))
	token = appendBase64(append(token, key.header...), claims)
	signature, err := golangjwt.SigningMethodES256.Sign(string(token), key.private)
	if err != nil {
		return "", err
	}
	token = appendBase64(append(token, '.'), signature)
	if len(token) > maxLength {
		return "", ErrTooLong
	}
	return string(token), nil
}

func appendCaller(claims []byte, p *principal.Principal) []byte {
	claims = appendString(append(claims, `,"sub":`...), p.ID)
	if p.Issuer != "" {
		claims = appendString(append(claims, `,"sub_iss":`...), p.Issuer)
	}
	claims = appendString(append(claims, `,"auth":`...), p.Method)
	if len(p.Scopes) > 0 {
		claims = append(claims, `,"scope":"`...)
		for i, scope := range p.Scopes {
			if i > 0 {
				claims = append(claims, ' ')
			}
			claims = appendText(claims, scope)
		}
		claims = append(claims, '"')
	}
	if len(p.Roles) > 0 {
		claims = append(claims, `,"roles":[`...)
		for i, role := range p.Roles {
			if i > 0 {
				claims = append(claims, ',')
			}
			claims = appendString(claims, role)
		}
		claims = append(claims, ']')
	}
	if p.Tier != "" {
		claims = appendString(append(claims, `,"tier":`...), p.Tier)
	}
	return claims
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	return append(appendText(append(dst, '"'), s), '"')
}

// appendText appends what stands between the quotes of a JSON string. What is not
// UTF-8 becomes U+FFFD, as in encoding/json.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return dst
}

func appendBase64(dst, src []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, src) }

func encode(src []byte) string { return base64.RawURLEncoding.EncodeToString(src) }
