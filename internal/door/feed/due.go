package feed

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// atOnce bounds how many feeds the schedule reads at a time.
const atOnce = 2

// lookForDue is how often the schedule is looked at at least.
const lookForDue = 30 * time.Second

// claim reports whether a feed may be read now, and keeps others from it.
func (rd *Reader) claim(name string) bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.read[name] {
		return false
	}
	rd.read[name] = true
	return true
}

// reading reports whether a feed is being read.
func (rd *Reader) reading(name string) bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.read[name]
}

func (rd *Reader) unclaim(name string) {
	rd.release(name)
	rd.wakeUp()
}

// wakeUp has the schedule looked at again.
func (rd *Reader) wakeUp() {
	select {
	case rd.wake <- struct{}{}:
	default:
	}
}

// Serve reads feeds when they are due, until ctx ends; then it waits for those
// under way, which break off. What runs left that were killed is removed before.
func (rd *Reader) Serve(ctx context.Context) error {
	if err := rd.removeDead(); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		wait, err := rd.startDue(ctx, slots, &running)
		if err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-rd.wake:
			timer.Stop()
		}
	}
}

// startDue starts the feeds that are due, the longest waiting first, as far as
// there is room, and returns how long nothing more will be.
func (rd *Reader) startDue(ctx context.Context, slots chan struct{}, running *sync.WaitGroup) (time.Duration, error) {
	list, err := rd.Statuses(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil
		}
		return 0, err
	}
	list = slices.DeleteFunc(list, func(f Status) bool { return f.Due.IsZero() })
	slices.SortFunc(list, func(a, b Status) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Name, b.Name)) })
	wait := lookForDue
	for _, f := range list {
		if left := f.Due.Sub(rd.o.Now()); left > 0 {
			return min(wait, left), nil
		}
		if !rd.claim(f.Name) {
			continue
		}
		select {
		case slots <- struct{}{}:
		default: // the end of a run wakes
			rd.release(f.Name)
			return wait, nil
		}
		running.Go(func() {
			err := rd.runDue(ctx, f.Name)
			<-slots
			if err == nil {
				rd.unclaim(f.Name)
				return
			}
			rd.release(f.Name) // and nobody is woken: where not even the state could be kept, it is still due
			if ctx.Err() == nil {
				rd.log(f.Name, "a feed was not taken in; it is read again when it is due", "err", err)
			}
		})
	}
	return wait, nil
}

// runDue reads a feed that was claimed, if it is still due: it may have been read
// by hand meanwhile.
func (rd *Reader) runDue(ctx context.Context, name string) error {
	f, err := rd.Feed(ctx, name)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	s, err := rd.state(ctx, name)
	if err != nil {
		return err
	}
	if _, due := s.Due(f, rd.o.Now()); !due {
		return nil
	}
	_, err = rd.runAlone(ctx, f, nil)
	return err
}

// release gives back what was claimed and not read.
func (rd *Reader) release(name string) {
	rd.mu.Lock()
	delete(rd.read, name)
	rd.mu.Unlock()
}

func (rd *Reader) log(name, msg string, args ...any) {
	if rd.o.Log != nil {
		rd.o.Log.Warn(msg, append([]any{"feed", name}, args...)...)
	}
}

func (r *feeding) log(msg string, args ...any) { r.reader.log(r.feed.Name, msg, args...) }
