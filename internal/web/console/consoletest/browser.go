// Package consoletest drives a node's console with a real browser, Debian's
// chromium-headless-shell: for stories and for pictures.
package consoletest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page has for what takes a moment on a quiet machine.
const Patience = 2 * time.Minute

// often is how long it is until a page is looked at again: a browser that is asked
// at each of its frames does little else.
const often = 50 * time.Millisecond

var again = chromedp.RetryInterval(often)

// Page is one tab. It is used by one goroutine.
type Page struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu       sync.Mutex
	faults   []string // what the browser complained of: refused by the policy, errors of scripts
	expected []string // texts in what it may complain of
}

// browser is the one browser of a test binary; each Page is a context of its own
// in it, with its own cookies.
var browser struct {
	sync.Mutex
	ctx  context.Context
	stop func()
}

// Main runs the tests of a package and then closes the browser.
func Main(m *testing.M) {
	code := m.Run()
	browser.Lock()
	if browser.stop != nil {
		browser.stop()
	}
	browser.Unlock()
	os.Exit(code)
}

// Start starts a browser that speaks a language itself, with further options. It
// ends with ctx, or when it is stopped.
func Start(ctx context.Context, lang string, more ...chromedp.ExecAllocatorOption) (started context.Context, stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium-headless-shell"), chromedp.NoSandbox, chromedp.IgnoreCertErrors,
		chromedp.Env("LANGUAGE="+lang), chromedp.Flag("lang", lang), chromedp.Flag("accept-lang", lang),
		// Pages that were left, and processes for pages that may come, are kept in readiness for nobody.
		chromedp.Flag("disable-features", "Translate,BackForwardCache,SpareRendererForSitePerProcess"),
		// There is no screen to draw on, and no page lives until its scripts are worth optimising.
		chromedp.Flag("disable-gpu", true), chromedp.Flag("in-process-gpu", true),
		chromedp.Flag("js-flags", "--no-maglev --no-turbofan"))
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	ctx, stopBrowser := chromedp.NewContext(alloc)
	stop = func() { stopBrowser(); stopAlloc() }
	if _, err := chromedp.Run(ctx, chromedp.Location()); err != nil {
		stop()
		return nil, nil, fmt.Errorf("chromium-headless-shell does not start (make deps installs it): %w", err)
	}
	return ctx, stop, nil
}

// open starts the browser of the tests.
func open() (context.Context, error) {
	browser.Lock()
	defer browser.Unlock()
	if browser.ctx != nil {
		return browser.ctx, nil
	}
	var more []chromedp.ExecAllocatorOption
	if os.Getenv("NOROSHI_PICTURES") == "" { // the browser paints less so, and then can take no pictures
		more = append(more, chromedp.Flag("disable-threaded-compositing", true), chromedp.Flag("disable-threaded-animation", true))
	}
	ctx, stop, err := Start(context.Background(), "en-US", more...)
	if err == nil {
		browser.ctx, browser.stop = ctx, stop
	}
	return ctx, err
}

// Open opens a page of the console at base in a browser without cookies. What
// the browser complains of until the test ends fails the test.
func Open(t testing.TB, base string) *Page {
	t.Helper()
	root, err := open()
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{t: t, base: strings.TrimSuffix(base, "/")}
	ctx, stop := chromedp.NewContext(root, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	p.ctx = ctx
	t.Cleanup(func() {
		stop()
		for _, f := range p.Faults() {
			t.Errorf("the browser says: %s", f)
		}
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900)); err != nil { // the tab lives as long as the context of its first action
		t.Fatal(err)
	}
	return p
}

func (p *Page) hear(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = fmt.Sprintf("%+v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		if e.Entry.Source == "security" || e.Entry.Source == "violation" || strings.Contains(e.Entry.Text, "Content Security Policy") {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			for _, a := range e.Args {
				text += fmt.Sprintf("%s %s ", a.Value, a.Description)
			}
		}
	}
	if text != "" {
		p.mu.Lock()
		p.faults = append(p.faults, text)
		p.mu.Unlock()
	}
}

