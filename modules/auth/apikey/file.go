package apikey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/internal/strictjson"
)

const (
	// maxFile bounds what a mistaken path can make us read: about 200,000 keys.
	maxFile = 64 << 20
	// maxErrors is how many errors of one file are told.
	maxErrors = 20
)

// table is one good reading of the file.
type table struct {
	keys map[string]*entry // our own, by id
	// whole are the keys made elsewhere by their hash, which is an HMAC: who sends
	// keys cannot choose a bit of it, nor know one, so how far a comparison inside
	// of the map gets tells nothing.
	whole map[[sha256.Size]byte]*entry
	// stranger is the entry of every id and hash that is in neither. Its hash is
	// random, so an unknown key costs the same HMAC and the same comparison.
	stranger *entry
	entries  []*entry // all, in the file's order
}

// parseTable reads and compiles the whole file, or refuses it with its errors.
func parseTable(data []byte) (*table, error) {
	records, entries, err := decode(data)
	if err != nil {
		return nil, err
	}
	t := &table{
		keys: make(map[string]*entry, len(records)), whole: make(map[[sha256.Size]byte]*entry),
		stranger: &entry{absent: true}, entries: entries,
	}
	rand.Read(t.stranger.hash[:])
	for i := range records {
		if records[i].Form == Whole {
			t.whole[entries[i].hash] = entries[i]
		} else {
			t.keys[records[i].ID] = entries[i]
		}
	}
	return t, nil
}

// decode reads the file strictly.
func decode(data []byte) ([]Record, []*entry, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, errors.New("the file is empty")
	}
	if !utf8.Valid(data) {
		return nil, nil, errors.New("not UTF-8")
	}
	var raw []json.RawMessage
	if err := strictjson.Object(data, map[string]any{"keys": &raw}, "keys"); err != nil {
		return nil, nil, err
	}
	records, entries := make([]Record, len(raw)), make([]*entry, len(raw))
	ids, hashes := make(map[string]int, len(raw)), make(map[string]int, len(raw))
	var errs []error
	for i := range raw {
		if len(errs) >= maxErrors {
			errs = append(errs, errors.New("more errors are not shown"))
			break
		}
		r := &records[i]
		err := readRecord(raw[i], r)
		if err == nil {
			entries[i], err = r.compile()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", entryName(i, r), err))
			continue
		}
		if first, dup := ids[r.ID]; dup {
			errs = append(errs, fmt.Errorf("%s: keys[%d] has the same id", entryName(i, r), first))
		} else if first, dup := hashes[r.Hash]; dup {
			errs = append(errs, fmt.Errorf("%s: the hash is that of %s: one secret under two ids", entryName(i, r), entryName(first, &records[first])))
		}
		ids[r.ID], hashes[r.Hash] = i, i
	}
	return records, entries, errors.Join(errs...)
}

// entryName names an entry by its place, and by its id if that is one.
func entryName(i int, r *Record) string {
	if !isID(r.ID) {
		return fmt.Sprintf("keys[%d]", i)
	}
	return fmt.Sprintf("keys[%d] (id %s)", i, r.ID)
}

func readRecord(raw json.RawMessage, r *Record) error {
	err := strictjson.Object(raw, map[string]any{
		"id": &r.ID, "hash": &r.Hash, "owner": &r.Owner, "scopes": &r.Scopes, "roles": &r.Roles, "tier": &r.Tier,
		"allow": &r.Allow, "not_before": &r.NotBefore, "expires": &r.Expires, "status": &r.Status,
		"form": &r.Form, "rotated_to": &r.RotatedTo,
	}, "id", "hash", "owner", "status")
	// What is written and means the same as leaving it out was meant otherwise.
	if err == nil && r.Allow != nil && len(r.Allow) == 0 {
		return errors.New("allow is empty: leave it out to accept every client address")
	}
	return err
}
