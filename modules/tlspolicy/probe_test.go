package tlspolicy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// probe is a ClientHello with exactly these offers: crypto/tls leaves out what it
// does not know and what it thinks weak.
type probe struct {
	version uint16 // the only one
	suites  []uint16
	groups  []uint16
	server  string
}

// reply is what a server chose.
type reply struct {
	version, suite uint16
	group          uint16 // TLS 1.3; 0 if it is in a message further on
	alert          byte
}

const (
	recordAlert     = 21
	recordHandshake = 22
	extServerName   = 0
	extGroups       = 10
	extPointFormats = 11
	extSignatures   = 13
	extRenegotiate  = 0xff01
	extVersions     = 43
	extKeyShare     = 51
	version13       = 0x0304
)

// send makes a connection, says hello, and reads what the server chose. There are
// no key shares, so that a server of TLS 1.3 has to ask for one, and so to say
// which group it wants (RFC 8446 section 4.1.4).
func (p probe) send(t *testing.T, addr string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(p.record()); err != nil {
		t.Fatal(err)
	}
	var header [5]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	if header[0] == recordAlert {
		return reply{alert: body[1]}
	}
	r, err := parseServerHello(body)
	if header[0] != recordHandshake || err != nil {
		t.Fatalf("record %d: %v", header[0], err)
	}
	return r
}

func (p probe) record() []byte {
	legacy := min(p.version, 0x0303)
	hello := binary.BigEndian.AppendUint16(nil, legacy)
	hello = append(hello, make([]byte, 32)...) // random
	hello = append(hello, 0)                   // no session
	hello = vector16(hello, words(p.suites))
	hello = append(hello, 1, 0) // no compression
	if p.version > 0x0300 {
		hello = vector16(hello, p.extensions())
	}
	message := append([]byte{1, 0, byte(len(hello) >> 8), byte(len(hello))}, hello...)
	record := binary.BigEndian.AppendUint16([]byte{recordHandshake}, min(legacy, 0x0301))
	return vector16(record, message)
}

func (p probe) extensions() []byte {
	var all []byte
	add := func(id uint16, content []byte) {
		all = vector16(binary.BigEndian.AppendUint16(all, id), content)
	}
	add(extServerName, vector16(nil, vector16([]byte{0}, []byte(p.server))))
	add(extGroups, vector16(nil, words(p.groups)))
	add(extPointFormats, []byte{1, 0})
	add(extSignatures, vector16(nil, words([]uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0201, 0x0203})))
	add(extRenegotiate, []byte{0})
	if p.version == version13 {
		add(extVersions, []byte{2, version13 >> 8, version13 & 0xff})
		add(extKeyShare, []byte{0, 0})
	}
	return all
}

func words(values []uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func vector16(b, content []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(content))), content...)
}

// parseServerHello reads the version, the suite and the group.
func parseServerHello(b []byte) (reply, error) {
	short := errors.New("the ServerHello is too short")
	if len(b) < 4+2+32+1 || b[0] != 2 {
		return reply{}, fmt.Errorf("no ServerHello: %x", b[:min(len(b), 8)])
	}
	b = b[4:]
	r := reply{version: binary.BigEndian.Uint16(b)}
	session := int(b[34])
	if b = b[35:]; len(b) < session+3 {
		return r, short
	}
	r.suite = binary.BigEndian.Uint16(b[session:])
	if b = b[session+3:]; len(b) < 2 {
		return r, nil
	}
	for b = b[2:]; len(b) >= 4; {
		id, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; len(b) < n {
			// TLS 1.2: the record goes on with the certificate.
			break
		}
		switch {
		case id == extVersions && n == 2:
			r.version = binary.BigEndian.Uint16(b)
		case id == extKeyShare && n >= 2:
			r.group = binary.BigEndian.Uint16(b)
		}
		b = b[n:]
	}
	return r, nil
}
