package noroshi_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// TestCodeVectors holds the codes against RFC 6238, appendix B (their last six
// of eight digits).
func TestCodeVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := noroshi.CodeAt(secret, noroshi.CodeStep(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// TestCodesAreGoodOnce: a code counts one step early or late, and only if it
// comes after the one that was used last.
func TestCodesAreGoodOnce(t *testing.T) {
	secret := []byte("12345678901234567890")
	now := time.Unix(1234567890, 0)
	step := noroshi.CodeStep(now)
	for late, want := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		got, ok := noroshi.MatchCode(secret, noroshi.CodeAt(secret, step+late), now, 0)
		if ok != want || ok && got != step+late {
			t.Errorf("%d steps off: step %d, %v", late, got, ok)
		}
		if _, ok := noroshi.MatchCode(secret, noroshi.CodeAt(secret, step+late), now, step+late); ok {
			t.Errorf("%d steps off: good twice", late)
		}
	}
	for typed, want := range map[string]bool{"005924": true, " 005-924\n": true, "００５　９２４": true, "": false, "-": false, "O05924": false, "0059245": false} {
		if _, ok := noroshi.MatchCode(secret, typed, now, 0); ok != want {
			t.Errorf("%q: %v, want %v", typed, ok, want)
		}
	}
}

// TestCodeSecretOpensWithTheKey: the secret of a code generator opens with the
// person's own key alone.
func TestCodeSecretOpensWithTheKey(t *testing.T) {
	pass := []byte("correct-horse-battery")
	hana, err := noroshi.NewPerson("hana", "", []noroshi.Role{noroshi.Duty}, pass)
	if err != nil {
		t.Fatal(err)
	}
	taro, err := noroshi.NewPerson("taro", "", []noroshi.Role{noroshi.Duty}, pass)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hana.Unseal(pass)
	if err != nil {
		t.Fatal(err)
	}
	others, err := taro.Unseal(pass)
	if err != nil {
		t.Fatal(err)
	}
	secret := noroshi.NewCodeSecret()
	if hana.Code, err = noroshi.SealCode("hana", key, secret); err != nil {
		t.Fatal(err)
	}
	if got, err := hana.CodeSecret(key); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("it opens to %x, %v; want %x", got, err, secret)
	}
	if _, err := hana.CodeSecret(others); noroshi.KindOf(err) != noroshi.Broken {
		t.Errorf("with another person's key: %v", err)
	}
}
