package main

import (
	"os"

	"github.com/noroshi-cti/noroshi/internal/node/demo"
)

type demoCmd struct {
	Once   bool   `help:"${help_demo_once}"`
	Report string `placeholder:"FILE" help:"${help_demo_report}"`
	Break  string `enum:",link" default:"" placeholder:"link" help:"${help_demo_break}"`
	Keep   string `placeholder:"DIR" help:"${help_demo_keep}"`
}

// Run plays the demo; exit code 0 only when every step held.
func (x *demoCmd) Run(c *cli) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(c.ctx, demo.Options{Exe: exe, Out: c.io.out, Lang: c.lang, Once: x.Once, Report: x.Report, Break: x.Break, Keep: x.Keep})
}
