package line

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/noroshi-cti/noroshi"
)

// speeds of serial devices (termios).
var speeds = map[int]uint32{50: unix.B50, 75: unix.B75, 110: unix.B110, 150: unix.B150, 200: unix.B200, 300: unix.B300, 600: unix.B600,
	1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400,
	57600: unix.B57600, 115200: unix.B115200}

func serialRate(rate int) error {
	if speeds[rate] == 0 {
		return noroshi.Errorf(noroshi.Invalid, "line.serial-rate", "a serial device has no rate of %d bit/s", rate)
	}
	return nil
}

// openSerial opens a device for this process alone, raw: eight bits, no
// parity, one stop bit, no flow control, no modem control lines.
func openSerial(path string, rate int) (io.ReadWriteCloser, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Queued, "line.serial", "open %s: %w", path, err)
	}
	if err := raw(fd, speeds[rate]); err != nil {
		unix.Close(fd)
		return nil, noroshi.Errorf(noroshi.Queued, "line.serial", "set up %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func raw(fd int, speed uint32) error {
	if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
		return err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = unix.IGNBRK|unix.IGNPAR, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | speed
	t.Ispeed, t.Ospeed = speed, speed
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
}
