package message_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The product runs with the FIPS 140-3 module on; nothing here may need
// anything that the strict mode refuses either.
func TestFIPS(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run", `^(TestSealUnseal|Test.*Vectors|TestSuccession|TestKeyringFile|TestAgreement|TestCard.*|TestGate.*|TestKeyUse)$`, "-test.v")
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
