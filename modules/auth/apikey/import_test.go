package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// foreign is a key as another gateway makes them.
const foreign = "XyZ-0123456789abcdefABCDEF~"

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func sha(key string) string {
	sum := sha256.Sum256([]byte(key))
	return importPrefix + hex.EncodeToString(sum[:])
}

// importText reads and imports text, as JSON lines or CSV.
func importText(t *testing.T, path, text string, plain bool) ([]Record, error) {
	t.Helper()
	read := ReadCSV
	if strings.HasPrefix(text, "{") {
		read = ReadJSONLines
	}
	keys, err := read(strings.NewReader(text), plain)
	if err != nil {
		return nil, err
	}
	return Import(path, testPepper, keys)
}

func TestImportedKeysWork(t *testing.T) {
	tests := map[string]struct {
		plain bool
		text  string
	}{
		"JSON by hash": {false, fmt.Sprintf(`{"id":"a1","hash":%q,"owner":"acme","scopes":["a","b"],"roles":["r"],"tier":"gold","allow":["192.0.2.0/24"],`+
			`"not_before":"2026-01-01T00:00:00Z","expires":"2999-01-01T00:00:00Z","status":"active"}`, sha(foreign)) + "\r\n\n" +
			fmt.Sprintf(`{"hash":%q,"owner":"other"}`, strings.ToUpper(sha("another-key-0123456789"))[:0]+importPrefix+strings.ToUpper(sha("another-key-0123456789")[len(importPrefix):]))},
		"JSON with the keys": {true, fmt.Sprintf(`{"id":"a1","key":%q,"owner":"acme","scopes":["a","b"],"roles":["r"],"tier":"gold","allow":["192.0.2.0/24"],`+
			`"not_before":"2026-01-01T00:00:00Z","expires":"2999-01-01T00:00:00Z"}`, foreign) + "\n" + `{"key":"another-key-0123456789","owner":"other"}`},
		"CSV by hash": {false, "\ufeffid,hash,owner,scopes,roles,tier,allow,not_before,expires,status\r\n" +
			"a1," + sha(foreign) + ",acme,a b,r,gold,192.0.2.0/24,2026-01-01T00:00:00Z,2999-01-01T00:00:00Z,active\r\n" +
			`,"` + sha("another-key-0123456789") + "\",other,,,,,,,\r\n"},
		"CSV with the keys": {true, "owner,key,id,scopes,roles,tier,allow,not_before,expires\n" +
			"acme," + foreign + ",a1,a b,r,gold,192.0.2.0/24,2026-01-01T00:00:00Z,2999-01-01T00:00:00Z\n" +
			"other,another-key-0123456789,,,,,,,\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			added, err := importText(t, path, tt.text, tt.plain)
			must(t, err)
			if len(added) != 2 || added[0].ID != "a1" || !isID(added[1].ID) {
				t.Fatalf("added %+v", added)
			}
			s, err := Open(path, testPepper)
			must(t, err)
			defer s.Close()
			p, err := s.Verify(foreign, client, noon)
			if err != nil || p.ID != "acme" || !reflect.DeepEqual(p.Scopes, []string{"a", "b"}) || !reflect.DeepEqual(p.Roles, []string{"r"}) ||
				p.Tier != "gold" || p.Claims[ClaimKeyID] != "a1" {
				t.Errorf("Verify = %+v, %v", p, err)
			}
			if _, err := s.Verify(foreign, mustAddr("198.51.100.1"), noon); err != ErrAddress {
				t.Errorf("from another address: %v", err)
			}
			if _, err := s.Verify(foreign, client, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)); err != ErrNotYetValid {
				t.Errorf("too early: %v", err)
			}
			if p, err := s.Verify("another-key-0123456789", client, noon); err != nil || p.ID != "other" || p.Claims[ClaimKeyID] != added[1].ID {
				t.Errorf("the second key: %+v, %v", p, err)
			}
			if content := read(t, path); strings.Contains(content, foreign) || strings.Contains(content, sha(foreign)[len(importPrefix):]) {
				t.Error("the file has the key or its unkeyed hash")
			}
		})
	}
}

