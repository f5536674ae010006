package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type initCmd struct {
	Yes         bool     `help:"help.init-yes"`
	Org         string   `placeholder:"CALLSIGN" help:"help.init-org"`
	OrgToken    []string `placeholder:"TOKEN" help:"help.init-org-token"`
	Listen      string   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"help.init-listen"`
	Endpoint    []string `placeholder:"URL" help:"help.init-endpoint"`
	Tools       string   `placeholder:"HOST:PORT" help:"help.init-tools"`
	Console     string   `placeholder:"HOST:PORT" help:"help.init-console"`
	Metrics     string   `placeholder:"HOST:PORT" help:"help.init-metrics"`
	SealKeyFile string   `placeholder:"FILE" help:"help.init-seal"`
	Sector      []string `placeholder:"SECTOR" help:"help.init-sector"`
	Region      string   `placeholder:"REGION" help:"help.init-region"`
	DSN         string   `name:"dsn" placeholder:"DSN" help:"help.init-dsn"`
	DSNFile     string   `name:"dsn-file" placeholder:"FILE" help:"help.init-dsn-file"`
}

// Run makes a node. Without --yes it asks for what no flag says, shows what it is
// about to make and asks whether it should.
func (x *initCmd) Run(c *cli) error {
	if !x.Yes {
		x.ask(c)
	}
	if x.Org == "" {
		return noroshi.Errorf(noroshi.Invalid, "cli.init-org", "name the node: --org CALLSIGN")
	}
	sign, err := noroshi.ParseCallSign(x.Org)
	if err != nil {
		return err
	}
	if !x.Yes && !c.confirm("cli.init-confirm", x.Org, c.Dir) {
		return noroshi.Errorf(noroshi.Invalid, "cli.not-confirmed", "not confirmed: use --yes to go ahead without a question")
	}
	err = node.Init(c.ctx, c.Dir, node.Config{CallSign: sign, Tokens: x.OrgToken, Lang: c.Lang, Listen: x.Listen,
		Endpoints: x.Endpoint, Tools: x.Tools, Console: x.Console, Metrics: x.Metrics, SealKeyFile: x.SealKeyFile,
		Sighting: node.SightingConfig{Sectors: x.Sector, Region: x.Region}, Store: node.StoreConfig{DSN: x.DSN, DSNFile: x.DSNFile}})
	if err == nil {
		c.say("cli.init-done", x.Org, c.Dir)
	}
	return err
}

// ask asks for name, language and the address of the screens, where no flag says
// them.
func (x *initCmd) ask(c *cli) {
	if x.Org == "" {
		x.Org = c.typed("cli.init-ask-org")
	}
	if c.Lang == "" {
		c.Lang = c.typed("cli.init-ask-lang", string(c.lang))
		if l, ok := locale.Parse(c.Lang); ok {
			c.lang = l
		}
	}
	if x.Console == "" {
		x.Console = c.typed("cli.init-ask-console")
	}
}

// typed asks on the terminal and returns the line that is typed, "" when there is
// none.
func (c *cli) typed(key string, args ...string) string {
	fmt.Fprint(c.io.err, c.t(key, args...), " ")
	var line []byte
	for b := make([]byte, 1); len(line) < maxAnswer; {
		if n, err := c.io.in.Read(b); n == 0 && err != nil || n > 0 && b[0] == '\n' {
			break
		} else if n > 0 {
			line = append(line, b[0])
		}
	}
	return strings.TrimSpace(string(line))
}

const maxAnswer = 256

// confirm asks a question on the terminal; anything but y, yes or はい is no.
func (c *cli) confirm(key string, args ...string) bool {
	fmt.Fprint(c.io.err, c.t(key, args...))
	var answer string
	_, _ = fmt.Fscanln(c.io.in, &answer)
	return answer == "y" || answer == "yes" || answer == "はい"
}

type serveCmd struct {
	Listen   string   `placeholder:"HOST:PORT" help:"help.serve-listen"`
	Endpoint []string `placeholder:"URL" help:"help.init-endpoint"`
	Tools    string   `placeholder:"HOST:PORT" help:"help.init-tools"`
	Metrics  string   `placeholder:"HOST:PORT" help:"help.init-metrics"`
	Role     []string `placeholder:"ROLE" help:"help.serve-role"`
}

// Run serves one realm until the process is told to stop.
func (x *serveCmd) Run(c *cli) error {
	realm, err := c.realm()
	if err != nil {
		return err
	}
	roles, err := node.ParseRoles(x.Role)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(c.io.err, nil))
	override := func(cfg *node.Config) {
		if x.Listen != "" {
			cfg.Listen = x.Listen
		}
		if len(x.Endpoint) > 0 {
			cfg.Endpoints = x.Endpoint
		}
		if x.Tools != "" {
			cfg.Tools = x.Tools
		}
		if x.Metrics != "" {
			cfg.Metrics = x.Metrics
		}
	}
	var n *node.Node
	err = patient(c.ctx, func() (err error) {
		n, err = node.Open(c.ctx, c.Dir, realm, node.Options{Log: log, Version: version, Serving: true, Roles: roles, Override: override})
		return err
	})
	if err != nil {
		return err
	}
	err = n.Serve(c.ctx, func() {
		c.say("cli.serving", string(n.Self.CallSign), realm.String(), strings.Join(n.Endpoints(), " "))
		switch url, code := n.FirstRun(); {
		case code != "":
			c.say("cli.first-run", url+"first", code)
		case url != "":
			c.say("cli.console", url)
		}
	})
	if cerr := n.Close(); err == nil {
		err = cerr
	}
	return err
}

type statusCmd struct {
	Wait bool `help:"help.status-wait"`
}

// Run prints what a duty officer needs first: is the node up, are partners
// reachable, does anything wait.
func (x *statusCmd) Run(c *cli) error {
	if x.Wait {
		if err := c.awaitNode(); err != nil {
			return err
		}
	}
	var s web.Status
	if err := c.call("status", nil, &s); err != nil {
		return err
	}
	running := c.word("word.no")
	if s.Running {
		running = c.word("word.yes")
	}
	pairs := [][2]string{{"call-sign", string(s.CallSign)}, {"realm", s.Realm.String()}, {"node", s.Node.String()}, {"fingerprint", s.Fingerprint},
		{"running", running}}
	if s.Running { // at rest nothing is armed, whatever is kept
		armed, not := strconv.Itoa(s.Armed), strconv.Itoa(s.NotArmed)
		if s.Arming {
			armed = c.word("word.arming")
		}
		if s.Arming || s.Counting {
			not = c.word("word.arming")
		}
		pairs = append(pairs, [2]string{"indicators-armed", armed}, [2]string{"not-armed", not})
	}
	pairs = append(pairs, [][2]string{{"warnings-open", strconv.Itoa(s.Warnings)}, {"holds-open", strconv.Itoa(s.Holds)}, {"recalls-open", strconv.Itoa(s.Recalls)}, {"quarantined", strconv.Itoa(s.Quarantined)}, {"retention-ended", strconv.Itoa(s.Ended)}}...)
	for _, a := range s.Alarms {
		pairs = append(pairs, [2]string{"alarm", strings.TrimSpace(a.Time+" "+string(a.Partner)) + " ▲ " + c.alarm(a.Code)})
	}
	for _, p := range s.Unreadable {
		pairs = append(pairs, [2]string{"alarm", "▲ " + c.line("doctor.agreement-unreadable", string(p))})
	}
	for _, x := range s.SIEM {
		pairs = append(pairs, [2]string{"siem", siemLine(c, x)})
	}
	for _, x := range s.Exports {
		pairs = append(pairs, [2]string{"export", exportLine(c, x)})
	}
	for _, f := range s.Feeds {
		pairs = append(pairs, [2]string{"feed", feedLine(c, f)})
	}
	for _, l := range s.Links {
		pairs = append(pairs, [2]string{"link", linkLine(c, l)})
	}
	return one(c, s, pairs...)
}

// checked says what a check found.
func (c *cli) checked(k web.Check) string {
	args := slices.Clone(k.Args)
	if i := slices.Index(args, k.Why.Message); i >= 0 {
		args[i] = c.told(k.Why)
	}
	return c.line("doctor."+k.Code, args...)
}

// exportLine says in one line how a file kept for sensors stands.
func exportLine(c *cli, x web.KeptExport) string {
	if x.Error.Message != "" {
		return "■ " + c.line("doctor.export-error", x.File, c.told(x.Error))
	}
	return c.line("doctor.export-kept", x.File, x.Looked.Format(time.RFC3339))
}

// siemLine says in one line how a SIEM stands.
func siemLine(c *cli, s siem.Status) string {
	parts := []string{s.Name, s.Address, string(s.Format), s.Max, c.line("siem.sent", strconv.FormatUint(s.Sent, 10)), c.line("siem.behind", n(s.Behind))}
	if s.Withheld > 0 {
		parts = append(parts, "▲ "+c.line("siem.withheld", strconv.FormatUint(s.Withheld, 10)))
	}
	if !s.Written.IsZero() {
		parts = append(parts, c.line("siem.written", s.Written.Format(time.RFC3339)))
	}
	if s.Error.Message != "" {
		parts = append(parts, "■ "+c.line("siem.failing", s.Since.Format(time.RFC3339), c.told(s.Error)))
	}
	return strings.Join(parts, " · ")
}

// awaitNode returns once the node of --dir answers on its socket; it does not
// stand in the way of one that starts.
func (c *cli) awaitNode() error {
	realm, err := c.realm()
	if err != nil {
		return err
	}
	if _, err := node.ReadConfig(c.Dir); err != nil {
		return err
	}
	client := web.NewClient(node.SocketPath(c.Dir, realm))
	for start := time.Now(); time.Since(start) < startTime; {
		if err := client.Call(c.ctx, "status", nil, nil, nil, nil); !web.NotRunning(err) {
			return err
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return noroshi.Errorf(noroshi.Other, "cli.not-running", "no node runs in %s after %d s", c.Dir, int(startTime.Seconds()))
}

// startTime is how long status --wait waits for a node to run.
const startTime = 60 * time.Second

type doctorCmd struct {
	FailOn string `enum:",warn,fail" default:"" placeholder:"warn|fail" help:"help.fail-on"`
}

// Run prints one line a check.
func (x *doctorCmd) Run(c *cli) error {
	var checks []web.Check
	if err := c.call("doctor", nil, &checks); err != nil {
		return err
	}
	shape := map[string]string{"ok": "●", "warn": "▲", "fail": "■"}
	err := list(c, checks,
		column[web.Check]{"state", func(k web.Check) string {
			if c.forScripts() {
				return k.State
			}
			return shape[k.State] + " " + c.t("state."+k.State)
		}},
		column[web.Check]{"check", func(k web.Check) string { return c.word("check." + k.Name) }},
		column[web.Check]{"text", c.checked})
	for _, k := range checks {
		if err == nil && (k.State == x.FailOn || x.FailOn == "warn" && k.State == "fail") {
			err = errFindings
		}
	}
	return err
}

type versionCmd struct {
	Licences bool `help:"help.version-licences"`
}

// Run prints the version, or the licences of everything in the program.
func (x *versionCmd) Run(c *cli) error {
	if x.Licences {
		_, err := fmt.Fprintln(c.io.out, licences())
		return err
	}
	return one(c, map[string]string{"version": version}, [2]string{"version", version})
}

// openInput opens a file, or stdin for "-".
func (c *cli) openInput(path string) (f *os.File, size int64, err error) {
	if path == "-" {
		in, ok := c.io.in.(*os.File)
		if !ok {
			return nil, 0, noroshi.Errorf(noroshi.Invalid, "cli.no-stdin", "there is no standard input to read")
		}
		return in, 0, nil
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, unreadable(path, err)
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, 0, errors.Join(unreadable(path, err), f.Close())
	}
	return f, fi.Size(), nil
}
