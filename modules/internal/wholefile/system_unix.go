//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock waits for the lock file at path and holds it until unlock. The file
// stays: removing it would let two writers lock two files of one name. The
// kernel drops the lock of a process that died.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking: %w", err)
	}
	return func() { f.Close() }, nil
}

// keepReaders gives f the owner, the group and the rights to read of the file it
// will replace. Without it, a file written by root would leave a file that
// the gateway's user cannot read: it would keep the old one. Nobody gets
// a right to write.
func keepReaders(f *os.File, target string) error {
	old, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	was, is := old.Sys().(*syscall.Stat_t), mine.Sys().(*syscall.Stat_t)
	if was.Uid != is.Uid || was.Gid != is.Gid {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("keeping its owner: %w", err)
		}
	}
	return f.Chmod(0o600 | old.Mode()&0o044)
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
