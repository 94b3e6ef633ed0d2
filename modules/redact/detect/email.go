package detect

import "unicode/utf8"

const (
	maxLocal  = 64  // RFC 5321 §4.5.3.1.1
	maxDomain = 253 // RFC 1035 §2.3.4, in text
)

var (
	// local leaves out the characters that are legal in a local part but in
	// practice stand between an address and what is in front of it.
	local  = withText(newClass(digits + lower + upper + "._%+-'!$*~^"))
	domain = withText(newClass(digits + lower + upper + ".-"))
	letter = newClass(lower + upper)
)

// withText adds the bytes of characters beyond ASCII (RFC 6531).
func withText(c *class) *class {
	for i := utf8.RuneSelf; i < len(c); i++ {
		c[i] = true
	}
	return c
}

func (s *Set) addEmails() {
	s.emails = true
	s.buckets[idEmail] = []anchor{
		{literal("@"), 0, emailAt},
		{literal("@"), -1, emailAt},
	}
	for c := range 256 {
		if domain[c] {
			s.pairs[pairOf('@', byte(c))] |= idEmail
		}
		if local[c] {
			s.pairs[pairOf(byte(c), '@')] |= idEmail
		}
	}
	// Beside either pair stands what the other one has.
	f := &s.frames[idEmail]
	for c := range f.before {
		f.before[c] = true
		f.after[c] = domain[c]
	}
	s.pairs[pairOf('@', '@')] = 0
}

// emailAt decides the address around the '@' at b[at].
func emailAt(b []byte, from, at int, final bool) (m Match, v verdict) {
	m = Match{End: at + 1, Detector: Email}
	m.Start = localStart(b, from, at)
	if m.Start == at {
		return m, no
	}
	n := domain.run(b, at+1, maxDomain)
	m.End = at + 1 + n
	if m.End == len(b) && n < maxDomain && !final {
		return m, more
	}
	if n == maxDomain {
		n -= cutRune(b[at+1 : at+1+n])
	}
	if n = domainEnd(b[at+1 : at+1+n]); n == 0 {
		return m, no
	}
	m.End = at + 1 + n
	if isImage(b[at+1 : m.End]) {
		return m, no
	}
	return m, yes
}

// cutRune returns how many bytes at the end of b are a character without its
// rest.
func cutRune(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// localStart returns where the local part in front of b[at] begins, at if
// there is none.
func localStart(b []byte, from, at int) int {
	start := at
	for start > from && at-start < maxLocal && local[b[start-1]] {
		start--
	}
	for start < at && (!utf8.RuneStart(b[start]) || !word[b[start]] && b[start] < utf8.RuneSelf) {
		start++
	}
	return start
}

// domainEnd returns the length of the longest domain name of two labels or
// more that b begins with, 0 if there is none.
func domainEnd(b []byte) int {
	end, label, labels := 0, 0, 0
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] != '.' {
			continue
		}
		if i == label {
			break // an empty label ends the name
		}
		if labels++; labels > 1 {
			if n := topLevel(b[label:i]); n > 0 {
				end = label + n
			}
		}
		label = i + 1
	}
	return end
}

// topLevel returns how much of the label may be the last one of a name: the
// ASCII letters it begins with, or all of it if it is in another script. What
// follows those letters then is the text around the address.
func topLevel(label []byte) int {
	if label[0] >= utf8.RuneSelf || len(label) > 4 && string(label[:4]) == "xn--" {
		return len(label)
	}
	n := letter.run(label, 0, len(label))
	if n < 2 || n > 24 || n < len(label) && digit[label[n]] {
		return 0
	}
	return n
}

// isImage recognises the name of an image for high resolutions: icon@2x.png.
func isImage(domain []byte) bool {
	if len(domain) < 5 || !digit[domain[0]] || domain[1] != 'x' || domain[2] != '.' {
		return false
	}
	switch string(domain[3:]) {
	case "png", "jpg", "jpeg", "gif", "webp", "svg", "avif":
		return true
	}
	return false
}

// widen looks for an address of which the match m of another detector is a
// part: the local part of an address may hold a number.
func (s *Set) widen(b []byte, from int, m Match, final bool) (Match, verdict) {
	at := m.End + local.run(b, m.End, maxLocal)
	if at == len(b) && !final && at-m.End < maxLocal {
		return m, more
	}
	if at >= len(b) || b[at] != '@' {
		return m, no
	}
	wider, v := emailAt(b, from, at, final)
	if v == yes && wider.Start > m.Start {
		return m, no
	}
	return wider, v
}

// emailTail returns where the end of b begins that may be a local part.
func emailTail(b []byte, from int) int {
	end := len(b)
	if end > from && b[end-1] == '@' {
		end--
	}
	i := end
	for i > from && end-i < maxLocal && local[b[i-1]] {
		i--
	}
	return i
}
