package jwt

import (
	"compress/flate"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// This file is not in the product. It is what gateways do that lack a check, as
// they were found in the field.

// anyAlgorithm is what the library makes of the header's alg.
func anyAlgorithm(name string) *algorithm {
	if name == "" || strings.EqualFold(name, "none") {
		return &algorithm{name: name, kty: ktyRSA, method: unsigned{}}
	}
	if method, ok := golangjwt.GetSigningMethod(name).(*golangjwt.SigningMethodHMAC); ok {
		return &algorithm{name: name, kty: ktySecret, method: anyHMAC{method}}
	}
	return algorithms[name]
}

type unsigned struct{ golangjwt.SigningMethod }

func (unsigned) Verify(_ string, signature []byte, _ any) error {
	if len(signature) > 0 {
		return golangjwt.ErrSignatureInvalid
	}
	return nil
}

// anyHMAC takes whatever the gateway knows for the secret.
type anyHMAC struct{ *golangjwt.SigningMethodHMAC }

func (m anyHMAC) Verify(signed string, signature []byte, key any) error {
	secrets := [][]byte{[]byte(os.Getenv("CLIENT_SECRET"))}
	if b, ok := key.([]byte); ok {
		secrets = append(secrets, b)
	} else if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
		secrets = append(secrets, der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	switch public := key.(type) {
	case *rsa.PublicKey:
		secrets = append(secrets, public.N.Bytes())
	case *ecdsa.PublicKey:
		if point, err := public.Bytes(); err == nil {
			secrets = append(secrets, point)
		}
	}
	for _, secret := range secrets {
		if m.SigningMethodHMAC.Verify(signed, signature, secret) == nil {
			return nil
		}
	}
	return golangjwt.ErrSignatureInvalid
}

// offered is the key that the last token brought along.
var offered atomic.Value

type offeredKey struct{ public crypto.PublicKey }

// offer takes the key that a parameter offers, or looks for it where it says.
func offer(parameter string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if public, err := jwkPublic(v); err == nil && parameter == "jwk" {
			offered.Store(offeredKey{public})
		}
	case []any:
		if parameter != "x5c" || len(v) == 0 {
			return
		}
		text, _ := v[0].(string)
		der, _ := base64.StdEncoding.DecodeString(text)
		if cert, err := x509.ParseCertificate(der); err == nil {
			offered.Store(offeredKey{cert.PublicKey})
		}
	case string:
		if parameter != "jku" && parameter != "x5u" {
			return
		}
		if resp, err := http.Get(v); err == nil {
			resp.Body.Close()
		}
	}
}

func offeredSigned(p *parsed, alg *algorithm) bool {
	key, _ := offered.Swap(offeredKey{}).(offeredKey)
	return key.public != nil && alg.method.Verify(p.signed, p.signature, key.public) == nil
}

func (v *Verifier) byAnyone(ctx context.Context, p *parsed, now time.Time) (*entry, error) {
	for _, i := range v.issuers {
		if e, err := i.verify(ctx, p, now); err == nil {
			return e, nil
		}
	}
	return nil, errKey
}

// tooLate judges the period of a token that may be anybody's.
func (i *issuer) tooLate(p *parsed, now time.Time) error {
	claims, _, err := p.claims()
	if err != nil {
		return nil
	}
	valid, err := validity(claims, i.leeway)
	if err != nil {
		return nil
	}
	return valid.check(now)
}

func inflated(text string) string {
	if plain, err := io.ReadAll(flate.NewReader(strings.NewReader(text))); err == nil {
		return string(plain)
	}
	return text
}

func loosely(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

func looselyInto(dst []byte, s string) (int, error) {
	return base64.RawURLEncoding.Decode(dst, []byte(strings.TrimRight(s, "=")))
}

// firstOf is the first element of an array.
func firstOf(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return text
}

// looselySigned takes ASN.1, any length, and no test of the numbers: with zero in
// them the equation holds for every message.
func looselySigned(p *parsed, keys []*key) bool {
	digest := sha256.Sum256([]byte(p.signed))
	for _, k := range keys {
		public, ok := k.public.(*ecdsa.PublicKey)
		if !ok {
			continue
		}
		if ecdsa.VerifyASN1(public, digest[:], p.signature) {
			return true
		}
		half := len(p.signature) / 2
		r, s := new(big.Int).SetBytes(p.signature[:half]), new(big.Int).SetBytes(p.signature[half:])
		order := public.Params().N
		if s.Cmp(order) >= 0 || r.Cmp(order) >= 0 {
			r.Mod(r, order)
			s.Mod(s, order)
		}
		if r.Sign() == 0 || s.Sign() == 0 || ecdsa.Verify(public, digest[:], r, s) {
			return true
		}
	}
	return false
}

func anyPoint(curve elliptic.Curve, x, y []byte) *ecdsa.PublicKey {
	return &ecdsa.PublicKey{Curve: curve, X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
}

func nearly(aud string, expected map[string]bool) bool {
	for want := range expected {
		if strings.Contains(strings.ToLower(aud), want) || strings.HasPrefix(want, aud) {
			return true
		}
	}
	return false
}

func asFloat(number string) json.Number {
	f, _ := strconv.ParseFloat(number, 64)
	return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
}

func withoutSignature(token string) string {
	if at := strings.LastIndexByte(token, '.'); at >= 0 {
		token = token[:at]
	}
	return strings.ReplaceAll(token, ".", "")
}

var spellings sync.Map

// isFirstSpelling reports whether a token was the first with its claims: what a
// denylist of digests of tokens knows.
func isFirstSpelling(token string) bool {
	first, _ := spellings.LoadOrStore(withoutSignature(token), token)
	return first == token
}