// Expect says that the browser may complain of what has a text in it: a story that
// cuts its connection makes it.
func (p *Page) Expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// Faults returns what the browser complained of so far, without what was expected.
func (p *Page) Faults() (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if !slices.ContainsFunc(p.expected, func(text string) bool { return strings.Contains(f, text) }) {
			list = append(list, f)
		}
	}
	return list
}

// Do runs actions one after the other.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.fail(err)
	}
}

// fail ends the test, saying what the page shows.
func (p *Page) fail(err error) {
	p.t.Helper()
	at, _ := chromedp.Run(p.ctx, chromedp.Location())
	body, _ := chromedp.Run(p.ctx, chromedp.Text(chromedp.CSS("body")))
	p.t.Fatalf("%v\nat %s:\n%s", err, at, body)
}

// Value runs an action that returns something.
func Value[T any](p *Page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.fail(err)
	}
	return v
}

// Size sets the size of the window in CSS pixels.
func (p *Page) Size(width, height int64) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, height))
}

// Go opens an address of the console.
func (p *Page) Go(path string) {
	p.t.Helper()
	p.Do(chromedp.Navigate(p.base+path), chromedp.WaitReady(chromedp.CSS("main"), again))
}

// Content shows a page of the console that something else was answered with, in the
// place of the one that is open.
func (p *Page) Content(html string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err == nil {
		_, err = chromedp.Call(ctx, page.SetDocumentContent, page.SetDocumentContentParams{FrameID: tree.FrameTree.Frame.ID, HTML: html})
	}
	if err != nil {
		p.fail(err)
	}
}

// Bare makes the browser run a script before each page that is opened from now on,
// and forget the policies of pages that forbid scripts.
func (p *Page) Bare(script string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	_, err := chromedp.Call(ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	if err == nil {
		_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	}
	if err != nil {
		p.fail(err)
	}
}

// SignIn signs a person in with their passphrase, in a language ("en", "ja").
func (p *Page) SignIn(person, passphrase, lang string) {
	p.t.Helper()
	p.Go("/signin")
	if !Value(p, chromedp.Evaluate[bool](`document.documentElement.lang === "`+lang+`"`)) { // else the page that is typed into would be gone in a moment
		p.Click(`button[name=lang][value=` + lang + `]`)
	}
	p.Shows(`html[lang=` + lang + `] input[name=person]`)
	p.Type(`input[name=person]`, person)
	p.Type(`input[name=passphrase]`, passphrase+"\r")
	p.Shows(`nav.nav`)
	p.Go("/") // from where a second factor is proposed
}

// Click clicks the first element that a CSS selector names, once it is seen.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible, again))
}

// Leave clicks what leads to another page, or to this one again, and waits until
// that is there.
func (p *Page) Leave(selector string) {
	p.t.Helper()
	Value(p, chromedp.Evaluate[bool](`document.documentElement.dataset.left = "1", true`))
	p.Click(selector)
	p.Shows(`html:not([data-left]) main`)
}

// Type types into the first element that a CSS selector names.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.Do(chromedp.SendKeys(chromedp.CSS(selector), text, again))
}

// Shows waits until an element that a CSS selector names is seen.
func (p *Page) Shows(selector string) {
	p.t.Helper()
	p.Do(chromedp.WaitVisible(chromedp.CSS(selector), again))
}

// Text returns the text of the first element that a CSS selector names.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Value(p, chromedp.Text(chromedp.CSS(selector), again))
}

// Until waits until an expression in JavaScript is true on the page.
func (p *Page) Until(expression string) {
	p.t.Helper()
	Value(p, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(often)))
}

// Picture returns the whole page as PNG.
func (p *Page) Picture() (png []byte) {
	p.t.Helper()
	return Value(p, chromedp.FullScreenshot(100))
}
