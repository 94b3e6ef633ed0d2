package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestOfManyWritersNoneLosesAChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	const writers, each = 8, 20
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				err := Update(path, 1<<20, func(old []byte) ([]byte, error) { return append(old, 'x'), nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	data, _, err := Read(path, 1<<20)
	if err != nil || len(data) != writers*each {
		t.Errorf("%d changes of %d, %v", len(data), writers*each, err)
	}
}

func TestUpdateKeepsWhatIsNotItsToChange(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "list"), filepath.Join(dir, "link")
	write := func(text string) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return []byte(text), nil }
	}
	if err := Update(path, 1<<20, write("1")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %v, %v", info.Mode(), err)
	}
	if err := errors.Join(os.Chmod(path, 0o666), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	if err := Update(link, 1<<20, write("2")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("readers: %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	broken := errors.New("broken")
	for name, change := range map[string]func([]byte) ([]byte, error){
		"an error":  func([]byte) ([]byte, error) { return []byte("3"), broken },
		"no change": func([]byte) ([]byte, error) { return nil, nil },
	} {
		if err := Update(path, 1<<20, change); err != nil && !errors.Is(err, broken) {
			t.Error(err)
		}
		if data, _, err := Read(path, 1<<20); string(data) != "2" {
			t.Errorf("after %s: %q, %v", name, data, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // the file, the link, the lock
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func TestReadRefusesWhatIsNoFileOrTooLarge(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 11)), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, _, err := Read(path, 11); err != nil || len(data) != 11 {
		t.Errorf("as large as may be: %v", err)
	}
	for name, read := range map[string]func() error{
		"too large": func() error { _, _, err := Read(path, 10); return err },
		"missing":   func() error { _, _, err := Read(path+"x", 10); return err },
		"a folder":  func() error { _, _, err := Read(dir, 10); return err },
		"a device":  func() error { _, _, err := Read(os.DevNull, 10); return err },
	} {
		if read() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
