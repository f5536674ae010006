package media_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// FuzzMedium: whatever lies on a medium, what comes out is bounded by what is
// there, and reading it twice gives the same.
func FuzzMedium(f *testing.F) {
	for _, size := range []int{0, media.Datagram, media.Frame} {
		p, err := media.NewPart(envelopes(1, 4, 300), size)
		if err != nil {
			f.Fatal(err)
		}
		whole := bytes.Join(p.Blocks, nil)
		f.Add(whole)
		f.Add(whole[64:])
		f.Add(append(bytes.Repeat([]byte{0x21}, 640), whole...))
		f.Add([]byte(media.FrameText(p.Blocks[0])))
	}
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "medium")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, found := unpack(t, path)
		size := 0
		for _, e := range got {
			if size += len(e); len(e) == 0 || len(e) > message.MaxEnvelope {
				t.Errorf("an envelope of %d bytes", len(e))
			}
		}
		if size > len(b) || found.Blocks*512 > max(len(b), 0) {
			t.Errorf("%d bytes and %d blocks out of %d", size, found.Blocks, len(b))
		}
		if again, _ := unpack(t, path); !same(got, again) {
			t.Error("reading it again gives something else")
		}
	})
}

// TestHeadsInVain: a file of nothing but heads, each of a block as large as can
// be, is let go before it costs more than to read it a few times.
func TestHeadsInVain(t *testing.T) {
	t.Parallel()
	p, err := media.NewPart(envelopes(1, 40, 100_000), 0)
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.Clone(p.Blocks[0][:64])
	path := filepath.Join(t.TempDir(), "medium")
	if err := os.WriteFile(path, bytes.Repeat(head, 1<<19), 0o600); err != nil { // 32 MiB: hashed at every head, 32 GiB
		t.Fatal(err)
	}
	if got, found := unpack(t, path); len(got) > 0 || found.Parts > 0 {
		t.Errorf("%d envelopes, %+v", len(got), found)
	}
}
