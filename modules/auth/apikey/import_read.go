package apikey

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/internal/strictjson"
)

// ReadJSONLines reads keys to import: a JSON object a line, with the members of the
// key file, but for hash, which is "sha256:" and 64 hexadecimal digits; or with
// plain, key, the key itself, in place of it. Required: hash or key, and owner.
// Errors name the line and say nothing of what stands in it.
func ReadJSONLines(r io.Reader, plain bool) ([]Imported, error) {
	data, err := readImport(r)
	if err != nil {
		return nil, err
	}
	var l importList
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var row importRow
		if !l.add(n, &row, strictjson.Object(line, row.fields(plain), required(plain)...)) {
			break
		}
	}
	return l.result()
}

// ReadCSV reads the same from a table whose first line names the members. Inside of
// scopes, roles and allow there are spaces between the words; an empty field is as
// if it was left out.
func ReadCSV(r io.Reader, plain bool) ([]Imported, error) {
	data, err := readImport(r)
	if err != nil {
		return nil, err
	}
	// A byte order mark, as spreadsheets write it, would belong to the first name.
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	names, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("no line with the names of the columns")
	}
	if err == nil {
		err = checkColumns(names, plain)
	}
	if err != nil {
		return nil, err
	}
	var l importList
	for {
		values, err := table.Read()
		if errors.Is(err, io.EOF) {
			return l.result()
		}
		if err != nil { // names the line, and quotes nothing
			l.errs = append(l.errs, err)
			return l.result()
		}
		line, _ := table.FieldPos(0)
		var row importRow
		if !l.add(line, &row, row.readValues(names, values, plain)) {
			return l.result()
		}
	}
}

func readImport(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	case !utf8.Valid(data):
		return nil, errors.New("not UTF-8")
	}
	return data, nil
}

// importRow is a key as it stands in a line.
type importRow struct {
	Imported
	hash string
}

func (row *importRow) fields(plain bool) map[string]any {
	fields := map[string]any{
		"id": &row.ID, "owner": &row.Owner, "scopes": &row.Scopes, "roles": &row.Roles, "tier": &row.Tier,
		"allow": &row.Allow, "not_before": &row.NotBefore, "expires": &row.Expires, "status": &row.Status,
	}
	if plain {
		fields["key"] = &row.Plain
	} else {
		fields["hash"] = &row.hash
	}
	return fields
}

func required(plain bool) []string {
	if plain {
		return []string{"key", "owner"}
	}
	return []string{"hash", "owner"}
}

func checkColumns(names []string, plain bool) error {
	known := new(importRow).fields(plain)
	var errs []error
	for i, name := range names {
		if known[name] == nil {
			errs = append(errs, fmt.Errorf("column %d has none of the names %s", i+1, strings.Join(columns(plain), ", ")))
		} else if slices.Contains(names[:i], name) {
			errs = append(errs, fmt.Errorf("column %s stands there twice", name))
		}
	}
	for _, name := range required(plain) {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("column %s is missing", name))
		}
	}
	return errors.Join(errs...)
}

// columns are the members a line may have, in the order of a key file.
func columns(plain bool) []string {
	return append([]string{"id", required(plain)[0]}, "owner", "scopes", "roles", "tier", "allow", "not_before", "expires", "status")
}

// readValues reads a line of a table through the members of an object, so that
// both have one reading.
func (row *importRow) readValues(names, values []string, plain bool) error {
	fields, object := row.fields(plain), make(map[string]any)
	for i, name := range names {
		if values[i] == "" {
			continue
		}
		object[name] = values[i]
		if _, list := fields[name].(*[]string); list {
			object[name] = strings.Fields(values[i])
		}
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return strictjson.Object(data, fields, required(plain)...)
}

// importList collects keys and errors by line.
type importList struct {
	keys []Imported
	errs []error
}

// add reports whether to go on.
func (l *importList) add(line int, row *importRow, err error) bool {
	row.Place = fmt.Sprintf("line %d", line)
	if err == nil && row.hash != "" {
		row.Digest, err = parseDigest(row.hash)
	}
	if err == nil && row.Plain == "" && row.hash == "" {
		err = errors.New("the key is empty")
	}
	if err == nil && row.Allow != nil && len(row.Allow) == 0 {
		err = errors.New("allow is empty: leave it out to accept every client address")
	}
	if err == nil {
		l.keys = append(l.keys, row.Imported)
		return true
	}
	l.errs = append(l.errs, fmt.Errorf("%s: %w", row.Place, err))
	if len(l.errs) < maxErrors {
		return true
	}
	l.errs = append(l.errs, errors.New("more errors are not shown"))
	return false
}

func (l *importList) result() ([]Imported, error) {
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return l.keys, nil
}
