package redact

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// decodeParts decodes a body that comes in parts.
func decodeParts(body []byte, layers int, size func() int) (string, error) {
	var out bytes.Buffer
	d := newDecoder(layers, &out)
	defer d.release()
	for len(body) > 0 {
		n := min(max(size(), 1), len(body))
		if err := d.write(body[:n]); err != nil {
			return out.String(), err
		}
		body = body[n:]
	}
	err := d.close()
	return out.String(), err
}

func TestDecoder(t *testing.T) {
	random := make([]byte, 100_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for name, body := range map[string]string{
		"nothing": "", "a word": "word", "long": strings.Repeat("a word ", 50_000), "random": string(random),
	} {
		for layers := 1; layers <= 2; layers++ {
			encoded := compress(t, body)
			if layers == 2 {
				encoded = compress(t, encoded)
			}
			for _, size := range []int{1, 100, 32 << 10} {
				if size == 1 && len(encoded) > 10_000 {
					continue
				}
				got, err := decodeParts([]byte(encoded), layers, func() int { return size })
				if got != body || err != nil {
					t.Errorf("%s, %d layers, in parts of %d: %d bytes, %v", name, layers, size, len(got), err)
				}
			}
		}
	}
}

// What is flushed has to come out, or an event in a compressed stream waits.
func TestDecoderDoesNotHoldWhatWasFlushed(t *testing.T) {
	var encoded, out bytes.Buffer
	z := gzip.NewWriter(&encoded)
	d := newDecoder(1, &out)
	defer d.release()
	for _, part := range []string{"data: one\n\n", "data: two\n\n"} {
		encoded.Reset()
		out.Reset()
		_, _ = io.WriteString(z, part)
		_ = z.Flush()
		if err := d.write(encoded.Bytes()); err != nil || out.String() != part {
			t.Errorf("out came %q, %v", out.String(), err)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	body := compress(t, "a body")
	wrong := []byte(body)
	wrong[len(wrong)-5] ^= 1 // of the checksum
	for name, test := range map[string]struct {
		body string
		want error
	}{
		"what is not gzip":     {"a body", errCoding},
		"an early end":         {body[:len(body)-1], errCoding},
		"a wrong checksum":     {string(wrong), errCoding},
		"bytes behind the end": {body + "more", errCoding},
		"a bomb":               {compress(t, strings.Repeat("0", 8<<20)), errBomb},
		"empty in a bomb":      {compress(t, strings.Repeat(compress(t, ""), 8<<20/23)), errBomb},
		"a bomb in a bomb":     {compress(t, compress(t, strings.Repeat("0", 64<<20))), errBomb},
	} {
		layers := 1 + strings.Count(name, "in a bomb")
		out, err := decodeParts([]byte(test.body), layers, func() int { return 1000 })
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(out) > 8<<20 {
			t.Errorf("%s: %d bytes came out", name, len(out))
		}
	}
}

func TestADecoderThatIsLeftEarlyEnds(t *testing.T) {
	before := goleak.IgnoreCurrent()
	d := newDecoder(2, io.Discard)
	if err := d.write([]byte(compress(t, "x")[:5])); err != nil {
		t.Fatal(err)
	}
	d.release()
	newDecoder(1, io.Discard).release()
	goleak.VerifyNone(t, before)
}

func TestAFailedWriterStopsTheDecoder(t *testing.T) {
	failure := errors.New("gone")
	d := newDecoder(1, failingWriter{failure})
	defer d.release()
	if err := d.write([]byte(compress(t, strings.Repeat("a body", 20_000)))); err != failure {
		t.Error(err)
	}
	if err := d.write([]byte("x")); err != failure {
		t.Error(err)
	}
	if err := d.close(); err != failure {
		t.Error(err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// Pushed in parts it has to be what the standard library pulls.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(compress(f, "a body")), uint8(3))
	f.Add([]byte(compress(f, "a body")+compress(f, "another")), uint8(1))
	f.Add([]byte("x"), uint8(0))
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		if len(body) == 0 {
			return
		}
		var want []byte
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			want, err = io.ReadAll(io.LimitReader(z, 1<<20))
		}
		got, gotErr := decodeParts(body, 1, func() int { return int(size) })
		if (err != nil) != (gotErr != nil) && !errors.Is(gotErr, errBomb) {
			t.Fatalf("%v, the library says %v", gotErr, err)
		}
		if gotErr == nil && got != string(want) {
			t.Fatalf("%q, the library says %q", got, want)
		}
	})
}
