package taxii_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/noroshi-cti/noroshi/taxii"
)

// A server over a Memory, and what a client that may read one collection sees.
func ExampleNewHandler() {
	m := taxii.NewMemory(nil)
	id := m.AddCollection(taxii.Collection{ID: "91a7b528-80eb-42ed-a74d-c6fbd5a26116", Title: "Indicators", Alias: "indicators"})
	m.AddClient("partner", "a long random secret")
	m.Grant("partner", id, true, false)

	server := httptest.NewServer(taxii.NewHandler(m, taxii.Options{Title: "Example"}))
	defer server.Close()

	req, _ := http.NewRequest("GET", server.URL+"/taxii2/api1/collections/indicators/", nil)
	req.Header.Set("Accept", taxii.MediaType)
	req.SetBasicAuth("partner", "a long random secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output:
	// 200 OK {"id":"91a7b528-80eb-42ed-a74d-c6fbd5a26116","title":"Indicators","alias":"indicators","can_read":true,"can_write":false}
}
