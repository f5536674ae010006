//go:build unix && !crashpoints

package store_test

import (
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's own files are opened as ever. Of one that is watched the table of
// methods is a copy in which those that write and sync are ours, and tell.
type (
	openFunc  = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	writeFunc = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	syncFunc  = func(*libc.TLS, uintptr, int32) int32
)

// watched are the logs that a test watches, by path; guarded by its lock.
var watched = struct {
	sync.Mutex
	logs map[string]*log
	open map[uintptr]*log // by SQLite's file
	real openFunc
}{logs: map[string]*log{}, open: map[uintptr]*log{}}

// log is what happened to one: how much of it was written and is not synced.
type log struct {
	methods                 sqlite3.Tsqlite3_io_methods
	write                   writeFunc
	sync                    syncFunc
	writes, syncs, unsynced int
}

// init comes before any file is opened.
func init() {
	vfs := (*sqlite3.Tsqlite3_vfs)(at(sqlite3.Xsqlite3_vfs_find(libc.NewTLS(), 0)))
	watched.real = funcOf[openFunc](vfs.FxOpen)
	vfs.FxOpen = addrOf(openFunc(openFile))
}

// at makes a pointer of an address outside of Go's memory; funcOf and addrOf turn
// a C function of the translated SQLite into one of Go, and back.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }
func funcOf[F any](p uintptr) F   { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }
func addrOf[F any](f F) uintptr   { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := watched.real(tls, vfs, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	watched.Lock()
	defer watched.Unlock()
	l := watched.logs[strings.TrimSuffix(libc.GoString(name), "-wal")]
	if l == nil {
		return rc
	}
	f := (*sqlite3.Tsqlite3_file)(at(file))
	if l.write == nil {
		l.methods = *(*sqlite3.Tsqlite3_io_methods)(at(f.FpMethods))
		l.write, l.sync = funcOf[writeFunc](l.methods.FxWrite), funcOf[syncFunc](l.methods.FxSync)
		l.methods.FxWrite, l.methods.FxSync = addrOf(writeFunc(writeFile)), addrOf(syncFunc(syncFile))
	}
	watched.open[file] = l
	f.FpMethods = uintptr(unsafe.Pointer(&l.methods))
	return rc
}

func logAt(file uintptr) *log {
	watched.Lock()
	defer watched.Unlock()
	return watched.open[file]
}

func writeFile(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
	l := logAt(file)
	rc := l.write(tls, file, buf, n, offset)
	watched.Lock()
	defer watched.Unlock()
	l.writes, l.unsynced = l.writes+1, l.unsynced+int(n)
	return rc
}

func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	l := logAt(file)
	rc := l.sync(tls, file, flags)
	watched.Lock()
	defer watched.Unlock()
	if l.syncs++; rc == sqlite3.SQLITE_OK {
		l.unsynced = 0
	}
	return rc
}

// TestActsAreOnTheDisk: whoever is told that an act is done may rely on it after
// the power has failed. When Do returns, SQLite has written the act into its log,
// and brought all of that to the disk.
func TestActsAreOnTheDisk(t *testing.T) {
	if storetest.Engine() != storetest.SQLite {
		t.Skip("what other engines keep is their own affair")
	}
	path, l := address(t), &log{}
	watched.Lock()
	watched.logs[path] = l
	watched.Unlock()
	s := openAt(t, path)
	before := 0
	for _, subject := range []string{"one", "two", "three"} {
		do(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: subject}, func(tx *store.Tx) error {
			return tx.PutDoc("test", subject, []byte(strings.Repeat(subject, 10_000)))
		})
		watched.Lock()
		if l.writes == before || l.unsynced > 0 {
			t.Errorf("%s: %d writes, %d syncs, %d bytes are not on the disk", subject, l.writes-before, l.syncs, l.unsynced)
		}
		before = l.writes
		watched.Unlock()
	}
}
