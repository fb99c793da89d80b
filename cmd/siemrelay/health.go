package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/config"
)

func newHealth() *cobra.Command {
	var path, address string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running siemrelay whether it is healthy, for containers",
		Long: `Asks the admin listener of a running siemrelay and exits 0 if it is healthy, 1 if
not. The address is --address, else admin.listen of the configuration, else the
default.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" {
				cfg, _, err := loadConfig(path, configOptions())
				if err != nil {
					return err
				}
				if cfg == nil {
					cfg = config.Default()
				}
				address = cfg.Admin.Listen
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			return admin.Check(ctx, address)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&address, "address", "", "`HOST:PORT` of the admin listener")
	return cmd
}
