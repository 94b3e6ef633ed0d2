package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Source is the Caddyfile that a configuration was adapted from. It is what gives
// findings a line, and what has the parts that the adapter drops.
type Source struct {
	// Global are the words of the global options, in order.
	Global []Word
	Sites  []Site
	// Files are the contents of the files that the words come from, by name.
	Files map[string]string
}

// Site is a block of the Caddyfile with its addresses.
type Site struct {
	Addresses []Address
	Words     []Word
}

// Address is one of a site, such as http://api.example.com:8080.
type Address struct {
	Word
	Host, Port string
}

// Word is a token of a Caddyfile, after imports and {$VARIABLES}.
type Word struct {
	File string
	Line int
	Text string
}

func (w Word) position() string { return fmt.Sprintf("%s:%d", w.File, w.Line) }

// place says where a finding may stand in the Caddyfile.
type place struct {
	call  *call      // it is about a handler of this site
	site  bool       // it is about the site as a whole
	lines [][]string // words that begin its line; of several, the first that are found
}

// find returns the one word that a place is at, nil if none or several could be.
func (s *Source) find(p place) *Word {
	if s == nil {
		return nil
	}
	var words []Word
	switch site := s.siteOf(p.call); {
	case site != nil && p.site:
		return &site.Addresses[0].Word
	case site != nil:
		words = site.Words
	case p.call != nil:
		return nil
	default:
		words = append(words, s.Global...)
		for _, site := range s.Sites {
			words = append(words, site.Words...)
		}
	}
	for _, line := range p.lines {
		if found, ok := only(words, line); ok {
			return found
		}
	}
	return nil
}

// only returns the first of the words that begin a line with those of line. It is
// not ok if they begin none, and nil if they begin several.
func only(words []Word, line []string) (found *Word, ok bool) {
	for i := range words {
		if i > 0 && words[i-1].File == words[i].File && words[i-1].Line == words[i].Line || len(words)-i < len(line) {
			continue
		}
		matches := true
		for j, text := range line {
			matches = matches && words[i+j].Text == text && words[i+j].Line == words[i].Line
		}
		if !matches || found != nil && found.position() == words[i].position() {
			continue // one line that is imported twice is one
		}
		if found != nil {
			return nil, true
		}
		found = &words[i]
	}
	return found, found != nil
}

// siteOf returns the one site that has the hosts of a call, or its port where it
// is for any host. One with the server's port is meant rather than one without.
func (s *Source) siteOf(c *call) *Site {
	if c == nil {
		return nil
	}
	for _, withPort := range []bool{true, false} {
		var found []*Site
		for i, site := range s.Sites {
			if slices.ContainsFunc(site.Addresses, func(a Address) bool { return c.isAt(a, withPort) }) {
				found = append(found, &s.Sites[i])
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0]
		default:
			return nil
		}
	}
	return nil
}

func (c *call) isAt(a Address, withPort bool) bool {
	if withPort != (a.Port != "") || withPort && !slices.ContainsFunc(c.server.listen, func(listen string) bool { return strings.HasSuffix(listen, ":"+a.Port) }) {
		return false
	}
	return a.Host == "" && len(c.hosts) == 0 || slices.Contains(c.hosts, strings.ToLower(a.Host))
}

// waiver is a comment that says why a finding is none:
//
//	# lint:ignore <rule> <reason>
//
// at the end of the line of the finding, or alone above it.
type waiver struct {
	Word
	rule, reason string
	line         int // the line it is about
	used         bool
}

var waiverForm = regexp.MustCompile(`(?:^|\s)#\s*lint:ignore(?:\s+(\S+))?(?:\s+(\S.*?))?\s*$`)

func (s *Source) waivers() []*waiver {
	if s == nil {
		return nil
	}
	var found []*waiver
	for name, content := range s.Files {
		lines := strings.Split(content, "\n")
		for i, line := range lines {
			m := waiverForm.FindStringSubmatchIndex(line)
			if m == nil {
				continue
			}
			about := i
			if strings.TrimSpace(line[:m[0]]) == "" {
				for about++; about < len(lines) && isComment(lines[about]); about++ {
				}
			}
			groups := waiverForm.FindStringSubmatch(line)
			found = append(found, &waiver{Word: Word{File: name, Line: i + 1}, rule: groups[1], reason: groups[2], line: about + 1})
		}
	}
	return found
}

func isComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}
