package misp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix/misp"
)

// TestJapanese: an event in Japanese comes through unharmed, also where nothing
// is kept beside it.
func TestJapanese(t *testing.T) {
	t.Parallel()
	b := event(t, fields{"info": "標的型メール攻撃「年金通知」", "Orgc": fields{"name": "サイバー防衛隊", "uuid": uuid(90)}, "Tag": tags("取扱:部内限り", "tlp:amber"),
		"EventReport": []any{fields{"id": "1", "uuid": uuid(80), "name": "経緯", "content": "# 経緯\n１１月１日、髙橋𠮷野家…\u3000受信", "timestamp": "1700000000", "distribution": "5", "deleted": false}}},
		attribute(1, "email-subject", "【至急】ご確認ください", true, fields{"comment": "件名", "Tag": tags("機密区分:注意")}),
		attribute(2, "filename|sha256", "請求書（１１月分）.exe|"+sha256, true, nil),
		attribute(3, "text", "同一の送信元　ｶﾅ", false, fields{"comment": "備考"}),
		attribute(4, "threat-actor", "黒い狐", false, nil), attribute(5, "url", "https://例え.example/パス?値=１", false, nil))
	r := read(t, b).STIX(misp.Options{})
	sound(t, r.Objects)
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
	was, now := read(t, b), read(t, write(t, r.Objects, nil, misp.Options{}))
	if now.Info != was.Info || now.Orgc.Name != was.Orgc.Name || !slices.Equal(now.Tags, was.Tags) || len(now.Reports) != 1 ||
		now.Reports[0].Content != was.Reports[0].Content || now.Reports[0].Name != "経緯" {
		t.Errorf("%+v", now)
	}
	values := func(e *misp.Event) string {
		var list []string
		for _, a := range e.Attributes {
			list = append(list, a.Type+" "+a.Value)
		}
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	if values(now) != values(was) {
		t.Errorf("got %s\nwant %s", values(now), values(was))
	}
}
