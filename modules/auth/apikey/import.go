package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Imported is a key that was made elsewhere.
type Imported struct {
	// Record is its entry, without the hash. The id is chosen if it is empty, and
	// is the key's own if Plain has our form. Default of Status: active.
	Record
	// Plain is the key itself, or else Digest is its SHA-256.
	Plain  string
	Digest [sha256.Size]byte
	// Place says where it was read, for errors.
	Place string
}

// importPrefix is what stands in front of a hash that is imported.
const importPrefix = "sha256:"

// distinct is how many different bytes a key has at least that is not refused as
// one that can be guessed. Real ones of 16 characters have about ten.
const distinct = 6

// Import adds keys that were made elsewhere to the file at path, and returns their
// entries. The file gets their hashes under the pepper, also of those that come as
// a hash: who reads the file can try no guesses at them.
//
// It is all or nothing: every key that is bad, or in the file already, is told.
// Errors never contain an id, a hash or a key, as one may stand where another should.
func Import(path string, pepper []byte, keys []Imported) ([]Record, error) {
	if err := checkPepper(pepper); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("no keys to import")
	}
	var added []Record
	err := update(path, true, func(records []Record) ([]Record, error) {
		var err error
		added, err = merge(records, pepper, keys)
		return append(records, added...), err
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

// merge makes entries of keys and refuses those that are in records.
func merge(records []Record, pepper []byte, keys []Imported) ([]Record, error) {
	ids, hashes := make(map[string]string), make(map[string]string)
	for i, r := range records {
		place := fmt.Sprintf("keys[%d] of the file", i)
		ids[r.ID], hashes[r.Hash] = place, place
	}
	var errs []error
	added := make([]Record, 0, len(keys))
	for i := range keys {
		if len(errs) >= maxErrors {
			errs = append(errs, errors.New("more errors are not shown"))
			break
		}
		k := &keys[i]
		r, err := k.record(pepper)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.Place, err))
			continue
		}
		if other, ok := ids[r.ID]; ok && r.ID != "" {
			errs = append(errs, fmt.Errorf("%s: %s has the same id", k.Place, other))
		}
		if other, ok := hashes[r.Hash]; ok {
			errs = append(errs, fmt.Errorf("%s: it is the key of %s", k.Place, other))
		}
		if r.ID != "" {
			ids[r.ID] = k.Place
		}
		hashes[r.Hash] = k.Place
		added = append(added, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i := range added { // not before all ids that were given are known
		for added[i].ID == "" {
			id := randomID()
			if _, taken := ids[id]; !taken {
				added[i].ID, ids[id] = id, ""
			}
		}
	}
	return added, nil
}

// record makes the entry of a key.
func (k *Imported) record(pepper []byte) (Record, error) {
	r := k.Record
	if r.Status == "" {
		r.Status = Active
	}
	r.Form = Whole
	var errs []error
	if id, secret, ok := split([]byte(k.Plain)); ok {
		if r.ID != "" && r.ID != string(id) {
			errs = append(errs, errors.New("the id is not the one inside of the key"))
		}
		r.ID, r.Form, r.Hash = string(id), Own, hashOf(pepper, string(secret))
	} else if k.Plain != "" {
		errs = append(errs, checkPlain(k.Plain))
		r.Hash = hashOfWhole(pepper, sha256.Sum256([]byte(k.Plain)))
	} else {
		r.Hash = hashOfWhole(pepper, k.Digest)
	}
	if k.isKey(r.ID) {
		errs = append(errs, errors.New("the id is the key: ids are shown in logs and metrics"))
	}
	if k.isKey(r.Owner) {
		errs = append(errs, errors.New("the owner is the key: owners are shown in logs and to backends"))
	}
	checked := r
	if checked.ID == "" {
		checked.ID = "k" // chosen later
	}
	_, err := checked.compile()
	return r, errors.Join(append(errs, err)...)
}

// isKey reports whether name, which others will see, is the key itself.
func (k *Imported) isKey(name string) bool {
	if k.Plain != "" {
		return strings.EqualFold(k.Plain, name)
	}
	return name != "" && sha256.Sum256([]byte(name)) == k.Digest
}

// checkPlain refuses what cannot be sent in a header, and what can be guessed as
// far as it can be seen.
func checkPlain(key string) error {
	if len(key) < minWhole || len(key) > maxWhole {
		return fmt.Errorf("the key has not %d to %d bytes", minWhole, maxWhole)
	}
	var seen [256]bool
	n := 0
	for i := range len(key) {
		c := key[i]
		if c <= ' ' || c > '~' || c == ',' {
			return errors.New("the key has characters that are not printable ASCII, spaces or commas, which make a list of a header")
		}
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	if n < distinct {
		return fmt.Errorf("the key has fewer than %d different characters: it could be guessed", distinct)
	}
	return nil
}

// parseDigest reads the hash of a key that is imported.
func parseDigest(s string) (digest [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(s, importPrefix)
	if ok && len(digits) == 2*sha256.Size {
		if _, err = hex.Decode(digest[:], []byte(digits)); err == nil {
			return digest, nil
		}
	}
	return digest, fmt.Errorf("hash is not %q and 64 hexadecimal digits, the SHA-256 of the whole key: "+
		"keys behind slow or salted hashes cannot be found by what a client sends", importPrefix)
}
