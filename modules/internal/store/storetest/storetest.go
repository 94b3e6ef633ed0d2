// Package storetest starts real Redis servers for tests, on loopback, and ends
// those that it started.
package storetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that has to happen.
const patience = 30 * time.Second

// Server is a redis-server of the test.
type Server struct {
	Addr string // host:port
	Port string
	Dir  string

	file []string // the configuration file, if it needs one, and how to read it
	args []string
	cmd  *exec.Cmd
	cli  []string // what redis-cli needs to get in
}

// Start starts a server with an empty memory and waits until it answers. args are
// more of its options. It is ended with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), args: args}
	s.Port = FreePort(t)
	s.Addr = net.JoinHostPort("127.0.0.1", s.Port)
	s.Launch(t)
	t.Cleanup(s.Kill)
	return s
}

// StartTLS starts a server that speaks TLS only, demands a password and a client
// certificate of the authority in Dir/ca.pem, and has the certificate of
// 127.0.0.1. The client's is in Dir/client.pem and Dir/client.key.
func StartTLS(t testing.TB, password string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir()}
	issue(t, s.Dir)
	s.Port = FreePort(t)
	s.Addr = net.JoinHostPort("127.0.0.1", s.Port)
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	s.args = []string{
		"--port", "0", "--tls-port", s.Port, "--tls-cert-file", file("server.pem"), "--tls-key-file", file("server.key"),
		"--tls-ca-cert-file", file("ca.pem"), "--tls-auth-clients", "yes", "--requirepass", password,
	}
	s.cli = []string{"--tls", "--cacert", file("ca.pem"), "--cert", file("client.pem"), "--key", file("client.key"), "--no-auth-warning", "-a", password}
	s.Launch(t)
	t.Cleanup(s.Kill)
	return s
}

// StartSentinel starts a sentinel that watches master, has the same password, and
// decides alone.
func StartSentinel(t testing.TB, name string, master *Server, password string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), Port: FreePort(t)}
	s.Addr = net.JoinHostPort("127.0.0.1", s.Port)
	config := "sentinel monitor " + name + " 127.0.0.1 " + master.Port + " 1\n" +
		"sentinel auth-pass " + name + " " + password + "\n" +
		"requirepass " + password + "\n" +
		"sentinel down-after-milliseconds " + name + " 500\n" +
		"sentinel failover-timeout " + name + " 3000\n"
	file := filepath.Join(s.Dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.file = []string{file, "--sentinel"}
	s.Launch(t)
	t.Cleanup(s.Kill)
	return s
}

// Launch starts the server again after Kill.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	args := append(slices.Clone(s.file), "--port", s.Port, "--bind", "127.0.0.1", "--dir", s.Dir, "--logfile", "redis.log")
	if s.file == nil {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	args = append(args, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		if out, err := s.command("PING"); err == nil && strings.TrimSpace(out) == "PONG" {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
			t.Fatalf("the server does not answer:\n%s", log)
		}
	}
}

// Kill ends the server with SIGKILL.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Pause stops the process: it answers nothing, and its connections stay.
func (s *Server) Pause() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { s.cmd.Process.Signal(syscall.SIGCONT) }

// Command runs a command with redis-cli and returns what it prints.
func (s *Server) Command(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.command(args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
	return strings.TrimSuffix(out, "\n")
}

func (s *Server) command(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append(append([]string{"-h", "127.0.0.1", "-p", s.Port}, s.cli...), args...)...).CombinedOutput()
	return string(out), err
}

// FreePort returns a port of the loopback interface that nobody has, and neither
// the one of a cluster's bus 10000 above it.
func FreePort(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if port > 55000 {
			continue
		}
		bus, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+10000)))
		if err != nil {
			continue
		}
		bus.Close()
		return strconv.Itoa(port)
	}
}

// issue writes an authority and the certificates of a server and a client.
func issue(t testing.TB, dir string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	write := func(name, kind string, der []byte) {
		must(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := template(1, "authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage, ca.IPAddresses = true, true, x509.KeyUsageCertSign, nil
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	write("ca.pem", "CERTIFICATE", der)
	for i, name := range []string{"server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		der, err := x509.CreateCertificate(rand.Reader, template(int64(i)+2, name), ca, key.Public(), caKey)
		must(err)
		write(name+".pem", "CERTIFICATE", der)
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		must(err)
		write(name+".key", "PRIVATE KEY", keyDER)
	}
}
