package access

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPatternMatches(t *testing.T) {
	tests := []struct {
		name, pattern, path string
		want                bool
	}{
		{"an exact path", "/orders", "/orders", true},
		{"a trailing slash is the same path", "/orders", "/orders/", true},
		{"a pattern with a trailing slash is the same pattern", "/orders/", "/orders", true},
		{"an exact path covers nothing below it", "/orders", "/orders/1", false},
		{"an exact path is no prefix", "/orders", "/orders2", false},
		{"another case is the same path", "/orders", "/ORDERS", true},
		{"another case in the pattern", "/Orders", "/oRDERS", true},
		{"another case outside ASCII", "/Übersicht", "/üBERSICHT", true},
		{"the kelvin sign is a k to a server that folds", "/kelvin", "/\u212Aelvin", true},
		{"the long s is an s to a server that folds", "/secret", "/\u017Fecret", true},
		{"the root", "/", "/", true},
		{"the root covers nothing else", "/", "/orders", false},

		{"everything below", "/orders/*", "/orders/1/items", true},
		{"everything below includes the path itself", "/orders/*", "/orders", true},
		{"everything below includes the path with a slash", "/orders/*", "/orders/", true},
		{"everything below, in another case", "/orders/*", "/Orders/1", true},
		{"below is no prefix of a segment", "/pki/ca/prod/*", "/pki/ca/prod2", false},
		{"below is no prefix of a segment, deeper", "/pki/ca/prod/*", "/pki/ca/prod2/sign", false},
		{"below does not reach up", "/pki/ca/prod/*", "/pki/ca", false},
		{"all paths", "/*", "/", true},
		{"all paths, deep", "/*", "/a/b/c", true},

		{"a star as a segment", "/users/*/orders", "/users/7/orders", true},
		{"a star as a segment is not empty", "/users/*/orders", "/users/orders", false},
		{"a star as a segment is one segment", "/users/*/orders", "/users/7/8/orders", false},
		{"a star as a segment and everything below", "/users/*/orders/*", "/users/7/orders/9/items", true},
		{"a star inside a segment", "/files/*.pdf", "/files/report.pdf", true},
		{"a star inside a segment, in another case", "/files/*.pdf", "/files/Report.PDF", true},
		{"a star inside a segment may be empty", "/files/*.pdf", "/files/.pdf", true},
		{"a star inside a segment is no slash", "/files/*.pdf", "/files/a/b.pdf", false},
		{"a star between two texts", "/v*-beta/x", "/v12-beta/x", true},
		{"texts around a star do not overlap", "/ab*bc/x", "/abc/x", false},
		{"a star inside with all below", "/files/draft-*/*", "/files/draft-1/page", true},
		{"a literal star in the path is text", "/a/b", "/a/*", false},

		{"empty segments stand for nothing, should they ever get here", "/a/b", "/a///b//", true},
		{"an encoded slash that is allowed separates nothing", "/files/a/b", "/files/a%2Fb", false},
		{"a long path", "/a/*", "/a/" + strings.Repeat("b/", 5000), true},
		{"a long segment", "/a/*x/b", "/a/" + strings.Repeat("y", 20000) + "x/b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile([]Rule{{Name: "r", Path: []string{tt.pattern}, Deny: true}}, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Decide(Request{Path: tt.path}, nil).Verdict == Denied; got != tt.want {
				t.Errorf("%s matches %.60s: %v, want %v", tt.pattern, tt.path, got, tt.want)
			}
		})
	}
}

func TestPatternsThatCannotMatchAreRefused(t *testing.T) {
	tests := []struct{ name, pattern, want string }{
		{"nothing", "", "begins with /"},
		{"no slash in front", "orders", "begins with /"},
		{"a star alone", "*", "begins with /"},
		{"a whole URL", "https://api.example.com/orders", "begins with /"},
		{"an empty segment", "/a//b", "empty segment"},
		{"an empty segment in front", "//a", "empty segment"},
		{"only slashes", "//", "empty segment"},
		{"two slashes at the end", "/a//", "empty segment"},
		{"a dot segment", "/a/./b", "the segment ."},
		{"a parent segment", "/a/../b", "the segment .."},
		{"a parent segment at the end", "/a/..", "the segment .."},
		{"an encoded slash", "/a%2Fb", "decoded"},
		{"an encoded letter", "/%61dmin", "decoded"},
		{"a query", "/orders?all=1", "no part of a path"},
		{"a fragment", "/orders#top", "no part of a path"},
		{"a path parameter", "/orders;v=1", "parameters"},
		{"a backslash", `/admin\users`, "in no canonical path"},
		{"a template", "/users/{id}/orders", "write *"},
		{"a NUL", "/a\x00", "control character"},
		{"a line break", "/a\nb", "control character"},
		{"not UTF-8", "/a\xff", "not UTF-8"},
		{"two stars in a segment", "/a/*b*/c", "more than one *"},
		{"two stars as a segment", "/a/**/c", "more than one *"},
		{"two stars at the end", "/a/**", "read in two ways"},
		{"a last segment that ends in a star", "/admin*", "read in two ways"},
		{"a star and a slash at the end", "/users/*/", "read in two ways"},
		{"a very long one", "/" + strings.Repeat("a", maxPattern), "longer than"},
		{"very many segments", strings.Repeat("/a", maxSegments+1), "segments"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParsePath(tt.pattern); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParsePath(%q) = %v, want %q", tt.pattern, err, tt.want)
			}
		})
	}
}

