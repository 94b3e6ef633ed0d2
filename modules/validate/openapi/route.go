package openapi

import (
	"errors"
	"fmt"
	"strings"
)

// maxParameters is how many path parameters a path can have.
const maxParameters = 16

// template is one segment of a documented path: a text, or one parameter with
// text around it.
type template struct {
	prefix, suffix string
	variable       bool
}

// branch is a node of the tree of paths.
type branch struct {
	static    map[string]*branch
	templates []edge // with the most text first
	item      *item
}

type edge struct {
	template
	to *branch
}

// item is a documented path.
type item struct {
	names      []string // of the parameters, in order
	operations map[string]*operation
	methods    []string
	allow      string
}

// splitTemplate reads a path of the document.
func splitTemplate(path string) (segments []template, names []string, err error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, nil, errors.New("does not begin with a slash")
	}
	for text := range strings.SplitSeq(rest, "/") {
		open, end := strings.IndexByte(text, '{'), strings.IndexByte(text, '}')
		if open < 0 && end < 0 {
			segments = append(segments, template{prefix: text})
			continue
		}
		if open < 0 || end < open || strings.ContainsAny(text[end+1:], "{}") || strings.ContainsAny(text[open+1:end], "{") {
			return nil, nil, errors.New("a segment with more than one parameter is not supported")
		}
		segments = append(segments, template{text[:open], text[end+1:], true})
		names = append(names, text[open+1:end])
	}
	if len(names) > maxParameters {
		return nil, nil, fmt.Errorf("more than %d parameters", maxParameters)
	}
	return segments, names, nil
}

func (b *branch) insert(segments []template, end *item) error {
	if len(segments) == 0 {
		if b.item != nil {
			return errors.New("another path matches the same requests")
		}
		b.item = end
		return nil
	}
	first := segments[0]
	if !first.variable {
		if b.static == nil {
			b.static = make(map[string]*branch)
		}
		if b.static[first.prefix] == nil {
			b.static[first.prefix] = new(branch)
		}
		return b.static[first.prefix].insert(segments[1:], end)
	}
	at := len(b.templates)
	for i, e := range b.templates {
		if e.template == first {
			return e.to.insert(segments[1:], end)
		}
		if at == len(b.templates) && len(first.prefix)+len(first.suffix) > len(e.prefix)+len(e.suffix) {
			at = i
		}
	}
	to := new(branch)
	b.templates = append(b.templates, edge{})
	copy(b.templates[at+1:], b.templates[at:])
	b.templates[at] = edge{first, to}
	return to.insert(segments[1:], end)
}

// values are the path parameters of one request, in order.
type values struct {
	list [maxParameters]string
	n    int
}

// find follows path, without its leading slash. Text wins over parameters, and
// where it leads nowhere the parameter is tried.
func (b *branch) find(path string, v *values) *item {
	segment, rest, more := strings.Cut(path, "/")
	if next := b.static[segment]; next != nil {
		if found := next.follow(rest, more, v); found != nil {
			return found
		}
	}
	for i := range b.templates {
		e := &b.templates[i]
		if len(segment) <= len(e.prefix)+len(e.suffix) || !strings.HasPrefix(segment, e.prefix) || !strings.HasSuffix(segment, e.suffix) {
			continue
		}
		before := v.n
		v.list[v.n] = segment[len(e.prefix) : len(segment)-len(e.suffix)]
		v.n++
		if found := e.to.follow(rest, more, v); found != nil {
			return found
		}
		v.n = before
	}
	return nil
}

func (b *branch) follow(rest string, more bool, v *values) *item {
	if !more {
		return b.item
	}
	return b.find(rest, v)
}

// Match is the documented operation of one request.
type Match struct {
	op     *operation
	names  []string
	values values
}

// Find returns the operation for a method and a canonical path. Without one, allow
// lists the methods of the path, "" if the path is not documented.
func (p *Plan) Find(method, path string, m *Match) (ok bool, allow string) {
	m.values.n = 0
	found := p.root.find(strings.TrimPrefix(path, "/"), &m.values)
	if found == nil {
		return false, ""
	}
	m.op, m.names = found.operations[method], found.names
	return m.op != nil, found.allow
}
