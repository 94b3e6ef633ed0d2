package apikey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
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

// decode reads the file strictly. encoding/json alone would accept a repeated
// member (which reader sees "revoked"?), another case of a name, null for
// "expires", and text behind the end.
func decode(data []byte) ([]Record, []*entry, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, errors.New("the file is empty")
	}
	if !utf8.Valid(data) {
		return nil, nil, errors.New("not UTF-8")
	}
	var raw []json.RawMessage
	if err := readObject(data, map[string]any{"keys": &raw}, "keys"); err != nil {
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
	err := readObject(raw, map[string]any{
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

// readObject reads one JSON object into fields, by exact name. It collects all
// errors; unknown, repeated, null and missing required members are errors.
func readObject(data []byte, fields map[string]any, required ...string) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil {
		return jsonError(err)
	} else if start != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	var errs []error
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return jsonError(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return jsonError(err)
		}
		if err := readMember(name.(string), value, fields, seen); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text behind the end of the object")
	}
	for _, name := range required {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	return errors.Join(errs...)
}

func readMember(name string, value json.RawMessage, fields map[string]any, seen map[string]bool) error {
	dst, known := fields[name]
	switch {
	case !known:
		return fmt.Errorf("unknown member %.40q", name)
	case seen[name]:
		return fmt.Errorf("%s stands there twice", name)
	case string(value) == "null":
		seen[name] = true
		return fmt.Errorf("%s is null: leave it out", name)
	}
	seen[name] = true
	if json.Unmarshal(value, dst) != nil {
		// The decoder's own text can contain the value.
		return fmt.Errorf("%s is not a %s", name, kindOf(dst))
	}
	if t, ok := dst.(interface{ IsZero() bool }); ok && t.IsZero() {
		return fmt.Errorf("%s is year 1: leave it out", name)
	}
	return nil
}

func kindOf(dst any) string {
	switch dst.(type) {
	case *string, *Status, *Form:
		return "string"
	case *[]string:
		return "list of strings"
	case *[]json.RawMessage:
		return "list"
	default:
		return "time as in 2027-01-01T00:00:00Z (RFC 3339)"
	}
}

// jsonError drops the decoder's quotation of the text, which may be a secret.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: error at byte %d", syntax.Offset)
	}
	return errors.New("not JSON")
}
