package watch

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
)

// templates are the texts a person may begin a warning with; their words are in
// locale under warning.template.NAME, .title and .text.
var templates = []string{"attack", "exploited", "mail", "staged", "outage", "cancel"}

// Templates lists the templates of warnings.
func Templates() []string { return slices.Clone(templates) }

// Template returns title and text of a warning in a language: about something
// with a name, and so many more, asking for an action. Both languages say the
// same without anybody translating.
func Template(l locale.Lang, template, name string, more int, action string) (title, text string, err error) {
	if !slices.Contains(templates, template) {
		return "", "", noroshi.Errorf(noroshi.NotFound, "warning.template", "there is no template %q", template)
	}
	if !slices.Contains(actions, action) {
		return "", "", noroshi.Errorf(noroshi.Invalid, "warning.field", "warning: %s: %s", "action", "inform, check, investigate, block, isolate")
	}
	short, long := visible(name, maxTitleValue), visible(name, maxTextValue)
	if more > 0 {
		long = locale.T(l, "warning.template.more", long, more)
	}
	key := "warning.template." + template
	return locale.T(l, key+".title", short), locale.T(l, key+".text", long, locale.T(l, "warning.asked."+action)), nil
}
