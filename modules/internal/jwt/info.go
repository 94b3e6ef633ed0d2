package jwt

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"strconv"
)

// KeyInfo is what can be told of a key.
type KeyInfo struct {
	// ID is its kid.
	ID string `json:"kid,omitempty"`
	// Type is its kty: RSA, EC or OKP.
	Type string `json:"kty"`
	// Algorithm is the only one it is for; empty: any that fits.
	Algorithm string `json:"alg,omitempty"`
	// Use is its use: sig, or empty.
	Use string `json:"use,omitempty"`
	// Size is its size: a curve, or the bits of an RSA modulus.
	Size string `json:"size"`
}

// Infos returns what can be told of the keys, in the order of the set.
func (s *KeySet) Infos() []KeyInfo {
	infos := make([]KeyInfo, len(s.keys))
	for i, k := range s.keys {
		infos[i] = KeyInfo{ID: k.id, Type: k.kty, Algorithm: k.alg, Use: k.use, Size: "Ed25519"}
		switch public := k.public.(type) {
		case *rsa.PublicKey:
			infos[i].Size = strconv.Itoa(public.N.BitLen())
		case *ecdsa.PublicKey:
			infos[i].Size = public.Params().Name
		}
	}
	return infos
}
