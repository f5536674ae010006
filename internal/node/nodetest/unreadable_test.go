package nodetest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestAgreementNobodyCanRead: an agreement that cannot be read any more is not
// in force, is told, and stops nothing else. A new one takes its place.
func TestAgreementNobodyCanRead(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, usa, kor)
	var p partner.Row
	usa.Must("partner.show", web.PartnerRef{Partner: "JPN-01"}, &p)
	usa.Import("held.txt", "tlp:amber", strings.NewReader("held.example\n"))
	usa.Settle()
	_, err := usa.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActConfigure}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocAgreement, p.Agreement.String(), []byte("version = 1\nfrom_a_later_noroshi = true\n"))
	})
	if err != nil {
		t.Fatal(err)
	}
	usa.Stop()
	usa.Start()
	var s web.Status
	usa.Must("status", nil, &s)
	var checks []web.Check
	usa.Must("doctor", nil, &checks)
	told := slices.ContainsFunc(checks, func(c web.Check) bool { return c.Code == "agreement-unreadable" && c.State == "fail" })
	if !slices.Equal(s.Unreadable, []noroshi.CallSign{"JPN-01"}) || !told {
		t.Errorf("status says %v, doctor %v", s.Unreadable, checks)
	}
	var holds []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &holds)
	for _, h := range holds {
		usa.Must("release.show", web.HoldRef{Hold: h.ID}, nil)
	}
	if len(holds) == 0 {
		t.Error("nothing is held")
	}
	var rows []partner.AgreementRow
	usa.Must("agreement.list", nil, &rows)
	if !slices.ContainsFunc(rows, func(r partner.AgreementRow) bool {
		return r.Hash == p.Agreement && r.State == "unreadable" && r.CallSign == "JPN-01"
	}) {
		t.Errorf("agreements %+v", rows)
	}
	usa.Import("list.txt", "tlp:green", strings.NewReader("for-all.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, kor)
	has := func(p *nodetest.Party) int {
		var f web.Found
		p.Must("indicator.find", web.FindRef{Query: "for-all.example"}, &f)
		return len(f.Data)
	}
	if has(kor) != 1 || has(jpn) != 0 {
		t.Errorf("KOR-01 has %d, JPN-01 %d; want 1 and 0", has(kor), has(jpn))
	}
	usa.Intact()
	if _, err := crew.Agree(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	jpn.Until("what had to wait", func() (bool, error) { return has(jpn) == 1, nil })
	s = web.Status{}
	usa.Must("status", nil, &s)
	if len(s.Unreadable) > 0 {
		t.Errorf("status still says %v", s.Unreadable)
	}
}
