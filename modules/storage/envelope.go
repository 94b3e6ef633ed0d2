package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An envelope is what the store has of a value:
//
//	"sp" version(1) idLength(1) id fingerprint(8) modified(8) nonce(12) ciphertext tag(16)
//
// The ciphertext is AES-256-GCM's. Everything in front of the nonce, and the name
// of the value with the storage's prefix, are its additional data: an envelope
// that was cut, changed, or put under another name does not open. fingerprint
// tells a wrong key of the right id from that. Version 0 has no id, no
// fingerprint and no nonce, and the value in the clear.
const (
	magic           = "sp"
	versionPlain    = 0
	versionGCM      = 1
	fingerprintSize = 8
	modifiedSize    = 8
	nonceSize       = 12
	tagSize         = 16
	keySize         = 32
	longestID       = 32
)

// Why an envelope does not open.
var (
	errForeign    = errors.New("it is not a value of this storage")
	errVersion    = errors.New("it was written by a newer version of the gateway")
	errTruncated  = errors.New("it is truncated")
	errPlain      = errors.New("it is not encrypted, and this storage takes encrypted values only")
	errEncrypted  = errors.New("it is encrypted, and this storage has no key")
	errKeyUnknown = errors.New("it was encrypted with a key that this gateway does not have")
	errKeyWrong   = errors.New("it was encrypted with another key of the same id")
	errTampered   = errors.New("it was changed or belongs to another name")
)

// sealer seals with the first of its keys and opens with all; without keys it
// does not encrypt. It is safe for concurrent use.
type sealer struct {
	keys []sealKey
}

type sealKey struct {
	id          string
	fingerprint [fingerprintSize]byte
	aead        cipher.AEAD
}

// newSealKey returns the key for 32 bytes.
func newSealKey(id string, key []byte) (sealKey, error) {
	if len(key) != keySize {
		return sealKey{}, fmt.Errorf("the key has %d bytes, not %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealKey{}, err
	}
	k := sealKey{id: id, aead: aead}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sallyport storage key fingerprint"))
	copy(k.fingerprint[:], mac.Sum(nil))
	return k, nil
}

// decodeKey reads 32 bytes in hexadecimal or base64. Errors do not contain s.
func decodeKey(s string) ([]byte, error) {
	s = strings.TrimSpace(s)
	if key, err := hex.DecodeString(s); err == nil && len(key) == keySize {
		return key, nil
	}
	unpadded := strings.TrimRight(s, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(unpadded); err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the key is not %d bytes in base64 or hexadecimal (openssl rand -base64 %d)", keySize, keySize)
}

// seal returns the envelope of value, which is bound to name.
func (s *sealer) seal(name string, value []byte, modified time.Time) []byte {
	if len(s.keys) == 0 {
		e := append(make([]byte, 0, len(magic)+2+modifiedSize+len(value)), magic...)
		e = append(e, versionPlain, 0)
		e = binary.BigEndian.AppendUint64(e, uint64(modified.UnixNano()))
		return append(e, value...)
	}
	k := &s.keys[0]
	e := append(make([]byte, 0, len(magic)+2+len(k.id)+fingerprintSize+modifiedSize+nonceSize+len(value)+tagSize), magic...)
	e = append(e, versionGCM, byte(len(k.id)))
	e = append(e, k.id...)
	e = append(e, k.fingerprint[:]...)
	e = binary.BigEndian.AppendUint64(e, uint64(modified.UnixNano()))
	header := len(e)
	e = e[:header+nonceSize]
	nonce := e[header:]
	rand.Read(nonce) // does not fail
	return k.aead.Seal(e, nonce, value, additional(e[:header], name))
}

// opened is what an envelope holds.
type opened struct {
	value    []byte
	modified time.Time
}

// open returns what was sealed under name.
func (s *sealer) open(name string, e []byte) (opened, error) {
	if len(e) < len(magic) || string(e[:len(magic)]) != magic {
		return opened{}, errForeign
	}
	if len(e) < len(magic)+2 {
		return opened{}, errTruncated
	}
	version, id := e[2], int(e[3])
	switch {
	case version == versionPlain:
		return s.openPlain(e)
	case version != versionGCM:
		return opened{}, errVersion
	case len(s.keys) == 0:
		return opened{}, errEncrypted
	}
	header := len(magic) + 2 + id + fingerprintSize + modifiedSize
	if len(e) < header+nonceSize+tagSize {
		return opened{}, errTruncated
	}
	k, err := s.keyOf(e[4:4+id], e[4+id:4+id+fingerprintSize])
	if err != nil {
		return opened{}, err
	}
	value, err := k.aead.Open(nil, e[header:header+nonceSize], e[header+nonceSize:], additional(e[:header], name))
	if err != nil {
		return opened{}, errTampered
	}
	return opened{value: value, modified: modifiedOf(e[header-modifiedSize:])}, nil
}

func (s *sealer) openPlain(e []byte) (opened, error) {
	if len(s.keys) > 0 {
		return opened{}, errPlain
	}
	const header = len(magic) + 2 + modifiedSize
	if e[3] != 0 || len(e) < header {
		return opened{}, errTruncated
	}
	return opened{value: e[header:], modified: modifiedOf(e[len(magic)+2:])}, nil
}

// keyOf finds the key that an envelope names.
func (s *sealer) keyOf(id, fingerprint []byte) (*sealKey, error) {
	for i := range s.keys {
		if k := &s.keys[i]; k.id == string(id) {
			if !hmac.Equal(k.fingerprint[:], fingerprint) {
				return nil, fmt.Errorf("%w (%q)", errKeyWrong, k.id)
			}
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w (%.32q)", errKeyUnknown, id)
}

// additional binds a header to a name.
func additional(header []byte, name string) []byte {
	return append(append(make([]byte, 0, len(header)+len(name)), header...), name...)
}

func modifiedOf(b []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(b)))
}