func TestTheHashOfAnImportedKeyIsWhatIsDocumented(t *testing.T) {
	path := newPath(t)
	added, err := importText(t, path, `{"hash":"`+sha(foreign)+`","owner":"acme"}`, false)
	must(t, err)
	digest := sha256.Sum256([]byte(foreign))
	mac := hmac.New(sha256.New, testPepper)
	io.WriteString(mac, "whole:")
	mac.Write(digest[:])
	if want := "hmac-sha256:" + hex.EncodeToString(mac.Sum(nil)); added[0].Hash != want || added[0].Form != "whole" {
		t.Errorf("the record is %+v, want %s", added[0], want)
	}
}

func TestKeysMadeElsewhereAreJudgedAsOurs(t *testing.T) {
	const short, long = "0123456789abcde", 257
	path := newPath(t)
	var lines []string
	add := func(id, key, more string) {
		lines = append(lines, fmt.Sprintf(`{"id":%q,"hash":%q,"owner":"acme"%s}`, id, sha(key), more))
	}
	add("good", foreign, "")
	add("gone", "revoked-key-0123456789", `,"status":"revoked"`)
	add("past", "expired-key-0123456789", `,"expires":"2020-01-01T00:00:00Z"`)
	add("short", short, "")
	add("long", strings.Repeat("x", long), "")
	add("longest", strings.Repeat("y", long-1), "")
	add("ours", assemble("ours", testSecret), "")
	_, err := importText(t, path, strings.Join(lines, "\n"), false)
	must(t, err)
	s, err := Open(path, testPepper)
	must(t, err)
	defer s.Close()
	digest := sha256.Sum256([]byte(foreign))
	for _, tt := range []struct {
		name, key string
		want      error
	}{
		{"the key", foreign, nil},
		{"the longest key there may be", strings.Repeat("y", long-1), nil},
		{"a key that is longer", strings.Repeat("x", long), ErrMalformed},
		{"a key that is too short, though its hash is there", short, ErrMalformed},
		{"nothing", "", ErrMalformed},
		{"a key with another last byte", foreign[:len(foreign)-1] + "!", ErrUnknown},
		{"a key with a byte more", foreign + "0", ErrUnknown},
		{"the hash instead of the key", sha(foreign), ErrUnknown},
		{"the bytes of the hash instead of the key", string(digest[:]), ErrUnknown},
		{"the key of no form and no entry", "unknown-key-0123456789", ErrUnknown},
		{"a key of ours under the id of one made elsewhere", assemble("good", testSecret), ErrUnknown},
		{"a key of our form is judged by its id alone", assemble("ours", testSecret), ErrUnknown},
		{"a revoked one", "revoked-key-0123456789", ErrRevoked},
		{"an expired one", "expired-key-0123456789", ErrExpired},
	} {
		if p, err := s.Verify(tt.key, client, noon); err != tt.want || (p == nil) != (err != nil) {
			t.Errorf("%s: %v, %v, want %v", tt.name, p, err, tt.want)
		}
	}
}

func TestAKeyOfOurFormKeepsItsIDUnderANewPepper(t *testing.T) {
	path := newPath(t)
	key, r, err := Create(path, testPepper, Record{Owner: "acme"})
	must(t, err)
	moved := newPath(t)
	keys, err := ReadJSONLines(strings.NewReader(`{"key":"`+key+`","owner":"acme"}`), true)
	must(t, err)
	other := []byte("another pepper of more than 16 bytes")
	added, err := Import(moved, other, keys)
	must(t, err)
	if added[0].ID != r.ID || added[0].Form != Own || added[0].Hash == r.Hash {
		t.Errorf("added %+v", added[0])
	}
	s, err := Open(moved, other)
	must(t, err)
	defer s.Close()
	if _, err := s.Verify(key, client, noon); err != nil {
		t.Error(err)
	}
}

