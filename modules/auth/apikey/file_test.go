package apikey

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var testPepper = []byte("a pepper of thirty-two bytes....")

// entryJSON is a good entry with members replaced (name, JSON value) or, with
// an empty value, left out.
func entryJSON(changes ...string) string {
	members := [][2]string{
		{"id", `"k7f3a"`}, {"hash", fmt.Sprintf("%q", hashOf(testPepper, testSecret))}, {"owner", `"acme"`}, {"status", `"active"`},
	}
	for i := 0; i < len(changes); i += 2 {
		found := false
		for j := range members {
			if members[j][0] == changes[i] {
				members[j][1], found = changes[i+1], true
			}
		}
		if !found {
			members = append(members, [2]string{changes[i], changes[i+1]})
		}
	}
	var b strings.Builder
	for _, m := range members {
		if m[1] != "" {
			fmt.Fprintf(&b, ",%q:%s", m[0], m[1])
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func fileJSON(entries ...string) string { return `{"keys":[` + strings.Join(entries, ",") + `]}` }

func TestFileOfTheDesignIsAccepted(t *testing.T) {
	const file = `{"keys": [{"id": "k7f3a", "hash": "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000000",
	  "owner": "acme", "scopes": ["orders:read"], "roles": [], "tier": "gold", "allow": ["192.0.2.0/24"],
	  "not_before": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z", "status": "active"}]}`
	records, _, err := decode([]byte(file))
	if err != nil || len(records) != 1 || records[0].Tier != "gold" || records[0].Expires.Year() != 2027 {
		t.Fatalf("decode = %+v, %v", records, err)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	const bad = "keys[0] (id k7f3a): "
	tests := []struct {
		name, file string
		want       []string // each in the error
	}{
		{"no byte", "", []string{"the file is empty"}},
		{"only white space", " \n\t", []string{"the file is empty"}},
		{"only NULs, as after a crash", strings.Repeat("\x00", 64), []string{"not JSON"}},
		{"half of a file", fileJSON(entryJSON())[:60], []string{"ends too early"}},
		{"all but the last brace", strings.TrimSuffix(fileJSON(entryJSON()), "}"), []string{"ends too early"}},
		{"two files, one behind the other", fileJSON() + fileJSON(), []string{"text behind the end"}},
		{"garbage behind the end", fileJSON() + "x", []string{"text behind the end"}},
		{"a byte order mark", "\ufeff" + fileJSON(), []string{"not JSON"}},
		{"not UTF-8", fileJSON(entryJSON("owner", "\"a\xff\"")), []string{"not UTF-8"}},
		{"a list outside", `[]`, []string{"not a JSON object"}},
		{"no keys member", `{}`, []string{"keys is missing"}},
		{"keys is null", `{"keys":null}`, []string{"keys is null"}},
		{"keys is an object", `{"keys":{}}`, []string{"keys is not a list"}},
		{"keys twice, the second one empty", `{"keys":[` + entryJSON() + `],"keys":[]}`, []string{"keys stands there twice"}},
		{"another case of keys", `{"Keys":[]}`, []string{`unknown member "Keys"`, "keys is missing"}},
		{"an unknown member outside", `{"keys":[],"version":2}`, []string{`unknown member "version"`}},
		{"an entry that is null", fileJSON("null"), []string{"keys[0]: not a JSON object"}},
		{"an entry that is a list", fileJSON("[]"), []string{"keys[0]: not a JSON object"}},

		{"an unknown member", fileJSON(entryJSON("scope", `["a"]`)), []string{bad + `unknown member "scope"`}},
		{"another case of a member", fileJSON(entryJSON("status", "", "Status", `"active"`)), []string{`unknown member "Status"`, "status is missing"}},
		{"a second status", fileJSON(strings.TrimSuffix(entryJSON(), "}") + `,"status":"revoked"}`), []string{bad + "status stands there twice"}},
		{"expires is null", fileJSON(entryJSON("expires", "null")), []string{bad + "expires is null"}},
		{"allow is null", fileJSON(entryJSON("allow", "null")), []string{bad + "allow is null"}},
		{"allow is empty", fileJSON(entryJSON("allow", "[]")), []string{bad + "allow is empty"}},
		{"a null inside allow", fileJSON(entryJSON("allow", "[null]")), []string{`allow[0] ""`}},
		{"expires is year 1, which reads as never", fileJSON(entryJSON("expires", `"0001-01-01T00:00:00Z"`)), []string{bad + "expires is year 1"}},
		{"expires without a zone", fileJSON(entryJSON("expires", `"2027-01-01T00:00:00"`)), []string{bad + "expires is not a time"}},
		{"expires as a number", fileJSON(entryJSON("expires", `1893456000`)), []string{bad + "expires is not a time"}},
		{"not_before at expires", fileJSON(entryJSON("not_before", `"2027-01-01T00:00:00Z"`, "expires", `"2027-01-01T00:00:00Z"`)), []string{"would never be good"}},

		{"no id", fileJSON(entryJSON("id", "")), []string{"keys[0]: id is missing"}},
		{"an empty id", fileJSON(entryJSON("id", `""`)), []string{"keys[0]: id is not"}},
		{"an id in upper case", fileJSON(entryJSON("id", `"K7"`)), []string{"keys[0]: id is not"}},
		{"an id with an underscore", fileJSON(entryJSON("id", `"k_7"`)), []string{"keys[0]: id is not"}},
		{"an id that is a number", fileJSON(entryJSON("id", `7`)), []string{"keys[0]: id is not a string"}},
		{"two entries with one id", fileJSON(entryJSON(), entryJSON("hash", `"`+hashOf(testPepper, "b")+`"`)), []string{"keys[1] (id k7f3a): keys[0] has the same id"}},
		{"one secret under two ids", fileJSON(entryJSON(), entryJSON("id", `"other"`)), []string{"keys[1] (id other): the hash is that of keys[0] (id k7f3a)"}},

		{"no hash", fileJSON(entryJSON("hash", "")), []string{bad + "hash is missing"}},
		{"a hash without its algorithm", fileJSON(entryJSON("hash", `"`+strings.Repeat("0", 64)+`"`)), []string{bad + "hash is not"}},
		{"a hash of another algorithm", fileJSON(entryJSON("hash", `"sha256:`+strings.Repeat("0", 64)+`"`)), []string{bad + "hash is not"}},
		{"a short hash", fileJSON(entryJSON("hash", `"hmac-sha256:`+strings.Repeat("0", 63)+`"`)), []string{bad + "hash is not"}},
		{"a long hash", fileJSON(entryJSON("hash", `"hmac-sha256:`+strings.Repeat("0", 66)+`"`)), []string{bad + "hash is not"}},
		{"a hash in upper case", fileJSON(entryJSON("hash", `"hmac-sha256:`+strings.Repeat("A", 64)+`"`)), []string{bad + "hash is not"}},
		{"a hash that is not hexadecimal", fileJSON(entryJSON("hash", `"hmac-sha256:`+strings.Repeat("g", 64)+`"`)), []string{bad + "hash is not"}},

		{"no owner", fileJSON(entryJSON("owner", "")), []string{bad + "owner is missing"}},
		{"an empty owner", fileJSON(entryJSON("owner", `""`)), []string{bad + "owner is not"}},
		{"an owner that breaks a header", fileJSON(entryJSON("owner", `"a\r\nX-Admin: 1"`)), []string{bad + "owner is not"}},
		{"an owner with a space behind", fileJSON(entryJSON("owner", `"acme "`)), []string{bad + "owner is not"}},
		{"a very long owner", fileJSON(entryJSON("owner", `"`+strings.Repeat("a", 129)+`"`)), []string{bad + "owner is not"}},
		{"an unknown form", fileJSON(entryJSON("form", `"own"`)), []string{bad + "form is not"}},
		{"a form that is a number", fileJSON(entryJSON("form", `1`)), []string{bad + "form is not a string"}},
		{"rotated to no id", fileJSON(entryJSON("rotated_to", `"A_1"`)), []string{bad + "rotated_to is not"}},
		{"rotated to itself", fileJSON(entryJSON("rotated_to", `"k7f3a"`)), []string{bad + "rotated_to is not"}},
		{"one hash in two forms", fileJSON(entryJSON(), entryJSON("id", `"other"`, "form", `"whole"`)), []string{"the hash is that of keys[0]"}},
		{"no status", fileJSON(entryJSON("status", "")), []string{bad + "status is missing"}},
		{"an unknown status", fileJSON(entryJSON("status", `"Active"`)), []string{bad + "status is not"}},
		{"a scope that is two", fileJSON(entryJSON("scopes", `["a b"]`)), []string{bad + "scopes[0]"}},
		{"an empty scope", fileJSON(entryJSON("scopes", `["a",""]`)), []string{bad + "scopes[1]"}},
		{"a scope twice", fileJSON(entryJSON("scopes", `["a","a"]`)), []string{bad + `scopes[1] repeats "a"`}},
		{"scopes as one string", fileJSON(entryJSON("scopes", `"a"`)), []string{bad + "scopes is not a list of strings"}},
		{"a role that is two for some readers", fileJSON(entryJSON("roles", `["user,admin"]`)), []string{bad + "roles[0]"}},
		{"a role with a control character", fileJSON(entryJSON("roles", `["a\u0000"]`)), []string{bad + "roles[0]"}},
		{"a tier of two words", fileJSON(entryJSON("tier", `"gold plus"`)), []string{bad + "tier is not"}},
		{"an address that is none", fileJSON(entryJSON("allow", `["192.0.2.300"]`)), []string{bad + `allow[0] "192.0.2.300"`}},
		{"a prefix with bits behind its length", fileJSON(entryJSON("allow", `["192.0.2.7/24"]`)), []string{"allow[0]", "192.0.2.0/24 or the address alone"}},
		{"a mapped prefix, which would match nobody", fileJSON(entryJSON("allow", `["::ffff:192.0.2.0/120"]`)), []string{"allow[0]", "IPv4-mapped"}},
		{"an address with a zone, which would match nobody", fileJSON(entryJSON("allow", `["fe80::1%eth0"]`)), []string{"allow[0]", "zone"}},
		{
			"every bad entry and every error of it is told",
			fileJSON(entryJSON("owner", `""`, "tier", `"a b"`), entryJSON("id", `"other"`, "hash", `"x"`)),
			[]string{bad + "owner is not", "tier is not", "keys[1] (id other): hash is not"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTable([]byte(tt.file))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

// Cut off anywhere, as by a full disk or a writer that was killed, a file is no
// other file: only white space may be missing at its end.
func TestNoBeginningOfAFileIsAFile(t *testing.T) {
	file := fileJSON(entryJSON("expires", `"2027-01-01T00:00:00Z"`), spare("status", `"revoked"`))
	for n := range len(file) {
		if _, err := parseTable([]byte(file[:n])); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(file))
		}
	}
	if _, err := parseTable([]byte(file)); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfAFileDoNotRepeatSecrets(t *testing.T) {
	key := assemble(testID, testSecret)
	for _, member := range []string{"id", "hash", "owner", "tier", "status", "expires"} {
		value := `"` + key + `"`
		if member == "owner" || member == "tier" {
			value = `"` + key + `\n"`
		}
		_, err := parseTable([]byte(fileJSON(entryJSON(member, value))))
		if err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("a key pasted into %s: %v", member, err)
		}
	}
	for _, file := range []string{key, `{"keys":` + key, `{"keys":["` + key + `"]}`} {
		if _, err := parseTable([]byte(file)); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("a key pasted into the file: %v", err)
		}
	}
}

func TestManyErrorsAreCut(t *testing.T) {
	entries := make([]string, 1000)
	for i := range entries {
		entries[i] = `{}`
	}
	_, err := parseTable([]byte(fileJSON(entries...)))
	if err == nil || !strings.Contains(err.Error(), "more errors are not shown") || strings.Count(err.Error(), "\n") > 5*maxErrors {
		t.Errorf("error is %d bytes", len(err.Error()))
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.json")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge.json")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty: "the file is empty", huge: "larger than", dir: "not a regular file", filepath.Join(dir, "missing.json"): "no such file",
	} {
		_, err := Open(path, testPepper)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want %q and the path", path, err, want)
		}
	}
}

func TestOpenRefusesAShortPepper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(fileJSON()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pepper := range []string{"", "hunter2", strings.Repeat("x", MinPepper-1)} {
		if _, err := Open(path, []byte(pepper)); err == nil || pepper != "" && strings.Contains(err.Error(), pepper) {
			t.Errorf("a pepper of %d bytes: %v", len(pepper), err)
		}
	}
}

// FuzzDecode holds the strict reader against encoding/json: what it accepts has
// one reading, so the ordinary decoder sees the same, and it survives a rewrite.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(fileJSON()))
	f.Add([]byte(fileJSON(entryJSON())))
	f.Add([]byte(fileJSON(entryJSON("allow", `["192.0.2.0/24"]`, "expires", `"2027-01-01T00:00:00Z"`))))
	f.Add([]byte(fileJSON(entryJSON("form", `"whole"`, "rotated_to", `"next"`), spare())))
	f.Add([]byte(fileJSON(entryJSON("status", `"revoked"`, "STATUS", `"active"`))))
	f.Add([]byte(fileJSON(entryJSON(), entryJSON())))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, entries, err := decode(data)
		if err != nil {
			return
		}
		var naive struct{ Keys []Record }
		if err := json.Unmarshal(data, &naive); err != nil || len(naive.Keys) != len(records) {
			t.Fatalf("encoding/json reads %d entries, %v", len(naive.Keys), err)
		}
		for i := range records {
			if !reflect.DeepEqual(naive.Keys[i], records[i]) {
				t.Errorf("encoding/json reads %+v, not %+v", naive.Keys[i], records[i])
			}
			if entries[i].revoked != (records[i].Status == Revoked) || entries[i].absent {
				t.Errorf("compiled %+v to %+v", records[i], entries[i])
			}
		}
		again, err := json.Marshal(map[string]any{"keys": records})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decode(again); err != nil {
			t.Errorf("a rewritten file is refused: %v", err)
		}
	})
}
