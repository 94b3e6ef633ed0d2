package apikey

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "keys.json")
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestACreatedKeyWorksAndItsSecretIsNotInTheFile(t *testing.T) {
	path := newPath(t)
	key, r, err := Create(path, testPepper, Record{Owner: "acme", Scopes: []string{"orders:read"}, Expires: time.Now().Add(time.Hour)})
	must(t, err)
	s, err := Open(path, testPepper)
	must(t, err)
	defer s.Close()
	p, err := s.Verify(key, client, time.Now())
	if err != nil || p.ID != "acme" || p.Claims[ClaimKeyID] != r.ID || !p.HasScope("orders:read") {
		t.Errorf("Verify = %+v, %v", p, err)
	}
	id, secret, ok := split([]byte(key))
	if !ok || string(id) != r.ID {
		t.Fatalf("Create returned %q for id %s", key, r.ID)
	}
	if content := read(t, path); strings.Contains(content, string(secret)) || strings.Contains(content, key) {
		t.Error("the secret is in the file")
	}
	info, err := os.Stat(path)
	must(t, err)
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %o, want 600", info.Mode().Perm())
	}
}

func TestCreateKeepsTheOtherKeys(t *testing.T) {
	path := newPath(t)
	writeFile(t, path, fileJSON(entryJSON("scopes", `["a"]`, "roles", `[]`, "tier", `"gold"`, "allow", `["192.0.2.0/24"]`,
		"not_before", `"2026-01-01T00:00:00Z"`, "expires", `"2027-01-01T00:00:00Z"`, "status", `"revoked"`)))
	before, err := List(path)
	must(t, err)
	_, _, err = Create(path, testPepper, Record{Owner: "other"})
	must(t, err)
	after, err := List(path)
	must(t, err)
	if len(after) != 2 {
		t.Fatalf("%d keys, want 2", len(after))
	}
	was, is := before[0], after[0]
	if was.Roles = nil; is.Hash != was.Hash || is.Status != Revoked || !is.Expires.Equal(was.Expires) ||
		!is.NotBefore.Equal(was.NotBefore) || is.Tier != "gold" || is.Allow[0] != was.Allow[0] || is.Scopes[0] != "a" {
		t.Errorf("the first key became %+v, was %+v", is, was)
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		pepper string
		record Record
		want   string
	}{
		{"an id that exists", fileJSON(entryJSON()), "", Record{ID: testID, Owner: "x"}, "has a key with id k7f3a already"},
		{"the id of a revoked key", fileJSON(entryJSON("status", `"revoked"`)), "", Record{ID: testID, Owner: "x"}, "already"},
		{"a bad id", fileJSON(), "", Record{ID: "K_1", Owner: "x"}, "id is not"},
		{"no owner", fileJSON(), "", Record{}, "owner is not"},
		{"two bad values at once", fileJSON(), "", Record{Owner: "x", Scopes: []string{"a b"}, Allow: []string{"nowhere"}}, `allow[0] "nowhere"`},
		{"an expiry in the past", fileJSON(), "", Record{Owner: "x", Expires: time.Now().Add(-time.Second)}, "expires is in the past"},
		{"a short pepper", fileJSON(), "hunter2", Record{Owner: "x"}, "the pepper has fewer than"},
		{"a file with a bad entry", fileJSON(entryJSON("status", `"off"`)), "", Record{Owner: "x"}, "status is not"},
		{"a half-written file", fileJSON(entryJSON())[:50], "", Record{Owner: "x"}, "ends too early"},
		{"an empty file, which may be one that is being written", "", "", Record{Owner: "x"}, "the file is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			writeFile(t, path, tt.file)
			pepper := testPepper
			if tt.pepper != "" {
				pepper = []byte(tt.pepper)
			}
			key, _, err := Create(path, pepper, tt.record)
			if err == nil || key != "" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Create = %q, %v, want %q", key, err, tt.want)
			}
			if read(t, path) != tt.file {
				t.Error("the file was changed")
			}
			onlyFiles(t, filepath.Dir(path), "keys.json", "keys.json.lock")
		})
	}
}

func onlyFiles(t *testing.T, dir string, allowed ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		ok := false
		for _, name := range allowed {
			ok = ok || e.Name() == name
		}
		if !ok {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestCreateNeedsTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "keys.json")
	if _, _, err := Create(path, testPepper, Record{Owner: "x"}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Create = %v, want an error with the path", err)
	}
}

func TestRevoke(t *testing.T) {
	path := newPath(t)
	key, r, err := Create(path, testPepper, Record{Owner: "acme"})
	must(t, err)
	_, other, err := Create(path, testPepper, Record{Owner: "acme"})
	must(t, err)
	if changed, err := Revoke(path, r.ID); err != nil || !changed {
		t.Fatalf("Revoke = %v, %v", changed, err)
	}
	if changed, err := Revoke(path, r.ID); err != nil || changed {
		t.Errorf("a second Revoke = %v, %v, want no change", changed, err)
	}
	s, err := Open(path, testPepper)
	must(t, err)
	defer s.Close()
	if _, err := s.Verify(key, client, time.Now()); err != ErrRevoked {
		t.Errorf("Verify = %v, want ErrRevoked", err)
	}
	records, err := List(path)
	must(t, err)
	if records[1].ID != other.ID || records[1].Status != Active {
		t.Errorf("the other key became %+v", records[1])
	}
	if _, err := Revoke(path, "nobody"); err == nil || !strings.Contains(err.Error(), "no key with id nobody") {
		t.Errorf("Revoke of an unknown id = %v", err)
	}
	if _, err := Revoke(path, key); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("Revoke of a whole key = %v, want an error that does not repeat it", err)
	}
	if _, err := Revoke(path+".missing", r.ID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Revoke in a missing file = %v", err)
	}
}

func TestWritersDoNotLoseEachOthersKeys(t *testing.T) {
	const writers, each = 8, 10
	path := newPath(t)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				_, r, err := Create(path, testPepper, Record{Owner: "acme"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := Revoke(path, r.ID); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	records, err := List(path)
	must(t, err)
	if len(records) != writers*each {
		t.Errorf("%d keys, want %d", len(records), writers*each)
	}
	for _, r := range records {
		if r.Status != Revoked {
			t.Errorf("the revocation of %s was lost", r.ID)
		}
	}
	onlyFiles(t, filepath.Dir(path), "keys.json", "keys.json.lock")
}

func TestWritingKeepsWhoMayReadTheFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // no such modes there
	}
	for given, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o640: 0o640, 0o666: 0o644, 0o400: 0o600} {
		path := newPath(t)
		writeFile(t, path, fileJSON())
		must(t, os.Chmod(path, given))
		_, _, err := Create(path, testPepper, Record{Owner: "x"})
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("mode %o became %o, want %o", given, info.Mode().Perm(), want)
		}
	}
}

func TestWritingThroughALinkReplacesWhatItPointsTo(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "real"))
	path, target := filepath.Join(dir, "keys.json"), filepath.Join(dir, "real", "keys.json")
	writeFile(t, target, fileJSON())
	symlink(t, target, path)
	_, _, err := Create(path, testPepper, Record{Owner: "x"})
	must(t, err)
	if records, err := List(target); err != nil || len(records) != 1 {
		t.Errorf("List = %v, %v, want the new key behind the link", records, err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}
