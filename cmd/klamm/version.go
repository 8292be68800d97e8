package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// protocolRelease is the release of Apache Kafka whose protocol and file formats this broker serves.
const protocolRelease = "4.3.1"

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := versionInfo()
		if *format == "json" {
			return printJSON(cmd.OutOrStdout(), v)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "klamm %s (%s), %s; Kafka protocol and formats of %s\n", v.Version, v.Revision, v.Go, v.Protocol)
		return nil
	}
	return cmd
}

type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Protocol string `json:"protocol"`
}

func versionInfo() version {
	v := version{Version: "unreleased", Revision: "no revision", Go: runtime.Version(), Protocol: protocolRelease}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v.Revision = s.Value[:12]
		}
	}
	return v
}
