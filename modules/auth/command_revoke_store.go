package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// commandTimeout is how long the store may take for a command: nobody waits in a
// request.
const commandTimeout = 10 * time.Second

// inStore calls do with the list in the store of the configuration.
func (l *listFlags) inStore(cmd *cobra.Command, do func(context.Context, store.Revocations) error) error {
	text, _, _, err := caddycmd.LoadConfig(l.config, l.adapter)
	if err != nil {
		return err
	}
	settings, err := storeOf(text)
	if err != nil {
		return fmt.Errorf("%s: %w", l.config, err)
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: parent})
	defer cancel()
	settings.Timeout = caddy.Duration(commandTimeout)
	client, err := store.Open(ctx, settings.Config)
	if err != nil {
		return err
	}
	defer client.Release()
	return do(ctx, store.NewRedis(client.Value(), cmp.Or(settings.Prefix, store.DefaultPrefix)))
}

// storeSettings are the options of `sallyport { store }`.
type storeSettings struct {
	Provider string `json:"provider"`
	store.Config
	Prefix string `json:"prefix"`
}

// storeOf finds the store in a configuration.
func storeOf(text []byte) (*storeSettings, error) {
	var config struct {
		Apps struct {
			Sallyport struct {
				Store storeSettings `json:"store"`
			} `json:"sallyport"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	settings := &config.Apps.Sallyport.Store
	if settings.Provider != "redis" {
		return nil, errors.New("it has no store that commands can reach: `store redis` in the sallyport options, or use --file")
	}
	return settings, nil
}
