package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func same(name string) string { return name }

func parse(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const allowlisted = `{"apps":{"http":{"servers":{"srv0":{"routes":[{"handle":[{"handler":"allowlist","allow_files":["a.txt"],"deny_files":["b.txt","a.txt"]}]}]}}}}}`

func TestTheDigestChangesWithThePolicyAndNotWithItsSpelling(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.txt", "192.0.2.1\n")
	write(t, "b.txt", "192.0.2.2\n")
	before := Compute(parse(t, allowlisted), same)
	if !IsDigest(before.Digest) || before.Err() != nil {
		t.Fatalf("got %+v, %v", before, before.Err())
	}
	tests := []struct {
		name, config string
		change       func()
		same         bool
	}{
		{"nothing changed", allowlisted, nil, true},
		{"white space and the order of members", "{ " + strings.Replace(allowlisted[1:], `"handler":"allowlist","allow_files":["a.txt"]`, `"allow_files" : ["a.txt"], "handler":"allowlist"`, 1), nil, true},
		{"a label of the admin API", strings.Replace(allowlisted, `"handler"`, `"@id":"list","handler"`, 1), nil, true},
		{"a member named @id that is no label", strings.Replace(allowlisted, `"handler"`, `"@id":["list"],"handler"`, 1), nil, false},
		{"a value", strings.Replace(allowlisted, `srv0`, `srv1`, 1), nil, false},
		{"the content of a file", allowlisted, func() { write(t, "b.txt", "192.0.2.3\n") }, false},
		{"a file that is gone", allowlisted, func() { _ = os.Remove("b.txt") }, false},
		{"files that changed their names", allowlisted, func() { write(t, "a.txt", "192.0.2.2\n"); write(t, "b.txt", "192.0.2.1\n") }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(t, "a.txt", "192.0.2.1\n")
			write(t, "b.txt", "192.0.2.2\n")
			if tt.change != nil {
				tt.change()
			}
			if got := Compute(parse(t, tt.config), same); (got.Digest == before.Digest) != tt.same {
				t.Errorf("got %s, before %s", got.Digest, before.Digest)
			}
		})
	}
}

func TestWhichFilesCount(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b", "keys.json", "tls.crt", "tls.key", "ca.pem", "issuer.pem", "clients/one.pem", "clients/more/two.pem", "secret", "served"} {
		write(t, name, name)
	}
	config := `{"x":[
		{"allow_files":["b","a"],"deny_files":["a"],"keys_file":"keys.json","pepper":"{file.secret}"},
		{"ca":{"provider":"file","pem_files":["ca.pem"]},"certificate":"tls.crt","key":"tls.key"},
		{"key_file":"{dir}issuer.pem"},
		{"leaf_certs_loaders":[{"loader":"folder","folders":["clients"]}]},
		{"files":["served"]}
	]}`
	d := Compute(parse(t, config), func(name string) string { return strings.ReplaceAll(name, "{dir}", "") })
	var names []string
	for _, file := range d.Files {
		names = append(names, file.Name)
	}
	if got, want := strings.Join(names, " "), "a b ca.pem clients/more/two.pem clients/one.pem {dir}issuer.pem"; got != want || d.Err() != nil {
		t.Errorf("got %s, %v\nwant %s", got, d.Err(), want)
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	d := Compute(parse(t, `{"allow_files":["missing","/dev/null"]}`), same)
	err := d.Err()
	if err == nil || !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "/dev/null is not a regular file") || !IsDigest(d.Digest) {
		t.Errorf("got %v, %+v", err, d)
	}
}

func TestFilesOfUnknownMembersAreNoticed(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "rules.conf", "x")
	write(t, "json", "x")
	write(t, "keys.json", "x")
	got := Overlooked(parse(t, `{"handler":"waf","directives_from":["rules.conf","missing.conf"],"format":"json","keys_file":"keys.json","text":"{file.rules.conf}"}`))
	if len(got) != 1 || got[0] != "rules.conf" {
		t.Errorf("got %q", got)
	}
}
