package console_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	formOf    = regexp.MustCompile(`(?s)<form[^>]*>.*?</form>`)
	buttonOf  = regexp.MustCompile(`<button[^>]*>`)
	control   = regexp.MustCompile(`(?s)<input([^>]*)>|<textarea([^>]*)>([^<]*)</textarea>|<select([^>]*)>(.*?)</select>`)
	selected  = regexp.MustCompile(`<option value="([^"]*)" selected>`)
	attribute = regexp.MustCompile(` ([a-z]+)="([^"]*)"`)
)

// enter returns where the Enter key in a field of a form sends it, of all forms of a
// page that have the field, and what the button says that it presses: the first of
// the form that sends it (HTML, implicit submission).
func enter(t *testing.T, body, field string) (to []string) {
	t.Helper()
	for _, form := range formOf.FindAllString(body, -1) {
		if !strings.Contains(form, `name="`+field+`"`) {
			continue
		}
		at := attributes(form[:strings.Index(form, ">")])["action"]
		for _, b := range buttonOf.FindAllString(form, -1) {
			if a := attributes(b); a["type"] != "button" {
				if a["formaction"] != "" {
					at = a["formaction"]
				}
				at += " " + a["value"]
				break
			}
		}
		to = append(to, html.UnescapeString(strings.TrimSpace(at)))
	}
	return to
}

func attributes(tag string) map[string]string {
	m := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
		m[a[1]] = a[2]
	}
	return m
}

// sent is what a browser sends of the form of a page that has a field, with some of
// it changed.
func sent(t *testing.T, body, field string, changed ...string) url.Values {
	t.Helper()
	for _, form := range formOf.FindAllString(body, -1) {
		if !strings.Contains(form, `name="`+field+`"`) {
			continue
		}
		out := url.Values{}
		for _, m := range control.FindAllStringSubmatch(form, -1) {
			a, value := attributes(m[1]+m[2]+m[4]), m[3]
			switch {
			case a["type"] == "checkbox" && !strings.HasSuffix(m[1], " checked"):
				continue
			case m[1] != "":
				value = a["value"]
			case m[4] != "":
				if s := selected.FindStringSubmatch(m[5]); s != nil {
					value = s[1]
				}
			}
			out.Add(a["name"], html.UnescapeString(value))
		}
		for i := 0; i+1 < len(changed); i += 2 {
			out.Set(changed[i], changed[i+1])
		}
		return out
	}
	t.Fatalf("no form with a field %s:\n%s", field, body)
	return nil
}
