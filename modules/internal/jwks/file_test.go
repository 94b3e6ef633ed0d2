package jwks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFileIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(set("a"))
	synctest.Test(t, func(t *testing.T) {
		var log []string
		f, err := OpenFile(path, []string{"EdDSA"}, func(e Event) {
			log = append(log, fmt.Sprintf("%d keys, %v", e.Keys.Len(), e.Err != nil))
		})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		first, _ := f.Keys(time.Now())
		steps := []struct {
			name   string
			change func()
			keys   int
		}{
			{"nothing changes", func() {}, 1},
			{"the same content again", func() { write(set("a")) }, 1},
			{"a key more", func() { write(set("a", "b")) }, 2},
			{"half of a file", func() { write(set("a", "b", "c")[:40]) }, 2},
			{"still half of a file", func() {}, 2},
			{"an empty file", func() { write("") }, 2},
			{"no file", func() { os.Remove(path) }, 2},
			{"a directory", func() { os.Mkdir(path, 0o700) }, 2},
			{"a private key", func() {
				os.Remove(path)
				write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
			}, 2},
			{"keys for other algorithms alone", func() {
				write(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
			}, 2},
			{"the same keys as before", func() { write(set("a", "b")) }, 2},
			{"a key less", func() { write(set("b")) }, 1},
		}
		for _, step := range steps {
			step.change()
			pass(fileInterval)
			got, err := f.Keys(time.Now())
			if err != nil || got.Len() != step.keys {
				t.Errorf("%s: %d keys, %v", step.name, got.Len(), err)
			}
			if step.name == "the same content again" && got != first {
				t.Error("an unchanged set replaced itself, and with it the verified tokens")
			}
		}
		want := []string{"2 keys, false", "2 keys, true", "2 keys, true", "2 keys, true", "2 keys, true", "2 keys, true", "2 keys, true", "2 keys, false", "1 keys, false"}
		if strings.Join(log, "\n") != strings.Join(want, "\n") {
			t.Errorf("told\n%s", strings.Join(log, "\n"))
		}
		_, _ = f.Missed(t.Context(), nil)
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"missing": "", "empty": "", "junk": "junk", "huge": set("a") + strings.Repeat(" ", maxFile)} {
		path := filepath.Join(dir, name)
		if name != "missing" {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenFile(path, []string{"EdDSA"}, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
