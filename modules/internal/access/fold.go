package access

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold maps all runes that differ only by case (Unicode simple folding) to one.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	smallest := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		smallest = min(smallest, next)
	}
	if smallest < utf8.RuneSelf { // K (kelvin sign) and ſ (long s)
		return fold(smallest)
	}
	return smallest
}

// folded returns s with every rune folded, the form in which patterns are kept.
func folded(s string) string { return strings.Map(fold, s) }

// compareFold compares s, folded on the way, with a folded key. It allocates
// nothing, which is why segments are found by binary search and not in a map.
func compareFold(s, key string) int {
	for s != "" && key != "" {
		a, b := rune(s[0]), rune(key[0])
		aSize, bSize := 1, 1
		if a >= utf8.RuneSelf {
			a, aSize = utf8.DecodeRuneInString(s)
		}
		if b >= utf8.RuneSelf {
			b, bSize = utf8.DecodeRuneInString(key)
		}
		if a = fold(a); a != b {
			return int(a - b)
		}
		s, key = s[aSize:], key[bSize:]
	}
	return len(s) - len(key)
}

// cutPrefixFold cuts a folded prefix off s.
func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	for _, want := range prefix {
		r, size := utf8.DecodeRuneInString(s)
		if size == 0 || fold(r) != want {
			return s, false
		}
		s = s[size:]
	}
	return s, true
}

// hasSuffixFold reports whether s ends in a folded suffix.
func hasSuffixFold(s, suffix string) bool {
	for suffix != "" {
		want, wantSize := utf8.DecodeLastRuneInString(suffix)
		r, size := utf8.DecodeLastRuneInString(s)
		if size == 0 || fold(r) != want {
			return false
		}
		s, suffix = s[:len(s)-size], suffix[:len(suffix)-wantSize]
	}
	return true
}
