package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// translated looks at the translations among some objects of a hold, whether each
// is of the current version and who has checked it, and at those of them that
// stay here. Nothing where there are none.
func (c *Call) translated(ctx context.Context, objects []Compared) ([]Finding, error) {
	words, checked := Finding{Code: "translation", State: "ok"}, Finding{Code: "translation-checked", State: "ok"}
	n, staying := 0, false
	for _, o := range objects {
		if o.record.Object.Type != "language-content" {
			stay, err := c.wordsThatStay(ctx, o.record)
			if err != nil {
				return nil, err
			}
			for _, r := range stay {
				staying = true
				words.in("look", named(o)+": "+strings.Join(languages(r.Object), ", ")+" · "+string(r.Object.ID))
			}
			continue
		}
		n++
		how, err := c.worded(ctx, o.record)
		if err != nil {
			return nil, err
		}
		in := strings.Join(languages(o.record.Object), ", ") + " · "
		words.in("ok", in+cmp.Or(how.Translator, how.Checker, o.From))
		if how.Checked {
			checked.in("ok", in+cmp.Or(how.Checker, o.From))
		} else {
			checked.in("look", in+cmp.Or(how.Translator, o.From))
		}
		for _, r := range o.Rules {
			if r.Code == "translation.other-version" || r.Code == "translation.unchecked" {
				words.in("wrong", named(o)+": "+strings.Join(r.Args, " "))
			}
		}
	}
	words.Args, checked.Args = []string{fmt.Sprint(n)}, []string{fmt.Sprint(n)}
	switch {
	case n > 0:
		return []Finding{words, checked}, nil
	case staying:
		return []Finding{words}, nil
	}
	return nil, nil
}

// wordsThatStay are the translations of an object that the exit gate refuses: of
// another version, or a program's that nobody has checked.
func (c *Call) wordsThatStay(ctx context.Context, of store.Record) (list []store.Record, err error) {
	all, err := c.translationsOf(ctx, of.Object.ID)
	return slices.DeleteFunc(all, func(r store.Record) bool {
		says, _ := noroshi.TranslationOf(r.Object)
		return !says.Stale(of.Object) && !says.Unchecked()
	}), err
}

// translationsOf are the current versions of the translations of an object that
// are in use, the first of them.
func (c *Call) translationsOf(ctx context.Context, id stix.ID) (list []store.Record, err error) {
	list, err = c.Store.Referring(ctx, id, "language-content", maxTranslations)
	return slices.DeleteFunc(list, func(r store.Record) bool { return r.Withdrawn || r.Object.Revoked }), err
}

// languages are those a translation is into.
func languages(o *stix.Object) (list []string) {
	for l := range o.Property("contents").Members() {
		list = append(list, shownText(l))
	}
	return list
}
