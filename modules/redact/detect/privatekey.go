package detect

import "bytes"

// maxLabel bounds the label of the line that a private key begins with.
const maxLabel = 64

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	dashes   = "-----"
)

var (
	label = newClass(digits + upper + " ")

	// pemText is what may stand in a block, with its headers and with line breaks
	// however they are escaped: anything but what text around a block is quoted
	// and bracketed with.
	pemText = func() *class {
		c := new(class)
		for i := byte(' '); i < 0x7f; i++ {
			c[i] = !contains("\"'`<>{}", i)
		}
		c['\t'], c['\r'], c['\n'] = true, true, true
		return c
	}()
)

func (s *Set) addPrivateKeys() { s.add(literal(pemBegin), privateKey) }

// privateKey decides the block whose BEGIN line begins at b[at:]: RFC 7468, and
// what OpenSSL, OpenSSH and PGP make of it. The match is open-ended: a block that
// was cut off is one too.
func privateKey(b []byte, from, at int, final bool) (m Match, v verdict) {
	start := at + len(pemBegin)
	end := start + label.run(b, start, maxLabel+1)
	m = Match{Start: at, End: end, Detector: PrivateKey}
	if end-start > maxLabel {
		return m, no
	}
	n := 0
	for n < len(dashes) && end+n < len(b) && b[end+n] == '-' {
		n++
	}
	if n < len(dashes) {
		if end+n == len(b) {
			return m, undecided(final)
		}
		return m, no
	}
	if !bytes.Contains(b[start:end], []byte("PRIVATE KEY")) {
		return m, no
	}
	m.End, m.more, m.block = end+n, pemText, inBlock
	m.End += m.Rest(b[m.End:])
	return m, yes
}

// block is how much of the line that ends a block was read.
type block uint8

const (
	noBlock  block = iota
	inBlock        // nothing; up to len(pemEnd) behind it, the beginning of the line
	inLabel  = inBlock + block(len(pemEnd))
	endBlock = inLabel + block(len(dashes))
)

// next takes one byte of a block.
func (k block) next(c byte) block {
	switch {
	case k < inLabel && c == pemEnd[k-inBlock]:
		return k + 1
	case k == inBlock+block(len(dashes)) && c == '-':
		return k // more of them
	case k < inLabel && c == '-':
		return inBlock + 1
	case k < inLabel:
		return inBlock
	case c == '-':
		return k + 1
	case k == inLabel && label[c]:
		return k
	}
	return inBlock
}

// rest returns how many bytes at the beginning of b belong to the block, and
// where the block is then.
func (k block) rest(b []byte) (int, block) {
	for i, c := range b {
		if k == endBlock || !pemText[c] {
			return i, k
		}
		k = k.next(c)
	}
	return len(b), k
}
