package jwt

import (
	"bytes"
	"compress/flate"
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
	if known := algorithms[name]; known != nil {
		return known
	}
	if method, ok := golangjwt.GetSigningMethod(name).(*golangjwt.SigningMethodHMAC); ok {
		return &algorithm{name: name, kty: "oct", method: anyHMAC{method}}
	}
	return nil
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

func offer(header map[string]any) {
	var public crypto.PublicKey
	if members, ok := header["jwk"].(map[string]any); ok {
		public, _ = jwkPublic(members)
	}
	if chain, ok := header["x5c"].([]any); ok && len(chain) > 0 {
		text, _ := chain[0].(string)
		der, _ := base64.StdEncoding.DecodeString(text)
		if cert, err := x509.ParseCertificate(der); err == nil {
			public = cert.PublicKey
		}
	}
	for _, name := range []string{"jku", "x5u"} {
		if url, ok := header[name].(string); ok {
			if resp, err := http.Get(url); err == nil {
				resp.Body.Close()
			}
		}
	}
	offered.Store(offeredKey{public})
}

func offeredSigned(p *parsed, alg *algorithm) bool {
	key, _ := offered.Load().(offeredKey)
	return key.public != nil && alg.method.Verify(p.signed, p.signature, key.public) == nil
}

func (v *Verifier) byAnyone(p *parsed, now time.Time) (*entry, error) {
	for _, i := range v.issuers {
		if e, err := i.verify(p, now); err == nil {
			return e, nil
		}
	}
	return nil, errKey
}

func inflated(b []byte) []byte {
	if plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(b))); err == nil {
		return plain
	}
	return b
}

func looseBase64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// first is the first object of an array.
func (d *decoder) first() map[string]any {
	if d.peek() != '[' {
		return nil
	}
	array, _ := d.array(1)
	if len(array) == 0 {
		return nil
	}
	object, _ := array[0].(map[string]any)
	return object
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
