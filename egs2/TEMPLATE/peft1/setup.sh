#!/usr/bin/env bash
# Make a new recipe directory: egs2/TEMPLATE/peft1/setup.sh egs2/<corpus>/peft1
set -euo pipefail
die() { printf 'setup.sh: error: %s\n' "$*" >&2; exit 1; }
[ $# -eq 1 ] && [[ $1 != -* ]] || die "expected 1 argument. Usage: $0 <new-recipe-dir>, for example egs2/mycorpus/peft1"
template=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
dir=$1
[ ! -e "${dir}" ] || die "${dir} exists already: choose another directory"
mkdir -p "${dir}/conf/tuning" "${dir}/local"
dir=$(cd "${dir}" && pwd)
egs2=$(dirname "$(dirname "${template}")")
case ${dir} in
"${egs2}"/*/*) ;;
*) rmdir -p "${dir}/conf/tuning" "${dir}/local" 2>/dev/null || true
   die "${dir} is not of the form ${egs2}/<corpus>/peft1" ;;
esac
for name in peft.sh scripts path.sh; do ln -s "../../TEMPLATE/peft1/${name}" "${dir}/${name}"; done
ln -s ../../../utils "${dir}/utils"
ln -s ../../../TEMPLATE/peft1/scripts/codeswitch_sets.sh "${dir}/local/make_codeswitch.sh"
cp "${template}/cmd.sh" "${dir}/"
for name in decode router routing; do cp "${template}/conf/${name}.yaml" "${dir}/conf/"; done
[ ! -d "${template}/conf/tuning" ] || cp "${template}"/conf/tuning/* "${dir}/conf/tuning/"
cat > "${dir}/run.sh" <<'RUN'
#!/usr/bin/env bash
# Settings of this corpus; ./run.sh --help lists all of them.
set -euo pipefail
cd "$(dirname "$0")"
./peft.sh \
    --lang "hi" \
    --base_model small \
    --adapter_configs "conf/tuning/lora_r16.yaml" \
    "$@"
RUN
cat > "${dir}/local/data.sh" <<'DATA'
#!/usr/bin/env bash
# Make <data>/{train,dev,test}_<lang> with wav.scp, text, utt2spk, spk2utt and utt2lang from --db_root.
set -euo pipefail
db_root=                   # where the corpus lies
lang=                      # languages
nj=1                       # parallel jobs
data=data                  # output directory
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
die "local/data.sh: write here how ${data}/{train,dev,test}_<lang> are made from ${db_root:-the corpus}"
DATA
chmod +x "${dir}/run.sh" "${dir}/local/data.sh"
printf 'Made %s. Next: write local/data.sh, set the languages in run.sh, then ./run.sh --db_root <corpus>\n' "${dir}"
