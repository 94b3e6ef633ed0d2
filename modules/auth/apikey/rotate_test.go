package apikey

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRotateGivesTheSameRightsAndEndsTheOldKeyAfterTheOverlap(t *testing.T) {
	path := newPath(t)
	oldKey, first, err := Create(path, testPepper, Record{
		Owner: "acme", Scopes: []string{"orders:read"}, Roles: []string{"buyer"}, Tier: "gold", Allow: []string{"192.0.2.0/24"},
	})
	must(t, err)
	before := time.Now()
	key, old, created, err := Rotate(path, testPepper, first.ID, Rotation{Overlap: 24 * time.Hour})
	must(t, err)
	if created.ID == first.ID || old.ID != first.ID || old.RotatedTo != created.ID || created.RotatedTo != "" {
		t.Errorf("old %+v, new %+v", old, created)
	}
	if lives := old.Expires.Sub(before); lives < 24*time.Hour-time.Second || lives > 24*time.Hour+time.Minute {
		t.Errorf("the old key lives for %s", lives)
	}
	if !created.Expires.IsZero() {
		t.Errorf("the new key expires at %s", created.Expires)
	}
	s, err := Open(path, testPepper)
	must(t, err)
	defer s.Close()
	was, err := s.Verify(oldKey, client, time.Now())
	must(t, err)
	is, err := s.Verify(key, client, time.Now())
	must(t, err)
	if is.ID != was.ID || !is.HasScope("orders:read") || is.Tier != "gold" || len(is.Roles) != 1 || is.Claims[ClaimKeyID] != created.ID {
		t.Errorf("the new key is of %+v, the old one of %+v", is, was)
	}
	if _, err := s.Verify(key, mustAddr("198.51.100.1"), time.Now()); err != ErrAddress {
		t.Errorf("from another address: %v", err)
	}
	if _, err := s.Verify(oldKey, client, old.Expires.Add(-time.Second)); err != nil {
		t.Errorf("the old key within the overlap: %v", err)
	}
	if _, err := s.Verify(oldKey, client, old.Expires); err != ErrExpired {
		t.Errorf("the old key after the overlap: %v", err)
	}
	if _, err := s.Verify(key, client, old.Expires.Add(1000*24*time.Hour)); err != nil {
		t.Errorf("the new key after the overlap: %v", err)
	}
	if content := read(t, path); strings.Contains(content, strings.Split(key, "_")[2]) {
		t.Error("the secret is in the file")
	}
	onlyFiles(t, filepath.Dir(path), "keys.json", "keys.json.lock")
}

func TestRotateAndTheEndOfKeys(t *testing.T) {
	hour, year := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Now().Add(365*24*time.Hour).UTC().Truncate(time.Second)
	tests := []struct {
		name          string
		expires       time.Time
		how           Rotation
		wantOld       func(time.Time) bool
		wantNew       time.Time
		wantOldStands bool // its expiry is as before
	}{
		{"an old key does not outlive its own end", hour, Rotation{Overlap: 24 * time.Hour, Expires: year}, nil, year, true},
		{"an old key can end before its own end", year, Rotation{Overlap: time.Hour, Never: true}, nil, time.Time{}, false},
		{"a key without an end can be followed by one with", time.Time{}, Rotation{Overlap: time.Hour, Expires: year}, nil, year, false},
		{"no overlap ends the old key now", time.Time{}, Rotation{}, func(at time.Time) bool { return !at.After(time.Now()) }, time.Time{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			_, r, err := Create(path, testPepper, Record{Owner: "acme", Expires: tt.expires})
			must(t, err)
			_, old, created, err := Rotate(path, testPepper, r.ID, tt.how)
			must(t, err)
			if !created.Expires.Equal(tt.wantNew) {
				t.Errorf("the new key ends at %v, want %v", created.Expires, tt.wantNew)
			}
			if old.Expires.Equal(tt.expires) != tt.wantOldStands || old.Expires.IsZero() {
				t.Errorf("the old key ends at %v, was %v", old.Expires, tt.expires)
			}
			if tt.wantOld != nil && !tt.wantOld(old.Expires) {
				t.Errorf("the old key ends at %v", old.Expires)
			}
		})
	}
}

