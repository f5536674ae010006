package node_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// TestCertificateOfANode: what a node is called in its configuration stands in
// its certificate, which is the same whenever it is asked for.
func TestCertificateOfANode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "usa")
	config := node.Config{CallSign: "USA-01", Listen: "0.0.0.0:7101", Tools: "10.0.0.5:7443",
		Endpoints: []string{"https://usa.example:8443/", "https://[2001:db8::1]"}, Names: []string{"noroshi.soc.example", "10.0.0.5"}}
	if err := node.Init(t.Context(), dir, config); err != nil {
		t.Fatal(err)
	}
	var first string
	for range 2 {
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		cert, err := n.Services().Certificate()
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{"10.0.0.5", "usa.example", "2001:db8::1", "noroshi.soc.example"}
		if !slices.Equal(cert.Names, want) {
			t.Errorf("names %q, want %q", cert.Names, want)
		}
		if first == "" {
			first = cert.PEM
		}
		if cert.PEM != first {
			t.Error("opened again, the node has another certificate")
		}
	}
}
