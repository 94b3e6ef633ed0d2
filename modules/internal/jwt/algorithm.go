package jwt

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"maps"
	"slices"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// DefaultAlgorithms are what an issuer may sign with if nothing is configured:
// for each type of key the one that issuers use. RSA-PSS and the longer hashes
// have to be named.
var DefaultAlgorithms = []string{"RS256", "ES256", "EdDSA"}

// Algorithms returns the names of the signature algorithms that exist here,
// sorted, without those of SecretAlgorithms.
func Algorithms() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(algorithms)), func(name string) bool {
		return algorithms[name].kty == ktySecret
	})
}

// SecretAlgorithms returns the names of the symmetric algorithms, sorted. They are
// only for issuers with Secrets: who can check an HMAC can make one.
func SecretAlgorithms() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(algorithms)), func(name string) bool {
		return algorithms[name].kty != ktySecret
	})
}

// algorithm is one JWS algorithm and the only kind of key that it takes: a key
// never serves an algorithm of another type, nor ES256 one of another curve.
type algorithm struct {
	name   string
	kty    string
	curve  elliptic.Curve
	method golangjwt.SigningMethod
	hash   crypto.Hash // of an HMAC, which has no method
}

var algorithms = map[string]*algorithm{
	"RS256": {name: "RS256", kty: ktyRSA, method: golangjwt.SigningMethodRS256},
	"RS384": {name: "RS384", kty: ktyRSA, method: golangjwt.SigningMethodRS384},
	"RS512": {name: "RS512", kty: ktyRSA, method: golangjwt.SigningMethodRS512},
	"PS256": {name: "PS256", kty: ktyRSA, method: strictPSS(golangjwt.SigningMethodPS256)},
	"PS384": {name: "PS384", kty: ktyRSA, method: strictPSS(golangjwt.SigningMethodPS384)},
	"PS512": {name: "PS512", kty: ktyRSA, method: strictPSS(golangjwt.SigningMethodPS512)},
	"ES256": {name: "ES256", kty: ktyEC, curve: elliptic.P256(), method: golangjwt.SigningMethodES256},
	"ES384": {name: "ES384", kty: ktyEC, curve: elliptic.P384(), method: golangjwt.SigningMethodES384},
	"ES512": {name: "ES512", kty: ktyEC, curve: elliptic.P521(), method: golangjwt.SigningMethodES512},
	"EdDSA": {name: "EdDSA", kty: ktyOKP, method: golangjwt.SigningMethodEdDSA},
	"HS256": {name: "HS256", kty: ktySecret, hash: crypto.SHA256},
	"HS384": {name: "HS384", kty: ktySecret, hash: crypto.SHA384},
	"HS512": {name: "HS512", kty: ktySecret, hash: crypto.SHA512},
}

// strictPSS demands a salt as long as the hash (RFC 7518 section 3.5).
// golang-jwt's own methods take any salt, for the sake of old tokens.
func strictPSS(m *golangjwt.SigningMethodRSAPSS) golangjwt.SigningMethod {
	strict := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return &golangjwt.SigningMethodRSAPSS{SigningMethodRSA: m.SigningMethodRSA, Options: strict, VerifyOptions: strict}
}
