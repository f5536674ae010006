package line_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

// TestOverASerialDevice: a pseudo-terminal of this machine is the device; what
// is at its other end speaks the same frames.
func TestOverASerialDevice(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("this test needs a pseudo-terminal: %v", err)
	}
	modem := os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	c := quick
	c.rate = 115200
	a := newStation(t, 0, c, pipe(t, fmt.Sprintf("serial:/dev/pts/%d@115200", n), 75))
	b := newStation(t, 1, c, once(modem))
	run(t, a, b)
	w := newWorld(t, c, 3)
	x, y := w.envelope(2000), w.envelope(1500) // all byte values, those a terminal would act on too
	var wg sync.WaitGroup
	wg.Go(func() { a.send(t, 0, noroshi.Routine, x) })
	wg.Go(func() { b.send(t, 1, noroshi.Flash, y) })
	b.expect(t, x)
	a.expect(t, y)
	wg.Wait()
	for path, rate := range map[string]int{"/dev/pts/0": 76, "/dev/null": 0, "/dev/ttyS0@": 75, "/dev/ttyS0@9601": 75, "/dev/ttyS0@x": 75} {
		if _, err := line.Pipe("serial:"+path, rate); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%d bit/s: %v", rate, err)
		}
	}
	open := pipe(t, "serial:/dev/null", 75)
	if _, err := open(t.Context()); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("a device that is no terminal: %v", err)
	}
}
