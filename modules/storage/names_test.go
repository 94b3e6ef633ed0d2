package storage

import (
	"errors"
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
