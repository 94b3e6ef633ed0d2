package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traffic is what clients do, all the time and in their different ways, while
// something happens to the gateways. Every request and every session that does
// not end as it should is a failure.
type traffic struct {
	t       *testing.T
	lab     *lab
	streams sync.Map        // by number, the moments of a stream that was asked for
	number  atomic.Int64    // of the last stream
	over    context.Context // done when no client should begin anything more
	end     context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	phase   string // what happens to the gateways at the moment
	served  map[string]int
	failed  map[string]int
	started time.Time
}

// The two ways through the lab's balancer, as HAProxy has to be configured.
const (
	throughTCP  = front + ":443" // TLS ends at the gateway
	throughHTTP = front + ":80"
)

// base is the URL of a way.
func base(way string) string {
	if way == throughTCP {
		return "https://" + way
	}
	return "http://" + way
}

// newTraffic starts the backend of the traffic, and no client yet.
func newTraffic(t *testing.T, l *lab) *traffic {
	t.Helper()
	tr := &traffic{t: t, lab: l, phase: "the beginning", served: map[string]int{}, failed: map[string]int{}, started: time.Now()}
	tr.over, tr.end = context.WithCancel(t.Context())
	server := &http.Server{Handler: http.HandlerFunc(tr.answer)}
	ln := l.listen(t, "backend", origin+":8080")
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	t.Cleanup(tr.wait)
	return tr
}

// wait lets every client finish what it began, and begin nothing more.
func (tr *traffic) wait() {
	tr.end()
	tr.clients.Wait()
}

func (tr *traffic) during(phase string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.phase = phase
}

// report counts what one of a client's requests or sessions ended with.
func (tr *traffic) report(kind string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err == nil {
		tr.served[kind]++
		return
	}
	if tr.failed[kind]++; tr.failed[kind] <= 5 {
		tr.t.Logf("%s: during %s, %v after the start: %v", kind, tr.phase, time.Since(tr.started).Round(time.Millisecond), err)
	}
}

// failures returns how many requests and sessions failed so far, of the kinds
// whose names begin so.
func (tr *traffic) failures(kind string) (failed int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for name, n := range tr.failed {
		if strings.HasPrefix(name, kind) {
			failed += n
		}
	}
	return failed
}

// repeat lets a number of clients do something until the traffic is over.
func (tr *traffic) repeat(kind string, clients int, do func() error) {
	for range clients {
		tr.clients.Go(func() {
			for tr.over.Err() == nil {
				tr.report(kind, do())
			}
		})
	}
}

// everything starts every kind of client. Of those that send one request after the
// other there are many: a connection that is closed at the wrong time loses a
// request only if one is on its way then.
func (tr *traffic) everything() {
	for range 12 {
		plain, secure := tr.client(false), tr.client(false)
		tr.repeat("keep-alive through HTTP", 1, func() error { return request(plain, throughHTTP, 1) })
		tr.repeat("keep-alive through TCP", 1, func() error { return request(secure, throughTCP, 1) })
	}
	for range 2 {
		h2 := tr.client(true)
		tr.repeat("HTTP/2 through TCP", 3, func() error { return request(h2, throughTCP, 2) })
	}
	for _, way := range []string{throughHTTP, throughTCP} {
		tr.repeat("stream through "+way, 1, func() error { return tr.stream(way, ticks(20)) })
		tr.repeat("upload through "+way, 1, func() error { return tr.upload(way, ticks(20)) })
		tr.repeat("WebSocket through "+way, 1, func() error { return tr.webSocket(way, ticks(20)) })
	}
}

// client is one that keeps its own connections.
func (tr *traffic) client(h2 bool) *http.Client {
	client := tr.lab.client(tr.t, "client", clientA)
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = h2
	return client
}

// request sends something that clients must not send twice on their own.
func request(client *http.Client, way string, protocol int) error {
	r, err := http.NewRequest(http.MethodPost, base(way)+"/upload", strings.NewReader("something to do"))
	if err != nil {
		return err
	}
	r.Host = site
	return expectUpload(client, r, protocol, len("something to do"))
}

