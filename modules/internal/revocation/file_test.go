package revocation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatAFileMayNotHave(t *testing.T) {
	const a = `{'issuer': 'a', `
	tests := []struct{ name, text, want string }{
		{"nothing", "", "is empty"},
		{"white space", " \n", "is empty"},
		{"half of it", `{"revocations": [{"issuer": "a"`, "ends too early"},
		{"another kind of JSON", `[]`, "not a JSON object"},
		{"text behind it", string(list()) + "x", "behind the end"},
		{"bytes that are no UTF-8", "{\"revocations\": [\xff]}", "UTF-8"},
		{"no list", `{}`, "revocations is missing"},
		{"a list of null", `{"revocations": null}`, "revocations is null"},
		{"no list of records", `{"revocations": "jti"}`, "not a list"},
		{"two lists", `{"revocations": [], "revocations": []}`, "twice"},
		{"something more", `{"revocations": [], "version": 1}`, `unknown member "version"`},
		{"no issuer", string(list(`{'jti': 'x'}`)), "issuer is missing"},
		{"an empty issuer", string(list(`{'issuer': '', 'jti': 'x'}`)), "issuer is empty"},
		{"no name", string(list(`{'issuer': 'a'}`)), "one of jti, sub, sid and issued_before is needed"},
		{"only an end", string(list(a + `'until': '2027-01-01T00:00:00Z'}`)), "is needed"},
		{"an empty jti", string(list(a + `'jti': ''}`)), "jti is empty"},
		{"a jti of null", string(list(a + `'jti': null}`)), "jti is null"},
		{"a jti that is a number", string(list(a + `'jti': 7}`)), "jti is not a string"},
		{"another case", string(list(a + `'JTI': 'x'}`)), `unknown member "JTI"`},
		{"two jti", string(list(a + `'jti': 'x', 'jti': 'y'}`)), "jti stands there twice"},
		{"jti and sub", string(list(a + `'jti': 'x', 'sub': 'y'}`)), "only one of"},
		{"jti and a moment", string(list(a + `'jti': 'x', 'issued_before': '2027-01-01T00:00:00Z'}`)), "issued_before stands alone or with sub"},
		{"a sub of every issuer", string(list(`{'issuer': '*', 'sub': 'x'}`)), "issuer * is for issued_before alone"},
		{"a day", string(list(a + `'jti': 'x', 'until': '2027-01-01'}`)), "until is not a time"},
		{"no day", string(list(a + `'issued_before': '0001-01-01T00:00:00Z'}`)), "issued_before is year 1"},
		{"a day long ago", string(list(a + `'issued_before': '1969-01-01T00:00:00Z'}`)), "between 1970"},
		{"a reason of two lines", string(list(a + `'jti': 'x', 'reason': 'a\nb'}`)), "reason"},
		{"a name that no token can have", string(list(a + `'jti': '` + strings.Repeat("x", longestName+1) + `'}`)), "longer than"},
		{"a bad one of two", string(list(a+`'jti': 'x'}`, a+`'jti': 'secret', 'sub': 'y'}`)), "revocations[1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made, err := parseTable([]byte(tt.text))
			if err == nil || made != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, %v, want %q", made, err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a name: %v", err)
			}
		})
	}
}

