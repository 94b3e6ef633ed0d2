package logtext

import "bytes"

// atSign masks the userinfo of a URL in front of the '@' at i, or the password
// of a database's user:password@tcp(host).
func (s *scan) atSign(v view, w *word, i int) {
	t := v.text
	switch {
	case w.authority >= 0 && w.host < 0:
		w.slashes = false
		s.mask(v, w.authority, i, formMask)
	case w.authority >= 0 && w.slashes:
		// The authority ended in front of the '@'. But people write passwords
		// with slashes, and databases' drivers take them: behind the colon there
		// is a port or a password.
		w.slashes = false
		host := t[w.authority:w.host]
		colon := bytes.IndexByte(host, ':')
		if colon >= 0 && host[0] != '[' && !allDigits(host[colon+1:]) {
			s.mask(v, w.authority, i, formMask)
		}
	case w.authority < 0 && isDialect(t, i):
		user := t[max(w.start, i-256):i]
		if n := bytes.IndexByte(user, ':'); n >= 0 {
			s.mask(v, i-len(user)+n+1, i, formMask)
		}
	}
}

// isDialect reports whether what follows the '@' at i is tcp(, unix(, ….
func isDialect(t []byte, i int) bool {
	j := i + 1
	for j < len(t) && j-i < 10 && isName(t[j]) {
		j++
	}
	return j < len(t) && j > i+1 && t[j] == '('
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// mayBeScheme reports whether the word in front of b[i] may be one that scheme
// looks for, by its last three letters. False is certain.
func mayBeScheme(b []byte, i int) bool {
	if i < 4 {
		return false
	}
	switch uint32(b[i-3])<<16&0xdf0000 | uint32(b[i-2])<<8&0xdf00 | uint32(b[i-1])&0xdf {
	case 'R'<<16 | 'E'<<8 | 'R', // bearer
		'S'<<16 | 'I'<<8 | 'C', // basic
		'P'<<16 | 'O'<<8 | 'P', // dpop
		'A'<<16 | 'T'<<8 | 'E', // negotiate, private
		'T'<<16 | 'L'<<8 | 'M', // ntlm
		'K'<<16 | 'E'<<8 | 'Y': // apikey
		return true
	}
	return false
}

// scheme masks the credential behind the name of an authentication scheme that
// ends at the space at i, or the private key that PRIVATE ends at there. It
// returns where to go on, or 0 if there is neither.
func (s *scan) scheme(v view, w *word, i int) int {
	t := v.text
	if !mayBeScheme(t, i) {
		return 0
	}
	j := i
	for j > 0 && i-j < 12 && isLetter(t[j-1]) {
		j--
	}
	if string(t[j:i]) == "PRIVATE" {
		return s.privateKey(v, w, j, i)
	}
	start := i
	for start < len(t) && (t[start] == ' ' || t[start] == '\t' || t[start] == '+') {
		start++
	}
	if s.isChallenge(t, start) {
		return 0
	}
	var buf [12]byte
	known := false
	switch string(normalise(buf[:0], t[j:i])) {
	case "bearer", "dpop", "apikey":
		known = true
	case "basic":
		known = isBasic(t[start:])
	case "negotiate", "ntlm":
		known = credential(t[start:min(len(t), start+16)]) == 16
	}
	if !known {
		return 0
	}
	end := s.within(v, w, start, start+credential(t[start:]))
	s.mask(v, start, end, formMask)
	return goOn(t, i+1, end)
}

// credential returns the length of the credential that b begins with.
func credential(b []byte) int {
	for n, c := range b {
		if endsCredential[c] {
			return n
		}
	}
	return len(b)
}

var endsCredential = func() (t [256]bool) {
	for _, c := range []byte("\"'`<>,;\\&)]}") {
		t[c] = true
	}
	for c := range byte(' ' + 1) {
		t[c] = true
	}
	return t
}()

// isChallenge reports whether a parameter of a challenge (Bearer realm="…") or
// a word of prose (bearer token) begins at i, not a credential.
func (s *scan) isChallenge(t []byte, i int) bool {
	var buf [maxWord]byte
	word := lowerWord(buf[:0], t[i:])
	i += len(word)
	if i < len(t) && t[i] == '=' {
		return s.names.challenge[string(word)]
	}
	return endsProse(t, i) && (s.names.challenge[string(word)] || s.names.prose[string(word)])
}

// maxBasic bounds where the colon of a Basic credential is looked for.
const maxBasic = 128

// isBasic tells the credential of HTTP Basic (RFC 7617: base64 with a colon in
// it) at the beginning of b from a word behind "basic". Padding alone is
// enough, for a credential that was cut.
func isBasic(b []byte) bool {
	bits, n := uint32(0), 0
	for i, c := range b[:min(len(b), maxBasic)] {
		v := base64Value[c]
		if v == 0 {
			return c == '=' && i > 0
		}
		bits = bits<<6 | uint32(v-1)
		if n += 6; n >= 8 {
			n -= 8
			if byte(bits>>n) == ':' {
				return true
			}
		}
	}
	return false
}

// base64Value is one more than the value of a character of base64 or base64url.
var base64Value = func() (t [256]uint8) {
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = uint8(i + 1)
	}
	t['-'], t['_'] = t['+'], t['/']
	return t
}()

// privateKey masks a private key in PEM, whose BEGIN line has "PRIVATE" at
// t[j:i], with its END line, or to the end of the text if it is cut.
func (s *scan) privateKey(v view, w *word, j, i int) int {
	t := v.text
	if len(t) < i+4 || string(t[i+1:i+4]) != "KEY" {
		return 0
	}
	n := bytes.LastIndex(t[max(0, j-40):j], []byte("-----BEGIN"))
	if n < 0 {
		return 0
	}
	from, to := max(0, j-40)+n, len(t)
	if n := bytes.Index(t[i:], []byte("-----END")); n >= 0 {
		end := i + n + len("-----END")
		if n := bytes.Index(t[end:min(len(t), end+64)], []byte("-----")); n >= 0 {
			to = end + n + len("-----")
		}
	}
	to = s.within(v, w, i, to)
	s.mask(v, from, to, formMask)
	return to
}