func TestPatternCovers(t *testing.T) {
	tests := []struct {
		wide, narrow string
		want         bool
	}{
		{"/a", "/a", true},
		{"/a", "/A/", true},
		{"/a", "/b", false},
		{"/a/*", "/a", true},
		{"/a/*", "/a/*", true},
		{"/a/*", "/a/b/c/*", true},
		{"/a/*", "/ab/*", false},
		{"/a", "/a/*", false},
		{"/a/b", "/a/*", false},
		{"/*", "/", true},
		{"/*", "/a/*", true},
		{"/a/*/c", "/a/b/c", true},
		{"/a/*/c", "/a/b*/c", true},
		{"/a/b*/c", "/a/*/c", false},
		{"/a/b*/c", "/a/bx*/c", true},
		{"/a/*z/c", "/a/x*yz/c", true},
		{"/a/b*/c", "/a/b/c", true},
		{"/a/b/c", "/a/b*/c", false},
	}
	for _, tt := range tests {
		wide, err := compilePattern(tt.wide)
		if err != nil {
			t.Fatal(err)
		}
		narrow, err := compilePattern(tt.narrow)
		if err != nil {
			t.Fatal(err)
		}
		if got := wide.covers(&narrow); got != tt.want {
			t.Errorf("%s covers %s: %v, want %v", tt.wide, tt.narrow, got, tt.want)
		}
	}
}

// oracle is a pattern as a regular expression: another implementation of both
// matching and folding.
func oracle(pattern string) *regexp.Regexp {
	pattern = strings.TrimSuffix(pattern, "/")
	tail := "/*$"
	if below, ok := strings.CutSuffix(pattern, "/*"); ok {
		pattern, tail = below, "(/.*)?$"
	}
	expr := "(?is)^"
	for text := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		switch {
		case text == "":
		case text == "*":
			expr += "/+[^/]+"
		default:
			expr += "/+" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, "[^/]*")
		}
	}
	return regexp.MustCompile(expr + tail)
}

func FuzzPattern(f *testing.F) {
	f.Add("/orders/*", "/users/*/orders", "/Orders/1")
	f.Add("/a/*", "/a/b", "/a//b/")
	f.Add("/files/*.pdf", "/files/r*t.pdf", "/files/report.pdf")
	f.Add("/k", "/ſ/*", "/\u212A/S")
	f.Add("/", "/*", "/")
	f.Add("/a/*/c/*", "/a/b/*", "/a/b/c/d")
	f.Fuzz(func(t *testing.T, one, two, path string) {
		if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) || len(path) > 200 {
			return // no canonical path, or too slow for the oracle
		}
		a, errA := compilePattern(one)
		b, errB := compilePattern(two)
		if errA != nil || errB != nil {
			return
		}
		root := new(node)
		root.insert(&a, 0)
		root.insert(&b, 1)
		root.sort()
		policy := &Policy{rules: []compiled{{deny: true}, {deny: true}}}
		matches := func(i int32) bool {
			e := evaluation{policy: policy}
			root.visit(path, &e)
			// The evaluation keeps the lowest rule: look for the other one alone.
			if i == 1 && e.refused && e.by == 0 {
				only := new(node)
				only.insert(&b, 1)
				only.sort()
				e = evaluation{policy: policy}
				only.visit(path, &e)
			}
			return e.refused && e.by == i
		}
		wantA, wantB := oracle(one).MatchString(path), oracle(two).MatchString(path)
		if got := matches(0); got != wantA {
			t.Errorf("%q matches %q: %v, the oracle says %v", one, path, got, wantA)
		}
		if got := matches(1); got != wantB {
			t.Errorf("%q matches %q: %v, the oracle says %v", two, path, got, wantB)
		}
		if a.covers(&b) && wantB && !wantA {
			t.Errorf("%q covers %q, but not %q", one, two, path)
		}
	})
}
