package locale

import "github.com/mattn/go-runewidth"

// cells measures for a terminal in which Han and kana take two cells and
// ambiguous characters one, whatever the environment says: tables line up the
// same for everyone.
var cells = func() *runewidth.Condition {
	c := runewidth.NewCondition()
	c.EastAsianWidth = false
	return c
}()

// Width returns how many terminal cells s takes.
func Width(s string) int { return cells.StringWidth(s) }

// Fit returns s in at most n cells, with "…" in place of what was cut.
func Fit(s string, n int) string {
	if Width(s) <= n {
		return s
	}
	return cells.Truncate(s, n, "…")
}
