package storage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// The variables that make the test program a gateway.
const (
	roleVariable    = "SALLYPORT_STORAGE_TEST_ROLE"
	addressVariable = "SALLYPORT_STORAGE_TEST_ADDRESS"
	judgeVariable   = "SALLYPORT_STORAGE_TEST_JUDGE"

	roleFighter = "fighter"
	rolePuppet  = "puppet"
)

// play is the gateway's side. Its return value is the exit code.
func play(role string) int {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	s, err := provisionIn(ctx, os.Getenv(addressVariable), `"lock_lease":"1s","wait":"20s"`)
	if err == nil && role == roleFighter {
		err = fight(s, os.Getenv(judgeVariable))
	} else if err == nil {
		err = obey(s, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fight takes the lock, tells the judge for as long as it has it, and lets it go.
func fight(s *Storage, judge string) error {
	for {
		if err := s.Lock(context.Background(), "fight"); err != nil {
			return err
		}
		fence := s.locks()[0].fence
		conn, err := net.Dial("tcp", judge)
		if err != nil {
			return err
		}
		heard := bufio.NewReader(conn)
		fmt.Fprintf(conn, "%d %s\n", os.Getpid(), fence)
		if _, err := heard.ReadString('\n'); err != nil {
			return err
		}
		if err := s.Store(context.Background(), "winner", []byte(fence)); err != nil {
			return err
		}
		<-time.After(rand.N(15 * time.Millisecond))
		fmt.Fprintln(conn, "leaving")
		if _, err := heard.ReadString('\n'); err != nil {
			return err
		}
		conn.Close()
		if err := s.Unlock(context.Background(), "fight"); err != nil {
			return err
		}
	}
}

// obey does what it is told, a line each, and prints the outcome.
func obey(s *Storage, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		var err error
		switch words[0] {
		case "lock":
			err = s.Lock(context.Background(), words[1])
		case "unlock":
			err = s.Unlock(context.Background(), words[1])
		case "renew":
			err = s.RenewLockLease(context.Background(), words[1], time.Hour)
		case "store":
			err = s.Store(context.Background(), words[1], []byte(words[2]))
		case "delete":
			err = s.Delete(context.Background(), words[1])
		}
		if err != nil {
			fmt.Fprintf(out, "%s: %v\n", reasonOf(err), err)
			continue
		}
		fmt.Fprintln(out, "done")
	}
	return lines.Err()
}

// gateway is another process.
type gateway struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *strings.Builder
}

func newGateway(t *testing.T, role, address, judge string) *gateway {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{cmd: exec.Command(self), err: new(strings.Builder)}
	g.cmd.Env = append(os.Environ(), roleVariable+"="+role, addressVariable+"="+address, judgeVariable+"="+judge)
	g.cmd.Stderr = g.err
	g.in, err = g.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.out = bufio.NewReader(out)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.cmd.Process.Kill()
		g.cmd.Wait()
	})
	return g
}

// do tells the gateway what to do and returns the outcome.
func (g *gateway) do(t *testing.T, line string) string {
	t.Helper()
	fmt.Fprintln(g.in, line)
	answer, err := g.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, g.err)
	}
	return strings.TrimSpace(answer)
}

// judge listens to owners of the lock. They tell it when they begin and end, and it
// sees them die.
type judge struct {
	net.Listener
	mu      sync.Mutex
	owner   int // the pid, or 0
	last    int64
	rounds  int
	fouls   []string
	changed chan struct{} // gets a token at each round
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{Listener: l, changed: make(chan struct{}, 1)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go j.watch(conn)
		}
	}()
	return j
}

func (j *judge) watch(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return // killed between taking the lock and telling
	}
	pid, fence, _ := strings.Cut(strings.TrimSpace(line), " ")
	id, _ := strconv.Atoi(pid)
	n, _ := strconv.ParseInt(fence, 10, 64)
	j.mu.Lock()
	if j.owner != 0 {
		j.fouls = append(j.fouls, fmt.Sprintf("%d and %d own it at once", j.owner, id))
	}
	if n <= j.last {
		j.fouls = append(j.fouls, fmt.Sprintf("the fence %d follows %d", n, j.last))
	}
	j.owner, j.last = id, n
	j.rounds++
	j.mu.Unlock()
	io.WriteString(conn, "noted\n")
	r.ReadString('\n') // it leaves, or was killed
	j.mu.Lock()
	j.owner = 0
	j.mu.Unlock()
	io.WriteString(conn, "noted\n")
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

func (j *judge) state() (owner, rounds int, fouls []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.owner, j.rounds, j.fouls
}

