package store

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

const (
	defaultTimeout  = time.Second
	shortestTimeout = time.Millisecond
	longestTimeout  = time.Minute
)

// Config says where the store is and how to reach it. It contains no secret, only
// their names.
type Config struct {
	// Address is where the server is: [scheme://][[user]:password@]host[:port][/database].
	// The scheme is redis, rediss (TLS) or unix, the password {env.NAME} or
	// {file.PATH}. Several addresses are those of one cluster. Default: none; this
	// or Sentinel is required.
	Address []string `json:"address,omitempty"`

	// Cluster says that the one address is a cluster's. Default: whether there are
	// several.
	Cluster bool `json:"cluster,omitempty"`

	// Sentinel finds the server through Redis Sentinel. Default: none.
	Sentinel *Sentinel `json:"sentinel,omitempty"`

	// Username is the name to log in with, or {env.NAME} or {file.PATH}. Default:
	// the server's default user.
	Username string `json:"username,omitempty"`

	// Password is {env.NAME} or {file.PATH}. Default: none.
	Password string `json:"password,omitempty"`

	// CA is the file of the authorities, in PEM, that may have signed the server's
	// certificate. Default: the system's.
	CA string `json:"ca,omitempty"`

	// ClientCertificate is the file of the certificate to show, in PEM. Default:
	// none.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// ClientKey is the file of its private key. Default: none.
	ClientKey string `json:"client_key,omitempty"`

	// InsecureSkipVerify believes any server: whoever is between has the password
	// and every value. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`

	// Timeout is how long one command may take. Default: 1s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// Sentinel names a server that sentinels know.
type Sentinel struct {
	// Master is the name that the sentinels have for it. Required.
	Master string `json:"master,omitempty"`

	// Address is where the sentinels are; credentials in it are theirs. Required.
	Address []string `json:"address,omitempty"`
}

// Check returns everything that is wrong with the options. Nothing is read.
func (c *Config) Check() error {
	_, err := c.compile()
	return err
}

// CommandTimeout returns how long one command may take.
func (c *Config) CommandTimeout() time.Duration {
	return cmp.Or(time.Duration(c.Timeout), defaultTimeout)
}

// compiled is what a Config means.
type compiled struct {
	endpoints []endpoint
	tls       bool
	username  string // as written
	password  string // as written
	elsewhere bool   // sentinels or a cluster name the servers, which may be anywhere
}

// compile reads every option, and returns the errors of all.
func (c *Config) compile() (*compiled, error) {
	var errs []error
	written, word := c.Address, "address"
	if c.Sentinel != nil {
		if len(c.Address) > 0 || c.Cluster {
			errs = append(errs, errors.New("sentinel stands instead of address and cluster"))
		}
		if c.Sentinel.Master == "" {
			errs = append(errs, errors.New("sentinel: the name of the master is missing"))
		}
		written, word = c.Sentinel.Address, "sentinel"
	}
	if len(written) == 0 {
		errs = append(errs, fmt.Errorf("%s is missing: where the store is", word))
	}
	r := &compiled{username: c.Username, password: c.Password, elsewhere: c.Sentinel != nil || c.cluster()}
	for i, s := range written {
		e, err := parseEndpoint(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %d: %w", word, i+1, err)) // s may have a password in it
			continue
		}
		r.endpoints = append(r.endpoints, e)
	}
	errs = append(errs, r.agree(c), c.checkTLS(r), c.checkSecrets())
	if c.Timeout != 0 && (time.Duration(c.Timeout) < shortestTimeout || time.Duration(c.Timeout) > longestTimeout) {
		errs = append(errs, fmt.Errorf("timeout is not between %s and %s", shortestTimeout, longestTimeout))
	}
	return r, errors.Join(errs...)
}

// agree checks what the addresses must have in common, and takes the credentials
// from them.
func (r *compiled) agree(c *Config) error {
	if len(r.endpoints) == 0 {
		return nil
	}
	var errs []error
	first := r.endpoints[0]
	r.tls = first.tls
	for _, e := range r.endpoints[1:] {
		if e.tls != first.tls || e.database != first.database || e.username != first.username || e.password != first.password {
			errs = append(errs, errors.New("addresses differ in scheme, credentials or database"))
			break
		}
	}
	if c.cluster() && first.database != 0 {
		errs = append(errs, errors.New("a cluster has no database but 0"))
	}
	if c.Sentinel != nil {
		return errors.Join(errs...)
	}
	if first.password != "" {
		if c.Password != "" || c.Username != "" {
			errs = append(errs, errors.New("credentials stand in the address and in options"))
		}
		r.username, r.password = first.username, first.password
	}
	return errors.Join(errs...)
}

func (c *Config) cluster() bool { return c.Cluster || len(c.Address) > 1 }

func (c *Config) checkTLS(r *compiled) error {
	if !r.tls && len(r.endpoints) > 0 && (c.CA != "" || c.ClientCertificate != "" || c.ClientKey != "" || c.InsecureSkipVerify) {
		return errors.New("ca, client_certificate, client_key and insecure_skip_verify need an address with rediss://")
	}
	if (c.ClientCertificate == "") != (c.ClientKey == "") {
		return errors.New("client_certificate and client_key stand together")
	}
	if c.CA != "" && c.InsecureSkipVerify {
		return errors.New("ca and insecure_skip_verify contradict each other")
	}
	return nil
}

func (c *Config) checkSecrets() error {
	var errs []error
	if c.Password != "" {
		if err := secret.Check(c.Password); err != nil {
			errs = append(errs, fmt.Errorf("password: %w", err))
		}
	}
	if c.Username != "" {
		if c.Password == "" {
			errs = append(errs, errors.New("username without a password"))
		}
		if err := checkUsername(c.Username); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
