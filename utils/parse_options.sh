# shellcheck shell=bash
# Source this file to turn `--some-name value` into the variable some_name.
#
#   nj=4
#   help_message="Usage: $0 [--nj <n>] <data_dir>"
#   . utils/parse_options.sh
#
# A variable that is set above is an option; its default of true or false makes it a boolean.
# What follows the options stays in "$@"; `--` ends them. `--config <file>` reads lines
# of `name=value`, which later options override. Values are data and never evaluated.

_options_die() {
  echo "$0: error: $*" >&2
  exit 1
}

# A lower-case first letter keeps options away from PATH, BASH_ENV and the like.
_options_is_known() {
  [[ $1 =~ ^[a-z][a-zA-Z0-9_]*$ && -n ${!1+set} ]]
}

_options_assign() {
  local _name=$1 _value=$2 _shown=$3
  _options_is_known "$_name" || _options_die "unknown option $_shown; see --help"
  if [[ ${!_name} == true || ${!_name} == false ]] && [[ $_value != true && $_value != false ]]; then
    _options_die "$_shown: got '$_value', expected true or false"
  fi
  printf -v "$_name" '%s' "$_value"
}

# Only plain assignments: a config that could run commands would be a script.
_options_read_config() {
  local _file=$1 _line _number=0
  local _plain='^([a-z][a-zA-Z0-9_]*)=([^][:space:]"'\''$`\#]*)$'
  local _single="^([a-z][a-zA-Z0-9_]*)='([^']*)'$" _double='^([a-z][a-zA-Z0-9_]*)="([^"$`\]*)"$'
  [[ -r $_file && ! -d $_file ]] || _options_die "--config $_file: cannot read it, expected a file"
  while IFS= read -r _line || [[ -n $_line ]]; do
    _number=$((_number + 1))
    _line=${_line#"${_line%%[![:space:]]*}"}
    [[ $_line =~ ^(#.*)?$ ]] && continue
    [[ $_line =~ ^(.*[^[:space:]])[[:space:]]+#[^\"\']*$ ]] && _line=${BASH_REMATCH[1]}
    _line=${_line%"${_line##*[![:space:]]}"}
    if [[ $_line =~ $_plain || $_line =~ $_single || $_line =~ $_double ]]; then
      _options_assign "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "$_file:$_number: ${BASH_REMATCH[1]}"
    else
      _options_die "$_file:$_number: '$_line', expected name=value without \$ or \`"
    fi
  done <"$_file"
}

while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h)
      if [[ -n ${help_message:-} ]]; then
        printf '%b\n' "$help_message"
      else
        echo "$0: no help text"
      fi
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --*=*) _options_die "'$1', expected --name value with a space" ;;
    --*)
      _options_name=${1#--}
      _options_name=${_options_name//-/_}
      [[ $_options_name == config ]] || _options_is_known "$_options_name" ||
        _options_die "unknown option $1; see --help"
      [[ $# -ge 2 ]] || _options_die "$1: no value, expected one"
      # `--stage --nj 4` would set stage to "--nj".
      _options_next=${2#--}
      if [[ $2 == --?* ]] && _options_is_known "${_options_next//-/_}"; then
        _options_die "$1: no value before $2, expected one"
      fi
      if [[ $_options_name == config ]]; then
        [[ -z $2 ]] || _options_read_config "$2"
        # shellcheck disable=SC2034 # A script may have a variable of this name and look at it; it need not.
        config=$2
      else
        _options_assign "$_options_name" "$2" "$1"
      fi
      shift 2
      ;;
    # Kaldi would take `-nj` for the first argument.
    -[a-zA-Z]*) _options_die "unknown option $1; see --help" ;;
    *) break ;;
  esac
done
unset _options_name _options_next
# The status of the last command is what `.` returns under `set -e`.
true
