package noroshi_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

func TestEndpointKind(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://192.0.2.1:8443":                           "https",
		"https://[2001:db8::1]/a":                          "https",
		"http://192.0.2.1":                                 "",
		"https://a@b.example":                              "",
		"https://b.example?":                               "",
		"https://b.example/#a":                             "",
		"https://B.example/%zz":                            "",
		"https:b.example":                                  "",
		"mailto:nx@soc.example":                            "mail",
		"mailto:a.b+c@soc.example":                         "mail",
		"mailto:a..b@soc.example":                          "",
		"mailto:a%40b@soc.example":                         "",
		"mailto:a@b@soc.example":                           "",
		"mailto:nx@SOC.example":                            "",
		"mailto:nx@localhost":                              "",
		"mailto:nx@-soc.example":                           "",
		"mailto:nx@soc.example,b@c.example":                "",
		"mailto:nx@soc.example?subject=a":                  "",
		"mailto:" + strings.Repeat("a", 65) + "@b.example": "",
		"mailto:nx":                                        "",
		"MAILTO:nx@soc.example":                            "",
		"line:hf1":                                         "line",
		"line:":                                            "",
		"line:HF1":                                         "",
		"line:-hf":                                         "",
		"line:" + strings.Repeat("a", 33):                  "",
		"line:a/b":                                         "",
		"media:diode-2":                                    "media",
		"media:../x":                                       "",
		"smb:share":                                        "",
		"":                                                 "",
	} {
		if got := noroshi.EndpointKind(endpoint); got != want {
			t.Errorf("EndpointKind(%q) = %q, want %q", endpoint, got, want)
		}
	}
	p := noroshi.Partner{Endpoints: []string{"line:a", "https://a.example", "line:b"}}
	if got := strings.Join(p.Ways(noroshi.ChannelLine), " "); got != "line:a line:b" {
		t.Errorf("Ways(line) = %q", got)
	}
}

// FuzzEndpointKind: what is an endpoint has no blank, no control character and
// nothing that would end a line of a card that is shown.
func FuzzEndpointKind(f *testing.F) {
	for _, s := range []string{"https://192.0.2.1:8443", "mailto:nx@soc.example", "line:hf1", "media:a", "https://a.example/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if noroshi.EndpointKind(s) != "" && strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			t.Errorf("%q is taken for an endpoint", s)
		}
	})
}
