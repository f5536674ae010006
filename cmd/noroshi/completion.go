package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// completionScript writes the script of a shell for the words that may follow
// each command path.
// After one of the flags in takes comes its value, which is no command.
func completionScript(shell string, paths map[string][]string, takes []string) string {
	var b strings.Builder
	switch shell {
	case "fish":
		for _, p := range slices.Sorted(maps.Keys(paths)) {
			cond := fmt.Sprintf("test (string join ' ' (string match -v -- '-*' (commandline -opc)[2..])) = '%s'", p)
			for _, w := range paths[p] {
				if f, ok := strings.CutPrefix(w, "--"); ok {
					fmt.Fprintf(&b, "complete -c noroshi -n \"%s\" -l %s\n", cond, f)
				} else {
					fmt.Fprintf(&b, "complete -c noroshi -f -n \"%s\" -a %s\n", cond, w)
				}
			}
		}
		return b.String()
	case "zsh":
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
	}
	known := slices.Sorted(maps.Keys(paths))
	quoted := make([]string, 0, len(known))
	for _, p := range known {
		if p != "" {
			quoted = append(quoted, fmt.Sprintf("%q", p))
		}
	}
	fmt.Fprintf(&b, `_noroshi() {
  local at="" next="" skip="" w
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$w" in
      %s) skip=1 ;;
      -*) ;;
      *) next="${at:+$at }$w"; case "$next" in %s) at="$next" ;; esac ;;
    esac
  done
  if [ -n "$skip" ]; then COMPREPLY=(); return; fi
  case "$at" in
`, strings.Join(takes, "|"), strings.Join(quoted, "|"))
	for _, p := range known {
		fmt.Fprintf(&b, "    %q) COMPREPLY=( $(compgen -W %q -- \"${COMP_WORDS[COMP_CWORD]}\") ) ;;\n", p, strings.Join(paths[p], " "))
	}
	b.WriteString("  esac\n}\ncomplete -o default -F _noroshi noroshi\n")
	return b.String()
}
