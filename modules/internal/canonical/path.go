package canonical

import (
	"strings"
	"unicode/utf8"
)

// canonicalPath decodes a path once and refuses what servers are known to read
// differently: a second layer of encoding, encoded or reversed slashes, dot
// segments in any spelling, control bytes, invalid UTF-8 (which includes the
// overlong forms), parameters, empty segments.
func canonicalPath(raw string, o Options) (string, *Refusal) {
	if raw == "" || raw[0] != '/' {
		return "", ErrTargetForm
	}
	plain := true
	for i := range len(raw) {
		c := raw[i]
		switch {
		case c <= ' ' || c >= 0x7f || c == '#':
			return "", ErrPathEncoding
		case c == '\\':
			return "", ErrPathSlash
		case c == '%':
			plain = false
		case c == ';':
			if !o.PathParameters {
				return "", ErrPathParameter
			}
			plain = false
		}
	}
	path := raw
	if !plain {
		var refusal *Refusal
		if path, refusal = decodePath(raw, o); refusal != nil {
			return "", refusal
		}
	}
	return cleanSegments(path, o)
}

// decodePath decodes percent-encoding and cuts parameters off the segments.
func decodePath(raw string, o Options) (string, *Refusal) {
	decoded := make([]byte, 0, len(raw))
	inParameter := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", ErrPathEncoding
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
			switch {
			case c < ' ' || c == 0x7f:
				return "", ErrPathEncoding
			case c == '\\':
				return "", ErrPathSlash
			case c == '/':
				if !o.EncodedSlash {
					return "", ErrPathSlash
				}
				if !inParameter {
					decoded = append(decoded, "%2F"...)
				}
				continue
			case c == ';' && !o.PathParameters:
				return "", ErrPathParameter
			}
			// An encoded semicolon begins a parameter too: some servers decode
			// before they cut.
			inParameter = inParameter || c == ';'
			if !inParameter {
				decoded = append(decoded, c)
				if secondLayer(decoded) {
					return "", ErrPathEncoding
				}
			}
			continue
		}
		switch {
		case c == '/':
			inParameter = false
		case c == ';':
			inParameter = true
		}
		if !inParameter {
			decoded = append(decoded, c)
			if secondLayer(decoded) {
				return "", ErrPathEncoding
			}
		}
	}
	if !utf8.Valid(decoded) {
		return "", ErrPathEncoding
	}
	return string(decoded), nil
}

// secondLayer reports whether the decoded bytes end in what a server that
// decodes twice would decode again: %XX, or the %uXXXX of some old servers. The
// "%2F" that stands for an allowed encoded slash is not asked about.
func secondLayer(decoded []byte) bool {
	n := len(decoded)
	if n >= 2 && decoded[n-2] == '%' && (decoded[n-1] == 'u' || decoded[n-1] == 'U') {
		return true
	}
	return n >= 3 && decoded[n-3] == '%' && isHex(decoded[n-2]) && isHex(decoded[n-1])
}

// cleanSegments refuses dot segments, also behind an allowed encoded slash, and
// unless they are allowed empty segments in front of others. A trailing slash is
// kept.
func cleanSegments(path string, o Options) (string, *Refusal) {
	empty := false
	for rest := path[1:]; ; {
		segment, after, more := strings.Cut(rest, "/")
		for part := range strings.SplitSeq(segment, "%2F") {
			if part == "." || part == ".." {
				return "", ErrPathDots
			}
		}
		empty = empty || segment == "" && more
		if !more {
			break
		}
		rest = after
	}
	if !empty {
		return path, nil
	}
	if !o.EmptySegments {
		return "", ErrPathEmpty
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path, nil
}
