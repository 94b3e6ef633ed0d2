package tlspolicy

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// largestFile bounds what is read of a file: chains and keys are some kilobytes.
const largestFile = 1 << 20

// settle is how old a file's modification time must be before an unchanged one
// proves unchanged content: file systems keep it only so precisely.
const settle = 3 * time.Second

// errMissing is what a pair has to say when it never was good.
var errMissing = errors.New("no certificate was read yet")

// pair follows a certificate and its key in files that somebody else writes, in
// any way and not at the same moment: what is in force is replaced only by a pair
// that is complete, fits together and is valid. Its methods are safe for
// concurrent use; check is called by one goroutine at a time.
type pair struct {
	certFile, keyFile string
	onChange          func(p *pair, err error) // a pair came into force (nil), or the files were refused; may be nil

	keeps func(p *pair, next *loaded) error // why what is in force is not to be replaced by next; may be nil

	inForce atomic.Pointer[loaded]

	mu        sync.Mutex
	err       error           // why the files as they are now are not in force
	intervals []time.Duration // of all who share the pair
	paced     chan struct{}   // the shortest of them may be another one

	looked    bool
	seen      [2]os.FileInfo // of the last reading; nil if it failed
	settled   bool           // seen is old enough to be trusted
	sum       [sha256.Size]byte
	verdict   error   // on the content with sum
	candidate *loaded // what was read and is good, but is not in force yet
	stop      chan struct{}
	done      chan struct{}
}

// loaded is a certificate with its key.
type loaded struct {
	certificate tls.Certificate
	names       map[string]bool // in lower case, wildcards included
	sum         [sha256.Size]byte
}

// newPair reads the files and follows them until Close. Files that are not good
// are no error: the pair has nothing to show until they are.
func newPair(certFile, keyFile string, onChange func(*pair, error)) *pair {
	p := &pair{
		certFile: certFile, keyFile: keyFile,
		paced: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	p.check(time.Now())
	p.onChange = onChange // who makes a pair can ask for its state
	p.keeps = keepsNames
	go p.follow()
	return p
}

// pace adds an interval to look at the files in, the shortest counts. The
// returned function takes it back.
func (p *pair) pace(interval time.Duration) (release func()) {
	change := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		f()
		select {
		case p.paced <- struct{}{}:
		default:
		}
	}
	change(func() { p.intervals = append(p.intervals, interval) })
	return func() {
		change(func() {
			i := slices.Index(p.intervals, interval)
			p.intervals = slices.Delete(p.intervals, i, i+1)
		})
	}
}

// interval is the shortest of those that are asked for.
func (p *pair) interval() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.intervals) == 0 {
		return longestPoll
	}
	return slices.Min(p.intervals)
}

// Close ends the following. What is in force stays.
func (p *pair) Close() error {
	close(p.stop)
	<-p.done
	return nil
}

// follow looks at the files again and again. It polls: notifications per
// directory miss files behind symbolic links, as Kubernetes mounts them, and
// files on network file systems.
func (p *pair) follow() {
	defer close(p.done)
	interval := p.interval()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-p.paced:
			if next := p.interval(); next != interval {
				interval = next
				ticker.Reset(interval)
			}
		case now := <-ticker.C:
			p.check(now)
		}
	}
}

// state returns what is in force, or nil, and why the files as they are now are
// not.
func (p *pair) state() (*loaded, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inForce.Load(), p.err
}

// check looks at the files, and puts in force what is there if it is good and was
// the same at the look before: a file that is being written in place can be a
// good one that lacks its last certificates. The first look of all needs no
// second, because there is nothing to lose yet.
func (p *pair) check(now time.Time) {
	first := !p.looked
	p.looked = true
	if !first && p.unchanged() {
		p.judge(now)
		return
	}
	content, err := p.read(now)
	if err != nil {
		p.sum, p.candidate, p.verdict = [sha256.Size]byte{}, nil, err
		p.report(err)
		return
	}
	if sum := sumOf(content); sum != p.sum {
		p.sum = sum
		p.candidate, p.verdict = parse(content, sum)
		if current := p.inForce.Load(); current != nil && current.sum == sum {
			p.candidate = nil
		}
		if !first {
			p.report(p.verdict)
			return
		}
	}
	p.judge(now)
}

