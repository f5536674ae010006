package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// cli is the command line: global flags, and one field a command. A help tag
// holds the key of its text, which help looks up when somebody asks.
type cli struct {
	Dir      string `short:"d" env:"NOROSHI_DIR" default:"." placeholder:"DIR" help:"help.dir"`
	Realm    string `env:"NOROSHI_REALM" default:"real" hidden:"" help:"help.realm"`
	Output   string `short:"o" enum:"table,json,jsonl,csv" default:"table" placeholder:"FORM" help:"help.output"`
	Lang     string `enum:",en,ja" default:"" placeholder:"en|ja" help:"help.lang"`
	Quiet    bool   `short:"q" help:"help.quiet"`
	NoHeader bool   `help:"help.no-header"`

	Demo       demoCmd       `cmd:"" help:"help.demo"`
	Init       initCmd       `cmd:"" help:"help.init"`
	Serve      serveCmd      `cmd:"" help:"help.serve"`
	Status     statusCmd     `cmd:"" help:"help.status"`
	Doctor     doctorCmd     `cmd:"" help:"help.doctor"`
	Import     importCmd     `cmd:"" help:"help.import"`
	Export     exportCmd     `cmd:"" help:"help.export"`
	Indicator  indicatorCmd  `cmd:"" help:"help.indicator"`
	Match      matchCmd      `cmd:"" help:"help.match"`
	Warning    warningCmd    `cmd:"" help:"help.warning"`
	Release    releaseCmd    `cmd:"" help:"help.release"`
	Recall     recallCmd     `cmd:"" help:"help.recall"`
	Partner    partnerCmd    `cmd:"" help:"help.partner"`
	Agreement  agreementCmd  `cmd:"" help:"help.agreement"`
	Key        keyCmd        `cmd:"" help:"help.key"`
	Link       linkCmd       `cmd:"" help:"help.link"`
	Media      mediaCmd      `cmd:"" help:"help.media"`
	Taxii      taxiiCmd      `cmd:"" help:"help.taxii"`
	Feed       feedCmd       `cmd:"" help:"help.feed"`
	Quarantine quarantineCmd `cmd:"" help:"help.quarantine"`
	Audit      auditCmd      `cmd:"" help:"help.audit"`
	Person     personCmd     `cmd:"" help:"help.person"`
	Token      tokenCmd      `cmd:"" help:"help.token"`
	Store      storeCmd      `cmd:"" help:"help.store"`
	Backup     backupCmd     `cmd:"" help:"help.backup"`
	Restore    restoreCmd    `cmd:"" help:"help.restore"`
	Completion completionCmd `cmd:"" help:"help.completion"`
	Version    versionCmd    `cmd:"" help:"help.version"`

	io   stdio           `kong:"-"`
	ctx  context.Context `kong:"-"`
	lang locale.Lang     `kong:"-"`
}

// t returns a text in the user's language.
func (c *cli) t(key string, args ...string) string {
	return locale.T(c.lang, key, locale.Strings(args)...)
}

// say tells a person something, on stderr, unless --quiet.
func (c *cli) say(key string, args ...string) {
	if !c.Quiet {
		fmt.Fprintln(c.io.err, c.t(key, args...))
	}
}

// run is the whole program but for the process: it returns the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	c := &cli{io: std, ctx: ctx, lang: langOf(args)}
	var exited *int
	parser, err := kong.New(c,
		kong.Name("noroshi"),
		kong.Description("help.noroshi"),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = &code; panic(exited) }),
		kong.Help(c.help),
		kong.ShortHelp(c.help),
	)
	if err != nil {
		fmt.Fprintln(std.err, err)
		return exitFailed
	}
	parser.Model.HelpFlag.Help = "help.help"
	defer func() {
		if r := recover(); r != nil && r != any(exited) {
			panic(r)
		}
	}()
	if alone(args) {
		return c.fail(welcome(c))
	}
	k, err := parser.Parse(args)
	if exited != nil {
		return *exited
	}
	if err != nil {
		c.Output = outputOf(args)
		return c.fail(noroshi.Errorf(noroshi.Invalid, "cli.usage", "%s", c.usageText(err)))
	}
	return c.fail(k.Run(c))
}

