//go:build unix

package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// User and Password are those the gateway takes letters from.
const (
	User     = "noroshi"
	Password = "correct-horse"
)

// Exim is a running gateway.
type Exim struct {
	Address string   // host:port
	Pin     [32]byte // SHA-256 of its certificate's SubjectPublicKeyInfo
	CAFile  string   // its certificate in PEM, which names 127.0.0.1
	dir     string
	alive   io.Closer // while it is open the gateway runs
	shell   *exec.Cmd
}

// guard runs Exim until its standard input ends, which it does with the test
// process, and then leaves nothing.
const guard = `"$1" -C "$2/conf" -bdf -q1s </dev/null >"$2/out" 2>&1 &
cat >/dev/null
trap "" TERM
kill -TERM 0
wait
rm -rf "$2"`

// Start runs a gateway until the test ends. Letters to a domain go on to the
// address that stands for it in routes, host:port on loopback.
func Start(t testing.TB, routes map[string]string) *Exim {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	e, err := start(bin, routes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.alive.Close()
		if err := e.shell.Wait(); err != nil {
			t.Errorf("exim4 ends: %v", err)
		}
	})
	return e
}

// program finds Exim; it may be in a folder that is not in everybody's PATH.
func program() (string, error) {
	for _, name := range []string{"exim4", "/usr/sbin/exim4"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no exim4: install the Debian package exim4-daemon-light (make deps)")
}

func start(bin string, routes map[string]string) (*Exim, error) {
	dir, err := os.MkdirTemp("", "noroshi-exim-")
	if err != nil {
		return nil, err
	}
	e := &Exim{dir: dir, CAFile: filepath.Join(dir, "cert.pem")}
	uid, gid, who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if err := e.certificate(); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	e.Address = net.JoinHostPort("127.0.0.1", port)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(config(dir, port, uid, gid, routes)), 0o644); err != nil {
		return nil, err
	}
	if who != nil {
		for _, name := range []string{"", "conf", "key.pem", "cert.pem"} {
			if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
				return nil, err
			}
		}
	}
	cmd := exec.Command("/bin/sh", "-c", guard, "guard", bin, dir)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true, Credential: who}
	if e.alive, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	e.shell = cmd
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return e, e.await()
}

// await returns when the gateway greets.
func (e *Exim) await() error {
	for end := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", e.Address)
		if err == nil {
			line, err := bufio.NewReader(c).ReadString('\n')
			c.Close()
			if err == nil && strings.HasPrefix(line, "220 ") {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("exim4 did not start: %w: %s", err, e.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Log is what the gateway wrote about its work.
func (e *Exim) Log() string {
	var b strings.Builder
	for _, name := range []string{"out", "mainlog", "rejectlog", "paniclog"} {
		if f, err := os.Open(filepath.Join(e.dir, name)); err == nil {
			io.Copy(&b, io.LimitReader(f, 64<<10))
			f.Close()
		}
	}
	return b.String()
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// unprivileged is who the gateway runs as: nobody where the test is root.
func unprivileged() (uid, gid int, who *syscall.Credential, err error) {
	if os.Getuid() != 0 {
		return os.Getuid(), os.Getgid(), nil, nil
	}
	u, err := osuser.Lookup("nobody")
	if err != nil {
		return 0, 0, nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// certificate makes a key and a certificate for 127.0.0.1.
func (e *Exim) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway.example"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	e.Pin = sha256.Sum256(spki)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(e.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(filepath.Join(e.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// config is what Exim reads.
func config(dir, port string, uid, gid int, routes map[string]string) string {
	var routers, transports strings.Builder
	n := 0
	for domain, address := range routes {
		host, p, _ := net.SplitHostPort(address)
		n++
		fmt.Fprintf(&routers, "r%d:\n  driver = manualroute\n  domains = %s\n  transport = t%d\n  route_list = * %s\n  self = send\n\n", n, domain, n, host)
		fmt.Fprintf(&transports, "t%d:\n  driver = smtp\n  port = %s\n\n", n, p)
	}
	return fmt.Sprintf(`spool_directory = %[1]s/spool
log_file_path = %[1]s/%%slog
pid_file_path = %[1]s/pid
exim_user = %[2]d
exim_group = %[3]d
primary_hostname = gateway.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[4]s
host_lookup =
dns_dnssec_ok = 0
deliver_drop_privilege = true
keep_environment =
never_users =
timezone = UTC
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
remote_max_parallel = 2
tls_advertise_hosts = *
tls_certificate = %[1]s/cert.pem
tls_privatekey = %[1]s/key.pem
auth_advertise_hosts = ${if def:tls_in_cipher {*}}
message_size_limit = 1M
acl_smtp_rcpt = rcpt

begin acl
rcpt:
  accept authenticated = *
  deny message = authenticate first

begin routers
%[5]s
begin transports
%[6]s
begin retry
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{%[7]s}}{eq{$auth3}{%[8]s}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{%[7]s}}{eq{$auth2}{%[8]s}}}}
  server_set_id = $auth1
`, dir, uid, gid, port, routers.String(), transports.String(), User, Password)
}
