package jwt

import (
	"crypto/sha256"
	"encoding/binary"
)

// Name stands for what a revocation names: the digest of a kind of name, an issuer
// and a value. Of equal size for all, it costs the same to look for, and does not show
// whose it is. The zero Name is nobody's. A name of somebody else takes a second
// preimage of 128 bits.
type Name [16]byte

// The kinds of names.
const (
	NamedID      = 'j' // jti
	NamedSession = 'd' // sid
	NamedSubject = 's' // sub, or the principal's ID
	NamedIssuer  = 'i' // everything of an issuer; without value
	NamedAll     = 'a' // everything; without issuer and value
)

// NameOf returns the Name of a value of an issuer.
func NameOf(kind byte, issuer, value string) Name {
	var room [512]byte // most fit, and need no allocation
	b := append(room[:0], kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(issuer)))
	b = append(b, issuer...)
	sum := sha256.Sum256(append(b, value...))
	return Name(sum[:len(Name{})])
}

// Names are those of one token. Those of what it does not have are zero.
type Names struct {
	ID, Session, Subject, Principal, Issuer Name
}

// SetNames makes the Names. It is called once, by who makes the facts.
func (f *TokenFacts) SetNames() {
	of := func(kind byte, value string) (n Name) {
		if value != "" {
			n = NameOf(kind, f.Issuer, value)
		}
		return n
	}
	f.Names = Names{ID: of(NamedID, f.ID), Session: of(NamedSession, f.Session), Subject: of(NamedSubject, f.Subject), Issuer: NameOf(NamedIssuer, f.Issuer, "")}
	if f.Principal != f.Subject {
		f.Names.Principal = of(NamedSubject, f.Principal)
	}
}
