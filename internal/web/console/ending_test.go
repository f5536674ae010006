package console_test

import (
	"testing"

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
	note(`document.getElementById("ending").hidden = false; document.querySelector("#ending span").textContent = "soon"`)
	p.Click("#ending a")
	p.Until(`document.getElementById("ending").hidden && document.querySelector("#ending span").textContent.includes("JST") && document.querySelector("input[name=title_en]").value === "Night watch"`)
	note(`fetch("/signout", {method: "POST"}).then(() => htmx.trigger(document.body, "warnings", {}))`)
	p.Shows(`#ending:not([hidden]) a[href="/signin"]:not([hidden])`)
	p.Until(`document.querySelector("input[name=title_en]").value === "Night watch"`)
}
