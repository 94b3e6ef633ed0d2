package jwt

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

const (
	// refusalSlots and the two lengths bound what refusals take: about 700 KiB.
	refusalSlots        = 256
	maxRefusedText      = 2 << 10
	maxRefusedSignature = maxRSABits / 8
)

// refusals remembers tokens whose signature did not verify, so that a client that
// sends the same bad token again and again does not cost a signature check each
// time. It has no lock and no goroutine; the zero value is empty.
//
// It belongs to one KeySet, which never changes: there, a bad signature stays bad,
// and what it refuses was refused by this very set. New keys are a new set, which
// remembers nothing. Dates, audience and claims are not remembered. A refusal is
// found by the whole token, so another spelling of the same signature is checked
// anew, and what an attacker puts in only takes the place of something like it.
type refusals struct {
	table atomic.Pointer[refusalTable]
}

type refusalTable struct {
	seed  maphash.Seed
	slots [refusalSlots]atomic.Pointer[refusal]
}

type refusal struct {
	alg       *algorithm
	signed    string
	signature []byte
}

// slot is where a token is remembered. Only the signature is hashed: it differs
// between tokens.
func (t *refusalTable) slot(p *parsed) *atomic.Pointer[refusal] {
	return &t.slots[maphash.Bytes(t.seed, p.signature)%refusalSlots]
}

func (r *refusals) has(p *parsed, alg *algorithm) bool {
	t := r.table.Load()
	if t == nil {
		return false
	}
	known := t.slot(p).Load()
	return known != nil && known.alg == alg && known.signed == p.signed && bytes.Equal(known.signature, p.signature)
}

func (r *refusals) add(p *parsed, alg *algorithm) {
	if len(p.signed) > maxRefusedText || len(p.signature) > maxRefusedSignature {
		return
	}
	t := r.table.Load()
	if t == nil {
		t = &refusalTable{seed: maphash.MakeSeed()}
		if !r.table.CompareAndSwap(nil, t) {
			t = r.table.Load()
		}
	}
	// The text is a part of a header; the signature has memory of its own.
	t.slot(p).Store(&refusal{alg, strings.Clone(p.signed), p.signature})
}
