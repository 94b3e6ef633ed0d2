package jwks

import "net/http"

// Client returns what fetches single files from where c says, under the same
// restrictions as key sets, and follows no redirect. The caller bounds time and size.
func (c Config) Client() (*http.Client, error) {
	transport, err := newTransport(c.Complete())
	if err != nil {
		return nil, err
	}
	client := newClient(transport)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}
