package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/noroshi-cti/noroshi"
)

// maxAddresses of one name are tried.
const maxAddresses = 8

// dial connects to an address of a host that may be reached: the first that
// answers, in the order the resolver gave them.
func (t *Transport) dial(ctx context.Context, hostPort string, loopback bool) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	all, err := t.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	allowed := func(a netip.Addr) bool { return mayReach(a, t.o.Nets) && (!loopback || a.IsLoopback()) }
	var tried error
	n := 0
	for _, a := range all {
		if !allowed(a) {
			continue
		}
		if n++; n > maxAddresses {
			break
		}
		c, err := t.connect(ctx, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return c, nil
		}
		tried = errors.Join(tried, err)
	}
	if n == 0 {
		return nil, noroshi.Errorf(noroshi.Refused, "feed.address", "%s has the address %s, which is neither public nor in allow_nets", host, all[0])
	}
	return nil, tried
}

// resolve returns the addresses of a host, at least one. Each family is asked
// for itself: so a mapped address in an AAAA record is told from an A record.
func (t *Transport) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	var all []netip.Addr
	var failed error
	for _, network := range []string{"ip4", "ip6"} {
		found, err := t.o.Resolver.LookupNetIP(ctx, network, host)
		failed = errors.Join(failed, err)
		for _, a := range found {
			if network == "ip4" {
				a = a.Unmap() // *net.Resolver gives IPv4 in this form
			}
			all = append(all, a)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	if failed == nil {
		failed = errors.New("no address")
	}
	return nil, noroshi.Errorf(noroshi.Busy, "feed.resolve", "the name %s has no address: %w", host, failed)
}

// connect dials one address that was checked, and nothing else: it looks at the
// address of the socket again.
func (t *Transport) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: t.o.Dial, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || at.Port() != to.Port() || at.Addr().Unmap() != to.Addr().Unmap() {
			return fmt.Errorf("%s is not the address that was checked", address)
		}
		return nil
	}}
	return d.DialContext(ctx, "tcp", to.String())
}
