package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/revocation"
)

// unsigned is a token with claims, which nobody verifies here.
func unsigned(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestRevokeTakesATokenFromStdin(t *testing.T) {
	const end = "2027-01-15T08:00:01Z" // 1800000000, and a second for parts of one
	for _, test := range []struct {
		name, stdin string
		args        []string
		want        revocation.Record
	}{
		{"its jti and its end", unsigned(`{"iss":"a","jti":"x","sub":"s","exp":1800000000}`) + "\n", nil, revocation.Record{Issuer: "a", JTI: "x"}},
		{"with Bearer in front", "Bearer " + unsigned(`{"iss":"a","jti":"x","exp":1800000000.5}`), nil, revocation.Record{Issuer: "a", JTI: "x"}},
		{"a jti that is a number", unsigned(`{"iss":"a","jti":9007199254740993,"exp":1800000000}`), nil, revocation.Record{Issuer: "a", JTI: "9007199254740993"}},
		{"its sub, for ever", unsigned(`{"iss":"a","jti":"x","sub":"s","exp":1800000000}`), []string{"--by", "sub"}, revocation.Record{Issuer: "a", Sub: "s"}},
		{"its sid", unsigned(`{"iss":"a","sid":"d"}`), []string{"--by", "sid"}, revocation.Record{Issuer: "a", SID: "d"}},
	} {
		file := filepath.Join(t.TempDir(), "revoked.json")
		if r := run(t, test.stdin, append([]string{"revoke", "add", "--file", file, "--token", "-"}, test.args...)...); r.err != nil {
			t.Errorf("%s: %v", test.name, r.err)
			continue
		}
		if test.want.JTI != "" {
			test.want.Until, _ = time.Parse(time.RFC3339, end)
		}
		got, err := revocation.List(file)
		if err != nil || len(got) != 1 || got[0] != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestRevokeRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "revoked.json")
	token := unsigned(`{"iss":"a","jti":"x"}`)
	memory := filepath.Join(dir, "memory.Caddyfile")
	if err := os.WriteFile(memory, []byte("{\n\tsallyport {\n\t\tstore memory\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"no list", "", []string{"--issuer", "a", "--jti", "x"}, "one of --file and --config"},
		{"two lists", "", []string{"--file", file, "--config", "Caddyfile", "--issuer", "a", "--jti", "x"}, "one of --file and --config"},
		{"a store in memory", "", []string{"--config", memory, "--adapter", "caddyfile", "--issuer", "a", "--jti", "x"}, "no store that commands can reach"},
		{"no issuer", "", []string{"--file", file, "--jti", "x"}, "issuer is missing"},
		{"no name", "", []string{"--file", file, "--issuer", "a"}, "is needed"},
		{"two names", "", []string{"--file", file, "--issuer", "a", "--jti", "x", "--sub", "y"}, "only one of"},
		{"no moment", "", []string{"--file", file, "--issuer", "a", "--issued-before", "yesterday"}, "neither now nor a moment"},
		{"an end that was", "", []string{"--file", file, "--issuer", "a", "--jti", "x", "--until", "-1h"}, "not in the future"},
		{"a reason of two lines", "", []string{"--file", file, "--issuer", "a", "--jti", "x", "--reason", "a\nb"}, "reason"},
		{"a token on the command line", "", []string{"--file", file, "--token", token}, "--token takes - only"},
		{"a token as an argument", "", []string{"--file", file, token}, "--token -"},
		{"a token and a name", token, []string{"--file", file, "--token", "-", "--sub", "y"}, "stands instead"},
		{"a token without jti", unsigned(`{"iss":"a","sub":"x"}`), []string{"--file", file, "--token", "-"}, "the token has no jti"},
		{"a claim that names nobody", unsigned(`{"iss":"a","aud":"x"}`), []string{"--file", file, "--token", "-", "--by", "aud"}, "--by"},
		{"no token", "junk", []string{"--file", file, "--token", "-"}, "not a token"},
	} {
		r := run(t, test.stdin, append([]string{"revoke", "add"}, test.args...)...)
		if r.err == nil || !strings.Contains(r.err.Error(), test.want) || r.stdout != "" {
			t.Errorf("%s: %q, %v, want %q", test.name, r.stdout, r.err, test.want)
		} else if strings.Contains(r.err.Error(), token) {
			t.Errorf("%s: the error shows the token", test.name)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was written")
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, run(t, "", "revoke", "add", "--file", file, "--issuer", "a", "--jti", "x"), file)
	if data, _ := os.ReadFile(file); string(data) != "{" {
		t.Errorf("a bad file was written over: %s", data)
	}
}

func TestRevokeListsAndRemoves(t *testing.T) {
	file := filepath.Join(t.TempDir(), "revoked.json")
	for _, args := range [][]string{{"--jti", "x\x1b[2J"}, {"--sub", "s"}, {"--sub", "s", "--issued-before", "now"}, {"--sub", "s"}} {
		mustRun(t, append([]string{"revoke", "add", "--file", file, "--issuer", "a", "--until", "1h"}, args...)...)
	}
	var got struct{ Revocations []struct{ Kind, ID string } }
	if err := json.Unmarshal([]byte(mustRun(t, "revoke", "list", "--file", file, "--json").stdout), &got); err != nil || len(got.Revocations) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	if text := mustRun(t, "revoke", "list", "--file", file).stdout; strings.Contains(text, "\x1b") || strings.Count(text, "\n") != 4 {
		t.Errorf("a terminal gets %q", text)
	}
	mustRun(t, "revoke", "remove", "--file", file, "--issuer", "a", "--sub", "s", "--issued-before", "now")
	refused(t, run(t, "", "revoke", "remove", "--file", file, "--issuer", "a", "--sub", "s", "--issued-before", "now"), "no such revocation")
	if left, err := revocation.List(file); err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v", left, err)
	}
}
