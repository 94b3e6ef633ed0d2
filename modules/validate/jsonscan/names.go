package jsonscan

import (
	"bytes"
	"hash/maphash"
)

// few is how many names of an object are compared one by one. Objects with more
// use the table.
const few = 12

// maxKept is how much memory a scanner keeps for the next text.
const maxKept = 64 << 10

// names are those of the objects that are open, innermost last. Objects close in
// the reverse order of their opening, so names are added and forgotten like a
// stack; that is what lets the table be emptied slot by slot without tombstones.
type names struct {
	seed  maphash.Seed // callers cannot make names collide
	bytes []byte
	list  []entry
	start int // where the bytes of the name being read begin

	table  []uint32 // open addressing: index in list plus one
	filled int
}

type entry struct {
	hash       uint64
	start, end uint32 // in bytes; a text has less than 4 GiB
	slot       uint32 // in table plus one, 0 for none
}

func (n *names) reset() {
	n.forget(0, 0)
	if cap(n.bytes) > maxKept {
		n.bytes = nil
	}
	if len(n.table)*4 > maxKept {
		n.table = nil
	}
	if cap(n.list)*24 > maxKept {
		n.list = nil
	}
}

// begin starts a name, whose bytes are appended to n.bytes.
func (n *names) begin() { n.start = len(n.bytes) }

// add ends the name and reports whether it is new among those from first on.
func (n *names) add(first int) bool {
	text := n.bytes[n.start:]
	e := entry{hash: maphash.Bytes(n.seed, text) + uint64(first)*0x9e3779b97f4a7c15, start: uint32(n.start), end: uint32(len(n.bytes))}
	members := n.list[first:]
	if len(members) < few {
		for i := range members {
			if n.same(&members[i], &e) {
				return false
			}
		}
		n.list = append(n.list, e)
		return true
	}
	if members[len(members)-1].slot == 0 { // the object has just become large
		for i := range members {
			n.insert(first, first+i)
		}
	}
	n.list = append(n.list, e)
	if !n.insert(first, len(n.list)-1) {
		n.list = n.list[:len(n.list)-1]
		return false
	}
	return true
}

func (n *names) same(a, b *entry) bool {
	return a.hash == b.hash && bytes.Equal(n.bytes[a.start:a.end], n.bytes[b.start:b.end])
}

// insert puts the name at index into the table and reports whether no other from
// first on is the same.
func (n *names) insert(first, index int) bool {
	if (n.filled+1)*2 > len(n.table) {
		n.grow()
	}
	e := &n.list[index]
	mask := uint64(len(n.table) - 1)
	for at := e.hash & mask; ; at = (at + 1) & mask {
		other := n.table[at]
		if other == 0 {
			n.table[at], e.slot = uint32(index)+1, uint32(at)+1
			n.filled++
			return true
		}
		if i := int(other) - 1; i >= first && n.same(&n.list[i], e) {
			return false
		}
	}
}

// grow doubles the table. Names go in again in their order, so that those added
// last are still the ones that nothing was put behind.
func (n *names) grow() {
	n.table = make([]uint32, max(64, 2*len(n.table)))
	mask := uint64(len(n.table) - 1)
	for i := range n.list {
		e := &n.list[i]
		if e.slot == 0 {
			continue
		}
		at := e.hash & mask
		for n.table[at] != 0 {
			at = (at + 1) & mask
		}
		n.table[at], e.slot = uint32(i)+1, uint32(at)+1
	}
}

// forget drops the names from first on, whose bytes begin at start.
func (n *names) forget(first, start int) {
	for i := len(n.list) - 1; i >= first; i-- {
		if slot := n.list[i].slot; slot != 0 {
			n.table[slot-1] = 0
			n.filled--
		}
	}
	n.list, n.bytes = n.list[:first], n.bytes[:start]
}
