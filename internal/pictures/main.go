// Pictures makes the pictures of README and of the officer's guide anew: it
// plays the demo with the program itself, signs in by the links that the demo
// prints, looks at the screens with Debian's chromium-headless-shell, and writes
// each as a small PNG, in both languages. `make screenshots` runs it; it is in no
// program.
//
//	pictures PROGRAM FOLDER
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// shot is one picture: what is looked at, and by whom.
type shot struct {
	name          string
	person        string // at JPN-01; "" = nobody has signed in
	path          string
	follow        []string // CSS selectors of links, each followed in its turn
	query         string   // added to the last of them
	width, height int64    // of the window
	theme         string   // "" = light
}

// indicator is the link to what a search finds.
const indicator = `main a[href^="/indicators/indicator"]`

// Widths of the window in CSS pixels: of a small screen of today, and of one on
// which more stands side by side.
const (
	small = 1280
	large = 1440
)

var shots = []shot{
	{name: "signin", path: "/signin", width: small, height: 560},
	{name: "join", path: "/join", width: small, height: 560},
	{name: "picture", person: "duty", path: "/", width: small, height: 1080},
	{name: "picture-dark", person: "duty", path: "/", width: small, height: 1080, theme: "dark"},
	{name: "warning", person: "duty", path: "/", follow: []string{`#warnings a[href^="/warnings/report"]`}, width: small, height: 880},
	{name: "write", person: "duty", path: "/indicators?q=demo-01.example", follow: []string{indicator, `main a[href^="/warnings/new"]`}, query: "&template=attack", width: small, height: 960},
	{name: "indicator", person: "duty", path: "/indicators?q=demo-01.example", follow: []string{indicator}, width: small, height: 760},
	{name: "translate", person: "duty", path: "/translate/report--00000000-0000-4000-8000-0000000000b1", width: small, height: 760},
	{name: "graph", person: "duty", path: "/indicators?q=demo-01.example", follow: []string{indicator, `main a[href^="/indicators/graph/"]`}, width: small, height: 700},
	{name: "release", person: "release2", path: "/release", width: large, height: 1040},
	{name: "partners", person: "liaison", path: "/partners", follow: []string{`main a[href^="/partners/"]:not([href$="/introduce"])`}, width: large, height: 860},
	{name: "introduce", person: "liaison", path: "/partners/USA-01/introduce", width: small, height: 598},
	{name: "audit", person: "admin", path: "/audit?partner=USA-01", width: small, height: 720},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: pictures PROGRAM FOLDER")
	}
	if err := os.MkdirAll(args[1], 0o755); err != nil {
		return err
	}
	d, err := play(ctx, args[0])
	if err != nil {
		return err
	}
	defer d.end()
	for _, lang := range []string{"en", "ja"} {
		if err := d.shoot(ctx, lang, args[1]); err != nil {
			return err
		}
	}
	return nil
}

// shoot takes every picture in a language.
func (d *demo) shoot(ctx context.Context, lang, folder string) error {
	b, err := open(ctx, d, lang)
	if err != nil {
		return err
	}
	defer b.close()
	for _, s := range shots {
		picture, err := b.look(s, lang)
		if err == nil {
			err = write(filepath.Join(folder, s.name+"."+lang+".png"), picture)
		}
		if err != nil {
			return fmt.Errorf("%s in %s: %w", s.name, lang, err)
		}
	}
	return nil
}