// TestTenGatewaysFightForOneLock kills gateways at random points, most while they
// own the lock, and starts others in their place.
func TestTenGatewaysFightForOneLock(t *testing.T) {
	r := newServer(t)
	j := newJudge(t)
	gateways := make([]*gateway, 10)
	for i := range gateways {
		gateways[i] = newGateway(t, roleFighter, r.Addr, j.Addr().String())
	}
	for kill := range 12 {
		_, begun, _ := j.state()
		for range 1 + rand.IntN(4) {
			<-j.changed
		}
		victim := rand.IntN(len(gateways))
		if owner, _, _ := j.state(); kill%4 != 0 {
			for i, g := range gateways {
				if g.cmd.Process.Pid == owner {
					victim = i
				}
			}
		}
		gateways[victim].cmd.Process.Kill()
		gateways[victim].cmd.Wait()
		if left := r.Command(t, "PTTL", "{caddy}:lock:fight"); left == "-1" || len(left) > 4 {
			t.Errorf("the lock stays for %s ms", left)
		}
		gateways[victim] = newGateway(t, roleFighter, r.Addr, j.Addr().String())
		until(t, "somebody gets the lock after a kill", func() bool {
			_, rounds, _ := j.state()
			return rounds >= begun+5
		})
	}
	for _, g := range gateways {
		if g.cmd.ProcessState != nil || g.cmd.Process.Signal(syscall.Signal(0)) != nil {
			t.Errorf("a gateway gave up: %s", g.err)
		}
	}
	_, rounds, fouls := j.state()
	for _, foul := range fouls {
		t.Error(foul)
	}
	t.Logf("%d rounds", rounds)
}

func TestAGatewayThatSleptThroughItsLeaseWritesNothing(t *testing.T) {
	r := newServer(t)
	sleeper, other := newGateway(t, rolePuppet, r.Addr, ""), newGateway(t, rolePuppet, r.Addr, "")
	said := func(g *gateway, line, want string) {
		t.Helper()
		if got := g.do(t, line); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %s", line, got, want)
		}
	}
	said(sleeper, "lock l", "done")
	said(sleeper, "lock innocent", "done")
	said(sleeper, "store v from-the-sleeper", "done")
	sleeper.cmd.Process.Signal(syscall.SIGSTOP)
	said(other, "lock l", "done")
	said(other, "store v from-the-other", "done")
	sleeper.cmd.Process.Signal(syscall.SIGCONT)
	said(sleeper, "store v late", "lock_lost")
	said(sleeper, "delete v", "lock_lost")
	said(sleeper, "store w late", "lock_lost")
	said(sleeper, "renew l", "lock_lost")
	said(sleeper, "unlock l", "lock_lost")
	said(sleeper, "store w later", "done")
	said(sleeper, "renew innocent", "done")
	said(sleeper, "unlock innocent", "done")
	said(other, "renew l", "done")
	said(other, "store x 1", "done")
	if got, err := open(t, r.Addr).Load(t.Context(), "v"); err != nil || string(got) != "from-the-other" {
		t.Errorf("got %q, %v", got, err)
	}
	said(other, "unlock l", "done")
	said(sleeper, "lock l", "done")
}

func TestALockThatNobodyTookMeanwhileIsKept(t *testing.T) {
	r := newServer(t)
	sleeper := newGateway(t, rolePuppet, r.Addr, "")
	sleeper.do(t, "lock l")
	sleeper.cmd.Process.Signal(syscall.SIGSTOP)
	until(t, "the lease runs out", func() bool { return r.Command(t, "EXISTS", "{caddy}:lock:l") == "0" })
	sleeper.cmd.Process.Signal(syscall.SIGCONT)
	for _, line := range []string{"store v 1", "renew l", "unlock l"} {
		if got := sleeper.do(t, line); got != "done" {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := r.Command(t, "EXISTS", "{caddy}:lock:l"); got != "0" {
		t.Error("the lock survived its release")
	}
}

func TestALockDoesNotOutliveItsOwnerByMoreThanTheLease(t *testing.T) {
	r := newServer(t)
	owner := newGateway(t, rolePuppet, r.Addr, "")
	owner.do(t, "lock l")
	if got := owner.do(t, "renew l"); got != "done" { // for an hour, says certmagic
		t.Fatal(got)
	}
	owner.cmd.Process.Kill()
	owner.cmd.Wait()
	if left, err := strconv.Atoi(r.Command(t, "PTTL", "{caddy}:lock:l")); err != nil || left > 1000 {
		t.Errorf("the lease has %d ms left, %v", left, err)
	}
	s := open(t, r.Addr)
	lock(t, s, "l")
	unlock(t, s, "l")
}

func TestFencesGrowAlsoWhenTheStoreLostItsMemory(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	last := int64(0)
	for round := range 3 {
		lock(t, s, "l")
		fence, err := strconv.ParseInt(s.locks()[0].fence, 10, 64)
		if err != nil || fence <= last {
			t.Errorf("%d follows %d (%v)", fence, last, err)
		}
		last = fence
		unlock(t, s, "l")
		if round == 1 {
			r.Command(t, "FLUSHALL")
		}
	}
}
