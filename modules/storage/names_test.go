package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOddNames(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	names := []string{
		"a\x00b", "a\x00/b", "\x00", "a b", "a\nb", "*", "?[a-z]", "{tag}", "{caddy}:values", "ü/ü", "\xff\xfe", "-", "+", "[a", "(a", "日本", "a\\b",
		"%s%d", `"quoted"`, "$(x)", strings.Repeat("l", longestName), strings.Repeat("d/", longestName/2-1) + "ee",
	}
	for i, name := range names {
		put(t, s, name, name[:1]+string(rune('A'+i)))
	}
	all, err := s.List(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]int)
	for _, name := range all {
		listed[name]++
	}
	for i, name := range names {
		holds(t, s, name, name[:1]+string(rune('A'+i)))
		if listed[name] != 1 {
			t.Errorf("%.40q is listed %d times", name, listed[name])
		}
		lock(t, s, name)
	}
	for i, name := range names {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("%.40q: %v", name, err)
		}
		absent(t, s, name)
		if i+1 < len(names) {
			holds(t, s, names[i+1], names[i+1][:1]+string(rune('B'+i)))
		}
		unlock(t, s, name)
	}
	lists(t, s, "", true)
}

func TestTheRootHasManyNamesAndNoValue(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	put(t, s, "a/b", "v")
	for _, root := range []string{"", "/", ".", "..", "../..", "a/..", "//", "./"} {
		if err := s.Store(t.Context(), root, []byte("v")); !errors.Is(err, errNotAFile) {
			t.Errorf("storing %q: %v", root, err)
		}
		if err := s.Delete(t.Context(), root); err == nil {
			t.Errorf("%q was deleted", root)
		}
		if _, err := s.Load(t.Context(), root); !errors.Is(err, errNotAFile) {
			t.Errorf("loading %q: %v", root, err)
		}
	}
	holds(t, s, "../a/b", "v") // nothing is above the root
	holds(t, s, "/a/b", "v")
}

func TestWhatCouldNotBeReadAgainIsNotStored(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, `"timeout":"5s","wait":"20s"`)
	largest := strings.Repeat("v", largestValue)
	put(t, s, "large", largest)
	holds(t, s, "large", largest)
	before := failures(t, "store", "too_large")
	for name, err := range map[string]error{
		"a value": s.Store(t.Context(), "large", []byte(largest+"v")),
		"a name":  s.Store(t.Context(), strings.Repeat("n", longestName+1), []byte("v")),
	} {
		if !errors.Is(err, errTooLarge) || len(err.Error()) > 400 {
			t.Errorf("%s: %.500v", name, err)
		}
	}
	if got := failures(t, "store", "too_large"); got != before+2 {
		t.Errorf("counted %v", got-before)
	}
	holds(t, s, "large", largest)
}

// There is always the last name, or that and the one before.
func TestAListIsOfOneMoment(t *testing.T) {
	r := newServer(t)
	s, reader := open(t, r.Addr), open(t, r.Addr)
	put(t, s, "m/000/v", "v")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 300 {
			put(t, s, fmt.Sprintf("m/%03d/v", i+1), "v")
			if err := s.Delete(t.Context(), fmt.Sprintf("m/%03d", i)); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-ended:
			lists(t, reader, "m", true, "m/300", "m/300/v")
			return
		default:
		}
		recursive := i%2 == 0
		got, err := reader.List(t.Context(), "m", recursive)
		if recursive {
			got = slices.DeleteFunc(got, func(name string) bool { return !strings.HasSuffix(name, "/v") })
		}
		if err != nil || len(got) < 1 || len(got) > 2 {
			t.Fatalf("got %q, %v", got, err)
		}
		if !reader.Exists(t.Context(), "m") {
			t.Fatal("the directory was gone for a moment")
		}
	}
}
