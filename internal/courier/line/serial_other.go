//go:build !linux

package line

import (
	"io"

	"github.com/noroshi-cti/noroshi"
)

func serialRate(int) error {
	return noroshi.Errorf(noroshi.Invalid, "line.serial-system", "serial devices can be used on Linux only: connect the modem by tcp: or udp: instead")
}

func openSerial(string, int) (io.ReadWriteCloser, error) { return nil, serialRate(0) }
