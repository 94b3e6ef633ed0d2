package framing

// name is what is kept of a field name while it goes by: its letters and digits,
// lower-cased, which is what a careless server may make of it.
type name struct {
	norm   [18]byte
	length int    // bytes on the wire
	n      int    // letters and digits, may exceed norm
	dash   int    // where the only byte that is neither stands, if it is '-'
	odd    bool   // a byte that is no tchar
	framed bool   // the name was a framing field's when the first such byte came
	last   uint32 // up to three bytes of a multi-byte letter
}

const (
	contentLength    = "contentlength"
	transferEncoding = "transferencoding"
	upgrade          = "upgrade"
)

func (f *name) reset() { f.length, f.n, f.dash, f.odd, f.framed, f.last = 0, 0, 0, false, false, 0 }

// addTokens takes the bytes at the beginning of p that are of a token, and
// returns how many they are.
func (f *name) addTokens(p []byte) int {
	for i, b := range p {
		switch v := lower[b]; {
		case v != 0:
			if f.n < len(f.norm) {
				f.norm[f.n] = v
			}
			f.n++
			f.length++
		case is(b, isToken):
			f.add(b)
		default:
			return i
		}
	}
	return len(p)
}

// add takes the name's next byte.
func (f *name) add(b byte) {
	v := lower[b]
	switch {
	case v != 0:
	case b == '-':
		f.dash = f.length
	case b >= 0x80:
		v = f.fold(b)
	}
	if !is(b, isToken) && !f.odd {
		f.odd, f.framed = true, f.isFraming()
	}
	f.length++
	if v == 0 {
		return
	}
	if f.n < len(f.norm) {
		f.norm[f.n] = v
	}
	f.n++
}

// fold returns the ASCII letter that Unicode's case folding and compatibility
// mapping make of the UTF-8 sequence ending in b, or 0: the long s, the dotted and
// the dotless i, and full-width letters.
func (f *name) fold(b byte) byte {
	f.last = f.last<<8 | uint32(b)
	switch two := f.last & 0xffff; two {
	case 0xc5bf:
		return 's'
	case 0xc4b0, 0xc4b1:
		return 'i'
	}
	switch three := f.last & 0xffffff; {
	case three >= 0xefbca1 && three <= 0xefbcba:
		return byte(three-0xefbca1) + 'a'
	case three >= 0xefbd81 && three <= 0xefbd9a:
		return byte(three-0xefbd81) + 'a'
	}
	return 0
}

// normal reports whether the name's letters and digits are those of s.
func (f *name) normal(s string) bool {
	return f.n == len(s) && string(f.norm[:f.n]) == s
}

func (f *name) isFraming() bool { return f.normal(contentLength) || f.normal(transferEncoding) }

// isContentLength reports whether the name is Content-Length, in any case.
func (f *name) isContentLength() bool {
	return f.length == len("content-length") && f.dash == len("content") && f.normal(contentLength)
}

// isTransferEncoding reports whether the name is Transfer-Encoding, in any case.
func (f *name) isTransferEncoding() bool {
	return f.length == len("transfer-encoding") && f.dash == len("transfer") && f.normal(transferEncoding)
}

// isUpgrade reports whether the name is Upgrade, in any case.
func (f *name) isUpgrade() bool { return f.length == len(upgrade) && f.normal(upgrade) }

// forbidden reports whether the field must not stand in trailers, because it
// frames or routes the message (RFC 9110 §6.5.1).
func (f *name) forbidden() bool {
	return f.isFraming() || f.normal("host") || f.normal("connection") || f.normal("trailer") ||
		f.normal("te") || f.normal(upgrade) || f.normal("expect")
}
