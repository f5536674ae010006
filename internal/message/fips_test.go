package message_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The product runs with the FIPS 140-3 module on; nothing here but the list
// profile, whose UUIDv5 ids are SHA-1 (RFC 9562 §5.5), may need anything that
// the strict mode refuses either.
func TestFIPS(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			packings := ""
			if mode == "on" {
				packings = "|TestPack.*"
			}
			cmd := exec.Command(os.Args[0], "-test.run", `^(TestSealUnseal|Test(Key|Message|Statement|Document|Envelope|Line|Suite)Vectors|TestSuccession|TestKeyringFile|TestAgreement|TestCard.*|TestGate.*|TestKeyUse|TestNarrow|TestDays|TestFragments|TestHigh`+packings+`)$`, "-test.v")
			cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := strings.Count(string(out), "\n--- PASS"); n < 10 {
				t.Errorf("only %d tests ran:\n%s", n, out)
			}
		})
	}
}
