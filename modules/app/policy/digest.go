package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// digestPrefix names the algorithm, as image digests do.
const digestPrefix = "sha256:"

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// IsDigest reports whether s has the form of a digest.
func IsDigest(s string) bool { return digestForm.MatchString(s) }

// Digest identifies a policy: the configuration and the files it names.
type Digest struct {
	// Digest is SHA-256 over the canonical JSON {"config":C,"files":{NAME:F,…}}.
	Digest string `json:"digest"`
	// Config is C: SHA-256 over the canonical JSON of the configuration.
	Config string `json:"config"`
	// Files are those that count, in order.
	Files []File `json:"files"`
}

// File is one that the configuration names.
type File struct {
	// Name is as written: relative names stay relative.
	Name string `json:"name"`
	// Digest is SHA-256 over the content, or "unreadable".
	Digest string `json:"digest"`

	err error
}

// unreadable takes the place of the digest of a file that cannot be read. It is
// the same whatever the reason, and different from any content.
const unreadable = "unreadable"

// Compute returns the digest of a configuration as encoding/json reads it, which
// is not changed. resolve turns names of files with placeholders into those of
// this process.
//
// Secrets are not in it: {env.NAME} and {file.PATH} stay as they are written.
// Members named @id are not either, because Caddy removes them.
func Compute(config any, resolve func(string) string) Digest {
	config = withoutIDs(config)
	d := Digest{Config: digestOf(appendValue(nil, config)), Files: []File{}}
	names, _ := namedFiles(config)
	for _, name := range names {
		d.Files = append(d.Files, readFiles(name, resolve(name))...)
	}
	d.Digest = d.sum()
	return d
}

// Reread returns d with what is in the file at path by now, and in all others
// what was in them.
func (d Digest) Reread(path string, resolve func(string) string) Digest {
	d.Files = slices.Clone(d.Files)
	for i, file := range d.Files {
		if resolve(file.Name) == path {
			d.Files[i] = readFile(file.Name, path)
		}
	}
	d.Digest = d.sum()
	return d
}

func (d Digest) sum() string {
	contents := make(map[string]any, len(d.Files))
	for _, file := range d.Files {
		contents[file.Name] = file.Digest
	}
	return digestOf(appendValue(nil, map[string]any{"config": d.Config, "files": contents}))
}

// Err names the files that could not be read.
func (d Digest) Err() error {
	var errs []error
	for _, file := range d.Files {
		errs = append(errs, file.err)
	}
	return errors.Join(errs...)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return digestPrefix + hex.EncodeToString(sum[:])
}

// readFiles digests the file at path, or those in the folder at path, under the
// name that the configuration has for it.
func readFiles(name, path string) []File {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []File{readFile(name, path)}
	}
	var files []File
	err = filepath.WalkDir(path, func(inner string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(path, inner)
		if err != nil {
			return err
		}
		files = append(files, readFile(name+"/"+filepath.ToSlash(relative), inner))
		return nil
	})
	if err != nil {
		return []File{{Name: name, Digest: unreadable, err: err}}
	}
	slices.SortFunc(files, func(a, b File) int { return compareUTF16(a.Name, b.Name) })
	return files
}

func readFile(name, path string) File {
	file := File{Name: name, Digest: unreadable}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path) // reading a pipe would wait, or take what is for another
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		file.err = err
		return file
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		file.err = err
		return file
	}
	file.Digest = digestPrefix + hex.EncodeToString(hash.Sum(nil))
	return file
}

// withoutIDs returns the configuration without the members that only name objects
// for the admin API.
func withoutIDs(v any) any {
	switch v := v.(type) {
	case []any:
		copied := make([]any, len(v))
		for i, element := range v {
			copied[i] = withoutIDs(element)
		}
		return copied
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, value := range v {
			if name == "@id" && isLabel(value) {
				continue
			}
			copied[name] = withoutIDs(value)
		}
		return copied
	}
	return v
}

// isLabel reports whether Caddy takes a member named @id for a label; it refuses
// others.
func isLabel(v any) bool {
	switch v.(type) {
	case string, float64:
		return true
	}
	return false
}
