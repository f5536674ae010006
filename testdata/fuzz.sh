#!/bin/sh
# fuzz.sh TIME: every fuzz test of the module for TIME each, two at a time, a
# worker each; stops at the first finding.
set -eu
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
  for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$file"); do
    echo "$(dirname "$file") $name"
  done
done | xargs -P 2 -L 1 sh -c '
  out=$(go test -run "^\$" -fuzz "^$2\$" -fuzztime "$0" -fuzzminimizetime 5x -parallel 1 "./$1" 2>&1) || { echo "$2 in $1: $out"; exit 255; }
  echo "$2 in $1: $(echo "$out" | grep elapsed | tail -1)"' "$1"
