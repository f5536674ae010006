package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// realm returns the realm of --realm.
func (c *cli) realm() (noroshi.Realm, error) { return noroshi.ParseRealm(c.Realm) }

// call runs an operation at the node of --dir: the running one through its
// socket, else in the folder itself, under its lock, by the same functions.
func (c *cli) call(op string, in, out any) error { return c.callBody(op, in, nil, nil, out) }

func (c *cli) callBody(op string, in any, body io.Reader, progress func(json.RawMessage), out any) error {
	realm, err := c.realm()
	if err != nil {
		return err
	}
	return patient(c.ctx, func() error {
		err := web.NewClient(node.SocketPath(c.Dir, realm)).Call(c.ctx, op, in, body, progress, out)
		if !web.NotRunning(err) {
			return err
		}
		return atRest(c.ctx, c.Dir, realm, op, in, body, progress, out)
	})
}

// patience is how long a command waits for another one to leave the folder.
const patience = 10 * time.Second

// patient tries again while another process has the folder: a command that is
// about to end, or a node that is about to answer.
func patient(ctx context.Context, try func() error) error {
	for start := time.Now(); ; {
		err := try()
		var e *noroshi.Error
		if !errors.As(err, &e) || e.Code != "store.locked" || time.Since(start) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// atRest opens the folder, runs the operation and lets its consequences settle.
func atRest(ctx context.Context, dir string, realm noroshi.Realm, op string, in any, body io.Reader, progress func(json.RawMessage), out any) (err error) {
	n, err := node.Open(ctx, dir, realm, node.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := n.Close(); err == nil {
			err = cerr
		}
	}()
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	result, err := web.Invoke(ctx, n.Services(), op, input, body, func(v any) {
		if b, err := json.Marshal(v); err == nil && progress != nil {
			progress(b)
		}
	})
	if err != nil {
		return err
	}
	if err := n.SettleAtRest(ctx); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	b, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// asPerson is the pair of flags of every command that a person must sign.
type asPerson struct {
	As             string `placeholder:"PERSON" help:"help.as" required:""`
	PassphraseFile string `placeholder:"FILE" help:"help.passphrase-file"`
}

// sign signs an act as the person: the sealed key is fetched, opened here, and
// never leaves this process.
func (a asPerson) sign(c *cli, action noroshi.Action, subject string, bound noroshi.Hash) (noroshi.Signed, error) {
	var p web.SealedPerson
	if err := c.call("person.sealed", web.PersonRef{Person: a.As}, &p); err != nil {
		return noroshi.Signed{}, err
	}
	pass, err := c.passphrase(a.PassphraseFile, "cli.passphrase-of", a.As)
	if err != nil {
		return noroshi.Signed{}, err
	}
	key, err := p.Person.Unseal(pass)
	if err != nil {
		return noroshi.Signed{}, err
	}
	return noroshi.SignAct(a.As, key, noroshi.ActDigest(p.Realm, p.Node, action, subject, bound)), nil
}

// passphrase reads a passphrase from a file (one trailing newline is not part
// of it) or from the terminal without echo.
func (c *cli) passphrase(file, prompt string, args ...string) ([]byte, error) {
	if file != "" {
		b, err := readFile(file)
		return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")), err
	}
	f, ok := c.io.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, noroshi.Errorf(noroshi.Invalid, "cli.no-terminal", "no terminal to ask for the passphrase: use --passphrase-file")
	}
	io.WriteString(c.io.err, c.t(prompt, args...))
	b, err := term.ReadPassword(int(f.Fd()))
	io.WriteString(c.io.err, "\n")
	return b, err
}

// readFile reads a file that a person named.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	return b, unreadable(path, err)
}

// unreadable says what is wrong with a file that a person named.
func unreadable(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return noroshi.Errorf(noroshi.NotFound, "cli.no-file", "there is no file %s", path)
	case errors.Is(err, fs.ErrPermission):
		return noroshi.Errorf(noroshi.Forbidden, "cli.may-not-read", "this user may not read %s", path)
	case errors.Is(err, syscall.EISDIR):
		return noroshi.Errorf(noroshi.Invalid, "cli.folder", "%s is a folder, not a file", path)
	}
	return noroshi.Errorf(noroshi.Other, "cli.open", "open %s: %w", path, err)
}
