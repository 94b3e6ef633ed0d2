package detect

// class is a set of bytes.
type class [256]bool

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var (
	digit    = newClass(digits)
	alnum    = newClass(digits + lower + upper)
	word     = newClass(digits + lower + upper + "_")
	wordDash = newClass(digits + lower + upper + "_-") // also base64url
	hex      = newClass(digits + "abcdefABCDEF")
)

func newClass(s string) *class {
	c := new(class)
	for i := range len(s) {
		c[s[i]] = true
	}
	return c
}

// String returns the bytes of the class, in order.
func (c *class) String() string {
	var s []byte
	for i, in := range c {
		if in {
			s = append(s, byte(i))
		}
	}
	return string(s)
}

// run returns how many bytes of the class stand at b[i:], at most limit.
func (c *class) run(b []byte, i, limit int) int {
	end := min(len(b), i+limit)
	for j := i; j < end; j++ {
		if !c[b[j]] {
			return j - i
		}
	}
	return max(end-i, 0)
}

// wordBefore reports whether b[i:] continues a word. The last letter of an
// escape sequence is none, as in "\n4111…", "%3Dghp_…" and "\u003dghp_…": text
// often holds other text in escaped form.
func wordBefore(b []byte, i int) bool {
	if i == 0 || !word[b[i-1]] {
		return false
	}
	switch {
	case i >= 2 && b[i-2] == '\\' && contains("nrtbfv", b[i-1]),
		i >= 3 && b[i-3] == '%' && hex[b[i-2]] && hex[b[i-1]],
		i >= 4 && b[i-4] == '\\' && b[i-3] == 'x' && hex[b[i-2]] && hex[b[i-1]],
		i >= 6 && b[i-6] == '\\' && b[i-5] == 'u' &&
			hex[b[i-4]] && hex[b[i-3]] && hex[b[i-2]] && hex[b[i-1]]:
		return false
	}
	return true
}
