package console_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// does runs a line of JavaScript on a page.
func does(t *testing.T, p *consoletest.Page, line string) {
	t.Helper()
	consoletest.Value(p, chromedp.Evaluate[bool](`(() => { `+line+`; return true })()`))
}

// fetched has a page fetch its parts about a topic, and waits until all are there.
func fetched(t *testing.T, p *consoletest.Page, topic string) {
	t.Helper()
	does(t, p, `window.out = 0; window.counting = window.counting || (document.body.addEventListener("htmx:before:request", () => out++), document.body.addEventListener("htmx:finally:request", () => out--)) || true; htmx.trigger(document.body, "`+topic+`", {})`)
	p.Until(`out === 0`)
}

// TestUpdatesLeaveTheReaderAlone: what comes while a page is open takes neither the
// focus nor what somebody opened. Rows that came wait behind a button, so that none
// moves under the reader, unless one is a FLASH; the new counts are said.
func TestUpdatesLeaveTheReaderAlone(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	first := warnOf(t, usa, noroshi.Immediate, "First of all", "一件目")
	for _, x := range []struct{ lang, button, said string }{
		{"en", "1 new", "Open warnings: %d. Waiting for release: 0."},
		{"ja", "新着1件", "対応中の警報%d件、提供審査待ち0件"},
	} {
		p := consoletest.Open(t, consoleOf(jpn))
		p.SignIn("duty", nodetest.Passphrase, x.lang)
		p.Shows(`#warnings a.ti[href="/warnings/` + string(first) + `"]`)
		does(t, p, `document.querySelector("#flow details").open = true`)
		open := consoletest.Value(p, chromedp.Evaluate[int](`document.querySelectorAll("#warnings tbody tr").length`))
		for _, at := range []string{`#warnings a.ti`, `nav.nav a[href="/settings"]`} {
			does(t, p, `document.querySelector('`+at+`').focus()`)
			for _, topic := range []string{"warnings", "release", "links", "traffic"} {
				fetched(t, p, topic)
				p.Until(`document.activeElement === document.querySelector('` + at + `') && document.querySelector("#flow details").open`)
			}
		}

		does(t, p, `document.querySelector('#warnings a.ti').focus()`)
		second := warnOf(t, usa, noroshi.Immediate, "Second "+x.lang, "二件目")
		p.Shows(`#warnings .fresh`)
		p.Until(`document.querySelector("#warnings .fresh").textContent === "` + x.button + `"`)
		p.Until(fmt.Sprintf(`document.getElementById("counts").textContent === %q`, fmt.Sprintf(x.said, open+1)))
		p.Until(`document.activeElement.getAttribute("href") === "/warnings/` + string(first) + `"`)
		fetched(t, p, "warnings")
		p.Until(`getComputedStyle(document.getElementById("row-` + string(second) + `")).display === "none"`)
		look(t, p, "new-rows-"+x.lang)
		p.Click(`#warnings .fresh`)
		p.Shows(`#row-` + string(second))
		p.Until(`document.querySelector("#warnings .fresh").hidden && document.activeElement.getAttribute("href") === "/warnings/` + string(second) + `"`)

		flash := warnOf(t, usa, noroshi.Flash, "Third "+x.lang, "三件目")
		p.Shows(`#row-` + string(flash) + `.pulse`)
		p.Until(`document.activeElement.getAttribute("href") === "/warnings/` + string(second) + `"`)
		jpn.Must("warning.ack", signedRef(t, jpn, second), nil)
		p.Until(`!document.getElementById("row-` + string(second) + `") && document.activeElement.id === "warnings"`)
		jpn.Must("warning.ack", signedRef(t, jpn, flash), nil)
		p.Until(`!document.querySelector("[data-flash]:not(nav)")`)
	}
}

// signedRef has the duty officer acknowledge a warning.
func signedRef(t *testing.T, p *nodetest.Party, id stix.ID) web.SignedRef {
	t.Helper()
	var d web.WarningDetail
	p.Must("warning.show", web.ObjectRef{ID: id}, &d)
	by, err := p.Signed(t.Context(), "duty", noroshi.ActAck, string(id), d.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return web.SignedRef{Subject: string(id), By: by}
}