func TestImportRefusesAllOrNothing(t *testing.T) {
	good := fmt.Sprintf(`{"id":"ok","hash":%q,"owner":"acme"}`, sha(foreign)) + "\n"
	line := func(members string) string { return good + "{" + members + "}" }
	hash := `"hash":"` + sha("another-key-0123456789") + `"`
	key := assemble(testID, testSecret)
	tests := []struct {
		name, text string
		plain      bool
		want       []string
	}{
		{"nothing", "\n", false, []string{"columns"}},
		{"only names", "hash,owner\n", false, []string{"no keys to import"}},
		{"no hash", line(`"owner":"a"`), false, []string{"line 2: hash is missing"}},
		{"an empty hash", line(`"owner":"a","hash":""`), false, []string{"line 2: the key is empty"}},
		{"no owner", line(hash), false, []string{"line 2: owner is missing"}},
		{"a slow hash", line(`"owner":"a","hash":"$2a$10$N9qo8uLOickgx2ZMRZoMye"`), false, []string{"line 2: hash is not", "slow or salted"}},
		{"a hash without its name", line(`"owner":"a","hash":"` + strings.Repeat("0", 64) + `"`), false, []string{"line 2: hash is not"}},
		{"a short hash", line(`"owner":"a","hash":"` + sha("x")[:70] + `"`), false, []string{"line 2: hash is not"}},
		{"a hash of our file", line(`"owner":"a","hash":"` + hashOf(testPepper, "x") + `"`), false, []string{"line 2: hash is not"}},
		{"a key where hashes are expected", line(`"owner":"a","key":"` + key + `"`), false, []string{`line 2: unknown member "key"`, "hash is missing"}},
		{"a hash where keys are expected", `{"owner":"a",` + hash + `}`, true, []string{`line 1: unknown member "hash"`, "key is missing"}},
		{"a bad scope", line(hash + `,"owner":"a","scopes":["a b"]`), false, []string{"line 2: scopes[0]"}},
		{"a bad address and a bad tier", line(hash + `,"owner":"a","allow":["x"],"tier":"a b"`), false, []string{"line 2: tier", "allow[0]"}},
		{"an empty allow", line(hash + `,"owner":"a","allow":[]`), false, []string{"line 2: allow is empty"}},
		{"an unknown status", line(hash + `,"owner":"a","status":"on"`), false, []string{"line 2: status is not"}},
		{"a bad id", line(hash + `,"owner":"a","id":"A-1"`), false, []string{"line 2: id is not"}},
		{"no JSON", good + "{", false, []string{"line 2: the JSON ends too early"}},
		{"an id twice", line(hash + `,"owner":"a","id":"ok"`), false, []string{"line 2: line 1 has the same id"}},
		{"a key twice", line(`"hash":"` + sha(foreign) + `","owner":"a"`), false, []string{"line 2: it is the key of line 1"}},
		{"an id that is in the file", line(hash + `,"owner":"a","id":"k7f3a"`), false, []string{"line 2: keys[0] of the file has the same id"}},
		{"a key that is in the file", `{"key":"` + key + `","owner":"a"}`, true, []string{"line 1: keys[0] of the file has the same id", "line 1: it is the key of keys[0] of the file"}},
		{"a key of ours under another id", `{"key":"` + assemble("other", testSecret) + `","owner":"a","id":"mine"}`, true, []string{"line 1: the id is not the one inside"}},
		{"a short key", `{"key":"0123456789abcde","owner":"a"}`, true, []string{"line 1: the key has not 16 to 256 bytes"}},
		{"a long key", `{"key":"` + strings.Repeat("0123456789", 26) + `","owner":"a"}`, true, []string{"line 1: the key has not 16 to 256 bytes"}},
		{"a key that can be guessed", `{"key":"12341234123412345","owner":"a"}`, true, []string{"line 1: the key has fewer than 6 different characters"}},
		{"a key that no header holds", `{"key":"0123456789 abcdef","owner":"a"}`, true, []string{"line 1: the key has characters"}},
		{"a key that reads as a list in a header", `{"key":"0123456789,abcdef","owner":"a"}`, true, []string{"line 1: the key has characters"}},
		{"an empty key", `{"key":"","owner":"a"}`, true, []string{"line 1: the key is empty"}},
		{"a key that is its own id", `{"key":"0123456789abcdef","id":"0123456789abcdef","owner":"a"}`, true, []string{"line 1: the id is the key"}},
		{"a key that is its own owner", `{"key":"0123456789abcdef","owner":"0123456789ABCDEF"}`, true, []string{"line 1: the owner is the key"}},
		{"a hash whose key is the id", `{"hash":"` + sha("0123456789abcdef") + `","id":"0123456789abcdef","owner":"a"}`, false, []string{"line 1: the id is the key"}},
		{"a hash whose key is the owner", `{"hash":"` + sha(foreign) + `","owner":"` + foreign + `"}`, false, []string{"line 1: the owner is the key"}},
		{"every bad line is told", line(`"owner":"a"`) + "\n{\n{}", false, []string{"line 2: hash", "line 3: the JSON", "line 4: hash", "owner is missing"}},

		{"a column without a name", "hash,owner,\nx,y,z\n", false, []string{"column 3 has none of the names id, hash, owner"}},
		{"a key instead of names", key + ",owner\n", true, []string{"column 1 has none", "column key is missing"}},
		{"a column twice", "hash,owner,owner\n", false, []string{"column owner stands there twice"}},
		{"no column of owners", "hash\n", false, []string{"column owner is missing"}},
		{"a field too few", "hash,owner,id\n" + sha(foreign) + ",a\n", false, []string{"line 2", "wrong number of fields"}},
		{"an empty owner", "hash,owner\n" + sha(foreign) + ",\n", false, []string{"line 2: owner is missing"}},
		{"a time in another form", "hash,owner,expires\n" + sha(foreign) + ",a,tomorrow\n", false, []string{"line 2: expires is not a time"}},
		{"a line of a field with line breaks", "hash,owner,tier\n" + sha(foreign) + ",a,\"b\nc\"\nx,y,\n", false, []string{"line 4: hash is not"}},
		{"text that is not UTF-8", "hash,owner\n\xff,a\n", false, []string{"not UTF-8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			before := fileJSON(entryJSON())
			writeFile(t, path, before)
			added, err := importText(t, path, tt.text, tt.plain)
			if err == nil || added != nil {
				t.Fatalf("imported %+v", added)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
			for _, secret := range []string{testSecret, foreign, "0123456789abcdef", "12341234"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error repeats a key: %v", err)
				}
			}
			if read(t, path) != before {
				t.Error("the file was changed")
			}
		})
	}
}

