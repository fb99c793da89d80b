package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
)

func newHealth() *cobra.Command {
	var path, address string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running siemrelay whether it is healthy, for containers",
		Long: `Asks the admin listener of a running siemrelay and exits 0 if it is healthy, 1 if
not. It asks the process that runs on the spool of the configuration, and no other
that may have its address by now. With --address it asks whatever siemrelay is there,
over plain HTTP.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			if address != "" {
				return admin.Check(ctx, address)
			}
			cfg, _, err := loadConfig(path, configOptions())
			if err != nil {
				return err
			}
			if cfg == nil {
				cfg = unconfigured()
			}
			return askHealth(ctx, cfg)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&address, "address", "", "`HOST:PORT` of the admin listener")
	return cmd
}

// askHealth asks the process that runs on cfg's spool. Where that has left no word of its
// address, because its disk was full when it started, any siemrelay at the configured
// one will do: a restart would not mend the disk.
func askHealth(ctx context.Context, cfg *config.Config) error {
	access, err := admin.ReadAccess(cfg.Spool.Dir)
	if err != nil {
		return askAnyHealth(ctx, cfg.Admin)
	}
	var trusted []string
	if access.Fingerprint != "" {
		trusted = append(trusted, access.Fingerprint)
	}
	if err := admin.Check(ctx, access.Address, trusted...); err != nil {
		return err
	}
	err = admin.NewClient(access).Ping(ctx)
	if admin.CodeOf(err) == admin.Denied {
		return fmt.Errorf("ask %s for health: another siemrelay answers there, not the one that runs on %s", access.Address, absolute(cfg.Spool.Dir))
	}
	return err
}

// askAnyHealth asks what is at the configured address. Over HTTPS it trusts the
// configured certificate only.
func askAnyHealth(ctx context.Context, c config.Admin) error {
	if c.TLS == (config.AdminTLS{}) {
		return admin.Check(ctx, c.Listen)
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("find the certificate of the admin listener: %w", err)
	}
	return admin.Check(ctx, c.Listen, certificate.Fingerprint(pair.Leaf))
}
