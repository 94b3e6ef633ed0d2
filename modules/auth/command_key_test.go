package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
)

// listed returns `key list --json` by id.
func listed(t *testing.T, file string) map[string]map[string]any {
	t.Helper()
	var list struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(mustRun(t, "key", "list", "--file", file, "--json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	byID := make(map[string]map[string]any)
	for _, k := range list.Keys {
		byID[k["id"].(string)] = k
	}
	return byID
}

func TestKeyRotatePrintsANewKeyOnceAndKeepsTheOldOneForTheOverlap(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	common := []string{"--file", keys, "--pepper-file", pepperFile}
	old := strings.TrimSpace(mustRun(t, append([]string{"key", "create", "--owner", "acme", "--id", "old", "--scope", "a", "--tier", "gold"}, common...)...).stdout)
	r := mustRun(t, append([]string{"key", "rotate", "old", "--overlap", "2d"}, common...)...)
	key := strings.TrimSuffix(r.stdout, "\n")
	for _, k := range []string{old, key} {
		if err := verify(t, keys, k); err != nil {
			t.Errorf("%q: %v", k, err)
		}
	}
	if strings.Contains(r.stderr, key) || !strings.Contains(r.stderr, "Key old is good until ") || !strings.Contains(r.stderr, "of acme takes its place, which never expires") {
		t.Errorf("stderr: %q", r.stderr)
	}
	created := strings.Split(key, "_")[1]
	list := listed(t, keys)
	if len(list) != 2 || list["old"]["rotated_to"] != created || list["old"]["state"] != "active" || list[created]["tier"] != "gold" || list[created]["expires"] != nil {
		t.Errorf("the list is %v", list)
	}
	table := strings.Split(mustRun(t, "key", "list", "--file", keys).stdout, "\n")
	if got := strings.Fields(table[1]); !reflect.DeepEqual(got[len(got)-2:], []string{"47h", created}) && !reflect.DeepEqual(got[len(got)-2:], []string{"2d", created}) {
		t.Errorf("the old key's line: %q", table[1])
	}
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	mustRun(t, append([]string{"key", "rotate", created, "--overlap", "0"}, common...)...)
	if err := verify(t, keys, key); err != apikey.ErrExpired {
		t.Errorf("without an overlap, the old key: %v", err)
	}
	if state := listed(t, keys)[created]["state"]; state != "expired" {
		t.Errorf("its state is %v", state)
	}
}

func TestKeyRotateAsJSONAndByDefaultWithADaysOverlap(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	common := []string{"--file", keys, "--pepper-file", pepperFile}
	mustRun(t, append([]string{"key", "create", "--owner", "acme", "--id", "old", "--expires", "2999-01-01T00:00:00Z"}, common...)...)
	r := mustRun(t, append([]string{"key", "rotate", "old", "--id", "new", "--expires", "2999-06-01T00:00:00Z", "--json"}, common...)...)
	var got struct {
		Old struct {
			ID      string    `json:"id"`
			Expires time.Time `json:"expires"`
		} `json:"old"`
		New map[string]any `json:"new"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	key, _ := got.New["key"].(string)
	if got.Old.ID != "old" || time.Until(got.Old.Expires) > 24*time.Hour || time.Until(got.Old.Expires) < 23*time.Hour ||
		got.New["id"] != "new" || got.New["expires"] != "2999-06-01T00:00:00Z" || verify(t, keys, key) != nil {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(r.stdout, "hash") || r.stderr != "" {
		t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
	}
}

func TestKeyRotateRefuses(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	common := []string{"--file", keys, "--pepper-file", pepperFile}
	key := strings.TrimSpace(mustRun(t, append([]string{"key", "create", "--owner", "a", "--id", "demo", "--expires", "1d"}, common...)...).stdout)
	mustRun(t, append([]string{"key", "create", "--owner", "a", "--id", "gone"}, common...)...)
	mustRun(t, "key", "revoke", "gone", "--file", keys)
	before, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no id":                                 {nil, "takes one id"},
		"two ids":                               {[]string{"demo", "other"}, "takes one id"},
		"an unknown id":                         {[]string{"other"}, "no key with id other"},
		"a whole key":                           {[]string{key}, "not the id of a key"},
		"a revoked key":                         {[]string{"gone"}, "key gone is revoked"},
		"an end of the old key and none of new": {[]string{"demo"}, "key demo expires: say when"},
		"an overlap that is no duration":        {[]string{"demo", "--overlap", "soon", "--expires", "never"}, `--overlap "soon" is no duration`},
		"a negative overlap":                    {[]string{"demo", "--overlap", "-1h", "--expires", "never"}, `--overlap "-1h" is no duration`},
		"an end that is no time":                {[]string{"demo", "--expires", "Never"}, `"Never" is neither`},
		"an id that is taken":                   {[]string{"demo", "--expires", "never", "--id", "gone"}, "id gone already"},
	} {
		r := run(t, "", append(append([]string{"key", "rotate"}, tt.args...), common...)...)
		t.Run(name, func(t *testing.T) {
			refused(t, r, tt.want)
			if strings.Contains(r.err.Error(), key) {
				t.Errorf("the error repeats the key: %v", r.err)
			}
		})
	}
	refused(t, run(t, "", "key", "rotate", "demo", "--file", keys, "--expires", "never"), "pepper is needed")
	if after, err := os.ReadFile(keys); err != nil || string(before) != string(after) {
		t.Errorf("the file was changed, or %v", err)
	}
}

const foreign = "XyZ-0123456789abcdefABCDEF~"

func foreignHash() string {
	sum := sha256.Sum256([]byte(foreign))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestKeyImportByHashNeedsNoKey(t *testing.T) {
	for name, tt := range map[string]struct {
		stdin string
		args  []string
	}{
		"JSON lines":           {`{"id":"legacy","hash":"` + foreignHash() + `","owner":"acme","scopes":["a"],"tier":"gold","expires":"2999-01-01T00:00:00Z"}`, nil},
		"CSV":                  {"id,hash,owner,scopes,tier,expires\nlegacy," + foreignHash() + ",acme,a,gold,2999-01-01T00:00:00Z\n", []string{"--format", "csv"}},
		"JSON lines of keys":   {`{"id":"legacy","key":"` + foreign + `","owner":"acme","scopes":["a"],"tier":"gold","expires":"2999-01-01T00:00:00Z"}`, []string{"--from-plain"}},
		"CSV with the keys":    {"id,key,owner,scopes,tier,expires\nlegacy," + foreign + ",acme,a,gold,2999-01-01T00:00:00Z\n", []string{"--from-plain", "--format", "csv"}},
		"and prints no secret": {`{"id":"legacy","key":"` + foreign + `","owner":"acme","scopes":["a"],"tier":"gold","expires":"2999-01-01T00:00:00Z"}`, []string{"--from-plain", "--json"}},
	} {
		t.Run(name, func(t *testing.T) {
			keys, pepperFile := keyFiles(t)
			r := run(t, tt.stdin, append([]string{"key", "import", "--file", keys, "--pepper-file", pepperFile}, tt.args...)...)
			if r.err != nil {
				t.Fatal(r.err)
			}
			if err := verify(t, keys, foreign); err != nil {
				t.Error(err)
			}
			asJSON := tt.args != nil && tt.args[len(tt.args)-1] == "--json"
			if !asJSON && (r.stdout != "legacy\n" || r.stderr != "Keys imported: 1. Their ids:\n") {
				t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
			}
			content, err := os.ReadFile(keys)
			if err != nil {
				t.Fatal(err)
			}
			list := mustRun(t, "key", "list", "--file", keys).stdout + mustRun(t, "key", "list", "--file", keys, "--json").stdout
			for what, text := range map[string]string{"stdout": r.stdout, "stderr": r.stderr, "file": string(content), "list": list} {
				if strings.Contains(text, foreign) || strings.Contains(text, foreignHash()[7:]) || what != "file" && strings.Contains(text, "hmac") {
					t.Errorf("%s shows a key or a hash: %s", what, text)
				}
			}
			want := map[string]any{"id": "legacy", "form": "whole", "owner": "acme", "scopes": []any{"a"}, "tier": "gold", "expires": "2999-01-01T00:00:00Z", "status": "active", "state": "active"}
			if got := listed(t, keys)["legacy"]; !reflect.DeepEqual(got, want) {
				t.Errorf("listed as %v, want %v", got, want)
			}
			if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestKeyImportRefuses(t *testing.T) {
	keys, pepperFile := keyFiles(t)
	line := `{"hash":"` + foreignHash() + `","owner":"acme"}`
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"nothing":                   {"", []string{"--pepper-file", pepperFile}, "no keys to import"},
		"a bad line":                {line + "\n{}", []string{"--pepper-file", pepperFile}, "stdin: line 2: hash is missing"},
		"keys without --from-plain": {`{"key":"` + foreign + `","owner":"a"}`, []string{"--pepper-file", pepperFile}, `unknown member "key"`},
		"another format":            {line, []string{"--pepper-file", pepperFile, "--format", "yaml"}, `--format "yaml" is neither`},
		"no pepper":                 {line, nil, "pepper is needed"},
		"the pepper on stdin":       {line, []string{"--pepper-file", "-"}, "the keys are read from stdin"},
		"a key as an argument":      {line, []string{"--pepper-file", pepperFile, foreign}, "takes no arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, tt.stdin, append([]string{"key", "import", "--file", keys}, tt.args...)...)
			refused(t, r, tt.want)
			if strings.Contains(r.err.Error(), foreign) {
				t.Errorf("the error repeats the key: %v", r.err)
			}
		})
	}
	if entries, err := os.ReadDir(filepath.Dir(keys)); err != nil || len(entries) != 1 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}
