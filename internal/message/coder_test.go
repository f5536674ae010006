package message_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func TestShort(t *testing.T) {
	t.Parallel()
	random := make([]byte, 1000)
	rand.Read(random)
	for name, b := range map[string][]byte{"empty": {}, "a byte": {7}, "zeros": make([]byte, 300), "ones": bytes.Repeat([]byte{255}, 300),
		"random": random, "objects": message.EncodeObjects(objects(40)), "text": []byte("防護対象のネットワークで検知しました。")} {
		short := message.Shorten(b)
		got, err := message.Lengthen(short, len(b))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %d bytes came back as %d, %v", name, len(b), len(got), err)
		}
		if len(short) > len(b)+len(b)/16+8 {
			t.Errorf("%s: %d bytes became %d", name, len(b), len(short))
		}
		if _, err := message.Lengthen(append(short, make([]byte, 20)...), len(b)); err == nil {
			t.Errorf("%s: more than the content is taken", name)
		}
	}
	if _, err := message.Lengthen(make([]byte, 2000), 64<<10+1); codeOf(err) != "message.compression" {
		t.Errorf("a large one: got %v", err)
	}
	for _, o := range spread(published(t, "candiru.json.gz", "indicator"), 10) {
		c := message.EncodeObjects([]message.Object{{Bytes: o}})
		t.Logf("%d -> %d", len(c), len(message.Shorten(c)))
	}
	_ = noroshi.Real
}
