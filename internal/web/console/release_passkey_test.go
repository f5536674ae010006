package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// byPasskey: two officers, each with a passkey of their own, let a FLASH go, in one
// language and then in the other; the partner's page, open all the while, shows it by
// itself. How long that takes is measured by make bench.
func byPasskey(t *testing.T, jpn, usa *nodetest.Party) {
	first, second, there := consoletest.Open(t, consoleOf(jpn)), consoletest.Open(t, consoleOf(jpn)), consoletest.Open(t, consoleOf(usa))
	there.SignIn("duty", nodetest.Passphrase, "en")
	for person, p := range map[string]*consoletest.Page{"release1": first, "release2": second} {
		p.Authenticator()
		p.SignIn(person, nodetest.Passphrase, "en")
		p.Go("/me/passkey")
		p.Type(`input[name=name]`, "desk 4")
		p.Type(`input[name=passphrase]`, nodetest.Passphrase)
		p.Click(`button[data-passkey]`)
		p.Shows(`p.said ~ section a[href^="/me/remove/"]`)
	}
	for _, lang := range []string{"en", "ja"} {
		id := stix.NewID("report")
		jpn.Import(lang+".json", "", strings.NewReader(urgent(id, stix.NewID("indicator"))))
		path := "/release/" + open(t, jpn)[0].ID
		there.Prefer("lang", lang)
		there.Go("/")
		for _, p := range []*consoletest.Page{first, second} {
			p.Prefer("lang", lang)
			p.Go(path)
		}
		const sign = `form[action$="/approve"] button[data-passkey]`
		first.Click(sign)
		first.Shows("main .said")
		second.Shows("#standing .done")
		second.Click(sign)
		second.Shows("main .said")
		there.Shows(fmt.Sprintf(`html[lang=%s] main a[href="/warnings/%s"]`, lang, id))
		look(t, there, "release-there-"+lang)
	}
}

// urgent is a FLASH in both languages about an indicator, which two officers must
// let go.
func urgent(id, about stix.ID) string {
	const times = `"spec_version":"2.1","created":"2026-11-24T06:00:00.000Z","modified":"2026-11-24T06:00:00.000Z",`
	marked := fmt.Sprintf(times+`"object_marking_refs":[%q]`, noroshi.Green.MarkingID())
	return fmt.Sprintf(`[{"type":"report","id":%[1]q,%[3]s,"lang":"en","name":"Ports: block these addresses now","report_types":["threat-report"],"published":"2026-11-24T06:00:00.000Z","object_refs":[%[2]q],`+
		`"extensions":{%[4]q:{"extension_type":"property-extension","severity":"critical","precedence":"flash","action":"block","number":"JPN-01/2026/9"}}},`+
		`{"type":"indicator","id":%[2]q,%[3]s,"name":"port","pattern":"[domain-name:value = 'urgent.port.example']","pattern_type":"stix","valid_from":"2026-11-24T06:00:00Z"},`+
		`{"type":"language-content","id":%[5]q,%[3]s,"object_ref":%[1]q,"object_modified":"2026-11-24T06:00:00.000Z","contents":{"ja":{"name":"港湾：直ちに遮断すべき宛先"}}}]`,
		id, about, marked, noroshi.WarningExtension, stix.NewID("language-content"))
}
