package apikey

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

// generatedID is how many characters an id has that Create chooses.
const generatedID = 8

// Create makes a key, adds its hash to the file at path, and returns the key:
// it is nowhere else, so this is the only moment it can be shown. The file is
// created if it does not exist; its folder has to.
//
// r names everything but the hash and the status, which Create sets, and the
// id, which it chooses if it is empty. Refused: a bad r, an id that exists, an
// expiry in the past, and a file that [Open] would refuse, which stays as it is.
func Create(path string, pepper []byte, r Record) (key string, created Record, err error) {
	if err := checkPepper(pepper); err != nil {
		return "", Record{}, err
	}
	secret := random(secretChars)
	r.Hash, r.Status = hashOf(pepper, secret), Active
	err = update(path, true, func(records []Record) ([]Record, error) {
		if err := r.name(records, path); err != nil {
			return nil, err
		}
		if _, err := r.compile(); err != nil {
			return nil, err
		}
		if !r.Expires.IsZero() && !r.Expires.After(time.Now()) {
			return nil, errors.New("expires is in the past")
		}
		return append(records, r), nil
	})
	if err != nil {
		return "", Record{}, err
	}
	return assemble(r.ID, secret), r, nil
}

// name refuses an id that is taken, also by a key that is good no more, and
// chooses one where there is none.
func (r *Record) name(records []Record, path string) error {
	if r.ID != "" {
		if indexOf(records, r.ID) >= 0 {
			return fmt.Errorf("key file %s has a key with id %s already", path, r.ID)
		}
		return nil
	}
	for r.ID == "" || indexOf(records, r.ID) >= 0 {
		r.ID = randomID()
	}
	return nil
}

func randomID() string { return "k" + random(generatedID-1) }

// errNoID does not quote what was given: it may be a whole key.
var errNoID = errors.New("not the id of a key: of sp_k7f3a_…, the id is k7f3a")

// Revoke makes the key with id refused from now on. Its entry stays, so that
// the id is not given out again. changed is false if it was revoked before.
func Revoke(path, id string) (changed bool, err error) {
	if !isID(id) {
		return false, errNoID
	}
	err = update(path, false, func(records []Record) ([]Record, error) {
		i := indexOf(records, id)
		if i < 0 {
			return nil, fmt.Errorf("key file %s has no key with id %s", path, id)
		}
		if records[i].Status == Revoked {
			return nil, nil
		}
		records[i].Status, changed = Revoked, true
		return records, nil
	})
	return changed && err == nil, err
}

// List returns the entries of the file at path, in its order, or every error
// the file has.
func List(path string) ([]Record, error) {
	data, _, err := wholefile.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	records, _, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return records, nil
}

// update changes the file's entries. change returns the new ones, or none to leave
// the file as it is. Without create, a file that is missing is an error.
func update(path string, create bool, change func([]Record) ([]Record, error)) error {
	if _, err := os.Stat(path); err != nil && !create {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	var refused error
	err := wholefile.Update(path, maxFile, func(old []byte) (data []byte, err error) {
		var records []Record
		if old != nil {
			if records, _, err = decode(old); err != nil {
				return nil, err
			}
		}
		var changed []Record
		if changed, refused = change(records); refused != nil || changed == nil {
			return nil, nil
		}
		return marshal(changed)
	})
	if err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	return refused
}

// marshal writes a file that Open takes.
func marshal(records []Record) ([]byte, error) {
	data, err := json.MarshalIndent(map[string][]Record{"keys": records}, "", "  ")
	if err != nil {
		return nil, err
	}
	data = append(data, '\n')
	if len(data) > maxFile {
		return nil, fmt.Errorf("would be larger than %d MiB", maxFile>>20)
	}
	return data, nil
}
