package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// node is the one whose screens are shown.
const node = "JPN-01"

// patience is how long a page has.
const patience = time.Minute

// browser looks at the screens, for each person in a tab with
// cookies of its own.
type browser struct {
	demo  *demo
	ctx   context.Context
	tabs  map[string]context.Context
	close func()
}

// open starts a browser that speaks a language itself.
func open(ctx context.Context, d *demo, lang string) (*browser, error) {
	ctx, stop, err := consoletest.Start(ctx, lang)
	if err != nil {
		return nil, err
	}
	return &browser{d, ctx, map[string]context.Context{}, stop}, nil
}

// look returns what a person sees, as PNG.
func (b *browser) look(s shot, lang string) (png []byte, err error) {
	tab, err := b.tab(s, lang)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	theme := cmp.Or(s.theme, "light")
	prefer := fmt.Sprintf(`fetch("/prefer", {method: "POST", body: new URLSearchParams({lang: %q, theme: %q}), redirect: "manual"}).then(() => true)`, lang, theme)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](prefer, chromedp.EvalAwaitPromise)); err != nil {
		return nil, err
	}
	seen := chromedp.WaitVisible(chromedp.CSS(fmt.Sprintf(`html[lang=%s][data-theme=%s] main`, lang, theme)))
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(s.width, s.height), chromedp.Navigate(b.demo.bases[node]+s.path), seen); err != nil {
		return nil, err
	}
	for i, link := range s.follow {
		to, err := chromedp.Run(ctx, chromedp.Poll[string](fmt.Sprintf(`document.querySelector(%q)?.href`, link)))
		if i == len(s.follow)-1 {
			to += s.query
		}
		if err == nil {
			err = chromedp.Do(ctx, chromedp.Navigate(to), seen)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", link, err)
		}
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// tab returns the tab of a person, who signs in the first time as by a link of
// the demo; of nobody, when the shot names none.
func (b *browser) tab(s shot, lang string) (context.Context, error) {
	if tab, ok := b.tabs[s.person]; ok {
		return tab, nil
	}
	tab, _ := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext()) // ends with the browser
	link := b.demo.bases[node] + "/signin?" + url.Values{"lang": {lang}, "person": {s.person}}.Encode()
	if err := chromedp.Do(tab, chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(`input[name=passphrase]`))); err != nil { // the tab lives as long as the context of its first action
		return nil, err
	}
	if s.person != "" {
		ctx, cancel := context.WithTimeout(tab, patience)
		defer cancel()
		if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(`input[name=passphrase]`), b.demo.passphrase+"\r"), chromedp.WaitVisible(chromedp.CSS(`nav.nav`))); err != nil {
			return nil, err
		}
	}
	b.tabs[s.person] = tab
	return tab, nil
}
