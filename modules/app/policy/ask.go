package policy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// HeaderName is the header of /readyz that has the digest, for those who may see it.
const HeaderName = "Sallyport-Policy"

// The states of a gateway that was asked.
const (
	StateSame        = "same"
	StateDrift       = "drift"
	StateUnreachable = "unreachable" // or it does not say
)

// Answer is what one gateway said.
type Answer struct {
	Target string `json:"target"`
	State  string `json:"state"`
	Digest string `json:"digest,omitempty"`
	Error  string `json:"error,omitempty"`
}

// What asking may cost.
const (
	askedAtOnce  = 16
	maxMetrics   = 16 << 20
	maxDigestRow = 1 << 20
)

// ParseTarget reads the URL of a gateway's /readyz or metrics. Without a path it is
// /readyz.
func ParseTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL of http or https", text)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/readyz"
	}
	return u, nil
}

// Ask asks every target which policy is in force and compares it with want. The
// client's timeout bounds each of them. It follows no redirects.
func Ask(ctx context.Context, client *http.Client, targets []*url.URL, want string) []Answer {
	once := *client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answers := make([]Answer, len(targets))
	slots := make(chan struct{}, askedAtOnce)
	var asked sync.WaitGroup
	for i, target := range targets {
		asked.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i] = ask(ctx, &once, target, want)
		})
	}
	asked.Wait()
	return answers
}

func ask(ctx context.Context, client *http.Client, target *url.URL, want string) Answer {
	answer := Answer{Target: target.Redacted(), State: StateUnreachable}
	digest, err := fetch(ctx, client, target)
	switch {
	case err != nil:
		answer.Error = err.Error()
	case digest != want:
		answer.State, answer.Digest = StateDrift, digest
	default:
		answer.State, answer.Digest = StateSame, digest
	}
	return answer
}

// fetch returns the digest in a gateway's answer, whatever its status: one that is
// not ready has a policy too.
func fetch(ctx context.Context, client *http.Client, target *url.URL) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the URL, which may have a password
		}
		return "", err
	}
	defer resp.Body.Close()
	if digest := resp.Header.Get(HeaderName); digest != "" {
		if !IsDigest(digest) {
			return "", fmt.Errorf("its %s is not a digest", HeaderName)
		}
		return digest, nil
	}
	digests, err := digestsIn(io.LimitReader(resp.Body, maxMetrics))
	switch {
	case err != nil:
		return "", err
	case len(digests) == 0:
		return "", fmt.Errorf("%d %s: it does not say its policy (is this address in `health { details }`?)", resp.StatusCode, http.StatusText(resp.StatusCode))
	case len(digests) > 1:
		return "", errors.New("it has several policies")
	}
	return digests[0], nil
}

var infoRow = regexp.MustCompile(`^sallyport_policy_info\{[^}]*\bdigest="(sha256:[0-9a-f]{64})"[^}]*\} 1(\.0)?\s*$`)

// digestsIn returns the digests in a text of Prometheus metrics.
func digestsIn(metrics io.Reader) ([]string, error) {
	lines := bufio.NewScanner(metrics)
	lines.Buffer(nil, maxDigestRow)
	var found []string
	for lines.Scan() {
		if m := infoRow.FindStringSubmatch(strings.TrimRight(lines.Text(), "\r")); m != nil && !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	return found, lines.Err()
}
