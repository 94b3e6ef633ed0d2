package apikey

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// follower is a store in a synctest bubble, and what it told.
type follower struct {
	*Store
	path string

	mu   sync.Mutex
	told []State
}

func follow(t *testing.T, content string) *follower {
	t.Helper()
	f := &follower{path: filepath.Join(t.TempDir(), "keys.json")}
	writeFile(t, f.path, content)
	s, err := Open(f.path, testPepper, OnReload(func(s State) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, s)
	}))
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	return f
}

// later lets the store look at its file n times.
func (f *follower) later(n int) {
	time.Sleep(time.Duration(n) * interval)
	synctest.Wait()
}

func (f *follower) reports() []State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]State(nil), f.told...)
}

func (f *follower) verify() error {
	_, err := f.Verify(assemble(testID, testSecret), client, noon)
	return err
}

func TestARevocationIsInForceAtTheNextLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON()))
		defer f.Close()
		if err := f.verify(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, f.path, fileJSON(entryJSON("status", `"revoked"`)))
		f.later(1)
		if err := f.verify(); err != ErrRevoked {
			t.Errorf("Verify = %v, want ErrRevoked", err)
		}
		if told := f.reports(); len(told) != 1 || told[0].Err != nil || told[0].Keys != 1 {
			t.Errorf("told %+v, want one good reload", told)
		}
	})
}

func TestABadFileNeverReplacesAGoodOne(t *testing.T) {
	good := fileJSON(entryJSON())
	tests := map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"emptied":               {func(t *testing.T, path string) { writeFile(t, path, "") }, "the file is empty"},
		"half written":          {func(t *testing.T, path string) { writeFile(t, path, good[:len(good)/2]) }, "ends too early"},
		"filled with NULs":      {func(t *testing.T, path string) { writeFile(t, path, strings.Repeat("\x00", len(good))) }, "not JSON"},
		"one bad entry":         {func(t *testing.T, path string) { writeFile(t, path, fileJSON(entryJSON("status", `"off"`))) }, "status is not"},
		"without a list":        {func(t *testing.T, path string) { writeFile(t, path, "{}") }, "keys is missing"},
		"removed":               {func(t *testing.T, path string) { remove(t, path) }, "no such file"},
		"replaced by a folder":  {func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }, "not a regular file"},
		"a link to nothing":     {func(t *testing.T, path string) { remove(t, path); symlink(t, path+".gone", path) }, "no such file"},
		"replaced by a bad one": {func(t *testing.T, path string) { writeFile(t, path+"~", "{"); rename(t, path+"~", path) }, "ends too early"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := follow(t, good)
				defer f.Close()
				tt.spoil(t, f.path)
				f.later(5)
				if err := f.verify(); err != nil {
					t.Errorf("Verify = %v, want the old keys in force", err)
				}
				state, told := f.State(), f.reports()
				if state.Err == nil || !strings.Contains(state.Err.Error(), tt.want) || !strings.Contains(state.Err.Error(), f.path) {
					t.Errorf("state says %v, want %q and the path", state.Err, tt.want)
				}
				if state.Keys != 1 {
					t.Errorf("state says %d keys, want 1", state.Keys)
				}
				if len(told) != 1 || told[0].Err == nil {
					t.Errorf("told %+v, want the reason once", told)
				}

				// And a good file ends it, also the very same one.
				os.RemoveAll(f.path)
				writeFile(t, f.path, good)
				f.later(1)
				if state := f.State(); state.Err != nil {
					t.Errorf("state still says %v", state.Err)
				}
				if told := f.reports(); len(told) != 2 || told[1].Err != nil {
					t.Errorf("told %+v, want the recovery", told)
				}
			})
		})
	}
}

func TestAFileWithoutKeysTakesAllAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON()))
		defer f.Close()
		writeFile(t, f.path, `{"keys":[]}`)
		f.later(1)
		if err := f.verify(); err != ErrUnknown {
			t.Errorf("Verify = %v, want ErrUnknown", err)
		}
	})
}

func TestAChangeWithinTheClocksGrainIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON("tier", `"aaaa"`)))
		defer f.Close()
		// Same size, same time, same inode: only the content tells.
		stamp := time.Now()
		chtimes(t, f.path, stamp)
		f.later(1)
		writeFile(t, f.path, fileJSON(entryJSON("tier", `"bbbb"`)))
		chtimes(t, f.path, stamp)
		f.later(1)
		if p, err := f.Verify(assemble(testID, testSecret), client, noon); err != nil || p.Tier != "bbbb" {
			t.Errorf("Verify = %+v, %v, want the second writing", p, err)
		}
	})
}

