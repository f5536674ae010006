//go:build crashpoints && unix

package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"github.com/noroshi-cti/noroshi/internal/durable"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// In a program with crash points SQLite's own writes are points too: each first,
// second, fourth ... write of an act into the log, each sync, and what copies the
// log back. Its files are opened as ever; then their table of methods is replaced
// by a copy in which those that write are ours. What was written and not synced
// is told at a death, so that a test can take it away as a cut of power would.
func init() {
	tls := libc.NewTLS()
	vfs := (*sqlite3.Tsqlite3_vfs)(ptr(sqlite3.Xsqlite3_vfs_find(tls, 0)))
	disk.open = funcOf[openFunc](vfs.FxOpen)
	vfs.FxOpen = addrOf(openFunc(openFile))
	durable.AtDeath(disk.list)
}

type (
	openFunc     = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	writeFunc    = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	truncateFunc = func(*libc.TLS, uintptr, int64) int32
	syncFunc     = func(*libc.TLS, uintptr, int32) int32
)

// ptr makes a pointer of an address outside of Go's memory.
func ptr(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// funcOf and addrOf turn a C function of the translated SQLite into one of Go,
// and back.
func funcOf[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }
func addrOf[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

// disk is what is known of SQLite's open files.
var disk = &diskState{methods: map[uintptr]*methods{}, files: map[uintptr]*openedFile{}}

type diskState struct {
	open openFunc

	mu      sync.Mutex
	methods map[uintptr]*methods // ours, by the table they stand for
	files   map[uintptr]*openedFile
}

type methods struct {
	ours     sqlite3.Tsqlite3_io_methods
	write    writeFunc
	truncate truncateFunc
	sync     syncFunc
}

type openedFile struct {
	*methods
	kind     string // "wal" or "database"
	name     string
	unsynced [][2]int64 // ranges
}

func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := disk.open(tls, vfs, name, file, flags, out)
	kind := ""
	switch {
	case rc != sqlite3.SQLITE_OK:
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		kind = "wal"
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		kind = "database"
	}
	if kind == "" {
		return rc
	}
	disk.mu.Lock()
	defer disk.mu.Unlock()
	f := (*sqlite3.Tsqlite3_file)(ptr(file))
	m := disk.methods[f.FpMethods]
	if m == nil {
		m = methodsOf((*sqlite3.Tsqlite3_io_methods)(ptr(f.FpMethods)))
		disk.methods[f.FpMethods] = m
	}
	disk.files[file] = &openedFile{methods: m, kind: kind, name: filepath.Base(libc.GoString(name))}
	f.FpMethods = uintptr(unsafe.Pointer(&m.ours))
	return rc
}

func methodsOf(real *sqlite3.Tsqlite3_io_methods) *methods {
	m := &methods{*real, funcOf[writeFunc](real.FxWrite), funcOf[truncateFunc](real.FxTruncate), funcOf[syncFunc](real.FxSync)}
	m.ours.FxWrite = addrOf(writeFunc(writeFile))
	m.ours.FxTruncate = addrOf(truncateFunc(truncateFile))
	m.ours.FxSync = addrOf(syncFunc(syncFile))
	return m
}

func fileAt(file uintptr) *openedFile {
	disk.mu.Lock()
	defer disk.mu.Unlock()
	return disk.files[file]
}

func writeFile(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
	f := fileAt(file)
	if durable.Disk(f.kind, "write") != nil {
		return sqlite3.SQLITE_IOERR_WRITE
	}
	rc := f.write(tls, file, buf, n, offset)
	disk.mu.Lock()
	defer disk.mu.Unlock()
	if last := len(f.unsynced) - 1; last >= 0 && f.unsynced[last][1] == offset {
		f.unsynced[last][1] += int64(n)
	} else {
		f.unsynced = append(f.unsynced, [2]int64{offset, offset + int64(n)})
	}
	return rc
}

func truncateFile(tls *libc.TLS, file uintptr, size int64) int32 {
	f := fileAt(file)
	if durable.Disk(f.kind, "truncate") != nil {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	return f.truncate(tls, file, size)
}

func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := fileAt(file)
	if durable.Disk(f.kind, "sync") != nil {
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	rc := f.sync(tls, file, flags)
	if rc == sqlite3.SQLITE_OK {
		disk.mu.Lock()
		f.unsynced = nil
		disk.mu.Unlock()
	}
	return rc
}

// list lists what was written and not synced: file:from-to ...
func (d *diskState) list() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, f := range d.files {
		for _, r := range f.unsynced {
			fmt.Fprintf(&b, "%s:%d-%d ", f.name, r[0], r[1])
		}
	}
	return b.String()
}
