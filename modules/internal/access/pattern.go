package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPattern  = 1024
	maxSegments = 64
)

// segment is one segment of a pattern: a text, or with a star any text that
// begins with prefix and ends with suffix. Texts are folded.
type segment struct {
	text           string
	star           bool
	prefix, suffix string
}

// any reports whether the segment is a star alone.
func (s *segment) any() bool { return s.star && s.prefix == "" && s.suffix == "" }

func (s *segment) matches(text string) bool {
	if !s.star {
		return compareFold(text, s.text) == 0
	}
	rest, ok := cutPrefixFold(text, s.prefix)
	return ok && hasSuffixFold(rest, s.suffix)
}

// covers reports whether s matches whatever other matches.
func (s *segment) covers(other *segment) bool {
	switch {
	case s.any():
		return true
	case !other.star:
		return s.matches(other.text)
	default:
		return s.star && strings.HasPrefix(other.prefix, s.prefix) && strings.HasSuffix(other.suffix, s.suffix)
	}
}

// pattern is a compiled path pattern.
type pattern struct {
	segments []segment
	below    bool // also everything below
}

// covers reports whether p matches whatever other matches.
func (p *pattern) covers(other *pattern) bool {
	if len(other.segments) < len(p.segments) {
		return false
	}
	if !p.below && (other.below || len(other.segments) > len(p.segments)) {
		return false
	}
	for i := range p.segments {
		if !p.segments[i].covers(&other.segments[i]) {
			return false
		}
	}
	return true
}

// compilePattern compiles a path pattern. It refuses what can match no canonical
// path and what is likely to be meant otherwise.
func compilePattern(s string) (pattern, error) {
	if err := checkPatternText(s); err != nil {
		return pattern{}, err
	}
	var p pattern
	if s == "/" {
		return p, nil
	}
	texts := strings.Split(strings.TrimSuffix(s[1:], "/"), "/")
	if len(texts) > maxSegments {
		return p, fmt.Errorf("more than %d segments", maxSegments)
	}
	for i, text := range texts {
		if last := i == len(texts)-1; last && strings.HasSuffix(text, "*") {
			if text != "*" || strings.HasSuffix(s, "/") {
				return p, errAmbiguousEnd
			}
			p.below = true
			continue
		}
		seg, err := compileSegment(text)
		if err != nil {
			return p, err
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

var (
	errEmptySegment = errors.New("an empty segment (//) matches no canonical path")
	// Caddy's own matcher takes /admin* for everything below /admin as well.
	errAmbiguousEnd = errors.New("its end can be read in two ways: end it in /* for a path and everything below it")
)

// checkPatternText refuses characters that canonical paths do not have, or that
// show that something else than a path was meant.
func checkPatternText(s string) error {
	if s == "" || s[0] != '/' {
		return errors.New("a path begins with /")
	}
	if len(s) > maxPattern {
		return fmt.Errorf("longer than %d bytes", maxPattern)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, c := range s {
		switch {
		case c == '%':
			return errors.New("write the path decoded: it is compared decoded, so % begins no encoding")
		case c == '?' || c == '#':
			return fmt.Errorf("%c and what follows is no part of a path", c)
		case c == ';':
			return errors.New("; and path parameters are no part of the canonical path")
		case c == '\\':
			return errors.New(`\ is in no canonical path`)
		case c == '{' || c == '}':
			return errors.New("placeholders and templates are not read: write * for a segment that varies")
		case unicode.IsControl(c):
			return errors.New("a control character is in no canonical path")
		}
	}
	return nil
}

func compileSegment(text string) (segment, error) {
	switch {
	case text == "":
		return segment{}, errEmptySegment
	case text == "." || text == "..":
		return segment{}, fmt.Errorf("the segment %s is in no canonical path", text)
	case strings.Count(text, "*") > 1:
		return segment{}, fmt.Errorf("the segment %q has more than one *", text)
	}
	prefix, suffix, star := strings.Cut(folded(text), "*")
	if !star {
		return segment{text: prefix}, nil
	}
	return segment{star: true, prefix: prefix, suffix: suffix}, nil
}
