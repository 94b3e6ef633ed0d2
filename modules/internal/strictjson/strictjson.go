// Package strictjson reads the objects of files that people write. encoding/json alone
// accepts a repeated member (which reader sees "revoked"?), another case of a name,
// null, and text behind the end. Errors name members and show no value. It imports no
// Caddy package.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// NotEmpty is a string that is left out rather than empty.
type NotEmpty string

// Object reads data, one JSON object, into fields: pointers by the exact name of their
// member, to strings, lists, raw values and times. It collects all errors; unknown,
// repeated, null and missing required members are errors.
func Object(data []byte, fields map[string]any, required ...string) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil {
		return syntaxError(err)
	} else if start != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	var errs []error
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return syntaxError(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return syntaxError(err)
		}
		errs = append(errs, member(name.(string), value, fields, seen))
	}
	if _, err := dec.Token(); err != nil {
		return syntaxError(err)
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

func member(name string, value json.RawMessage, fields map[string]any, seen map[string]bool) error {
	dst, known := fields[name]
	if !known {
		return fmt.Errorf("unknown member %.40q", name)
	}
	if seen[name] {
		return fmt.Errorf("%s stands there twice", name)
	}
	seen[name] = true
	if string(value) == "null" {
		return fmt.Errorf("%s is null: leave it out", name)
	}
	if json.Unmarshal(value, dst) != nil {
		// The decoder's own text can contain the value.
		return fmt.Errorf("%s is not a %s", name, kindOf(dst))
	}
	if s, ok := dst.(*NotEmpty); ok && *s == "" {
		return fmt.Errorf("%s is empty: leave it out", name)
	}
	if t, ok := dst.(interface{ IsZero() bool }); ok && t.IsZero() {
		return fmt.Errorf("%s is year 1: leave it out", name)
	}
	return nil
}

// kindOf says in words what dst points to.
func kindOf(dst any) string {
	switch t := reflect.TypeOf(dst).Elem(); {
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "list of strings"
	case t.Kind() == reflect.Slice:
		return "list"
	}
	return "time as in 2027-01-01T00:00:00Z (RFC 3339)"
}

// syntaxError drops the decoder's quotation of the text, which may be a secret.
func syntaxError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: error at byte %d", syntax.Offset)
	}
	return errors.New("not JSON")
}