// rewrite replaces the file as a careful writer does.
func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsFollowedAndNeverReplacedByABadOne(t *testing.T) {
	const alice, bob = `{'issuer': '` + issuerA + `', 'sub': 'alice'}`, `{'issuer': '` + issuerA + `', 'sub': 'bob'}`
	path := filepath.Join(t.TempDir(), "revoked.json")
	if _, err := OpenFile(path, nil); err == nil {
		t.Fatal("a missing file is accepted")
	}
	rewrite(t, path, []byte("{"))
	if _, err := OpenFile(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("half a file: %v", err)
	}
	rewrite(t, path, list(alice))
	synctest.Test(t, func(t *testing.T) {
		var events eventLog
		f, err := OpenFile(path, events.add)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		j := &Judge{File: f}
		for i, step := range []struct {
			name   string
			change func()
			want   bool // alice is revoked
			events int
		}{
			{"as it was opened", func() {}, true, 0},
			{"empty", func() { rewrite(t, path, nil) }, true, 1},
			{"half written", func() { rewrite(t, path, list(bob)[:20]) }, true, 2},
			{"half written, still", func() {}, true, 2},
			{"missing", func() { os.Remove(path) }, true, 3},
			{"another folder in its place", func() { os.Mkdir(path, 0o700) }, true, 4},
			{"a good one", func() { os.Remove(path); rewrite(t, path, list(bob)) }, false, 5},
			{"the good one, still", func() {}, false, 5},
			{"the first again", func() { rewrite(t, path, list(alice)) }, true, 6},
			{"written in place, as large", func() { os.WriteFile(path, list(strings.Replace(alice, "alice", "carol", 1)), 0o600) }, false, 7},
			{"a list without records", func() { rewrite(t, path, list()) }, false, 8},
			{"a wrong record", func() { rewrite(t, path, list(`{'issuer': 'a'}`)) }, false, 9},
			{"alice at last", func() { rewrite(t, path, list(bob, alice)) }, true, 10},
		} {
			step.change()
			time.Sleep(2 * fileInterval)
			synctest.Wait()
			if got := j.Check(facts(), now) != nil; got != step.want {
				t.Errorf("%d %s: revoked: %t", i, step.name, got)
			}
			if e := events.all(); len(e) != step.events {
				t.Errorf("%d %s: %d events: %v", i, step.name, len(e), e)
			}
		}
	})
}

// Of a large list, reading it each second would take a core.
func TestABadFileIsNotReadAgainBeforeItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked.json")
	rewrite(t, path, list())
	f, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // the test follows it
	rewrite(t, path, []byte("{"))
	for _, tt := range []struct {
		age  time.Duration
		want bool
	}{{0, true}, {2 * settle, false}} {
		written := time.Now().Add(-tt.age)
		if err := os.Chtimes(path, written, written); err != nil {
			t.Fatal(err)
		}
		if _, err := f.load(time.Now()); err == nil || f.bad == nil {
			t.Fatalf("it is in force: %v, %v", err, f.bad)
		}
		if got := f.changed(); got != tt.want {
			t.Errorf("written %s ago: read again: %t", tt.age, got)
		}
	}
	rewrite(t, path, list())
	if !f.changed() {
		t.Error("it is replaced, and not read")
	}
	if _, err := f.load(time.Now()); err != nil || f.bad != nil {
		t.Errorf("got %v, %v", err, f.bad)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(list())
	f.Add(list(`{'issuer': 'a', 'jti': 'x', 'until': '2027-01-01T00:00:00Z', 'reason': 'why'}`))
	f.Add(list(`{'issuer': 'a', 'sub': 'x', 'issued_before': '2027-01-01T00:00:00.5+01:00'}`, `{'issuer': '*', 'issued_before': '2027-01-01T00:00:00Z'}`))
	f.Add(list(`{'issuer': 'a', 'sid': '\u0074'}`))
	f.Add([]byte(`{"revocations": [{"issuer": "a", "jti": "x", "jti": "x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := parse(data)
		if err != nil {
			if records != nil {
				t.Error("an error, and records")
			}
			return
		}
		written, err := format(records)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(written)
		if err != nil || len(again) != len(records) {
			t.Fatalf("what is written is not read again: %v\n%s", err, written)
		}
		for i := range records {
			if records[i].id() != again[i].id() || records[i].term() != again[i].term() {
				t.Errorf("%+v is read again as %+v", records[i], again[i])
			}
			e := records[i].Entry()
			if back, at, err := fromStore(e); err != nil || back != records[i].id() || at != records[i].term() {
				t.Errorf("by the store %+v: %v", e, err)
			}
		}
	})
}
