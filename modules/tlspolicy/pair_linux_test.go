package tlspolicy

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cp -p, touch -r, rsync -t --inplace, images with one time for all files.
func TestAChangeThatKeepsTheModificationTimeIsSeen(t *testing.T) {
	ca := newAuthority(t)
	k := newKey(t, "rsa")
	first, second := ca.issue(t, k, -time.Hour, time.Hour, "a.example"), ca.issue(t, k, -time.Hour, 2*time.Hour, "a.example")
	for len(second.cert) != len(first.cert) {
		second = ca.issue(t, k, -time.Hour, 2*time.Hour, "a.example")
	}
	cert, key := first.put(t, t.TempDir())
	old := time.Now().Add(-time.Hour)
	touch := func() {
		if err := errors.Join(os.Chtimes(cert, old, old), os.Chtimes(key, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	touch()
	p := still(cert, key)
	if p.settled {
		t.Error("an old modification time is trusted, though the file has just been changed")
	}
	later := time.Now().Add(settle + time.Second)
	p.check(later)
	if !p.settled {
		t.Fatal("the files never settle")
	}
	before := statusTime(p.seen[0])
	eventually(t, "the clock of the file system", func() bool {
		putFile(t, cert, second.cert)
		touch()
		info, err := os.Stat(cert)
		return err == nil && !statusTime(info).Equal(before)
	})
	p.check(later)
	p.check(later)
	if inForceSerial(p) != second.serial(t) {
		t.Error("it is not")
	}
}

// Opening one waits until somebody writes to it, and everything would wait with it.
func TestAFIFOInThePlaceOfAFileIsRefusedAndBlocksNothing(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	for i, what := range []string{"certificate", "key"} {
		t.Run(what, func(t *testing.T) {
			cert, key := good.put(t, t.TempDir())
			p := newPair(cert, key, nil)
			release := p.pace(shortestPoll)
			name := []string{cert, key}[i]
			if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the FIFO to be refused", func() bool {
				_, err := p.state()
				return err != nil && strings.Contains(err.Error(), "not a file")
			})
			if inForceSerial(p) != good.serial(t) {
				t.Error("it replaced the good pair")
			}
			release()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if fresh := still(cert, key); fresh.inForce.Load() != nil {
				t.Error("something is in force")
			}
		})
	}
}