func TestManyErrorsOfAnImportAreCut(t *testing.T) {
	for name, text := range map[string]string{
		"while reading": strings.Repeat("{}\n", 1000), "while adding": strings.Repeat(`{"hash":"`+sha(foreign)+`","owner":"a"}`+"\n", 1000),
	} {
		_, err := importText(t, newPath(t), text, false)
		if err == nil || !strings.Contains(err.Error(), "more errors are not shown") || strings.Count(err.Error(), "line ") > 3*maxErrors {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzImport reads hostile text both ways: what is accepted is a key file, that
// Open takes, and every line's key works in it.
func FuzzImport(f *testing.F) {
	f.Add(fmt.Sprintf(`{"id":"a","hash":%q,"owner":"acme","scopes":["a"]}`, sha(foreign)), false)
	f.Add(`{"key":"`+foreign+`","owner":"acme","expires":"2999-01-01T00:00:00Z"}`+"\n"+`{"key":"`+assemble(testID, testSecret)+`","owner":"x"}`, true)
	f.Add("owner,key,allow\nacme,"+foreign+",192.0.2.0/24 ::1\n", true)
	f.Add("owner,hash,id\n\"a\nb\","+sha(foreign)+",x\n", false)
	f.Fuzz(func(t *testing.T, text string, plain bool) {
		for _, read := range []func(io.Reader, bool) ([]Imported, error){ReadJSONLines, ReadCSV} {
			keys, err := read(strings.NewReader(text), plain)
			if err != nil {
				continue
			}
			added, err := merge(nil, testPepper, keys)
			if err != nil {
				continue
			}
			data, err := marshal(added)
			if err != nil {
				t.Fatal(err)
			}
			table, err := parseTable(data)
			if err != nil {
				t.Fatalf("a file with the keys is refused: %v", err)
			}
			if len(table.entries) != len(keys) {
				t.Errorf("%d entries of %d keys", len(table.entries), len(keys))
			}
			for i, k := range keys {
				if id, _, ok := split([]byte(k.Plain)); plain && ok && table.keys[string(id)] != table.entries[i] {
					t.Errorf("a key of ours is not found by its id")
				}
				if plain && !strings.HasPrefix(k.Plain, prefix) && table.entries[i].hash != mustHash(t, hashOfWhole(testPepper, sha256.Sum256([]byte(k.Plain)))) {
					t.Errorf("a key made elsewhere is not found by its hash")
				}
			}
		}
	})
}

func mustHash(t *testing.T, s string) [sha256.Size]byte {
	t.Helper()
	sum, ok := parseHash(s)
	if !ok {
		t.Fatalf("%q is no hash", s)
	}
	return sum
}
