package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"syscall"
)

// demo is a demo that has come to its end and stays up.
type demo struct {
	cmd        *exec.Cmd
	bases      map[string]string // address of the screens by call sign
	passphrase string
}

var (
	linkLine       = regexp.MustCompile(`^ *([A-Z]{3}-[0-9]{2}) +(https://\S+)`)
	passphraseText = regexp.MustCompile(`\b[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}\b`)
)

// play runs the demo until it has printed where to sign in.
func play(ctx context.Context, program string) (*demo, error) {
	d := &demo{cmd: exec.CommandContext(ctx, program, "demo", "--stay", "--lang", "en"), bases: map[string]string{}}
	d.cmd.Stderr = os.Stderr
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewScanner(out)
	for said.Scan() && len(d.bases) < 2 {
		fmt.Println(said.Text())
		if p := passphraseText.FindString(said.Text()); p != "" {
			d.passphrase = p
		}
		if m := linkLine.FindStringSubmatch(said.Text()); m != nil {
			u, err := url.Parse(m[2])
			if err != nil {
				return nil, errors.Join(err, d.end())
			}
			d.bases[m[1]] = u.Scheme + "://" + u.Host
		}
	}
	if len(d.bases) < 2 || d.passphrase == "" {
		return nil, errors.Join(errors.New("the demo ended before it said where to sign in"), said.Err(), d.end())
	}
	go func() {
		for said.Scan() { // what it says still must not stop it
		}
	}()
	return d, nil
}

// end ends the demo, which removes both nodes.
func (d *demo) end() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	return d.cmd.Wait()
}
