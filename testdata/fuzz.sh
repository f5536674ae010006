#!/bin/sh
# fuzz.sh TIME: every fuzz test of the module for TIME each; stops at the first
# finding.
set -eu
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
  for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$file"); do
    echo "$name in $(dirname "$file")"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" -fuzzminimizetime 5x "./$(dirname "$file")"
  done
done
