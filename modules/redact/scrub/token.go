package scrub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

const (
	// MinKey is the shortest Rule.Key, in bytes.
	MinKey = 16

	// tokenBytes is how much of the HMAC a token has: half, RFC 2104 section 5.
	// Among 2^64 values two are likely to have the same token.
	tokenBytes = sha256.Size / 2
)

// newTokens returns a pool of HMACs that are ready for a value.
func newTokens(key []byte) *sync.Pool {
	key = append([]byte(nil), key...)
	return &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
}

// appendToken appends the token of what was written to mac.
func appendToken(dst []byte, mac hash.Hash) []byte {
	var sum [sha256.Size]byte
	return hex.AppendEncode(dst, mac.Sum(sum[:0])[:tokenBytes])
}

// beginToken makes the stream hash the value that comes.
func (s *Stream) beginToken(e *effect) {
	mac := e.tokens.Get().(hash.Hash)
	mac.Reset()
	s.mac, s.macOf = mac, e.tokens
}

// endToken brings out the token of the value that was hashed.
func (s *Stream) endToken() {
	var token [2 * tokenBytes]byte
	s.emit(appendToken(token[:0], s.mac))
	s.macOf.Put(s.mac)
	s.mac, s.macOf = nil, nil
}

// token brings out the token of a whole value, as a JSON string.
func (s *Stream) token(e *effect, value []byte) {
	s.emit([]byte(`"`))
	s.beginToken(e)
	s.mac.Write(value)
	s.endToken()
	s.emit([]byte(`"`))
}

// hashFound hashes a part of what a detector found. Numbers of cards and accounts
// are the same however they are grouped.
func (s *Stream) hashFound(detector string, text []byte) {
	if detector != detect.Card && detector != detect.IBAN {
		s.mac.Write(text)
		return
	}
	for i, c := range text {
		if c != ' ' && c != '-' {
			s.mac.Write(text[i : i+1])
		}
	}
}
