package nodetest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestImportSigned: who signs for a file stands as its source; a signature over
// other bytes or another marking, or of who may not import, brings nothing in and
// is on record.
func TestImportSigned(t *testing.T) {
	t.Parallel()
	usa := nodetest.New(t, "USA-01", noroshi.Real)
	const file = "signed.example\n"
	take := func(ref web.ImportRef, file string) error {
		input, err := json.Marshal(ref)
		if err == nil {
			_, err = web.Invoke(t.Context(), usa.Node.Services(), "import", input, strings.NewReader(file), nil)
		}
		return err
	}
	signed := func(person string, ref web.ImportRef) web.ImportRef {
		by, err := usa.Signed(t.Context(), person, noroshi.ActImport, ref.Name, web.ImportBound(ref, noroshi.Sum([]byte(file))))
		if err != nil {
			t.Fatal(err)
		}
		ref.By = &by
		return ref
	}
	ref := web.ImportRef{Name: "list", Marking: "tlp:red"}
	lower := signed("duty", ref)
	lower.Marking = "tlp:clear"
	for name, x := range map[string]struct {
		ref        web.ImportRef
		file, want string
	}{
		"other bytes":        {signed("duty", ref), "evil.example\n", "person.signature"},
		"another marking":    {lower, file, "person.signature"},
		"who may not import": {signed("release1", ref), file, "person.role-may-not"},
	} {
		if err := take(x.ref, x.file); code(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	if got := refusals(t, usa, "import"); len(got) != 2 || !strings.HasPrefix(got[0], "import list ") {
		t.Errorf("on record: %q", got)
	}
	if err := take(signed("duty", ref), file); err != nil {
		t.Fatal(err)
	}
	r, err := usa.Node.Store.Current(t.Context(), only(t, usa))
	if err != nil || r.Source.Person != "duty" {
		t.Errorf("brought by %q, %v", r.Source.Person, err)
	}
	usa.Intact()
}
