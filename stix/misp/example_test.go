package misp_test

import (
	"fmt"

	"github.com/noroshi-cti/noroshi/stix/misp"
)

func ExampleEvent_STIX() {
	e, err := misp.Read([]byte(`{"Event":{"uuid":"5d9b516c-e5f0-4e7c-a958-5d8c0a019371","info":"不審なメール","published":true,"timestamp":"1700000500",
"Orgc":{"name":"CERT"},"threat_level_id":"2","Tag":[{"name":"tlp:amber"}],"Attribute":[
{"uuid":"5d9b5175-5bac-47b7-b0c5-68700a019371","type":"domain","category":"Network activity","value":"a.example","to_ids":true,"timestamp":"1700000000"},
{"type":"domain","value":"b.example","timestamp":"yesterday"}]}}`), misp.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range e.Faults {
		fmt.Println(f.Place, f.Code)
	}
	r := e.STIX(misp.Options{})
	for _, o := range r.Objects {
		fmt.Println(o.ID, r.Markings[o.ID])
	}
	event, _, err := misp.Write(r.Objects, r.Rest, misp.Options{})
	fmt.Println(len(event) > 0, err)
	// Output:
	// /Event/Attribute/1 timestamp
	// identity--dc82049f-d68a-5d4e-b220-a37e5821c5be [tlp:amber]
	// indicator--5d9b5175-5bac-47b7-b0c5-68700a019371 [tlp:amber]
	// report--5d9b516c-e5f0-4e7c-a958-5d8c0a019371 [tlp:amber]
	// true <nil>
}
