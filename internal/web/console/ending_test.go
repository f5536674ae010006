package console_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// TestAPageOutlastsItsSession: who is writing and stays signed in stays on the page
// with all they wrote, and so they do when the session has ended all the same.
func TestAPageOutlastsItsSession(t *testing.T) {
	t.Parallel()
	p := consoletest.Open(t, consoleOf(nodetest.New(t, "JPN-01", noroshi.Real)))
	p.Expect("401")
	p.SignIn("duty", nodetest.Passphrase, "en")
	p.Go("/warnings/new")
	p.Type("input[name=title_en]", "Night watch")
	note := func(do string) {
		t.Helper()
		consoletest.Value(p, chromedp.Evaluate[bool](`(() => { `+do+`; return true })()`))
	}
	note(`document.getElementById("ending").hidden = document.querySelector("#ending a").hidden = false; document.querySelector("#ending span").textContent = "soon"`)
	p.Click("#ending a")
	p.Until(`document.getElementById("ending").hidden && document.querySelector("#ending span").textContent.includes("JST") && document.querySelector("input[name=title_en]").value === "Night watch"`)
	note(`fetch("/signout", {method: "POST"}).then(() => htmx.trigger(document.body, "warnings", {}))`)
	p.Shows(`#ending:not([hidden]) a[href="/signin"]:not([hidden])`)
	p.Until(`document.querySelector("input[name=title_en]").value === "Night watch"`)
}

// TestAWatchedPageLastsAShift: a page that is open has its session until twelve
// hours are over; before that it offers to sign in again, and goes on in the new
// session where it is.
func TestAWatchedPageLastsAShift(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	p := consoletest.Open(t, consoleOf(party))
	p.SignIn("duty", nodetest.Passphrase, "ja")
	p.Until(`+document.getElementById("ending").dataset.in > 11.9 * 3600 - 300`)
	p.Expect("")
	party.Stop()
	party.Ahead = 12*time.Hour - 3*time.Minute
	party.Start()
	p.Do(chromedp.Navigate(consoleOf(party) + "/warnings/new"))
	p.Shows(`#ending:not([hidden]) a[href="/signin"]:not([hidden])`)
	p.Until(`document.querySelector("#ending a").hidden`)
	look(t, p, "ending-ja")
	p.Type("input[name=title_en]", "Night watch")
	does(t, p, `fetch("/signin", {method: "POST", body: new URLSearchParams({person: "duty", passphrase: "`+nodetest.Passphrase+`"})}).then(() => dispatchEvent(new Event("focus")))`)
	p.Until(`document.getElementById("ending").hidden && document.querySelector("input[name=title_en]").value === "Night watch"`)
}
