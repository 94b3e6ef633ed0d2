package storage

import (
	"bytes"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"
)

// bundle is about what a private key or a chain of certificates has.
var bundle = bytes.Repeat([]byte("0123456789abcdef"), 4096/16)

// BenchmarkStorage has raw SET and GET over the same client for a floor.
func BenchmarkStorage(b *testing.B) {
	r := newServer(b)
	s := open(b, r.Addr)
	ctx := b.Context()
	run := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	text := string(bundle)
	run("raw SET", func() error {
		_, err := s.client.Do(ctx, func(v valkey.Builder) valkey.Completed { return v.Set().Key("k").Value(text).Build() })
		return err
	})
	run("Store", func() error { return s.Store(ctx, "certificates/ca/site/site.key", bundle) })
	run("raw GET", func() error {
		_, err := s.client.Do(ctx, func(v valkey.Builder) valkey.Completed { return v.Get().Key("k").Build() })
		return err
	})
	run("Load", func() error { _, err := s.Load(ctx, "certificates/ca/site/site.key"); return err })
	run("Stat", func() error { _, err := s.Stat(ctx, "certificates/ca/site/site.key"); return err })
	run("Lock and Unlock", func() error {
		if err := s.Lock(ctx, "l"); err != nil {
			return err
		}
		return s.Unlock(ctx, "l")
	})
}

func BenchmarkEnvelope(b *testing.B) {
	k, err := newSealKey("a", make([]byte, keySize))
	if err != nil {
		b.Fatal(err)
	}
	s := &sealer{keys: []sealKey{k}}
	now := time.Now()
	sealed := s.seal("name", bundle, now)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.seal("name", bundle, now)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.open("name", sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
