//go:build unix

package apikey

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// Root writes, the gateway's user reads: a file that root alone could read after
// a revocation would leave the revoked key in force.
func TestWritingKeepsTheOwnerOfTheFile(t *testing.T) {
	path := newPath(t)
	writeFile(t, path, fileJSON())
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // others cannot give files away, and only their own survive
		uid, gid = 4711, 4712
		must(t, os.Chown(path, uid, gid))
	}
	_, _, err := Create(path, testPepper, Record{Owner: "x"})
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if stat := info.Sys().(*syscall.Stat_t); int(stat.Uid) != uid || int(stat.Gid) != gid {
		t.Errorf("the file belongs to %d:%d, want %d:%d", stat.Uid, stat.Gid, uid, gid)
	}
}

// Opening a pipe would wait for a writer, and Close with it.
func TestAPipeIsNoKeyFile(t *testing.T) {
	path := newPath(t)
	must(t, syscall.Mkfifo(path, 0o600))
	if _, err := Open(path, testPepper); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Open = %v", err)
	}
}

func TestAPipeInPlaceOfTheKeyFileHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON()))
		defer f.Close()
		remove(t, f.path)
		must(t, syscall.Mkfifo(f.path, 0o600))
		f.later(2)
		must(t, f.verify())
		remove(t, f.path)
		writeFile(t, f.path, fileJSON(entryJSON("status", `"revoked"`)))
		f.later(1)
		if err := f.verify(); err != ErrRevoked {
			t.Errorf("Verify = %v, want ErrRevoked", err)
		}
	})
}
