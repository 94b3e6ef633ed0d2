package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"
)

// ParseJWKS reads a JWK set (RFC 7517 section 5). A key that cannot be used (of
// another type or use, too weak, malformed, published with its private part) is
// left out, so that one bad key does not lock everybody out; a set without any
// usable key is an error. The bytes are kept.
func ParseJWKS(data []byte) (*KeySet, error) {
	text := string(data)
	if !utf8.ValidString(text) {
		return nil, errUTF8
	}
	set := &KeySet{raw: data}
	d := decoder{text: text}
	if err := d.jwks(set); err != nil {
		return nil, err
	}
	if d.space(); d.pos != len(text) {
		return nil, errTrailing
	}
	if len(set.keys) == 0 {
		return nil, errors.Join(append([]error{errors.New("the JWK set has no key that can verify signatures")}, set.skipped...)...)
	}
	return set, nil
}

// jwks reads the set's object. Only its own members must be unique for the set
// to be taken; what is wrong inside a key concerns that key.
func (d *decoder) jwks(set *KeySet) error {
	if !d.take('{') {
		return errJSON
	}
	seen := make(map[string]bool)
	for more := !d.take('}'); more; {
		name, err := d.name()
		if err != nil {
			return err
		}
		if seen[name] {
			return errDuplicate
		}
		seen[name] = true
		if name == "keys" {
			err = d.jwksKeys(set)
		} else {
			_, err = d.value(1)
		}
		if err != nil {
			return err
		}
		if more = !d.take('}'); more && !d.take(',') {
			return errJSON
		}
	}
	if !seen["keys"] {
		return errors.New("not a JWK set: no keys")
	}
	return nil
}

func (d *decoder) jwksKeys(set *KeySet) error {
	if !d.take('[') {
		return errors.New("not a JWK set: keys is not an array")
	}
	for n, more := 0, !d.take(']'); more; n++ {
		if n == maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		k, err := d.jwk()
		if err == errJSON {
			return err
		}
		if err != nil {
			set.skipped = append(set.skipped, fmt.Errorf("key %d: %w", n, err))
		} else {
			set.keys = append(set.keys, k)
		}
		if more = !d.take(']'); more && !d.take(',') {
			return errJSON
		}
	}
	return nil
}

// jwk reads one key. The decoder stands behind it also where it is refused,
// unless the error is errJSON.
func (d *decoder) jwk() (key, error) {
	d.space()
	start := d.pos
	value, err := d.value(2)
	if err == errDuplicate {
		d.pos, d.loose = start, true
		_, again := d.value(2)
		d.loose = false
		if again != nil {
			return key{}, errJSON
		}
		return key{}, errDuplicate
	}
	if err != nil {
		return key{}, errJSON
	}
	members, ok := value.(map[string]any)
	if !ok {
		return key{}, errors.New("not an object")
	}
	return jwkKey(members)
}

// jwkKey makes a key of a JWK's members (RFC 7517 section 4, RFC 7518 section 6,
// RFC 8037 section 2). x5c, x5u and the thumbprints are not looked at.
func jwkKey(m map[string]any) (key, error) {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := m[private]; ok {
			return key{}, fmt.Errorf("has the secret member %q", private)
		}
	}
	if err := checkUse(m); err != nil {
		return key{}, err
	}
	public, err := jwkPublic(m)
	if err != nil {
		return key{}, err
	}
	k, err := newKey(public)
	if err != nil {
		return key{}, err
	}
	if id, ok := m["kid"]; ok {
		if k.id, ok = id.(string); !ok || len(k.id) > maxKeyID {
			return key{}, errKidType
		}
	}
	k.use, _ = m["use"].(string)
	if name, ok := m["alg"]; ok {
		k.alg, _ = name.(string)
		alg := algorithms[k.alg]
		if alg == nil || !k.fits(alg) {
			return key{}, errors.New("alg is no signature algorithm for this type of key")
		}
	}
	return k, nil
}

// checkUse refuses keys that are for something else (RFC 7517 sections 4.2, 4.3).
func checkUse(m map[string]any) error {
	if use, ok := m["use"]; ok && use != "sig" {
		return errors.New("use is not sig")
	}
	ops, ok := m["key_ops"]
	if !ok {
		return nil
	}
	list, _ := ops.([]any)
	verifies := false
	seen := make(map[string]bool, len(list))
	for _, op := range list {
		name, ok := op.(string)
		if !ok || seen[name] {
			return errors.New("key_ops is not a list of different strings")
		}
		seen[name] = true
		verifies = verifies || name == "verify"
	}
	if !verifies {
		return errors.New("key_ops does not contain verify")
	}
	return nil
}

func jwkPublic(m map[string]any) (crypto.PublicKey, error) {
	switch m["kty"] {
	case ktyRSA:
		return jwkRSA(m)
	case ktyEC:
		return jwkEC(m)
	case ktyOKP:
		if m["crv"] != "Ed25519" {
			return nil, errors.New("crv is not Ed25519")
		}
		x, err := octets(m, "x", ed25519.PublicKeySize)
		return ed25519.PublicKey(x), err
	}
	return nil, errors.New("kty is not RSA, EC or OKP")
}

func jwkRSA(m map[string]any) (*rsa.PublicKey, error) {
	n, err := octets(m, "n", 0)
	if err != nil {
		return nil, err
	}
	e, err := octets(m, "e", 0)
	if err != nil {
		return nil, err
	}
	// RFC 7518 section 6.3.1: the minimum number of octets.
	if n[0] == 0 || e[0] == 0 {
		return nil, errors.New("n or e begins with a zero octet")
	}
	if len(e) > 4 {
		return nil, errors.New("RSA exponent is not usable")
	}
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}, nil
}

func jwkEC(m map[string]any) (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch m["crv"] {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, errors.New("crv is not P-256, P-384 or P-521")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err := octets(m, "x", size)
	if err != nil {
		return nil, err
	}
	y, err := octets(m, "y", size)
	if err != nil {
		return nil, err
	}
	uncompressed := append(append([]byte{4}, x...), y...)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, uncompressed)
	if err != nil {
		return nil, errors.New("the point is not on the curve")
	}
	return public, nil
}

// octets decodes a base64url member, which must have exactly size octets, or at
// least one if size is 0.
func octets(m map[string]any, name string, size int) ([]byte, error) {
	text, ok := m[name].(string)
	if !ok {
		return nil, fmt.Errorf("%s is missing or not a string", name)
	}
	b, err := decodeSegment(text)
	if err != nil || len(b) == 0 || size != 0 && len(b) != size {
		return nil, fmt.Errorf("%s is not base64url of the right length", name)
	}
	return b, nil
}
