package backup_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
)

var secretKey = bytes.Repeat([]byte{7}, 32)

func given(secret []byte) func(backup.How) ([]byte, error) {
	return func(backup.How) ([]byte, error) { return secret, nil }
}

// sealed makes a backup of parts by name.
func sealed(t testing.TB, how backup.How, secret []byte, parts ...string) []byte {
	t.Helper()
	s, err := backup.Seal(how, secret)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := backup.Create(&b, s, backup.Manifest{Realm: noroshi.Real, CallSign: "USA-01", Made: time.Unix(1e9, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(parts); i += 2 {
		if err := w.Add(parts[i], int64(len(parts[i+1])), strings.NewReader(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	m, sum, err := w.Close()
	if err != nil || len(m.Parts) != len(parts)/2 || sum != noroshi.Sum(b.Bytes()) {
		t.Fatalf("closed with %+v, %s, %v", m, sum, err)
	}
	return b.Bytes()
}

// opened reads a backup to its end.
func opened(file, secret []byte) (parts map[string]string, m backup.Manifest, err error) {
	r, err := backup.Open(bytes.NewReader(file), given(secret))
	if err != nil {
		return nil, m, err
	}
	parts = map[string]string{}
	for {
		name, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			m, sum, err := r.Close()
			if err == nil && sum != noroshi.Sum(file) {
				err = errors.New("another hash")
			}
			return parts, m, err
		}
		if err != nil {
			return nil, m, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, m, err
		}
		parts[name] = string(b)
	}
}

func code(err error) string {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// What goes in comes out, whatever its length: pieces end where they end.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1 << 9, 1<<16 - 2048, 1<<16 - 1536, 1 << 16, 3<<16 + 5} {
		long := strings.Repeat("x", size)
		file := sealed(t, backup.Key, secretKey, "keys", "k", "real.db", long)
		if bytes.Contains(file, []byte("USA-01")) || bytes.Contains(file, []byte("xxxxxxxx")) {
			t.Errorf("%d: readable outside", size)
		}
		parts, m, err := opened(file, secretKey)
		if err != nil || parts["keys"] != "k" || parts["real.db"] != long || m.CallSign != "USA-01" || len(m.Parts) != 2 {
			t.Errorf("%d: got %d parts, %+v, %v", size, len(parts), m, err)
		}
	}
	file := sealed(t, backup.Passphrase, []byte("correct horse"), "keys", "k")
	if parts, _, err := opened(file, []byte("correct horse")); err != nil || parts["keys"] != "k" {
		t.Errorf("by passphrase: %v, %v", parts, err)
	}
	if _, _, err := opened(file, []byte("wrong horse")); code(err) != "backup.seal" {
		t.Errorf("by another passphrase: %v", err)
	}
}

// A change of any byte, any cut and anything added is found.
func TestDamage(t *testing.T) {
	t.Parallel()
	file := sealed(t, backup.Key, secretKey, "real.db", strings.Repeat("y", 150_000))
	found := func(name string, b []byte) {
		t.Helper()
		if _, _, err := opened(b, secretKey); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	for at := 0; at < len(file); at += 701 {
		b := bytes.Clone(file)
		b[at] ^= 1
		found("a changed byte", b)
		found("a cut", file[:at])
	}
	const sealedPiece = 64<<10 + 28
	head := bytes.IndexByte(file, '\n') + 1 + 16
	first, second := file[head:head+sealedPiece], file[head+sealedPiece:head+2*sealedPiece]
	found("pieces exchanged", bytes.Join([][]byte{file[:head], second, first, file[head+2*sealedPiece:]}, nil))
	found("a piece left out", bytes.Join([][]byte{file[:head], second, file[head+2*sealedPiece:]}, nil))
	found("cut after a whole piece", file[:head+sealedPiece])
	found("something added", append(bytes.Clone(file), 0))
	found("nothing", nil)
	for _, c := range []struct{ name, part string }{{"a path", "../real.db"}, {"a folder", "a/b"}, {"none", ""}} {
		s, _ := backup.Seal(backup.Key, secretKey)
		w, err := backup.Create(io.Discard, s, backup.Manifest{Realm: noroshi.Real})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(c.part, 0, strings.NewReader("")); code(err) != "backup.part" {
			t.Errorf("%s as a part's name: %v", c.name, err)
		}
	}
}

// A secret that is none seals nothing.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		how    backup.How
		secret string
	}{{backup.Passphrase, ""}, {backup.Key, "short"}, {"", "something"}} {
		if _, err := backup.Seal(c.how, []byte(c.secret)); code(err) != "backup.secret" {
			t.Errorf("%q by %q: %v", c.how, c.secret, err)
		}
	}
	if backup.Kind(secretKey) != backup.Key || backup.Kind([]byte("a passphrase")) != backup.Passphrase {
		t.Error("kinds of secrets are mixed up")
	}
}

// FuzzOpen: whatever a file holds, reading it ends without a panic, and nothing
// but what was sealed under the key is taken for whole.
func FuzzOpen(f *testing.F) {
	f.Add(sealed(f, backup.Key, secretKey, "keys", "k"), uint16(0), byte(0))
	f.Add([]byte("noroshi backup 1 key\n"), uint16(3), byte(1))
	whole := sealed(f, backup.Key, secretKey, "real.db", "z")
	f.Fuzz(func(t *testing.T, file []byte, at uint16, flip byte) {
		if bytes.HasPrefix(file, []byte("noroshi backup 1 passphrase\n")) {
			return // argon2id takes its time
		}
		_, _, _ = opened(file, secretKey)
		b := bytes.Clone(whole)
		b[int(at)%len(b)] ^= flip
		if _, _, err := opened(b, secretKey); (err == nil) != (flip == 0) && !strings.HasPrefix(string(b), "noroshi backup 1 passphrase\n") {
			t.Errorf("byte %d changed by %d: %v", at, flip, err)
		}
	})
}
