package logtext

import "unicode/utf8"

// view is a string as it reads with some of its escapes undone. Spans found in
// it are masked in the entry's own bytes, which keeps all others as they are.
type view struct {
	text []byte
	pos  []int32 // where each byte of text, and its end, begins in the entry; nil: at base and on
	base int
}

// at returns where in the entry the i-th byte of the text begins.
func (v *view) at(i int) int {
	if v.pos == nil {
		return v.base + i
	}
	return int(v.pos[i])
}

// viewBuf is the memory of a view that is not the entry itself.
type viewBuf struct {
	text []byte
	pos  []int32
}

func (b *viewBuf) reset() { b.text, b.pos = b.text[:0], b.pos[:0] }

func (b *viewBuf) add(c byte, at int) {
	b.text = append(b.text, c)
	b.pos = append(b.pos, int32(at))
}

func (b *viewBuf) addRune(r rune, at int) {
	n := len(b.text)
	b.text = utf8.AppendRune(b.text, r)
	for range len(b.text) - n {
		b.pos = append(b.pos, int32(at))
	}
}

// unquote undoes the escapes of the JSON string entry[start:end], behind which
// there is its quote. It reports false if one of them is not JSON.
func (b *viewBuf) unquote(entry []byte, start, end int) (view, bool) {
	b.reset()
	for i := start; i < end; {
		c := entry[i]
		if c != '\\' {
			b.add(c, i)
			i++
			continue
		}
		switch c = entry[i+1]; c {
		case '"', '\\', '/':
			b.add(c, i)
		case 'n':
			b.add('\n', i)
		case 't':
			b.add('\t', i)
		case 'r':
			b.add('\r', i)
		case 'b', 'f':
			b.add(' ', i)
		case 'u':
			r, ok := hex4(entry[:end], i+2)
			if !ok {
				return view{}, false
			}
			b.addRune(r, i)
			i += 4
		default:
			return view{}, false
		}
		i += 2
	}
	b.pos = append(b.pos, int32(end))
	return view{text: b.text, pos: b.pos}, true
}

// peel undoes one layer of percent and \u escapes, or with all set, %25%… of
// any depth. It reports false if there was none.
//
// Other escapes stay: \" and \\ are what tells where a string inside a string
// ends. For the same reason a quote or a backslash that was written as \u0022
// or \u005c comes out with the backslashes that it would have had.
func (b *viewBuf) peel(v view, all bool) (view, bool) {
	b.reset()
	t, changed := v.text, false
	for i := 0; i < len(t); {
		n, undone := 0, false
		switch t[i] {
		case '%':
			n = b.peelPercent(v, i, all)
			undone = n > 0
		case '\\':
			n, undone = b.peelBackslashes(v, i)
		}
		changed = changed || undone
		i += n
		if n == 0 {
			b.add(t[i], v.at(i))
			i++
		}
	}
	b.pos = append(b.pos, int32(v.at(len(t))))
	return view{text: b.text, pos: b.pos}, changed
}

// peelPercent undoes the percent escape at i, %41 or IIS's %u0041, and returns
// its length, or 0 if there is none.
func (b *viewBuf) peelPercent(v view, i int, all bool) int {
	t, j := v.text, i+1
	if j < len(t) && t[j]|0x20 == 'u' {
		r, ok := hex4(t, j+1)
		if !ok {
			return 0
		}
		b.addRune(r, v.at(i))
		return 6
	}
	for all && j+4 <= len(t) && t[j] == '2' && t[j+1] == '5' && isHex(t[j+2]) && isHex(t[j+3]) {
		j += 2
	}
	if j+2 > len(t) || !isHex(t[j]) || !isHex(t[j+1]) {
		return 0
	}
	b.add(unhex(t[j])<<4|unhex(t[j+1]), v.at(i))
	return j + 2 - i
}

// peelBackslashes takes the run of backslashes at i. It undoes \u0041, \x41 or \/ at
// its end, with all of the run, which is what deeper strings inside strings
// have, or copies the run. It returns the number of bytes it took.
func (b *viewBuf) peelBackslashes(v view, i int) (n int, undone bool) {
	t, j := v.text, i
	for j < len(t) && t[j] == '\\' {
		j++
	}
	depth := j - i
	if j < len(t) && t[j] == '/' {
		b.add('/', v.at(i))
		return depth + 1, true
	}
	if r, digits := escaped(t, j); digits > 0 {
		for range slashesFor(r, depth) {
			b.add('\\', v.at(i))
		}
		b.addRune(max(r, ' '), v.at(i))
		return depth + 1 + digits, true
	}
	for k := i; k < j; k++ {
		b.add('\\', v.at(k))
	}
	return depth, false
}

// escaped returns the character of the escape whose backslash stands in front
// of t[i], \u0041 or, in JSON5, YAML and JavaScript, \x41, and how many digits
// it has, or 0.
func escaped(t []byte, i int) (r rune, digits int) {
	if i == len(t) {
		return 0, 0
	}
	if t[i] == 'x' && i+2 < len(t) && isHex(t[i+1]) && isHex(t[i+2]) {
		return rune(unhex(t[i+1])<<4 | unhex(t[i+2])), 2
	}
	if r, ok := hex4(t, i+1); ok && t[i] == 'u' {
		return r, 4
	}
	return 0, 0
}

// slashesFor returns how many backslashes belong in front of the character that
// \uXXXX behind depth backslashes stands for, to mean the same. An odd number of
// backslashes is pairs of them and \u; an even number is \u in a string one
// layer further in, where each backslash is written as two.
func slashesFor(r rune, depth int) int {
	if r != '"' && r != '\\' {
		return 0
	}
	layer := 0
	for ; depth%2 == 0; depth /= 2 {
		layer++
	}
	return (depth+1)<<layer - 1 // for a backslash, the rune itself is one more
}

func hex4(t []byte, i int) (r rune, ok bool) {
	if i+4 > len(t) {
		return 0, false
	}
	for _, c := range t[i : i+4] {
		if !isHex(c) {
			return 0, false
		}
		r = r<<4 | rune(unhex(c))
	}
	return r, true
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