func TestAReplacementOfTheSameSizeAndAgeIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON("tier", `"aaaa"`)))
		defer f.Close()
		age := time.Now().Add(-time.Hour)
		chtimes(t, f.path, age)
		f.later(1)
		writeFile(t, f.path+"~", fileJSON(entryJSON("tier", `"bbbb"`)))
		chtimes(t, f.path+"~", age)
		rename(t, f.path+"~", f.path)
		f.later(1)
		if p, err := f.Verify(assemble(testID, testSecret), client, noon); err != nil || p.Tier != "bbbb" {
			t.Errorf("Verify = %+v, %v, want the other file", p, err)
		}
	})
}

func TestAnUnchangedFileIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its time is in the bubble's future, so it is reread
		f := follow(t, fileJSON(entryJSON()))
		defer f.Close()
		f.later(5)
		if told := f.reports(); len(told) != 0 {
			t.Errorf("told %+v", told)
		}
	})
}

func TestAnOldUnchangedFileIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON()))
		defer f.Close()
		chtimes(t, f.path, time.Now().Add(-time.Hour))
		f.later(1)
		if f.changed() {
			t.Error("a file that did not change would be read again")
		}
	})
}

func TestAReplacedLinkIsFollowed(t *testing.T) { // how Kubernetes updates a mounted secret
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for name, content := range map[string]string{"v1": fileJSON(entryJSON()), "v2": fileJSON(entryJSON("status", `"revoked"`))} {
			mkdir(t, filepath.Join(dir, name))
			writeFile(t, filepath.Join(dir, name, "keys.json"), content)
			chtimes(t, filepath.Join(dir, name, "keys.json"), time.Now().Add(-time.Hour))
		}
		symlink(t, "v1", filepath.Join(dir, "..data"))
		symlink(t, filepath.Join("..data", "keys.json"), filepath.Join(dir, "keys.json"))
		f := &follower{path: filepath.Join(dir, "keys.json")}
		var err error
		if f.Store, err = Open(f.path, testPepper); err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		symlink(t, "v2", filepath.Join(dir, "..tmp"))
		rename(t, filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data"))
		f.later(1)
		if err := f.verify(); err != ErrRevoked {
			t.Errorf("Verify = %v, want ErrRevoked", err)
		}
	})
}

func TestCloseEndsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine of the bubble is left
		f := follow(t, fileJSON(entryJSON()))
		f.Close()
		f.Close()
		writeFile(t, f.path, "")
		f.later(3)
		if err := f.verify(); err != nil {
			t.Errorf("Verify = %v: requests in flight may still ask", err)
		}
		if told := f.reports(); len(told) != 0 {
			t.Errorf("told %+v after Close", told)
		}
	})
}

func TestAFileRewrittenAllTheTimeNeverGivesAWrongVerdict(t *testing.T) {
	const rounds = 200
	synctest.Test(t, func(t *testing.T) {
		good := fileJSON(entryJSON())
		f := follow(t, good)
		defer f.Close()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f.verify(); err != nil {
					t.Errorf("a good key: %v", err)
					return
				}
				if _, err := f.Verify(assemble("other", testSecret), client, noon); err != ErrUnknown {
					t.Errorf("an unknown key: %v", err)
					return
				}
				time.Sleep(interval / 10)
			}
		})
		for i := range rounds {
			switch i % 4 {
			case 0:
				writeFile(t, f.path, good[:i%len(good)])
			case 1:
				writeFile(t, f.path, fileJSON(entryJSON("tier", fmt.Sprintf(`"t%d"`, i))))
			case 2:
				writeFile(t, f.path, fileJSON(entryJSON("status", "null")))
			case 3:
				remove(t, f.path)
			}
			f.later(1)
		}
		close(stop)
		wg.Wait()
	})
}

func remove(t *testing.T, path string) { t.Helper(); must(t, os.Remove(path)) }
func mkdir(t *testing.T, path string)  { t.Helper(); must(t, os.Mkdir(path, 0o700)) }
func rename(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.Rename(from, to))
}
func symlink(t *testing.T, target, link string) { t.Helper(); must(t, os.Symlink(target, link)) }
func chtimes(t *testing.T, path string, at time.Time) {
	t.Helper()
	must(t, os.Chtimes(path, at, at))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
