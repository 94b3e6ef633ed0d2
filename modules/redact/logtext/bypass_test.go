package logtext

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func mustMask(t *testing.T, texts ...string) {
	t.Helper()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		entry, err := json.Marshal(map[string]string{"msg": text})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if !c.Clean(&out, entry) || strings.Contains(out.String(), "S3cr3t") {
			t.Errorf("%s became %s", entry, out.String())
		}
	}
}

// doc.go: the parameter of an authentication scheme; lists.go: in text, the value
// of a header runs to the end of its line. GitHub, Gitea and Django say token.
func TestTheValueOfASecretHeaderInText(t *testing.T) {
	mustMask(t, "Authorization: token S3cr3t", "curl -H 'Authorization: Token S3cr3t'", "X-Api-Key: key S3cr3t", "authorization=Token S3cr3t")
}

// A secret pair is one also behind \n and \t in JSON inside a string, as
// detectors have it.
func TestNamesBehindAnEscapeInNestedJSON(t *testing.T) {
	mustMask(t, `{"body":"grant\ncode=S3cr3t"}`, `{"body":"a\tpin=S3cr3t"}`, `{"head":"GET /\r\nX-Auth: S3cr3t"}`, `{"head":"Authorization: Bearer\tS3cr3t"}`)
}

// Names that hold a secret as surely as those on the lists: what Rails, Laravel
// and Devise call the second field of a password, and plurals.
func TestNamesOfPasswordsAndTokens(t *testing.T) {
	mustMask(t, "/signup?password_confirmation=S3cr3t", `{"passwordConfirm":"S3cr3t"}`, `{"tokens":["S3cr3t"]}`,
		`{"secrets":{"db":"S3cr3t"}}`, `{"api_keys":["S3cr3t"]}`, "/cb?auth_code=S3cr3t", "/form?_csrf=S3cr3t")
}
