package main

import (
	"os"

	"golang.org/x/term"

	"github.com/noroshi-cti/noroshi/internal/node/demo"
)

type demoCmd struct {
	Once   bool   `xor:"stay" help:"help.demo-once"`
	Stay   bool   `xor:"stay" help:"help.demo-stay"`
	Report string `placeholder:"FILE" help:"help.demo-report"`
	Break  string `enum:",link" default:"" placeholder:"link" help:"help.demo-break"`
	Keep   string `placeholder:"DIR" help:"help.demo-keep"`
}

// Run plays the demo; exit code 0 only when every step held. Both nodes stay up
// for looking around when there is a terminal to end them from, or --stay says so.
func (x *demoCmd) Run(c *cli) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	in, ok := c.io.in.(*os.File)
	watched := ok && term.IsTerminal(int(in.Fd()))
	return demo.Run(c.ctx, demo.Options{Exe: exe, Out: c.io.out, Lang: c.lang, Once: x.Once || !watched && !x.Stay, Report: x.Report, Break: x.Break, Keep: x.Keep})
}
