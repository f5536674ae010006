package main

import (
	"os"

	"golang.org/x/term"

	"github.com/noroshi-cti/noroshi/internal/node/demo"
)

type demoCmd struct {
	Once   bool   `help:"${help_demo_once}"`
	Report string `placeholder:"FILE" help:"${help_demo_report}"`
	Break  string `enum:",link" default:"" placeholder:"link" help:"${help_demo_break}"`
	Keep   string `placeholder:"DIR" help:"${help_demo_keep}"`
}

// Run plays the demo; exit code 0 only when every step held. Both nodes stay up
// for looking around when there is a terminal to end them from.
func (x *demoCmd) Run(c *cli) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	in, ok := c.io.in.(*os.File)
	watched := ok && term.IsTerminal(int(in.Fd()))
	return demo.Run(c.ctx, demo.Options{Exe: exe, Out: c.io.out, Lang: c.lang, Once: x.Once || !watched, Report: x.Report, Break: x.Break, Keep: x.Keep})
}
