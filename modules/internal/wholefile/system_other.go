//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lock creates the lock file at path and removes it in unlock. Where it exists,
// another writer is at work, or died: the error says what to do.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: another command is writing, or was interrupted; then remove it", path)
	}
	if err != nil {
		return nil, err
	}
	return func() { f.Close(); os.Remove(path) }, nil
}

// keepReaders does nothing: a new file inherits its folder's access list here.
func keepReaders(*os.File, string) error { return nil }

// syncDir does nothing: folders cannot be synced here.
func syncDir(string) error { return nil }
