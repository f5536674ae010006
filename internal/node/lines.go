package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

// LineConfig is one line to other nodes: a serial device, a modem, a pipe. Both
// ends give it the same name, turn and duplex.
type LineConfig struct {
	// Name is what both nodes call the line: 1 to 32 of a-z, 0-9 and hyphens.
	// line:NAME stands on the cards this node hands out.
	Name string `toml:"name"`
	// Pipe is what it runs over: serial:/dev/NAME[@SPEED], tcp:HOST:PORT,
	// listen:ADDRESS:PORT or udp:ADDRESS:PORT,HOST:PORT.
	Pipe string `toml:"pipe"`
	// Rate is how many bits a second it carries, such as 75. Too high a number
	// fills the modem's buffer, and a FLASH waits behind what is in it.
	Rate int `toml:"rate"`
	// CharBits is how many bits a byte takes: 8 on synchronous lines, 10 with
	// start and stop bit. Default 10 on a serial device without a speed of its
	// own, else 8.
	CharBits int `toml:"char_bits,omitempty"`
	// Turn is the silence the line needs before the other side may speak, such as
	// "2s", which suits most HF modems and is the default. Too short, and what is
	// said first is lost.
	Turn time.Duration `toml:"turn,omitempty"`
	// Duplex is set where both may speak at once.
	Duplex bool `toml:"duplex,omitempty"`
	// Talk is how long one side speaks below FLASH before the other may. Default:
	// six turns.
	Talk time.Duration `toml:"talk,omitempty"`
	// Realm is whose the line is: one realm's at a time. Default "real".
	Realm string `toml:"realm,omitempty"`
}

// usualTurn suits most HF modems.
const usualTurn = 2 * time.Second

// startStop is how many bits a byte takes on a cable between two serial devices.
const startStop = 10

func (x LineConfig) options() (o line.Options, err error) {
	o.Name = x.Name
	if o.Open, err = line.Pipe(x.Pipe, x.Rate); err != nil {
		return o, err
	}
	o.Config = line.Config{Rate: x.Rate, CharBits: x.CharBits, Turn: cmp.Or(x.Turn, usualTurn), Duplex: x.Duplex, Talk: x.Talk}
	if x.CharBits == 0 && strings.HasPrefix(x.Pipe, "serial:") && !strings.Contains(x.Pipe, "@") {
		o.Config.CharBits = startStop
	}
	return o, o.Check()
}

func (x LineConfig) realm() (noroshi.Realm, error) {
	if x.Realm == "" {
		return noroshi.Real, nil
	}
	return noroshi.ParseRealm(x.Realm)
}

// checkLines returns the first line that is wrong, and why.
func checkLines(list []LineConfig) (field string, err error) {
	for i, x := range list {
		field = fmt.Sprintf("line %d", i+1)
		if _, err := x.realm(); err != nil {
			return field, err
		}
		if _, err := x.options(); err != nil {
			return field, err
		}
		if slices.ContainsFunc(list[:i], func(y LineConfig) bool { return y.Name == x.Name }) {
			return field, fmt.Errorf("name %q is another line's", x.Name)
		}
	}
	return "", nil
}

// wireLines makes the realm's lines; nothing is opened before they run.
func (n *Node) wireLines() (channels []courier.Channel, err error) {
	for _, x := range n.Config.Lines {
		if r, err := x.realm(); err != nil || r != n.Realm {
			continue
		}
		o, err := x.options()
		if err != nil {
			return nil, err
		}
		name := noroshi.ChannelLine + ":" + x.Name
		keys := &fragmentKeys{node: n, endpoint: name}
		o.Now, o.Config.MAC, o.Config.Check = n.opts.Now, keys.mac, keys.check
		o.Accept = func(ctx context.Context, from noroshi.NodeID, envelope []byte) error {
			return n.Courier.Receive(ctx, name, from, envelope)
		}
		l, err := line.New(o)
		if err != nil {
			return nil, err
		}
		n.lines = append(n.lines, l)
		channels = append(channels, l)
		if !slices.Contains(n.endpoints, name) {
			n.endpoints = append(slices.Clip(n.endpoints), name)
		}
	}
	return channels, nil
}
