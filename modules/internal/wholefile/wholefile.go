// Package wholefile reads files that others replace, and replaces files that others
// read: never a part of one, and never a change lost. It imports no Caddy package.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Read reads a regular file of at most limit bytes that did not change meanwhile: a
// writer that overwrites it in place could otherwise give us half of each version.
func Read(path string, limit int64) ([]byte, os.FileInfo, error) {
	// Opening a pipe waits for somebody to write into it, except so.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("larger than %d MiB", limit>>20)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() || after.Size() != int64(len(data)) {
		return nil, nil, errors.New("the file changed while it was read")
	}
	return data, after, nil
}

// Update changes the file at path under a lock, so that of two writers neither loses
// what the other wrote, and replaces it whole. change gets what is in it, nil if there
// is no file, and returns what is to be, nil to leave it as it is. A file that did not
// exist can be read by its owner only; else owner, group and who may read stay.
func Update(path string, limit int64, change func(old []byte) ([]byte, error)) error {
	// Replacing a symbolic link would leave what it points to as it was.
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return err
	}
	unlock, err := lock(target + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	old, _, err := Read(target, limit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := change(old)
	if err != nil || data == nil {
		return err
	}
	return replace(target, data)
}

// replace writes data beside target, makes it durable and renames it over target:
// after a crash there is the old file or the new one.
func replace(target string, data []byte) (err error) {
	dir := filepath.Dir(target)
	f, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := keepReaders(f, target); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return err
	}
	return syncDir(dir)
}