func TestRotateRefuses(t *testing.T) {
	const past, future = `"2020-01-01T00:00:00Z"`, `"2999-01-01T00:00:00Z"`
	day := 24 * time.Hour
	tests := []struct {
		name, entry, id string
		how             Rotation
		want            string
	}{
		{"an unknown key", entryJSON(), "other", Rotation{Overlap: day}, "no key with id other"},
		{"a whole key for an id", entryJSON(), assemble(testID, testSecret), Rotation{Overlap: day}, "not the id of a key"},
		{"a revoked key", entryJSON("status", `"revoked"`), testID, Rotation{Overlap: day}, "key k7f3a is revoked"},
		{"an expired key", entryJSON("expires", past), testID, Rotation{Overlap: day, Never: true}, "key k7f3a has expired"},
		{"a key that was rotated", entryJSON("rotated_to", `"next"`), testID, Rotation{Overlap: day}, "was rotated to next before"},
		{"a key that is not good in the overlap", entryJSON("not_before", future), testID, Rotation{Overlap: day}, "is not good before the end of the overlap"},
		{"a key that expires, without an end for the new one", entryJSON("expires", future), testID, Rotation{Overlap: day}, "say when the new key does"},
		{"an end that has passed", entryJSON(), testID, Rotation{Overlap: day, Expires: time.Now().Add(-time.Second)}, "followed by one that has expired"},
		{"both an end and none", entryJSON(), testID, Rotation{Overlap: day, Expires: time.Now().Add(day), Never: true}, "cannot expire and not expire"},
		{"a negative overlap", entryJSON(), testID, Rotation{Overlap: -day}, "negative"},
		{"an id that is taken", entryJSON(), testID, Rotation{Overlap: day, ID: testID}, "has a key with id k7f3a already"},
		{"a bad id", entryJSON(), testID, Rotation{Overlap: day, ID: "K_1"}, "id is not"},
		{"a broken file", "{", testID, Rotation{Overlap: day}, "ends too early"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, file := newPath(t), tt.entry
			if file != "{" {
				file = fileJSON(tt.entry)
			}
			writeFile(t, path, file)
			key, _, _, err := Rotate(path, testPepper, tt.id, tt.how)
			if err == nil || key != "" || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), testSecret) {
				t.Errorf("Rotate = %q, %v, want %q", key, err, tt.want)
			}
			if read(t, path) != file {
				t.Error("the file was changed")
			}
		})
	}
	if _, _, _, err := Rotate(newPath(t), testPepper, testID, Rotation{}); err == nil {
		t.Error("a missing file is accepted")
	}
	if _, _, _, err := Rotate(newPath(t), []byte("short"), testID, Rotation{}); err == nil || !strings.Contains(err.Error(), "pepper") {
		t.Errorf("a short pepper: %v", err)
	}
}

func TestAKeyMadeElsewhereIsRotatedToOneOfOurs(t *testing.T) {
	path := newPath(t)
	_, err := Import(path, testPepper, []Imported{{Record: Record{ID: "legacy", Owner: "acme"}, Plain: foreign}})
	must(t, err)
	key, old, created, err := Rotate(path, testPepper, "legacy", Rotation{Overlap: time.Hour})
	must(t, err)
	if old.Form != Whole || created.Form != Own {
		t.Errorf("old %+v, new %+v", old, created)
	}
	s, err := Open(path, testPepper)
	must(t, err)
	defer s.Close()
	for _, k := range []string{key, foreign} {
		if _, err := s.Verify(k, client, time.Now()); err != nil {
			t.Errorf("%q: %v", k, err)
		}
	}
}
