/**
 * Completion scripts by shell. Each asks `doorward complete -- WORDS`, whose lines are a value, a tab and a description,
 * and last what else fits: `:files` or `:none`. Words are passed as they are and never evaluated.
 */
export const COMPLETION_SCRIPTS: ReadonlyMap<string, string> = new Map([
  [
    "bash",
    String.raw`# bash completion for doorward
_doorward() {
  local line rest=none
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) rest=${"$"}{line#:} ;;
      *) COMPREPLY+=("${"$"}{line%%$'\t'*}") ;;
    esac
  done < <(doorward complete -- "${"$"}{COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ $rest == files && ${"$"}{#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o default 2>/dev/null
  fi
}
complete -F _doorward doorward
`,
  ],
  [
    "zsh",
    String.raw`#compdef doorward
_doorward() {
  local line rest=none
  local -a values
  while IFS= read -r line; do
    case $line in
      :*) rest=${"$"}{line#:} ;;
      *) values+=("${"$"}{${"$"}{line%%$'\t'*}//:/\\:}:${"$"}{line#*$'\t'}") ;;
    esac
  done < <(doorward complete -- "${"$"}{(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${"$"}{#values} )); then
    _describe -t values doorward values
  elif [[ $rest == files ]]; then
    _files
  fi
}
if [[ ${"$"}{funcstack[1]} == _doorward ]]; then
  _doorward "$@"
else
  compdef _doorward doorward
fi
`,
  ],
  [
    "fish",
    String.raw`# fish completion for doorward
function __doorward_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (doorward complete -- $before[2..-1] "$current" 2>/dev/null)
    for line in $lines
        switch $line
            case ':files'
                test (count $lines) -eq 1; and __fish_complete_path "$current"
            case ':*'
                continue
            case '*'
                echo $line
        end
    end
end
complete -c doorward -f -a '(__doorward_complete)'
`,
  ],
]);
