package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-runewidth"

	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// help prints the usage of a command in the user's language.
func (c *cli) help(_ kong.HelpOptions, k *kong.Context) error {
	sel := k.Selected()
	if sel == nil {
		sel = k.Model.Node
	}
	w := k.Stdout
	fmt.Fprintf(w, "%s %s\n\n%s\n", c.t("cli.usage-of"), usageLine(sel), c.t(sel.Help))
	if sel.Type == kong.ApplicationNode {
		fmt.Fprintf(w, "\n%s\n", c.t("cli.examples"))
	}
	if lines := examples[strings.TrimPrefix(sel.FullPath(), k.Model.Name+" ")]; len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n  %s\n", c.t("cli.examples-of"), strings.Join(lines, "\n  "))
	}
	var rows [][]string
	for _, child := range sel.Children {
		if !child.Hidden {
			rows = append(rows, []string{"  " + child.Name, c.t(child.Help)})
		}
	}
	section(w, c.t("cli.commands"), rows)
	rows = nil
	for _, p := range sel.Positional {
		rows = append(rows, []string{"  " + p.Summary(), c.t(p.Help)})
	}
	section(w, c.t("cli.arguments"), rows)
	rows = nil
	for _, group := range sel.AllFlags(true) {
		for _, f := range group {
			name := "      --" + f.Name
			if f.Short != 0 {
				name = fmt.Sprintf("  -%c, --%s", f.Short, f.Name)
			}
			if !f.IsBool() {
				name += "=" + f.FormatPlaceHolder()
			}
			rows = append(rows, []string{name, c.t(f.Help)})
		}
	}
	section(w, c.t("cli.flags"), rows)
	return nil
}

func usageLine(n *kong.Node) string {
	line := n.FullPath()
	if len(n.Children) > 0 {
		line += " …"
	}
	for _, f := range n.Flags {
		if f.Required {
			line += " --" + f.Name + "=" + f.FormatPlaceHolder()
		}
	}
	for _, p := range n.Positional {
		line += " " + p.Summary()
	}
	return line
}

func section(w io.Writer, title string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	width := 0
	for _, r := range rows {
		width = max(width, min(runewidth.StringWidth(r[0]), 32))
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, r := range rows {
		fmt.Fprintf(w, "%s  %s\n", runewidth.FillRight(r[0], width), r[1])
	}
}

// welcome is what noroshi alone prints: the status where a node is, else the
// commands that matter first.
func welcome(c *cli) error {
	c.Dir, c.Realm, c.Output = ".", "real", "table"
	if _, err := node.ReadConfig(c.Dir); err == nil {
		return (&statusCmd{}).Run(c)
	}
	fmt.Fprintln(c.io.out, c.t("cli.welcome"))
	return nil
}

// licences is what version --licences prints.
func licences() string { return demodata.Licences() }

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"help.completion-shell"`
}

// Run writes a completion script, made from the same commands help shows.
func (x *completionCmd) Run(c *cli, k *kong.Context) error {
	paths, takes := map[string][]string{}, map[string]bool{}
	var walk func(prefix string, n *kong.Node)
	walk = func(prefix string, n *kong.Node) {
		var words []string
		for _, child := range n.Children {
			if !child.Hidden {
				words = append(words, child.Name)
				walk(strings.TrimSpace(prefix+" "+child.Name), child)
			}
		}
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				words = append(words, "--"+f.Name)
				if !f.IsBool() {
					takes["--"+f.Name] = true
					if f.Short != 0 {
						takes["-"+string(f.Short)] = true
					}
				}
			}
		}
		paths[prefix] = words
	}
	walk("", k.Model.Node)
	_, err := io.WriteString(c.io.out, completionScript(x.Shell, paths, slices.Sorted(maps.Keys(takes))))
	return err
}