// alone reports whether nothing is asked for, in whatever language.
func alone(args []string) bool {
	switch {
	case len(args) == 0:
		return true
	case args[0] == "--lang=en" || args[0] == "--lang=ja":
		return alone(args[1:])
	case len(args) > 1 && args[0] == "--lang" && (args[1] == "en" || args[1] == "ja"):
		return alone(args[2:])
	}
	return false
}

// fail prints an error in the user's language and returns its exit code.
func (c *cli) fail(err error) int {
	code := exitCode(err)
	if err == nil || errors.Is(err, errPartly) || errors.Is(err, errFindings) || errors.Is(err, errSamples) {
		return code
	}
	if code == exitInterrupt {
		c.say("cli.interrupted")
		return code
	}
	var e *noroshi.Error
	text, id := c.t("error.internal", err.Error()), "internal"
	if errors.As(err, &e) {
		id = e.Code
		if e.Code != "internal" && locale.Has("error."+e.Code) {
			text = c.errorText(e)
		}
	}
	if c.Output == "json" || c.Output == "jsonl" {
		_ = printJSON(c.io.err, map[string]any{"error": map[string]any{"code": id, "message": text}})
		return code
	}
	fmt.Fprintln(c.io.err, c.t("cli.error", clean(text)))
	return code
}

// codesIn says which arguments of an error are codes or names of things, and
// under which keys their words stand.
var codesIn = map[string]string{
	"agreement.field":    "want.",
	"audit.form":         "auditfile.",
	"courier.still-held": "heldfor.",
	"mail.options":       "mailneeds.",
}

// told is what is kept of an error, in the user's language: in English, and where
// it has no other words, as it was told.
func (c *cli) told(t noroshi.Told) string {
	if c.cellLang() == locale.EN || !locale.Has("error."+t.Code) {
		return t.Message
	}
	return strings.TrimRight(c.errorText(t.Error(noroshi.Other)), ".。")
}

// errorText is an error in the user's language, what is a code or another error
// in it too.
func (c *cli) errorText(e *noroshi.Error) string {
	args := slices.Clone(e.Args)
	inner, _ := e.Err.(*noroshi.Error)
	for i, a := range args {
		switch prefix := codesIn[e.Code]; {
		case inner != nil && a == inner.Error() && locale.Has("error."+inner.Code):
			args[i] = strings.TrimRight(c.errorText(inner), ".。")
		case prefix != "":
			args[i] = c.textOr(prefix+a, a)
		}
	}
	return c.t("error."+e.Code, args...)
}

// langOf finds the language before flags are parsed, so that help speaks it:
// the flag, the environment's word for this program, that of the node's
// configuration, then the environment's general one.
func langOf(args []string) locale.Lang {
	config := ""
	if cfg, err := node.ReadConfig(cmp.Or(flagOf(args, "--dir", "-d"), os.Getenv("NOROSHI_DIR"), ".")); err == nil {
		config = cfg.Lang
	}
	return locale.Match(flagOf(args, "--lang", ""), os.Getenv("NOROSHI_LANG"), config, os.Getenv("LC_ALL"), os.Getenv("LANG"))
}

// outputOf finds the form of output when flags could not be parsed.
func outputOf(args []string) string { return flagOf(args, "--output", "-o") }

// flagOf finds the last value of a flag without knowing the others.
func flagOf(args []string, long, short string) (value string) {
	for i, a := range args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, long+"="); ok {
			value = v
		} else if a == long || short != "" && a == short {
			value = append(args, "")[i+1]
		} else if v, ok := strings.CutPrefix(a, short); ok && short != "" {
			value = strings.TrimPrefix(v, "=")
		}
	}
	return value
}
