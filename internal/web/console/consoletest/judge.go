package consoletest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/chromedp/chromedp"
)

// axe is axe-core 4.14.1 as published (MPL-2.0, axe.LICENSE.txt): rules of WCAG
// that a machine can look at. It is in no program, only in tests.
//
//go:embed axe.min.js
var axe string

// wcag are the rules a page must keep: WCAG 2.2 A and AA.
const wcag = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"]})
	.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary.replace(/\s+/g, " ") + " " + n.html.slice(0, 200))))`

// Axe returns what axe-core finds wrong with the page as it stands.
func (p *Page) Axe() []string {
	p.t.Helper()
	if !Value(p, chromedp.Evaluate[bool](`typeof axe === "object"`)) {
		Value(p, chromedp.Evaluate[bool](axe+"; true"))
	}
	return Value(p, chromedp.Evaluate[[]string](wcag, chromedp.EvalAwaitPromise))
}

// layout are facts of a page that a reader would stumble over.
const layout = `(() => {
	for (const d of document.querySelectorAll("details")) d.open = true;
	const wrong = [], wide = document.documentElement.clientWidth;
	const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className && e.className.baseVal === undefined ? "." + e.className : "") + " " + (e.textContent || "").trim().slice(0, 60);
	if (document.documentElement.scrollWidth > wide) wrong.push("the page scrolls sideways: " + document.documentElement.scrollWidth + " of " + wide);
	const scrolls = e => { for (; e && e !== document.body; e = e.parentElement) if (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)) return true; return false };
	for (const e of document.querySelectorAll("body *")) {
		const r = e.getBoundingClientRect(), s = getComputedStyle(e);
		if (r.width === 0 || s.visibility === "hidden" || e.closest(".skip, svg, [hidden]")) continue;
		if ((r.right > wide + 1 || r.left < -1) && !scrolls(e)) wrong.push("outside the window: " + name(e));
		if (e.scrollWidth > e.clientWidth + 1 && s.display !== "inline" && s.overflowX === "visible") wrong.push("larger than its box, " + e.scrollWidth + " of " + e.clientWidth + ": " + name(e));
	}
	if (/⟦|⟧|<no value>|%!|undefined|\bnull\b/.test(document.body.innerText)) wrong.push("text missing: " + document.body.innerText.match(/.{0,30}(⟦|<no value>|%!|undefined|\bnull\b).{0,30}/)[0]);
	const h1 = document.querySelectorAll("h1").length;
	if (h1 !== 1) wrong.push(h1 + " headings of the first level");
	const bands = [...document.querySelectorAll(".marking")].map(e => e.innerText);
	if (bands.length !== 2 || bands[0] !== bands[1] || !bands[0]) wrong.push("marking bands: " + bands.join(" | "));
	return wrong;
})()`

// Layout opens all that is folded away, and returns what is wrong with the page at the
// window's size: what lies outside, texts that are missing or larger than their boxes, no or two headings
// of the first level, marking bands that are missing or differ.
func (p *Page) Layout() []string {
	p.t.Helper()
	return Value(p, chromedp.Evaluate[[]string](layout))
}

// own are the texts of a page that stand in its own language: of each element what
// is not in another one, without exact values, which have none.
const own = `(() => {
	const apart = "[lang]:not(html), .mono, code, pre, kbd, textarea, script, style, noscript, svg, [hidden], .own, .tlp, .skip", list = [];
	for (const e of document.querySelectorAll("body *")) {
		if (e.closest(apart)) continue;
		const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join(" ").trim();
		if (text) list.push((e.closest("h1, h2, h3, th, dt, label, button, .btn, legend, nav") ? "!" : " ") + text);
	}
	return list;
})()`

var (
	english = regexp.MustCompile(`[A-Za-z]{2,} [a-z]{2,}`)
	word    = regexp.MustCompile(`^[A-Za-z]?[a-z]{2,}$`)
)

// international are single words that a Japanese page names things by.
var international = []string{"Noroshi", "English", "Cedar"}

// Language returns what is wrong with the language of the page: that of the
// document is another, a text of the frame is Japanese in English, or a sentence,
// or a word that names something, is English in Japanese. names are what has no
// language, by their beginnings: of persons, objects and sources.
func (p *Page) Language(lang string, names ...string) (wrong []string) {
	p.t.Helper()
	if got := Value(p, chromedp.Evaluate[string](`document.documentElement.lang`)); got != lang {
		wrong = append(wrong, fmt.Sprintf("the page is in %q, not in %q", got, lang))
	}
	for _, text := range Value(p, chromedp.Evaluate[[]string](own)) {
		named, text := text[0] == '!', text[1:]
		japanese := strings.ContainsFunc(text, isJapanese)
		known := slices.ContainsFunc(append(names, international...), func(name string) bool { return strings.HasPrefix(text, name) })
		switch {
		case lang == "en" && named && japanese && !known:
			wrong = append(wrong, "Japanese in English: "+text)
		case lang == "ja" && !japanese && !known && (english.MatchString(text) || named && word.MatchString(text)):
			wrong = append(wrong, "English in Japanese: "+text)
		}
	}
	return wrong
}

func isJapanese(r rune) bool { return r >= 0x3040 && r <= 0x30ff || r >= 0x4e00 && r <= 0x9fff }

// Links returns the addresses of this console that the page links to.
func (p *Page) Links() []string {
	p.t.Helper()
	return Value(p, chromedp.Evaluate[[]string](`[...document.querySelectorAll("a[href^='/']")].filter(a => !a.hasAttribute("download")).map(a => a.getAttribute("href"))`))
}

// Prefer sets the reader's language ("lang": "en", "ja") or theme ("theme":
// "light", "dark") from the next page on. A page of the console is open.
func (p *Page) Prefer(what, value string) {
	p.t.Helper()
	Value(p, chromedp.Evaluate[bool](fmt.Sprintf(`fetch("/prefer", {method: "POST", body: new URLSearchParams({%s: %q}), redirect: "manual"}).then(() => true)`, what, value), chromedp.EvalAwaitPromise))
}

// Post sends a form of so many names and values, and waits for the page that answers.
func (p *Page) Post(path string, fields url.Values) {
	p.t.Helper()
	in, err := json.Marshal(fields)
	if err != nil {
		p.t.Fatal(err)
	}
	Value(p, chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
		const form = document.createElement("form");
		form.method = "post";
		form.action = %q;
		for (const [name, values] of Object.entries(%s)) for (const value of values) {
			const input = document.createElement("input");
			[input.type, input.name, input.value] = ["hidden", name, value];
			form.append(input);
		}
		document.documentElement.dataset.left = "1";
		document.body.append(form);
		form.submit();
		return true;
	})()`, path, in)))
	p.Shows(`html:not([data-left]) main`)
}
