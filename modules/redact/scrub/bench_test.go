package scrub

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// orders is JSON as an API returns it, without a match.
func orders(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"page":1,"orders":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"uuid":"%08x-2b1d-4c6f-9a8e-%012x","status":"shipped","created_at":"2026-03-%02dT10:41:22Z",`+
			`"customer":{"id":%d,"name":"John Example","city":"Springfield","phone":"555-0100"},"total":%d.%02d,"currency":"EUR","paid":true,`+
			`"lines":[{"sku":"AB-%04d","title":"A sturdy box of screws, 4 x 40 mm","quantity":%d,"price":12.50,"tags":["tools","metal"]},`+
			`{"sku":"CD-%04d","title":"Paint for outdoor use","quantity":1,"price":30,"tags":[]}],"links":{"self":"https://api.example.com/v1/orders/%d"},"remark":null}`,
			480000+i, uint32(i*2654435761), uint64(i)*11400714819323198485>>16, i%28+1, 9000+i, i%900, i%100, i%9999, i%7, i%9998, 480000+i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func indented(size int) []byte {
	var b bytes.Buffer
	for _, line := range strings.SplitAfter(string(orders(size/2)), ",") {
		b.WriteString(line)
		b.WriteString("\n        ")
	}
	return b.Bytes()
}

func BenchmarkJSON(b *testing.B) {
	body := orders(1 << 20)
	rules := map[string][]Rule{
		"keys": {{Action: Drop, Keys: []string{"password", "secret"}}, {Action: Mask, Keys: []string{"pin"}}},
		"detectors": {
			{Action: Mask, Detectors: []string{"card"}, KeepLast: 4},
			{Action: Replace, Detectors: []string{"email", "jwt", "cloud_keys"}, Text: "x"},
		},
	}
	rules["keys and detectors"] = append(append([]Rule{}, rules["keys"]...), rules["detectors"]...)
	run := func(name string, p *Policy, kind Kind, body []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s := p.NewStream(io.Discard, kind)
				for rest := body; len(rest) > 0; {
					n := min(len(rest), 32<<10)
					if _, err := s.Write(rest[:n]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				for i, n := range s.Counts() {
					if n > 0 && name != "with a match in each order" {
						b.Fatal(p.Selectors()[i])
					}
				}
				s.Release()
			}
		})
	}
	for _, name := range []string{"keys", "detectors", "keys and detectors"} {
		run("without a match, "+name, compile(b, rules[name]...), JSON, body)
	}
	all := compile(b, rules["keys and detectors"]...)
	run("without a match, and paths", compile(b, append(rules["keys and detectors"], Rule{Action: Mask, Paths: []string{"$.orders[*].lines[*].secret_note", "$..ssn"}})...), JSON, body)
	run("without a match, and all detectors", compile(b, append(rules["keys and detectors"], Rule{Action: Mask, Detectors: []string{"iban", "private_key"}})...), JSON, body)
	run("without a match, indented", all, JSON, indented(1<<20))
	run("without a match, small", all, JSON, orders(900))
	run("without a match, escapes", all, JSON, bytes.ReplaceAll(body, []byte("sturdy"), []byte(`stu\u0072dy \"`)))
	run("with a match in each order", all, JSON, bytes.ReplaceAll(body, []byte("555-0100"), []byte("a@b.example")))
	run("as text", all, Text, body)
	b.Run("floor: copy", func(b *testing.B) {
		dst := make([]byte, len(body))
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			copy(dst, body)
		}
	})
}
