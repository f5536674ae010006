package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// ring says what is wrong with how the element that has the focus shows it: it has
// no ring of 3 px, the ring is cut off on most sides, or a band that stays in place
// covers it. What was looked at before is the end of the walk.
const ring = `(() => {
	const e = document.activeElement, at = e.closest(".search") || e, s = getComputedStyle(at), r = at.getBoundingClientRect();
	if (e === document.body || e.dataset.walked) return "end";
	e.dataset.walked = "1";
	const name = e.outerHTML.slice(0, 140) + ": ", wide = parseFloat(s.outlineWidth), out = parseFloat(s.outlineOffset) + wide - 1;
	if (s.outlineStyle === "none" || wide < 3) return name + "no ring";
	let [top, left, bottom, right] = [0, 0, innerHeight, document.documentElement.clientWidth];
	for (let a = at.parentElement; a !== document.body; a = a.parentElement) if (getComputedStyle(a).overflowX !== "visible") {
		const c = a.getBoundingClientRect();
		[top, left, bottom, right] = [Math.max(top, c.top), Math.max(left, c.left), Math.min(bottom, c.bottom), Math.min(right, c.right)];
	}
	const seen = [r.top - out >= top, r.left - out >= left, r.bottom + out <= bottom, r.right + out <= right].filter(Boolean).length;
	if (seen < 2) return name + "the ring is cut off on " + (4 - seen) + " sides";
	if (e.closest(".skip, .bands")) return "";
	const head = Math.max(...[...document.querySelectorAll(".bands, .bands > :not([hidden])")].filter(b => getComputedStyle(b).position === "sticky").map(b => b.getBoundingClientRect().bottom));
	const foot = document.getElementById("band-foot").getBoundingClientRect().top;
	if (r.height < foot - head && (r.top < head - 1 || r.bottom > foot + 1)) return name + "covered: " + [r.top, r.bottom, "between", head, foot];
	return "";
})()`

// TestFocusIsSeen goes through pages with the Tab key: whatever has the focus has a
// ring around it, which nothing cuts off and no band covers.
func TestFocusIsSeen(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, exercise(t))
	id := warnOf(t, usa, noroshi.Flash, "Where am I", "現在位置の表示")
	jpn.Import("amber.txt", "tlp:amber", strings.NewReader("one.example\n"))
	jpn.Settle()
	for _, x := range []struct {
		way
		person string
		paths  []string
	}{
		{way{"en", "light", 1440}, "duty", []string{"/", "/warnings", "/warnings/" + string(id), "/warnings/new", "/indicators", "/partners", "/settings", "/me"}},
		{way{"ja", "dark", 320}, "duty", []string{"/", "/warnings/" + string(id), "/indicators"}},
		{way{"ja", "dark", 1440}, "release1", []string{"/release"}},
		{way{"en", "light", 320}, "release1", []string{"/release"}},
		{way{"en", "dark", 1440}, "admin", []string{"/audit", "/settings/people"}},
	} {
		p := consoletest.Open(t, consoleOf(jpn))
		p.SignIn(x.person, nodetest.Passphrase, x.lang)
		p.Prefer("theme", x.theme)
		p.Size(x.width, 700)
		for _, path := range x.paths {
			p.Go(path)
			for range 200 {
				p.Do(chromedp.KeyEvent(kb.Tab))
				wrong := consoletest.Value(p, chromedp.Evaluate[string](ring))
				if wrong == "end" {
					break
				}
				if wrong != "" {
					t.Errorf("%s %s %d: %s", path, x.theme, x.width, wrong)
				}
			}
			if n := consoletest.Value(p, chromedp.Evaluate[int](`document.querySelectorAll("[data-walked]").length`)); n < 12 {
				t.Errorf("%s: only %d elements were come to", path, n)
			}
		}
	}
}

// TestKeysLead: g and a number lead to a screen of the rail, the same for everybody;
// where somebody types they are letters.
func TestKeysLead(t *testing.T) {
	t.Parallel()
	p := consoletest.Open(t, consoleOf(nodetest.New(t, "JPN-01", noroshi.Real)))
	p.SignIn("duty", nodetest.Passphrase, "ja")
	p.Until(`document.querySelector('.nav a[href="/settings"]').title === "設定 · g 7"`)
	p.Do(chromedp.KeyEvent("g"), chromedp.KeyEvent("7"))
	p.Shows(`nav.nav a[href="/settings"][aria-current]`)
	p.Do(chromedp.KeyEvent("g"), chromedp.KeyEvent("6")) // the record, which is none of a duty officer's screens
	p.Do(chromedp.KeyEvent("2"), chromedp.KeyEvent("/"))
	p.Type(`.search input`, "g2")
	p.Until(`document.querySelector(".search input").value === "g2" && location.pathname === "/settings"`)
}

// TestBandsStay: the marking, the band of an exercise and what says that nothing
// comes any more stay in sight however far a page is scrolled, with their words, on
// a telephone too.
func TestBandsStay(t *testing.T) {
	t.Parallel()
	p := consoletest.Open(t, consoleOf(nodetest.New(t, "JPN-01", exercise(t))))
	p.SignIn("admin", nodetest.Passphrase, "en")
	for _, width := range []int64{1440, 320} {
		p.Size(width, 600)
		p.Go("/settings")
		does(t, p, `document.querySelector("main").style.minHeight = "2000px"; scrollTo(0, 400)`)
		p.Until(`scrollY > 300`)
		for _, at := range []string{"#band", ".exband em", `.exband [lang="en"]`, `.exband [lang="ja"]`, "#lost", "#band-foot"} {
			if !consoletest.Value(p, chromedp.Evaluate[bool](`(() => { document.getElementById("lost").hidden = false; const e = document.querySelector('`+at+`'), r = e.getBoundingClientRect(); return r.width > 0 && r.top >= 0 && r.bottom <= innerHeight && e.contains(document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2)) })()`)) {
				t.Errorf("%s is out of sight at %d px", at, width)
			}
		}
		look(t, p, fmt.Sprintf("bands-%d", width))
	}
}

// exercise is the realm of one.
func exercise(t *testing.T) noroshi.Realm {
	t.Helper()
	r, err := noroshi.ParseRealm("exercise:kibou-26")
	if err != nil {
		t.Fatal(err)
	}
	return r
}
