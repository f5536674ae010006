package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"

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
	err = web.NewClient(node.SocketPath(c.Dir, realm)).Call(c.ctx, op, in, body, progress, out)
	if !web.NotRunning(err) {
		return err
	}
	return atRest(c.ctx, c.Dir, realm, op, in, body, progress, out)
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
	if err := n.Settle(ctx); err != nil {
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
	As             string `placeholder:"PERSON" help:"${help_as}" required:""`
	PassphraseFile string `type:"existingfile" placeholder:"FILE" help:"${help_passphrase_file}"`
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
		b, err := os.ReadFile(file)
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
