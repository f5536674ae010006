package console

import (
	"net/http"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// railItem is one screen in the rail.
type railItem struct {
	Name  string // of the template, and of its text and icon
	Path  string
	Key   int // after g it leads here: for everybody the same
	Here  bool
	Count int  // what waits there for an answer
	Hot   bool // and some of it now
}

// screens are those of the rail, in its order.
var screens = []struct {
	name, path string
	action     noroshi.Action
}{
	{"picture", "/", noroshi.ActRead},
	{"warnings", "/warnings", noroshi.ActRead},
	{"indicators", "/indicators", noroshi.ActRead},
	{"release", "/release", noroshi.ActRead},
	{"partners", "/partners", noroshi.ActRead},
	{"audit", "/audit", noroshi.ActReadAudit},
	{"settings", "/settings", noroshi.ActRead},
}

// waits is what waits for the reader, as the edge of every page tells it.
type waits struct {
	Flash int    // warnings of the highest precedence that nobody has acknowledged
	Last  string // id of the one that came last
	Say   string // that it came, in words, to be said once: what it says is for pages that are marked for it

	Counts string // in words, to be said when they have changed
}

// rail lists the screens the person may see, and what waits there.
func (v *visit) rail(here string) (items []railItem, w waits, err error) {
	waiting, err := askAside[web.Waiting](v, "waiting", struct{}{})
	if err != nil {
		return nil, w, err
	}
	if w.Flash = waiting.Flash; waiting.Last != nil {
		w.Last, w.Say = string(waiting.Last.ID), v.t("console.flash.say", v.t("precedence.flash"), waiting.Last.CallSign)
	}
	w.Counts = v.t("console.counts", waiting.Warnings, waiting.Releases)
	for n, s := range screens {
		if !v.person.May(s.action) {
			continue
		}
		i := railItem{Name: s.name, Path: s.path, Key: n + 1, Here: s.name == strings.Split(here, "-")[0]}
		switch s.name {
		case "warnings":
			i.Count, i.Hot = waiting.Warnings, waiting.Flash > 0
		case "release":
			i.Count = waiting.Releases
		}
		items = append(items, i)
	}
	return items, w, nil
}

// railAlone is the rail of a page that is open, whose screen it is told: the
// counts move on by themselves.
func railAlone(v *visit) error { return v.block(http.StatusOK, v.r.FormValue("here"), "rail", nil) }
