package cors

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// originSet holds the allowed origins. A look-up costs no more than reading the
// origin once, however many there are: the exact ones are compared as whole
// strings, which is what Fetch asks for, and the wildcards form a tree of labels
// that is read from the end of the host.
type originSet struct {
	exact map[string]struct{}
	// longest is the length of the longest exact origin: a longer one is not
	// even hashed.
	longest int
	// wildcards is nil if there are none.
	wildcards *label
	// oneOwner keeps a wildcard to names of one owner: below *.amazonaws.com anybody
	// can have a name, which the list of public suffixes says only of that name.
	oneOwner bool
}

// label is a node of the tree: the root stands for the empty name, its children
// for top-level domains. Whole labels are compared, so "evilexample.com" and
// "example.com.evil.com" cannot pass for names below "example.com".
type label struct {
	children map[string]*label
	// bases are the wildcards whose base ends here.
	bases []schemePort
}

type schemePort struct{ scheme, port string }

func (s *originSet) insert(origin string, p pattern) {
	if !p.subdomains {
		if s.exact == nil {
			s.exact = make(map[string]struct{})
		}
		s.exact[origin] = struct{}{}
		s.longest = max(s.longest, len(origin))
		return
	}
	if s.wildcards == nil {
		s.wildcards = new(label)
	}
	node := s.wildcards
	for name, rest, more := lastLabel(p.host); ; name, rest, more = lastLabel(rest) {
		child := node.children[name]
		if child == nil {
			child = new(label)
			if node.children == nil {
				node.children = make(map[string]*label)
			}
			node.children[name] = child
		}
		node = child
		if !more {
			break
		}
	}
	node.bases = append(node.bases, schemePort{p.scheme, p.port})
}

// contains reports whether origin, as a browser sent it, is in the set. It does
// not allocate.
func (s *originSet) contains(origin string) bool {
	if len(origin) <= s.longest {
		if _, ok := s.exact[origin]; ok {
			return true
		}
	}
	return s.wildcards != nil && s.wildcards.covers(origin, s.oneOwner)
}

func (root *label) covers(origin string, oneOwner bool) bool {
	if len(origin) > maxScheme+len("://")+maxHost+len(":65535") {
		return false
	}
	scheme, authority, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if len(host) > maxHost || hasPort && port == "" {
		return false
	}
	node, whole := root, host
	for {
		name, rest, more := lastLabel(host)
		if node = node.children[name]; node == nil || !more {
			return false
		}
		if node.ends(scheme, port) {
			// What stands left of the base goes into a response header. A bad label
			// there cannot become part of a longer base, so this is final.
			return validLabels(rest) && (!oneOwner || ownedBy(whole, whole[len(rest)+1:]))
		}
		host = rest
	}
}

// ownedBy reports whether host, a name below base, belongs to whom base belongs
// to: no public suffix lies between the two.
func ownedBy(host, base string) bool {
	suffix, _ := publicsuffix.PublicSuffix(host)
	return len(suffix) < len(base)
}

func (n *label) ends(scheme, port string) bool {
	for _, b := range n.bases {
		if b.scheme == scheme && b.port == port {
			return true
		}
	}
	return false
}

// lastLabel splits the last label off a host. more is false if it was the only
// one.
func lastLabel(host string) (name, rest string, more bool) {
	i := strings.LastIndexByte(host, '.')
	if i < 0 {
		return host, "", false
	}
	return host[i+1:], host[:i], true
}
