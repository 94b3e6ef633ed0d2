package apikey

import (
	"regexp"
	"strings"
	"testing"
)

// scanner is the expression that doc.go gives to scanners for leaked keys.
var scanner = regexp.MustCompile(`^sp_[0-9a-z]{1,32}_[0-9a-hjkmnp-tv-z]{32}_[0-9a-hjkmnp-tv-z]{7}$`)

const (
	testID     = "k7f3a"
	testSecret = "0123456789abcdefghjkmnpqrstvwxyz"
)

func TestSplit(t *testing.T) {
	good := assemble(testID, testSecret)
	body := strings.TrimSuffix(good, good[len(good)-checkChars:])
	resum := func(body string) string { // what an attacker who knows the format sends
		sum := checksum([]byte(body))
		return body + "_" + string(sum[:])
	}
	tests := []struct {
		name, key string
		ok        bool
	}{
		{"a key as it was made", good, true},
		{"the longest id", assemble(strings.Repeat("z", maxID), testSecret), true},
		{"the shortest id", assemble("0", testSecret), true},
		{"nothing", "", false},
		{"only the prefix", "sp_", false},
		{"an id one longer than the longest", assemble(strings.Repeat("z", maxID+1), testSecret), false},
		{"no id", resum("sp__" + testSecret), false},
		{"a secret one shorter", resum("sp_k7f3a_" + testSecret[1:]), false},
		{"a secret one longer", resum("sp_k7f3a_" + testSecret + "0"), false},
		{"an underscore in the id moves the secret", resum("sp_k7f_a_" + testSecret), false},
		{"a letter that is not in the alphabet", resum("sp_k7f3a_" + strings.Replace(testSecret, "0", "o", 1)), false},
		{"an upper-case secret with its own checksum", resum("sp_k7f3a_" + strings.ToUpper(testSecret)), false},
		{"an upper-case id with its own checksum", resum("sp_K7F3A_" + testSecret), false},
		{"an upper-case prefix", resum("SP_k7f3a_" + testSecret), false},
		{"another prefix of the same length", resum("sk_k7f3a_" + testSecret), false},
		{"one character of the secret mistyped", strings.Replace(good, "0123", "0124", 1), false},
		{"two characters of the secret swapped", strings.Replace(good, "0123", "0132", 1), false},
		{"one character of the id mistyped", strings.Replace(good, "k7f3a", "k7f3b", 1), false},
		{"the checksum's last character changed", good[:len(good)-1] + flip(good[len(good)-1]), false},
		{"cut off behind the secret", strings.TrimSuffix(body, "_"), false},
		{"cut off by one", good[:len(good)-1], false},
		{"a space behind it", good + " ", false},
		{"a line break behind it", good + "\n", false},
		{"a space in front", " " + good, false},
		{"the scheme left in front", "Bearer " + good, false},
		{"a NUL inside", strings.Replace(good, "f3", "f\x00", 1), false},
		{"another separator in front of the checksum", body[:len(body)-1] + "-" + good[len(body):], false},
		{"another separator in front of the secret", resum("sp_k7f3a-" + testSecret), false},
		{"twice", good + good, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, secret, ok := split([]byte(tt.key))
			if ok != tt.ok {
				t.Fatalf("split(%q) = %v, want %v", tt.key, ok, tt.ok)
			}
			if ok && assemble(string(id), string(secret)) != tt.key {
				t.Errorf("split(%q) = %q, %q", tt.key, id, secret)
			}
		})
	}
}

func flip(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

func TestKeysAreRandomAndWhatScannersExpect(t *testing.T) {
	seen := make(map[string]bool)
	var used [256]bool
	for range 1000 {
		secret := random(secretChars)
		key := assemble(testID, secret)
		if seen[secret] {
			t.Fatal("a secret came twice")
		}
		seen[secret] = true
		for i := range len(secret) {
			used[secret[i]] = true
		}
		if !scanner.MatchString(key) {
			t.Fatalf("a scanner does not find %q", key)
		}
	}
	if used != inAlphabet {
		t.Error("secrets do not use the whole alphabet")
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(assemble(testID, testSecret))
	f.Add(assemble("0", testSecret)[:minKey-1])
	f.Add("sp__" + testSecret + "_0000000")
	f.Add("sp_a_b_" + testSecret + "_0000000")
	f.Fuzz(func(t *testing.T, key string) {
		id, secret, ok := split([]byte(key))
		if ok && (!scanner.MatchString(key) || assemble(string(id), string(secret)) != key) {
			t.Errorf("accepted %q as id %q", key, id)
		}
		// The other way round: the expression and the checksum accept it.
		if !ok && scanner.MatchString(key) {
			parts := strings.Split(key, "_")
			if assemble(parts[1], parts[2]) == key {
				t.Errorf("refused %q", key)
			}
		}
	})
}
