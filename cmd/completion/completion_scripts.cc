#include "cmd/completion/completion_scripts.h"

namespace nsrun {

// bash(1), "Programmable Completion". Readline splits words at "=" and ":", and replaces what follows the
// last of these alone, so words are put together again, and the part of a candidate before the last one is
// cut off.
const char* const bash_completion = R"(# bash completion for nsrun: source <(nsrun completion bash)
_nsrun() {
  local line=${COMP_LINE:0:COMP_POINT} typed i words=() answer rest
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=('')
  typed=${words[-1]}
  mapfile -t answer < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
  rest=${answer[-1]:-:none}
  unset 'answer[-1]'
  answer=("${answer[@]%%$'\t'*}")
  COMPREPLY=()
  local cut=${typed%"${typed##*[=:]}"}
  for i in "${answer[@]}"; do COMPREPLY+=("${i#"$cut"}"); done
  case $rest in
    *nospace | ':files'*) compopt -o nospace 2>/dev/null ;;
  esac
  case $rest in
    :files*)
      local file
      compopt -o filenames 2>/dev/null
      [[ ${#COMPREPLY[@]} -gt 0 ]] || compopt +o nospace 2>/dev/null
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "${typed##*=}")
      ;;
    :command*)
      rest=${rest#:command }
      i=$((${rest%% *} + 1))
      if declare -F _command_offset >/dev/null && [[ ${#words[@]} -eq ${#COMP_WORDS[@]} ]]; then
        local own=("${COMPREPLY[@]}")
        _command_offset "$i"
        COMPREPLY+=("${own[@]}")
      elif [[ $i -eq $((${#words[@]} - 1)) ]]; then
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$typed")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$typed")
      fi
      ;;
  esac
}
complete -F _nsrun nsrun
)";

// zshcompsys(1).
const char* const zsh_completion = R"(#compdef nsrun
# zsh completion for nsrun: source <(nsrun completion zsh)
_nsrun() {
  local -a answer candidates
  local rest line
  answer=("${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  rest=${answer[-1]:-:none}
  answer=("${(@)answer[1,-2]}")
  for line in $answer; do
    candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( $#candidates )); then
    if [[ $rest == *nospace ]]; then _describe nsrun candidates -S ''; else _describe nsrun candidates; fi
  fi
  case $rest in
    :files*) compset -P '*='; _files ;;
    :command*)
      rest=${${rest#:command }%% *}
      shift $((rest + 1)) words
      (( CURRENT -= rest + 1 ))
      _normal
      ;;
  esac
}
compdef _nsrun nsrun
)";

// complete(1) of fish.
const char* const fish_completion = R"(# fish completion for nsrun: nsrun completion fish | source
function __nsrun_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l answer ($words[1] completion words $words[2..-1] 2>/dev/null)
  set -l rest $answer[-1]
  set -q answer[2]; and printf '%s\n' $answer[1..-2]
  switch "$rest"
    case ':files*'
      __fish_complete_path (commandline -ct)
    case ':command*'
      set -l at (string split ' ' -- $rest)[2]
      __fish_complete_subcommand --fcs-skip=(math $at + 1)
  end
end
complete -c nsrun -f -a '(__nsrun_complete)'
)";

}  // namespace nsrun
