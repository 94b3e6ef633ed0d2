package apikey

import (
	"errors"
	"fmt"
	"time"
)

// Rotation says how a key is replaced.
type Rotation struct {
	// ID is the new key's. Default: a random one.
	ID string
	// Overlap is how long the old key stays good, at most: it does not outlive its
	// own expiry. Zero ends it now.
	Overlap time.Duration
	// Expires is when the new key ends. Default: never, which has to be said with
	// Never where the old key has an end.
	Expires time.Time
	// Never makes a key without an end.
	Never bool
}

// Rotate makes a key that takes the place of the one with id: of the same owner,
// scopes, roles, tier and addresses. It returns the new key, which is shown only
// now, and both entries. The old key, which may be one that was made elsewhere,
// expires after the overlap.
//
// Refused: a key that is revoked, has expired or was rotated before, and what
// Create refuses.
func Rotate(path string, pepper []byte, id string, how Rotation) (key string, old, created Record, err error) {
	if err := errors.Join(checkPepper(pepper), checkRotation(id, how)); err != nil {
		return "", Record{}, Record{}, err
	}
	secret := random(secretChars)
	err = update(path, false, func(records []Record) ([]Record, error) {
		i := indexOf(records, id)
		if i < 0 {
			return nil, fmt.Errorf("key file %s has no key with id %s", path, id)
		}
		now := time.Now().UTC()
		if err := rotatable(&records[i], how, now); err != nil {
			return nil, fmt.Errorf("key %s %w", id, err)
		}
		created = records[i]
		created.ID, created.Form, created.Hash, created.Expires = how.ID, Own, hashOf(pepper, secret), how.Expires
		if err := created.name(records, path); err != nil {
			return nil, err
		}
		if _, err := created.compile(); err != nil {
			return nil, err
		}
		end := now.Add(how.Overlap).Truncate(time.Second)
		if records[i].Expires.IsZero() || end.Before(records[i].Expires) {
			records[i].Expires = end
		}
		records[i].RotatedTo = created.ID
		if _, err := records[i].compile(); err != nil {
			return nil, err
		}
		old = records[i]
		return append(records, created), nil
	})
	if err != nil {
		return "", Record{}, Record{}, err
	}
	return assemble(created.ID, secret), old, created, nil
}

func checkRotation(id string, how Rotation) error {
	var errs []error
	if !isID(id) {
		errs = append(errs, errNoID)
	}
	if how.Overlap < 0 {
		errs = append(errs, errors.New("the overlap is negative"))
	}
	if how.Never && !how.Expires.IsZero() {
		errs = append(errs, errors.New("the new key cannot expire and not expire"))
	}
	return errors.Join(errs...)
}

// rotatable says why r cannot be rotated so.
func rotatable(r *Record, how Rotation, now time.Time) error {
	switch {
	case r.Status == Revoked:
		return errors.New("is revoked: create a new one")
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		return errors.New("has expired: create a new one")
	case r.RotatedTo != "":
		return fmt.Errorf("was rotated to %s before: rotate that one", r.RotatedTo)
	case !now.Add(how.Overlap).Truncate(time.Second).After(r.NotBefore):
		return errors.New("is not good before the end of the overlap: revoke it and create a new one")
	case !r.Expires.IsZero() && how.Expires.IsZero() && !how.Never:
		return errors.New("expires: say when the new key does, or that it never does")
	case !how.Expires.IsZero() && !how.Expires.After(now):
		return errors.New("would be followed by one that has expired")
	}
	return nil
}

func indexOf(records []Record, id string) int {
	for i := range records {
		if records[i].ID == id {
			return i
		}
	}
	return -1
}
