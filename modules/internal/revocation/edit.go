package revocation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

// List returns the records of the file at path, or every error it has.
func List(path string) ([]Record, error) {
	data, _, err := wholefile.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("revocations in %s: %w", path, err)
	}
	records, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("revocations in %s: %w", path, err)
	}
	return records, nil
}

// Add adds r to the file at path, which is made if it does not exist, and takes out
// what is over. A record that says the same is not written again.
func Add(path string, r Record) error {
	if err := r.Check(); err != nil {
		return err
	}
	return edit(path, func(records []Record) ([]Record, error) {
		now := time.Now().Unix()
		records = slices.DeleteFunc(records, func(old Record) bool {
			return old.term().over(now) || old.id() == r.id() && old.term().or(r.term()) == r.term()
		})
		return append(records, r), nil
	})
}

// ErrNotRevoked means that there is no such record.
var ErrNotRevoked = errors.New("there is no such revocation")

// Remove takes the records out of the file at path that are about what r is about.
func Remove(path string, r Record) error {
	if err := r.Check(); err != nil {
		return err
	}
	return edit(path, func(records []Record) ([]Record, error) {
		left := slices.DeleteFunc(slices.Clone(records), func(old Record) bool { return old.id() == r.id() })
		if len(left) == len(records) {
			return nil, ErrNotRevoked
		}
		return left, nil
	})
}

func edit(path string, change func([]Record) ([]Record, error)) error {
	err := wholefile.Update(path, maxFile, func(old []byte) ([]byte, error) {
		var records []Record
		if old != nil {
			var err error
			if records, err = parse(old); err != nil {
				return nil, err
			}
		}
		records, err := change(records)
		if err != nil {
			return nil, err
		}
		return format(records)
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil {
		return err
	}
	return fmt.Errorf("revocations in %s: %w", path, err)
}

// format writes a file, a record to a line: a person has to find one.
func format(records []Record) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\"revocations\": [")
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		line, err := json.Marshal(&records[i])
		if err != nil {
			return nil, err
		}
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}
