package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
)

const keyPepper = "a pepper of this test, long enough to be one"

// keyed is a gateway that asks for an API key. Its file is rewritten by the test.
const keyed = `{
	admin {$ADMIN}
	auto_https off
	persist_config off
	metrics
}
http://{$ADDR} {
	auth {
		failures off
		api_key {
			keys_file keys.json
			pepper {env.PEPPER}
		}
	}
	respond ok
}
`

func startKeyed(t *testing.T, dir string) (g *gateway, url string) {
	t.Helper()
	addr := freeAddr(t)
	g = start(t, dir, write(t, dir, "Caddyfile", keyed), map[string]string{"ADDR": addr, "PEPPER": keyPepper})
	waitFor(t, "the site", func() bool {
		resp, err := http.Get("http://" + addr)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return g, "http://" + addr
}

// withKey sends one request with a key and returns the status.
func withKey(c *http.Client, url, key string) (int, error) {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-Api-Key", key)
	resp, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// revocable is a key that is taken away while requests come with it.
type revocable struct {
	key     string
	written atomic.Bool // a version without it may be in force
	seen    atomic.Bool // it was refused, so such a version is
}

// rewriter writes versions of the key file.
type rewriter struct {
	path    string
	records []apikey.Record // the key that stays, the imported one that stays, and the revocable ones
	taken   int             // how many of those are taken away
}

// whole is the version in which n of the revocable keys are taken away.
func (w *rewriter) whole(t *testing.T, n int) string {
	t.Helper()
	list := make([]apikey.Record, len(w.records))
	copy(list, w.records)
	for i := range n {
		list[2+i].Status = apikey.Revoked
	}
	data, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// spoil leaves what must not come into force. Each is made of a version in which all
// revocable keys are good again and the other two are not.
func (w *rewriter) spoil(t *testing.T, i int) {
	t.Helper()
	wrong := strings.Replace(strings.Replace(w.whole(t, 0), `"active"`, `"revoked"`, 2), "[", " [", 1)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(content string) { must(os.WriteFile(w.path, []byte(content), 0o600)) }
	w.clear(t)
	switch i % 12 {
	case 0:
		put(wrong[:len(wrong)/2])
	case 1:
		put(wrong[:len(wrong)-1])
	case 2:
		put("")
	case 3:
		put(wrong + wrong)
	case 4:
		put(strings.Repeat("\x00", len(wrong)))
	case 5: // the same ids twice
		put(strings.Replace(wrong, "]}", ","+wrong[strings.Index(wrong, "[")+1:], 1))
	case 6:
		put(strings.TrimSuffix(wrong, "}") + `,"version":2}`)
	case 7: // missing
	case 8:
		must(os.Mkdir(w.path, 0o700))
	case 9:
		must(os.Symlink(w.path, w.path))
	case 10:
		must(os.WriteFile(w.path+"~", []byte(wrong[1:]), 0o600))
		must(os.Symlink(w.path+"~", w.path))
	case 11: // root may read it all the same
		put(wrong[:len(wrong)/3])
		must(os.Chmod(w.path, 0))
	}
}

func (w *rewriter) clear(t *testing.T) {
	t.Helper()
	for _, path := range []string{w.path, w.path + "~"} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// restore puts a whole version in place: renamed, written in place, or behind a link.
func (w *rewriter) restore(t *testing.T, i int, content string) {
	t.Helper()
	var err error
	switch i % 3 {
	case 0:
		w.clear(t)
		if err = os.WriteFile(w.path+".new", []byte(content), 0o600); err == nil {
			err = os.Rename(w.path+".new", w.path)
		}
	case 1:
		w.clear(t)
		err = os.WriteFile(w.path, []byte(content), 0o600)
	case 2:
		w.clear(t)
		if err = os.WriteFile(w.path+"~", []byte(content), 0o600); err == nil {
			err = os.Symlink(w.path+"~", w.path)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newRewriter makes keys and the first version of their file: one of ours and one
// that was made elsewhere, both of which stay, and n that are taken away.
func newRewriter(t *testing.T, dir string, n int) (w *rewriter, stay []string, take []*revocable) {
	t.Helper()
	w = &rewriter{path: filepath.Join(dir, "keys.json")}
	key, _, err := apikey.Create(w.path, []byte(keyPepper), apikey.Record{ID: "stays", Owner: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	const foreign = "made-elsewhere-0123456789"
	if _, err := apikey.Import(w.path, []byte(keyPepper), []apikey.Imported{{Record: apikey.Record{ID: "foreign", Owner: "acme"}, Plain: foreign}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		key, _, err := apikey.Create(w.path, []byte(keyPepper), apikey.Record{ID: fmt.Sprintf("taken%d", i), Owner: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		take = append(take, &revocable{key: key})
	}
	if w.records, err = apikey.List(w.path); err != nil {
		t.Fatal(err)
	}
	return w, []string{key, foreign}, take
}

// TestAKeyFileRewrittenAThousandTimesUnderLoadGivesNoWrongVerdict has the real gateway
// follow a file that is broken half of the time. It looks once a second and sees some
// of the versions, so a verdict is judged by all that may be in force; that every one
// is judged right when it is seen, the package apikey shows. Rewriting goes on until
// the gateway has met some broken versions, and good ones behind them.
func TestAKeyFileRewrittenAThousandTimesUnderLoadGivesNoWrongVerdict(t *testing.T) {
	const (
		rewrites = 1000
		met      = 3 // broken versions, at least
		pace     = 8 // requests answered for each rewrite, so that it is under load
		clients  = 4
	)
	dir := t.TempDir()
	w, stay, take := newRewriter(t, dir, 100)
	g, url := startKeyed(t, dir)
	unknown := []string{
		strings.Replace(stay[0], "sp_stays_", "sp_other_", 1), // with a checksum of another key
		"unknown-elsewhere-0123456789", "sp_", "",
	}
	stranger, _, err := apikey.Create(filepath.Join(t.TempDir(), "keys.json"), []byte(keyPepper), apikey.Record{ID: "stranger", Owner: "x"})
	if err != nil {
		t.Fatal(err)
	}
	imposter, _, err := apikey.Create(filepath.Join(t.TempDir(), "keys.json"), []byte(keyPepper), apikey.Record{ID: "stays", Owner: "x"})
	if err != nil {
		t.Fatal(err)
	}
	unknown = append(unknown, stranger, imposter)

	var (
		next     atomic.Int32 // the revocable key that is taken away next
		done     atomic.Bool
		load     sync.WaitGroup
		answered = make(chan struct{}, clients)
	)
	for range clients {
		client := clientFrom(t, "127.0.0.1")
		load.Go(func() {
			for i := 0; !done.Load(); i++ {
				if err := judgeOnce(client, url, i, stay, unknown, take, &next); err != nil {
					t.Error(err)
				}
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		})
	}
	defer load.Wait()
	defer done.Store(true)
	broken := func() int { return strings.Count(g.log.String(), "the key file is not in force") }
	for i := 0; !t.Failed() && i < 50*rewrites && (i < rewrites || i%50 != 0 || broken() < met); i++ {
		for range pace {
			<-answered
		}
		if i%2 == 0 {
			w.spoil(t, i/2)
			continue
		}
		if i%20 == 19 && w.taken < len(take) { // one key less
			take[w.taken].written.Store(true)
			w.taken++
			next.Store(int32(w.taken))
		}
		w.restore(t, i/2, w.whole(t, w.taken))
	}
	w.restore(t, 0, w.whole(t, w.taken))
	waitFor(t, "the last version to be in force", func() bool {
		status, err := withKey(http.DefaultClient, url, take[w.taken-1].key)
		return err == nil && status == http.StatusUnauthorized
	})
	done.Store(true)
	load.Wait()
	for i, k := range take[:w.taken] {
		if status, err := withKey(http.DefaultClient, url, k.key); err != nil || status != http.StatusUnauthorized {
			t.Errorf("key %d in the end: %d, %v", i, status, err)
		}
	}
	log := g.log.String()
	if n := broken(); n < met || !strings.Contains(log, "the key file is in force") {
		t.Errorf("the gateway met %d broken versions, or no good one", n)
	}
	for _, k := range append(stay, take[0].key) {
		if strings.Contains(log, k) {
			t.Error("the log has a key")
		}
	}
}

// judgeOnce asks with one key and says what is wrong with the verdict. A key is asked
// about before what may be in force is known, and judged by what was known before.
func judgeOnce(c *http.Client, url string, i int, stay, unknown []string, take []*revocable, next *atomic.Int32) error {
	switch i % 4 {
	case 0:
		key := stay[i/4%len(stay)]
		if status, err := withKey(c, url, key); err != nil || status != http.StatusOK {
			return fmt.Errorf("a good key: %d, %v", status, err)
		}
	case 1:
		n := i / 4 % len(unknown)
		if status, err := withKey(c, url, unknown[n]); err != nil || status != http.StatusUnauthorized {
			return fmt.Errorf("unknown key %d: %d, %v", n, status, err)
		}
	default:
		// Around the one that is taken away next, and now and then any.
		n := (int(next.Load()) + i/4%4 - 2 + len(take)) % len(take)
		if i%4 == 3 {
			n = i / 4 % len(take)
		}
		k := take[n]
		seen := k.seen.Load()
		status, err := withKey(c, url, k.key)
		written := k.written.Load()
		switch {
		case err != nil:
			return err
		case status == http.StatusUnauthorized && written:
			k.seen.Store(true)
		case status == http.StatusOK && !seen:
		default:
			return fmt.Errorf("revocable key %d: %d; revoked in a version: %v, seen to be in force before: %v", n, status, written, seen)
		}
	}
	return nil
}

func TestTheLastUseOfAKeyOutlivesReloads(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pepper", keyPepper)
	create := func(id string) string {
		return strings.TrimSpace(caddy(t, dir, "sallyport", "key", "create", "--file", "keys.json", "--pepper-file", "pepper", "--owner", "acme", "--id", id))
	}
	used, unused := create("used"), create("unused")
	g, url := startKeyed(t, dir)
	last := func(id string) float64 {
		return g.metric(t, `sallyport_api_key_last_used_timestamp_seconds{file="keys.json",key_id="`+id+`"}`)
	}
	if at := last("used"); at != 0 {
		t.Errorf("used at %v before any request", at)
	}
	if status, err := withKey(http.DefaultClient, url, used); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	if status, err := withKey(http.DefaultClient, url, unused[:len(unused)-1]); err != nil || status != http.StatusUnauthorized {
		t.Fatal(status, err)
	}
	at := last("used")
	if at == 0 {
		t.Fatal("no last use")
	}
	if err := g.load(t, g.admin, filepath.Join(dir, "Caddyfile")); err != nil {
		t.Fatal(err)
	}
	if got := last("used"); got != at {
		t.Errorf("after a reload %v, want %v", got, at)
	}
	bad := write(t, dir, "bad", strings.Replace(keyed, "respond ok", "allowlist {\n allow file missing.txt\n }\n respond ok", 1))
	if err := g.load(t, g.admin, bad); err == nil {
		t.Fatal("the bad configuration was loaded")
	}
	if got := last("used"); got != at {
		t.Errorf("after a rejected reload %v, want %v", got, at)
	}
	if got := last("unused"); got != 0 {
		t.Errorf("a key that was not used was used at %v", got)
	}
	// A rotation, in the gateway that runs: both work, and the old one until revoked.
	rotated := strings.TrimSpace(caddy(t, dir, "sallyport", "key", "rotate", "used", "--id", "next", "--overlap", "1h", "--file", "keys.json", "--pepper-file", "pepper"))
	waitFor(t, "the new key", func() bool {
		status, err := withKey(http.DefaultClient, url, rotated)
		return err == nil && status == http.StatusOK
	})
	if status, err := withKey(http.DefaultClient, url, used); err != nil || status != http.StatusOK {
		t.Errorf("the old key in the overlap: %d, %v", status, err)
	}
	if last("next") == 0 || last("used") < at {
		t.Errorf("last uses %v and %v", last("next"), last("used"))
	}
	// A key that leaves the file leaves the metrics.
	records, err := apikey.List(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"keys": records[1:]})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "keys.json", string(data))
	waitFor(t, "the key to be forgotten", func() bool { return last("used") == 0 })
	if status, err := withKey(http.DefaultClient, url, used); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a key that left the file: %d, %v", status, err)
	}
}
