package message_test

import (
	"bytes"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// packVector is a content and what a number of compression makes of it.
type packVector struct {
	Number  uint8    `json:"number"`
	Content hexBytes `json:"content"`
	Packed  hexBytes `json:"packed"`
	Lines   string   `json:"lines,omitempty"` // of the list profile, unpacked
}

func TestPackVectors(t *testing.T) {
	const self, at = "identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "2026-11-20T03:04:05.678Z"
	list := message.EncodeObjects([]message.Object{
		{Bytes: listed(self, "apt", at, noroshi.DomainName, "example.com", 1)}, {Bytes: listed(self, "apt", at, noroshi.DomainName, "example.org", 2)},
		{Bytes: listed(self, "apt", at, noroshi.SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709", 1)}})
	own := message.EncodeObjects([]message.Object{{View: 3, Bytes: []byte(ownForms()[5])}})
	if *update {
		var made []packVector
		for _, v := range []packVector{{Number: 2, Content: own}, {Number: 128, Content: list, Lines: "\x01Aexample.com\nexample.org\x022\n\x01Gda39a3ee5e6b4b0d3255bfef95601890afd80709\n"},
			{Number: 129, Content: own}, {Number: 129, Content: []byte("防護対象")}} {
			n, b := message.Compress(v.Content, []uint8{v.Number}, true)
			if n != v.Number {
				t.Fatalf("made by number %d, want %d", n, v.Number)
			}
			v.Packed = b
			made = append(made, v)
		}
		golden(t, "packings.json", made)
	}
	for _, v := range load[[]packVector](t, "packings.json") {
		if got, err := message.Decompress(v.Number, v.Packed, len(v.Content)); err != nil || !bytes.Equal(got, v.Content) {
			t.Errorf("number %d: comes back as %q, %v", v.Number, got, err)
		}
		if v.Number == 129 && !bytes.Equal(message.Shorten(v.Content), v.Packed) {
			t.Error("number 129: made now is not the vector")
		}
	}
}
