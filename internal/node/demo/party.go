package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// party is one of the two organisations: a data folder, a node process that is
// started again when it dies, its persons and the cable to its listener.
type party struct {
	crew.Crew
	exe     string
	dir     string
	screens string // address of the console
	cable   *cable.Cable
	client  *web.Client

	restarts atomic.Int32
	stop     context.CancelFunc
	gone     sync.WaitGroup
}

// newParty makes a node with its persons, by the same commands a user types.
func newParty(ctx context.Context, exe, dir string, sign noroshi.CallSign, token, region, passphrase string, names map[string]string) (*party, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	wire, err := cable.Lay(ctx, listen)
	if err != nil {
		return nil, err
	}
	console, err := freeAddress(ctx) // kept when the node starts again, so that links stay good
	if err != nil {
		return nil, err
	}
	p := &party{exe: exe, dir: dir, screens: console, cable: wire, client: web.NewClient(node.SocketPath(dir, noroshi.Real))}
	p.Crew = crew.Crew{Sign: sign, Do: p.call, Passphrase: func(string) ([]byte, error) { return []byte(passphrase), nil }}
	if err := p.command(ctx, "init", "--yes", "--org", string(sign), "--org-token", token, "--listen", listen, "--endpoint", "https://"+wire.From(),
		"--console", console, "--sector", "energy", "--region", region); err != nil {
		return nil, err
	}
	if err := p.asksPassphrase(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.passphraseFile(), []byte(passphrase), 0o600); err != nil {
		return nil, err
	}
	return p, p.join(ctx, names)
}

// join adds the persons of the crew.
func (p *party) join(ctx context.Context, names map[string]string) error {
	file := p.passphraseFile()
	for i, who := range crew.Members {
		args := []string{"person", "add", who.ID, "--name", names[who.ID], "--passphrase-file", file}
		for _, r := range who.Roles {
			args = append(args, "--role", string(r))
		}
		if i > 0 {
			args = append(args, "--as", "admin", "--as-passphrase-file", file)
		}
		if who.With != "" {
			args = append(args, "--with", who.With, "--with-passphrase-file", file)
		}
		if err := p.command(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// passphraseFile is the file with the passphrase that all persons of the demo
// share: nobody looks at two throw-away nodes who has to copy ten of them.
func (p *party) passphraseFile() string { return filepath.Join(p.dir, "passphrase") }

// asksPassphrase sets in noroshi.toml that a passphrase is enough to sign in, as
// where no second factor is to be had.
func (p *party) asksPassphrase() error {
	f, err := os.OpenFile(filepath.Join(p.dir, "noroshi.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n[sign_in]\nasks = \"passphrase\"\n")
	return errors.Join(err, f.Close())
}

// freeAddress returns a loopback address nobody listens on now, nor is given until
// the node does, and while it is down.
func freeAddress(ctx context.Context) (string, error) {
	l, err := cable.Listen(ctx)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// command runs noroshi as a user would, in English so that errors are stable.
func (p *party) command(ctx context.Context, args ...string) error {
	_, err := p.output(ctx, args...)
	return err
}

func (p *party) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.exe, append(args, "--dir", p.dir, "--lang", "en")...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, fmt.Errorf("noroshi %s %s: exit %d: %s", args[0], args[1], exit.ExitCode(), exit.Stderr)
	}
	return out, err
}

// start runs the node's process until ctx ends, again whenever it dies.
func (p *party) start(ctx context.Context) error {
	ctx, p.stop = context.WithCancel(ctx)
	log, err := os.OpenFile(filepath.Join(p.dir, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p.gone.Go(func() {
		defer log.Close()
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, p.exe, "serve", "--dir", p.dir, "--lang", "en")
			cmd.Stderr = log
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 10 * time.Second
			if err := cmd.Start(); err == nil {
				_ = os.WriteFile(filepath.Join(p.dir, "pid"), fmt.Appendln(nil, cmd.Process.Pid), 0o600)
				_ = cmd.Wait()
			}
			if ctx.Err() == nil {
				p.restarts.Add(1)
				crew.Pause(ctx, 200*time.Millisecond)
			}
		}
	})
	return p.call(ctx, "status", nil, nil)
}

// end stops the process and waits for it.
func (p *party) end() {
	if p.stop != nil {
		p.stop()
	}
	p.gone.Wait()
	p.cable.Cut()
}

// call runs an operation at the node; a node that is down or dies under it is
// asked again for a while.
func (p *party) call(ctx context.Context, op string, in, out any) error {
	return p.callBody(ctx, op, in, nil, out)
}

func (p *party) callBody(ctx context.Context, op string, in any, body func() (io.ReadCloser, error), out any) error {
	var last error
	for tries := 0; tries < 300 && ctx.Err() == nil; tries++ {
		var r io.Reader
		if body != nil {
			rc, err := body()
			if err != nil {
				return err
			}
			defer rc.Close()
			r = rc
		}
		last = p.client.Call(ctx, op, in, r, nil, out)
		var known *noroshi.Error
		if last == nil || errors.As(last, &known) && known.Code != "api.broken-off" {
			return last
		}
		crew.Pause(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("%s: %s: %w", p.Sign, op, errors.Join(last, ctx.Err()))
}

// follow calls fn for every change from now on, until ctx ends; the returned
// channel is closed once the feed is being followed.
func (p *party) follow(ctx context.Context, fn func(web.FeedLine)) (<-chan struct{}, error) {
	var head struct{ Seq int64 }
	var armed web.ArmedState
	if err := p.call(ctx, "indicator.armed", web.ArmedRef{}, &armed); err != nil {
		return nil, err
	}
	head.Seq = armed.Seq
	started := make(chan struct{})
	go func() {
		close(started)
		for ctx.Err() == nil {
			_ = p.client.Call(ctx, "feed", web.FeedRef{After: head.Seq}, nil, func(b json.RawMessage) {
				var l web.FeedLine
				if json.Unmarshal(b, &l) == nil {
					head.Seq = l.Seq
					fn(l)
				}
			}, nil)
			crew.Pause(ctx, 20*time.Millisecond)
		}
	}()
	return started, nil
}
