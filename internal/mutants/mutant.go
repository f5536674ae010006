package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is one bug.
type mutant struct {
	name    string
	promise string // that it breaks
	file    string // below the root of the module
	old     string // occurs there exactly once
	new     string
	in      string // the package whose test must fail
	test    string // that test, with /case where only one is meant
}

// limit ends a test that hangs: it is not caught then.
const limit = 3 * time.Minute

// apply returns the file with the bug in it.
func (m mutant) apply(root string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return nil, fmt.Errorf("%s: the text to be changed occurs %d times in %s, must be once:\n%s", m.name, n, m.file, m.old)
	}
	return []byte(strings.Replace(string(b), m.old, m.new, 1)), nil
}

// top is the name of the test without the case.
func (m mutant) top() string {
	name, _, _ := strings.Cut(m.test, "/")
	return name
}

// result is what came of one bug.
type result struct {
	verdict string // caught, MISSED, or BROKEN: it does not build, or hangs
	output  string // of the test, when it was not caught
}

// run tests with the bug.
func (m mutant) run(ctx context.Context, root, dir string) result {
	broken := func(err error) result { return result{"BROKEN", err.Error()} }
	changed, err := m.apply(root)
	if err != nil {
		return broken(err)
	}
	file, overlay := filepath.Join(dir, m.name+".go"), filepath.Join(dir, m.name+".json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, filepath.FromSlash(m.file)): file}})
	if err != nil {
		return broken(err)
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		return broken(err)
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return broken(err)
	}
	out, err := goTest(ctx, root, m.in, "^"+strings.ReplaceAll(m.test, "/", "$/^")+"$", "-overlay", overlay)
	switch {
	case err == nil:
		return result{"MISSED", "        the test passes with it"}
	case strings.Contains(out, "--- FAIL: "+m.top()+" "):
		return result{verdict: "caught"}
	}
	return result{"BROKEN", out}
}

// sound runs the tests of all without any bug.
func sound(ctx context.Context, root string, all []mutant) error {
	tests := map[string][]string{}
	for _, m := range all {
		if !slices.Contains(tests[m.in], m.top()) {
			tests[m.in] = append(tests[m.in], m.top())
		}
	}
	for _, in := range slices.Sorted(maps.Keys(tests)) {
		out, err := goTest(ctx, root, in, "^("+strings.Join(tests[in], "|")+")$")
		if err != nil {
			return fmt.Errorf("the tests of %s fail without any bug: %w\n%s", in, err, out)
		}
		for _, name := range tests[in] {
			if !strings.Contains(out, "--- PASS: "+name+" ") {
				return fmt.Errorf("%s has no test %s", in, name)
			}
		}
	}
	return nil
}

// goTest runs tests of a package at their small sizes, on one engine.
func goTest(ctx context.Context, root, in, tests string, more ...string) (string, error) {
	args := append([]string{"test", "-v", "-failfast", "-vet=off", "-timeout", limit.String(), "-run", tests}, more...)
	c := exec.CommandContext(ctx, "go", append(args, "./"+in)...)
	c.Dir = root
	c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NOROSHI_") }), "NOROSHI_ENGINE=sqlite")
	c.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return quiet.ReplaceAllString(out.String(), ""), err
}

// quiet takes out what -v says beside the results.
var quiet = regexp.MustCompile(`(?m)^=== .*\n`)

// moduleRoot is the nearest folder above with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("there is no go.mod here or above")
		}
		dir = up
	}
}
