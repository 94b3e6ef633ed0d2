package apikey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

const (
	prefix      = "sp_"
	maxID       = 32
	secretChars = 32 // 160 bits
	checkChars  = 7  // 32 bits
	minKey      = len(prefix) + 1 + 1 + secretChars + 1 + checkChars
	maxKey      = minKey - 1 + maxID
	hashPrefix  = "hmac-sha256:"

	// Keys made elsewhere. A hash does not tell how long its key is, so the bounds
	// hold where the key is used: one that is short enough to be guessed never works.
	minWhole = 16
	maxWhole = 256
	// wholeTag stands in front of their digests under the HMAC, so that what is
	// hashed for one form is never what is hashed for the other.
	wholeTag = "whole:"

	// alphabet is Crockford's base 32 in lower case: without i, l, o and u no
	// two characters look alike.
	alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// inAlphabet and inID are indexed by byte.
var inAlphabet, inID = func() (secret, id [256]bool) {
	for i := range len(alphabet) {
		secret[alphabet[i]] = true
	}
	for c := '0'; c <= '9'; c++ {
		id[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		id[c] = true
	}
	return secret, id
}()

// split takes a key apart. It checks the form and the checksum, nothing secret,
// so it may take different times. There is exactly one way to write a key: no
// upper case, no spaces around it.
func split(key []byte) (id, secret []byte, ok bool) {
	if len(key) < minKey || len(key) > maxKey || string(key[:len(prefix)]) != prefix {
		return nil, nil, false
	}
	body := len(key) - checkChars - 1 // index of the underscore before the checksum
	idEnd := body - secretChars - 1   // index of the underscore before the secret
	if key[body] != '_' || key[idEnd] != '_' {
		return nil, nil, false
	}
	id, secret = key[len(prefix):idEnd], key[idEnd+1:body]
	if !all(id, &inID) || !all(secret, &inAlphabet) {
		return nil, nil, false
	}
	check := checksum(key[:body])
	return id, secret, string(check[:]) == string(key[body+1:])
}

func all(b []byte, set *[256]bool) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return true
}

// checksum writes the CRC-32 (IEEE) of b, most significant bits first.
func checksum(b []byte) (out [checkChars]byte) {
	sum := crc32.ChecksumIEEE(b)
	for i := checkChars - 1; i >= 0; i-- {
		out[i] = alphabet[sum&31]
		sum >>= 5
	}
	return out
}

// random returns n characters of the alphabet: 5 bits each.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand.Read ends the process instead)
	for i := range b {
		b[i] = alphabet[b[i]&31] // 256 is a multiple of 32: no bias
	}
	return string(b)
}

// assemble writes a key as the client will send it.
func assemble(id, secret string) string {
	body := prefix + id + "_" + secret
	check := checksum([]byte(body))
	return body + "_" + string(check[:])
}

// hashOf returns what the file holds for a secret.
func hashOf(pepper []byte, secret string) string {
	mac := hmac.New(sha256.New, pepper)
	mac.Write([]byte(secret))
	return hashPrefix + hex.EncodeToString(mac.Sum(nil))
}

// hashOfWhole returns what the file holds for a key made elsewhere, by its SHA-256.
func hashOfWhole(pepper []byte, digest [sha256.Size]byte) string {
	return hashOf(pepper, wholeTag+string(digest[:]))
}

// parseHash reads what hashOf writes, in that one form only.
func parseHash(s string) (sum [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, hashPrefix)
	if !ok || len(digits) != 2*sha256.Size || strings.ToLower(digits) != digits {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(digits))
	return sum, err == nil
}
