package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// completionScript writes the script of a shell for the words that may follow
// each command path.
func completionScript(shell string, paths map[string][]string) string {
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
	b.WriteString("_noroshi() {\n  local path=\"\" w\n  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do case \"$w\" in -*) ;; *) path=\"${path:+$path }$w\" ;; esac; done\n  case \"$path\" in\n")
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		fmt.Fprintf(&b, "    %q) COMPREPLY=( $(compgen -W %q -- \"${COMP_WORDS[COMP_CWORD]}\") ) ;;\n", p, strings.Join(paths[p], " "))
	}
	b.WriteString("    *) COMPREPLY=( $(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\") ) ;;\n  esac\n}\ncomplete -o default -F _noroshi noroshi\n")
	return b.String()
}
