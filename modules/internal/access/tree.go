package access

import (
	"slices"
	"strings"
)

// node is a place in the tree of patterns. Each edge is one segment.
type node struct {
	exact []int32 // rules with a pattern that ends here
	below []int32 // rules with a pattern that ends here in /*
	texts []edge  // sorted by text
	globs []edge
	any   *node
}

type edge struct {
	segment
	to *node
}

func (n *node) insert(p *pattern, rule int32) {
	for _, s := range p.segments {
		n = n.step(s)
	}
	if p.below {
		n.below = append(n.below, rule)
		return
	}
	n.exact = append(n.exact, rule)
}

// step returns the node behind s, which it makes if there is none.
func (n *node) step(s segment) *node {
	edges := &n.texts
	switch {
	case s.any():
		if n.any == nil {
			n.any = new(node)
		}
		return n.any
	case s.star:
		edges = &n.globs
	}
	for i := range *edges {
		if (*edges)[i].segment == s {
			return (*edges)[i].to
		}
	}
	*edges = append(*edges, edge{s, new(node)})
	return (*edges)[len(*edges)-1].to
}

// sort makes the tree ready for find.
func (n *node) sort() {
	slices.SortFunc(n.texts, func(a, b edge) int { return compareFold(a.text, b.text) })
	for _, edges := range [][]edge{n.texts, n.globs} {
		for _, e := range edges {
			e.to.sort()
		}
	}
	if n.any != nil {
		n.any.sort()
	}
}

func (n *node) find(text string) *node {
	low, high := 0, len(n.texts)
	for low < high {
		middle := (low + high) / 2
		switch c := compareFold(text, n.texts[middle].text); {
		case c == 0:
			return n.texts[middle].to
		case c < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return nil
}

// visit calls e.rules for the rules of every pattern that matches what is left
// of the path. A node is visited at most once, so a hostile path costs no more
// than the tree is large.
func (n *node) visit(rest string, e *evaluation) {
	e.rules(n.below)
	// Empty segments are refused by the canonical check or stand for nothing; a
	// trailing slash makes no difference.
	rest = strings.TrimLeft(rest, "/")
	if rest == "" {
		e.rules(n.exact)
		return
	}
	text, rest, _ := strings.Cut(rest, "/")
	if to := n.find(text); to != nil {
		to.visit(rest, e)
	}
	for i := range n.globs {
		if n.globs[i].matches(text) {
			n.globs[i].to.visit(rest, e)
		}
	}
	if n.any != nil {
		n.any.visit(rest, e)
	}
}