// expectUpload sends a body and wants to hear its length.
func expectUpload(client *http.Client, r *http.Request, protocol, length int) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s, and then %w", resp.Status, err)
	case resp.StatusCode != http.StatusOK || string(body) != fmt.Sprint(length):
		return fmt.Errorf("%s: %s", resp.Status, body)
	case resp.ProtoMajor != protocol:
		return fmt.Errorf("the answer is %s", resp.Proto)
	}
	return nil
}

// ticks are n moments, slowly one after the other.
func ticks(n int) <-chan struct{} {
	moments := make(chan struct{})
	go func() {
		defer close(moments)
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for range n {
			<-tick.C
			moments <- struct{}{}
		}
	}()
	return moments
}

// upload sends a part of a body at each moment, until there are no more.
func (tr *traffic) upload(way string, moments <-chan struct{}) error {
	const part = "a part of something long "
	client := tr.client(false)
	defer client.CloseIdleConnections()
	reader, writer := io.Pipe()
	sent := make(chan int, 1)
	go func() {
		n := 0
		for range moments {
			written, _ := io.WriteString(writer, part) // fails once nobody reads
			n += written
		}
		sent <- n
		writer.Close()
	}()
	r, err := http.NewRequest(http.MethodPost, base(way)+"/upload", reader)
	if err != nil {
		return err
	}
	r.Host = site
	resp, err := client.Do(r)
	_ = reader.CloseWithError(errors.New("answered"))
	length := <-sent
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", length, err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || string(body) != fmt.Sprint(length) {
		return fmt.Errorf("after %d bytes: %s: %s, %v", length, resp.Status, body, err)
	}
	return nil
}

// webSocket opens a WebSocket, and sends something and receives its echo at each
// moment, until there are no more. What is sent is no WebSocket frame: behind the
// handshake, a gateway only passes bytes on.
func (tr *traffic) webSocket(way string, moments <-chan struct{}) (err error) {
	defer func() {
		for range moments { // however it ended
		}
	}()
	conn, err := tr.lab.dial(tr.t.Context(), "client", clientB, way)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if way == throughTCP {
		conn = tls.Client(conn, &tls.Config{ServerName: site, InsecureSkipVerify: true})
	}
	buffered := bufio.NewReader(conn)
	if err := upgrade(conn, buffered); err != nil {
		return err
	}
	n := 0
	for range moments {
		message := fmt.Sprintf("message %d\n", n)
		if _, err := io.WriteString(conn, message); err != nil {
			return fmt.Errorf("sending message %d: %w", n, err)
		}
		echo, err := buffered.ReadString('\n')
		if err != nil || echo != message {
			return fmt.Errorf("the echo of message %d is %q, %w", n, echo, err)
		}
		n++
	}
	return nil
}

func upgrade(conn net.Conn, from *bufio.Reader) error {
	_, err := io.WriteString(conn, "GET /echo HTTP/1.1\r\nHost: "+site+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		return fmt.Errorf("upgrading: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrading: %s", resp.Status)
	}
	return nil
}

// stream asks for an answer of which the backend writes a part at each moment,
// until there are no more.
func (tr *traffic) stream(way string, moments <-chan struct{}) error {
	number := fmt.Sprint(tr.number.Add(1))
	tr.streams.Store(number, moments)
	defer func() {
		for range moments { // however it ended
		}
	}()
	client := tr.client(false)
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodPost, base(way)+"/stream", strings.NewReader(number))
	if err != nil {
		return err
	}
	r.Host = site
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), streamEnd) {
		return fmt.Errorf("%s, %d bytes, and then %v", resp.Status, len(body), err)
	}
	return nil
}

const streamEnd = "the end"

// answer is the backend: it answers an upload with its length, a WebSocket with
// what it is sent, and writes streams.
func (tr *traffic) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/echo" {
		echo(w)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path != "/stream" {
		fmt.Fprint(w, len(body))
		return
	}
	moments, _ := tr.streams.LoadAndDelete(string(body))
	for range moments.(<-chan struct{}) {
		fmt.Fprintln(w, "a part of something long")
		_ = http.NewResponseController(w).Flush()
	}
	fmt.Fprint(w, streamEnd)
}

// echo upgrades a connection (the key and its answer are those of RFC 6455, 1.3)
// and returns what comes.
func echo(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	if err == nil {
		_, _ = io.Copy(conn, buffered)
	}
}
