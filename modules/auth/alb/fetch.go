package alb

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxKeyFile is the largest file with a key, which has some 180 bytes.
	maxKeyFile   = 16 << 10
	fetchTimeout = 10 * time.Second
)

// GetWith returns what fetches with client, which decides where it may go.
func GetWith(client *http.Client) Getter {
	return func(ctx context.Context, url string) (int, []byte, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("Accept", "application/x-pem-file, text/plain, */*")
		r.Header.Set("User-Agent", "sallyport")
		resp, err := client.Do(r)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyFile+1))
		if err == nil && len(body) > maxKeyFile {
			err = errors.New("the file is too large for a key")
		}
		return resp.StatusCode, body, err
	}
}
