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
		"a link to itself":      {func(t *testing.T, path string) { remove(t, path); symlink(t, path, path) }, "too many levels"},
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
				must(t, os.RemoveAll(f.path))
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

// rewriting is a key file under a writer that does everything wrong. All good
// versions have the key of testID; each takes one more of the others away.
type rewriting struct {
	*follower
	// inForce is how many keys the last good version took away.
	inForce int
}

// taken is the key that the version of that number takes away: some are revoked,
// some expire and some leave the file.
func taken(i int) (key, entry string, refused error) {
	id, secret := fmt.Sprintf("t%d", i), strings.Repeat(string(alphabet[i%len(alphabet)]), secretChars/2)+random(secretChars/2)
	change := []string{"id", fmt.Sprintf("%q", id), "hash", fmt.Sprintf("%q", hashOf(testPepper, secret))}
	switch i % 3 {
	case 0:
		return assemble(id, secret), entryJSON(append(change, "status", `"revoked"`)...), ErrRevoked
	case 1:
		return assemble(id, secret), entryJSON(append(change, "expires", `"2026-06-01T12:00:00Z"`)...), ErrExpired
	}
	return assemble(id, secret), "", ErrUnknown
}

// breakages are the ways in which the file is spoilt. good is a whole version, which
// must not come into force from any of them.
var breakages = []func(t *testing.T, w *rewriting, good string){
	func(t *testing.T, w *rewriting, good string) { writeFile(t, w.path, good[:len(good)/3]) },
	func(t *testing.T, w *rewriting, good string) { writeFile(t, w.path, good[:len(good)-1]) },
	func(t *testing.T, w *rewriting, _ string) { writeFile(t, w.path, "") },
	func(t *testing.T, w *rewriting, good string) { writeFile(t, w.path, good+good) },
	func(t *testing.T, w *rewriting, good string) { writeFile(t, w.path, strings.Repeat("\x00", len(good))) },
	func(t *testing.T, w *rewriting, _ string) { writeFile(t, w.path, fileJSON(entryJSON(), entryJSON())) },
	func(t *testing.T, w *rewriting, good string) {
		writeFile(t, w.path, strings.TrimSuffix(good, "}")+`,"version":2}`)
	},
	func(t *testing.T, w *rewriting, good string) {
		writeFile(t, w.path, strings.Replace(good, `"active"`, `null`, 1))
	},
	func(t *testing.T, w *rewriting, _ string) { remove(t, w.path) },
	func(t *testing.T, w *rewriting, _ string) { remove(t, w.path); mkdir(t, w.path) },
	func(t *testing.T, w *rewriting, _ string) { remove(t, w.path); symlink(t, w.path, w.path) },
	func(t *testing.T, w *rewriting, _ string) { remove(t, w.path); symlink(t, w.path+".gone", w.path) },
	func(t *testing.T, w *rewriting, good string) {
		writeFile(t, w.path+"~", good[1:])
		remove(t, w.path)
		symlink(t, w.path+"~", w.path)
	},
	func(t *testing.T, w *rewriting, good string) { // who is root reads it all the same
		writeFile(t, w.path, good[:len(good)/2])
		must(t, os.Chmod(w.path, 0))
	},
}

// restorations are the ways in which a good version comes.
var restorations = []func(t *testing.T, w *rewriting, good string){
	func(t *testing.T, w *rewriting, good string) { writeFile(t, w.path, good) },
	func(t *testing.T, w *rewriting, good string) {
		writeFile(t, w.path+".new", good)
		rename(t, w.path+".new", w.path)
	},
	func(t *testing.T, w *rewriting, good string) {
		writeFile(t, w.path+".v", good)
		symlink(t, w.path+".v", w.path+".link")
		rename(t, w.path+".link", w.path)
	},
}

// clear makes place for any kind of file.
func (w *rewriting) clear(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll(w.path))
	must(t, os.RemoveAll(w.path+"~"))
	must(t, os.RemoveAll(w.path+".v"))
}

// A thousand versions, half of them broken, each of which the store has looked at,
// under requests all the time: a key that is in all versions is always good, one
// that was taken away never again, and one that is in none never.
func TestAFileRewrittenAThousandTimesNeverGivesAWrongVerdict(t *testing.T) {
	const rounds = 1000
	synctest.Test(t, func(t *testing.T) {
		keys, entries, refusals := make([]string, rounds), make([]string, rounds), make([]error, rounds)
		for i := range rounds {
			keys[i], entries[i], refusals[i] = taken(i)
		}
		version := func(n int) string { // with n keys taken away
			all := []string{entryJSON("tier", fmt.Sprintf(`"v%d"`, n))}
			for i := range rounds {
				// Of the taken ones a window is enough, and keeps files small.
				if i < n && i >= n-20 && entries[i] != "" {
					all = append(all, entries[i])
				}
				if i >= n && i < n+20 {
					_, secret, _ := split([]byte(keys[i]))
					all = append(all, entryJSON("id", fmt.Sprintf(`"t%d"`, i), "hash", fmt.Sprintf("%q", hashOf(testPepper, string(secret)))))
				}
			}
			return fileJSON(all...)
		}
		w := &rewriting{follower: follow(t, version(0))}
		defer w.Close()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { w.load(t, stop) })
		for i := range rounds {
			good := version(w.inForce + 1)
			if broken := i%2 == 0; broken {
				if i%4 == 0 {
					w.clear(t)
					writeFile(t, w.path, version(w.inForce))
				}
				breakages[i/2%len(breakages)](t, w, good)
			} else {
				w.clear(t)
				restorations[i/2%len(restorations)](t, w, good)
				w.inForce++
			}
			w.later(1)
			if (w.State().Err != nil) != (i%2 == 0) {
				t.Fatalf("round %d: state says %v", i, w.State().Err)
			}
			w.verdicts(t, i, keys, refusals)
			if t.Failed() {
				break
			}
		}
		close(stop)
		wg.Wait()
		if w.inForce != rounds/2 {
			t.Errorf("%d versions came into force", w.inForce)
		}
	})
}

// load asks for what never changes, between and during the looks at the file.
func (w *rewriting) load(t *testing.T, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := w.verify(); err != nil {
			t.Errorf("a good key: %v", err)
			return
		}
		if _, err := w.Verify(assemble("other", testSecret), client, noon); err != ErrUnknown {
			t.Errorf("an unknown key: %v", err)
			return
		}
		time.Sleep(interval / 7)
	}
}

// verdicts checks the keys around the one that the version in force took away.
func (w *rewriting) verdicts(t *testing.T, round int, keys []string, refusals []error) {
	t.Helper()
	for i := max(0, w.inForce-5); i < w.inForce+5; i++ {
		want := refusals[i]
		if i >= w.inForce {
			want = nil
		}
		if _, err := w.Verify(keys[i], client, noon); err != want {
			t.Errorf("round %d with %d keys taken away: key %d: %v, want %v", round, w.inForce, i, err, want)
		}
	}
	p, err := w.Verify(assemble(testID, testSecret), client, noon)
	if err != nil || p.Tier != fmt.Sprintf("v%d", w.inForce) {
		t.Errorf("round %d: %+v, %v, want version %d", round, p, err, w.inForce)
	}
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
