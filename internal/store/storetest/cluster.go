//go:build unix

package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// user is the database's superuser; nobody else reaches its sockets.
const user = "noroshi"

// cluster is a PostgreSQL of this process.
type cluster struct {
	sockets string    // folder of its socket
	alive   io.Closer // while it is open the cluster runs
}

// guard runs PostgreSQL until its standard input ends, which it does with the
// test process, and then leaves nothing.
const guard = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=300 \
	-c fsync="$3" -c full_page_writes="$3" -c log_min_messages=fatal </dev/null >"$2/log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait
rm -rf "$2"`

// start makes and starts a cluster. Its data are thrown away, so it waits for
// the disk only where something is measured; what is committed outlives a
// process all the same.
func start() (*cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "noroshi-pg-")
	if err != nil {
		return nil, err
	}
	who, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true, Credential: who}
		return cmd
	}
	initdb := run(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	server := run("/bin/sh", "-c", guard, "guard", bin, dir, durable())
	alive, err := server.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	c := &cluster{sockets: dir, alive: alive}
	return c, c.await()
}

// durable is on in benchmarks.
func durable() string {
	if measures() {
		return "on"
	}
	return "off"
}

// await returns when the cluster answers.
func (c *cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgconn.Connect(ctx, "user="+user+" dbname=postgres host="+c.sockets)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(c.sockets, "log"))
			return fmt.Errorf("PostgreSQL did not start: %w: %s", err, said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// programs finds the folder of initdb and postgres.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("there is no initdb: install the Debian package postgresql (make deps)")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged gives the folder to a user PostgreSQL runs as: it refuses root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := osuser.Lookup("postgres")
	if err != nil {
		if u, err = osuser.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}
