package noroshi_test

import (
	"maps"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestSaidIn: texts are read as they stand under their exact names; what is none
// says nothing.
func TestSaidIn(t *testing.T) {
	t.Parallel()
	o, err := stix.Parse([]byte(`{"type":"language-content","id":"language-content--00000000-0000-4000-8000-000000000001","contents":{` +
		`"ja":{"name":"狼煙\n","description":"煙"},"en":{"name":"Beacon","labels":["x"]},"de":{"name":7},"it":{"Name":"Fuoco"},"fr":"Feu","":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]noroshi.Said{"ja": {"狼煙\n", "煙"}, "en": {Name: "Beacon"}, "de": {}, "it": {}, "fr": {}, "": {}}
	if got := noroshi.SaidIn(o); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := noroshi.SaidIn(&stix.Object{}); len(got) != 0 {
		t.Errorf("of another object: got %v", got)
	}
}
