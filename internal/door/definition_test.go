package door_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// TestDefinitionsOfMarkings: a marking's definition is read, with whatever query
// and however small the page, as long as something it marks goes, however far
// behind it that lies; and not when nothing does.
func TestDefinitionsOfMarkings(t *testing.T) {
	t.Parallel()
	const many, own, reuse = 60, "partner.0200000000000000", "Reuse allowed with attribution."
	marking := id("marking-definition", 500)
	drill := func(n int) string {
		return strings.Replace(indicator(n, noroshi.Green, ""), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, marking), 1)
	}
	o := newOffice(t)
	file := release.Template(release.Draft{Realm: noroshi.Real, Self: usa, Partner: jpn, From: began.AddDate(0, -1, 0), Until: began.AddDate(0, 1, 0), Statements: []string{reuse}})
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		t.Fatal(err)
	}
	o.doc(noroshi.DocAgreement, a.Hash.String(), file)
	o.stand(jpn, noroshi.InForce, a.Hash)
	list := []string{fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, marking, reuse)}
	for n := range many {
		list = append(list, drill(n+1))
	}
	o.put(made, list...)
	o.settle(jpn)
	soc := o.letPartner("soc", jpn)
	o.step()
	check := func(what string, want bool) {
		t.Helper()
		for _, query := range []string{"?limit=1000", "?match[type]=marking-definition", "?match[type]=marking-definition&limit=1", "?limit=1", "?match[id]=" + string(marking)} {
			body := soc.get(inColl + own + "/manifest/" + query)
			if got := strings.Contains(body, string(marking)); got != want {
				t.Errorf("%s: %s: the definition is there: %t, want %t", what, query, got, want)
			}
		}
		if got := soc.ask("GET", inColl+own+"/objects/"+string(marking)+"/", "").Code == 200; got != want {
			t.Errorf("%s: the definition itself: %t, want %t", what, got, want)
		}
	}
	check("at first", true)
	for n := range many - 1 {
		o.remark(id("indicator", n+1), noroshi.Red)
	}
	check("with one object left that it marks", true)
	o.remark(id("indicator", many), noroshi.Red)
	check("with none left", false)
}
