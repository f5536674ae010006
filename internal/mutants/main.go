// Command mutants holds the tests against bugs planted on purpose: each is one
// place in the product's source, builds, breaks one promise, and must be caught
// by the test that stands for the promise.
//
//	go run ./internal/mutants [-j 2] [-run NAME]
//
// prints a line for each and last how many were caught, and exits with 1 when
// that is not all. The working tree is not touched: the compiler is given the
// changed file by an overlay. A bug counts as caught only when the test fails
// with it, that it does not build or takes too long does not; and the same tests
// pass without it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
)

func main() {
	jobs := flag.Int("j", 2, "how many `tests` run at a time")
	pick := flag.String("run", "", "only those whose name matches the `pattern`")
	flag.Parse()
	name, err := regexp.Compile(*pick)
	if err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	caught, all, err := judge(ctx, slices.DeleteFunc(list(), func(m mutant) bool { return !name.MatchString(m.name) }), *jobs)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%d of %d\n", caught, all)
	if caught < all {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "mutants:", err)
	os.Exit(1)
}

// judge runs each test without the bugs, then with its own, and prints what came
// of it in the order of the list.
func judge(ctx context.Context, all []mutant, jobs int) (caught, of int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, 0, err
	}
	for _, m := range all {
		if _, err := m.apply(root); err != nil {
			return 0, 0, err
		}
	}
	if err := sound(ctx, root, all); err != nil {
		return 0, 0, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	results := make([]chan result, len(all))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	turns := make(chan struct{}, max(1, jobs))
	var wg sync.WaitGroup
	defer wg.Wait()
	go func() {
		for i, m := range all {
			turns <- struct{}{}
			wg.Go(func() {
				results[i] <- m.run(ctx, root, dir)
				<-turns
			})
		}
	}()
	for i, m := range all {
		r := <-results[i]
		fmt.Printf("%-7s %-40s %s\n", r.verdict, m.name, m.test)
		if r.verdict == "caught" {
			caught++
		} else {
			fmt.Printf("        %s\n%s\n", m.promise, r.output)
		}
	}
	return caught, len(all), ctx.Err()
}
