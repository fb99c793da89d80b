package main

import "github.com/spf13/cobra"

func newSetup(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Prepare what the outputs deliver to",
		Args:  usageArgs(commandsOnly),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSetupElasticsearch(std), newSetupKibana(std))
	return cmd
}
