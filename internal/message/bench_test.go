package message_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func BenchmarkSign(b *testing.B) {
	p := newPair(b, noroshi.Real)
	content := message.EncodeObjects(objects(1))
	for b.Loop() {
		p.sign(b, dataHeader(1), content)
	}
}

func BenchmarkVerify(b *testing.B) {
	p := newPair(b, noroshi.Real)
	m := p.sign(b, dataHeader(1), message.EncodeObjects(objects(1)))
	for b.Loop() {
		if err := m.Verify(p.a.Keyset()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	p := newPair(b, noroshi.Real)
	g, err := message.ReadGate(p.seal(b, message.Plain{Message: p.sign(b, dataHeader(1), message.EncodeObjects(objects(1)))}))
	if err != nil {
		b.Fatal(err)
	}
	from, to := p.a.NodeID(), p.b.NodeID()
	for b.Loop() {
		if !g.Match(p.secret, p.realm, from, to) {
			b.Fatal("no match")
		}
	}
}

// The corpus of Seal and Unseal is indicators of about 1,100 bytes.
func indicators(n int) []message.Object {
	var list []message.Object
	for i := range n {
		h := noroshi.Sum([]byte(fmt.Sprint(i)))
		s := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%x","created":"2026-11-20T03:04:05.%03dZ","pattern":"[domain-name:value = '%x.example']","description":"`, h[:16], i%1000, h[16:])
		for w := range 12 {
			s += fmt.Sprintf("seen with tool %x in campaign %d; ", h[w:w+3], h[w])
		}
		list = append(list, message.Object{Bytes: []byte(s + `"}`)})
	}
	return list
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPair(b, noroshi.Real)
			m := p.sign(b, dataHeader(1), message.EncodeObjects(indicators(n)))
			b.SetBytes(int64(len(m.Content)))
			var e []byte
			for b.Loop() {
				var err error
				if e, err = message.Seal(message.Plain{Message: m}, p.out(), rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(e))/float64(n), "envelope-bytes/object")
		})
	}
}

func BenchmarkUnseal(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPair(b, noroshi.Real)
			m := p.sign(b, dataHeader(1), message.EncodeObjects(indicators(n)))
			e := p.seal(b, message.Plain{Message: m})
			b.SetBytes(int64(len(m.Content)))
			for b.Loop() {
				if _, err := message.Unseal(p.b, p.in(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