// judge puts the candidate in force, unless a better one is.
func (p *pair) judge(now time.Time) {
	if p.candidate == nil {
		p.report(p.verdict)
		return
	}
	current := p.inForce.Load()
	if err := p.candidate.validAt(now); err != nil && current != nil && current.validAt(now) == nil {
		p.report(err)
		return
	}
	if current != nil && current.validAt(now) == nil && p.keeps != nil {
		if err := p.keeps(p, p.candidate); err != nil {
			p.report(err)
			return
		}
	}
	p.inForce.Store(p.candidate)
	p.candidate = nil
	p.report(nil)
	if p.onChange != nil {
		p.onChange(p, nil)
	}
}

// report remembers why the files are not in force, and tells it if it is new.
func (p *pair) report(err error) {
	p.mu.Lock()
	told := errorText(p.err) == errorText(err)
	p.err = err
	p.mu.Unlock()
	if err != nil && !told && p.onChange != nil {
		p.onChange(p, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// unchanged reports whether the files are certainly those that were read last.
func (p *pair) unchanged() bool {
	if !p.settled {
		return false
	}
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		last := p.seen[i]
		if err != nil || last == nil || !os.SameFile(info, last) || info.Size() != last.Size() ||
			!info.ModTime().Equal(last.ModTime()) || !statusTime(info).Equal(statusTime(last)) {
			return false
		}
	}
	return true
}

// read reads both files.
func (p *pair) read(now time.Time) (content [2][]byte, err error) {
	p.settled, p.seen = true, [2]os.FileInfo{}
	for i, name := range []string{p.certFile, p.keyFile} {
		content[i], p.seen[i], err = readFile(name)
		if err != nil {
			p.settled = false
			return content, err
		}
		p.settled = p.settled && now.Sub(p.seen[i].ModTime()) > settle && now.Sub(statusTime(p.seen[i])) > settle
	}
	return content, nil
}

func readFile(name string) ([]byte, os.FileInfo, error) {
	// Without O_NONBLOCK, opening a FIFO waits for who writes to it.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(data) > largestFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, largestFile)
	}
	return data, info, err
}

func sumOf(content [2][]byte) [sha256.Size]byte {
	certificate, key := sha256.Sum256(content[0]), sha256.Sum256(content[1])
	return sha256.Sum256(append(certificate[:], key[:]...))
}

// The errors of a pair's content. They name no content.
var (
	errEmpty     = errors.New("the certificate file or the key file is empty")
	errTruncated = errors.New("the certificate file or the key file ends in the middle")
)

// parse reads a certificate with its chain, and its key. Unlike tls.X509KeyPair
// it refuses a file whose last block is cut off, which that takes for one block
// less.
func parse(content [2][]byte, sum [sha256.Size]byte) (*loaded, error) {
	for _, data := range content {
		if len(bytes.TrimSpace(data)) == 0 {
			return nil, errEmpty
		}
		blocks := 0
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			blocks++
			if block.Type != "CERTIFICATE" {
				continue
			}
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, err
			}
		}
		if bytes.Count(data, []byte("-----BEGIN ")) != blocks {
			return nil, errTruncated
		}
	}
	certificate, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return nil, err
	}
	return &loaded{certificate: certificate, names: namesOf(certificate.Leaf), sum: sum}, nil
}

// namesOf are the names and addresses of a certificate in lower case.
func namesOf(leaf *x509.Certificate) map[string]bool {
	names := make(map[string]bool)
	for _, name := range leaf.DNSNames {
		names[strings.ToLower(name)] = true
	}
	for _, ip := range leaf.IPAddresses {
		names[ip.String()] = true
	}
	return names
}

// validAt returns why the certificate is not valid at a time.
func (l *loaded) validAt(now time.Time) error { return validAt(l.certificate.Leaf, now) }

func validAt(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate has expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// covers reports whether the certificate is for a name or address in lower case.
// A wildcard stands for one label, the first (RFC 9525 section 6.3).
func (l *loaded) covers(name string) bool {
	if l.names[name] {
		return true
	}
	if net.ParseIP(name) != nil {
		return false
	}
	_, parent, ok := strings.Cut(name, ".")
	return ok && l.names["*."+parent]
}
