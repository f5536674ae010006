package line

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// dialTimeout bounds one attempt to connect.
const dialTimeout = 20 * time.Second

// Pipe reads what a line runs over:
//
//	serial:/dev/ttyUSB0        a serial device of this machine, raw, eight bits, no parity
//	serial:/dev/ttyUSB0@9600   the same with its own speed: that of the cable to a modem
//	tcp:HOST:PORT              connect there: the socket of a modem or a STANAG 5066 node
//	listen:ADDRESS:PORT        wait there for one connection at a time; ADDRESS must be given
//	udp:ADDRESS:PORT,HOST:PORT a datagram for each frame, from the first to the second
//
// rate is that of the line, and of the serial device where none is named.
func Pipe(spec string, rate int) (Open, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "serial":
		path, speed, named := strings.Cut(rest, "@")
		if n, err := strconv.Atoi(speed); named && err == nil {
			rate = n
		} else if named {
			rate = 0
		}
		if strings.HasPrefix(path, "/") {
			return func(context.Context) (io.ReadWriteCloser, error) { return openSerial(path, rate) }, serialRate(rate)
		}
	case "tcp":
		if hostPort(rest) {
			return dial("tcp", rest, nil), nil
		}
	case "listen":
		if hostPort(rest) {
			return accept(rest), nil
		}
	case "udp":
		local, remote, ok := strings.Cut(rest, ",")
		from, err := net.ResolveUDPAddr("udp", local)
		if ok && hostPort(local) && hostPort(remote) && err == nil {
			return dial("udp", remote, from), nil
		}
	}
	return nil, noroshi.Errorf(noroshi.Invalid, "line.pipe", "%q is none of serial:/dev/NAME[@SPEED], tcp:HOST:PORT, listen:ADDRESS:PORT, udp:ADDRESS:PORT,HOST:PORT", spec)
}

func hostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
}

func dial(network, to string, from net.Addr) Open {
	return func(ctx context.Context) (io.ReadWriteCloser, error) {
		c, err := (&net.Dialer{Timeout: dialTimeout, LocalAddr: from}).DialContext(ctx, network, to)
		if err == nil && network == "udp" {
			return datagrams{c}, nil
		}
		return c, err
	}
}

// datagrams is a pipe of which nobody need be at the other end: that a host
// says there is nobody is a loss like others.
type datagrams struct{ net.Conn }

func (d datagrams) Read(b []byte) (int, error) {
	for {
		if n, err := d.Conn.Read(b); !errors.Is(err, syscall.ECONNREFUSED) {
			return n, err
		}
	}
}

func (d datagrams) Write(b []byte) (int, error) {
	n, err := d.Conn.Write(b)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return len(b), nil
	}
	return n, err
}

// accept waits for a connection. The address is given up while one is open:
// a line has one other end.
func accept(at string) Open {
	return func(ctx context.Context) (io.ReadWriteCloser, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { l.Close() })
		defer stop()
		defer l.Close()
		return l.Accept()
	}
}
