package framing

// What a byte may be part of.
const (
	isToken  = 1 << iota // tchar, RFC 9110 §5.6.2
	isValue              // field value: visible ASCII, SP, HTAB
	isTarget             // request target: visible ASCII but '#', which begins a fragment
	isQuoted             // quoted string, but '"' and '\'
	isDigit              // decimal
	isHex                // hexadecimal
	isLetter             // a-z, A-Z
	isAlnum  = isLetter | isDigit
)

// table holds the classes of every byte.
var table = func() (t [256]uint8) {
	for b := 0x21; b < 0x7f; b++ {
		t[b] |= isValue | isTarget | isQuoted
	}
	t[' '] |= isValue | isQuoted
	t['\t'] |= isValue | isQuoted
	t['#'] &^= isTarget
	t['"'] &^= isQuoted
	t['\\'] &^= isQuoted
	for _, b := range []byte("!#$%&'*+-.^_`|~") {
		t[b] |= isToken
	}
	for b := byte('0'); b <= '9'; b++ {
		t[b] |= isToken | isDigit | isHex
	}
	for b := byte('a'); b <= 'z'; b++ {
		t[b] |= isToken | isLetter
		t[b-'a'+'A'] |= isToken | isLetter
	}
	for b := byte('a'); b <= 'f'; b++ {
		t[b] |= isHex
		t[b-'a'+'A'] |= isHex
	}
	return t
}()

// lower is the letter or digit that a byte is in a normalised name, 0 for a byte
// that normalising drops.
var lower = func() (t [256]byte) {
	for b := range t {
		if table[b]&isAlnum != 0 {
			t[b] = byte(b)
		}
		if table[b]&isLetter != 0 {
			t[b] = byte(b) | 0x20
		}
	}
	return t
}()

func is(b byte, class uint8) bool { return table[b]&class != 0 }
