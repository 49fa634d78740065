#!/usr/bin/env bash
# Stage 2: log-mel features (or 16 kHz audio) of one data directory.
set -euo pipefail
cmd=run.pl                 # launcher
nj=2                       # parallel jobs at most; each gets 1000 utterances at least
feats_type=fbank           # fbank or raw
n_mels=80                  # mel bands
expected_rate=             # sample rate that the audio must have (Hz)
allow_pipes=false          # run the shell pipes of wav.scp
help_message="Usage: $0 [options] <data-dir> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 2 ] || die "expected 2 arguments, found $#. ${help_message}"
data=$1
out=$2

need 1 "${data}/wav.scp" "${data}/text" "${data}/utt2spk" "${data}/utt2lang"
mapfile -t inputs < <(data_files "${data}")
want=$(settings "feats_type=${feats_type}" "n_mels=${n_mels}" "expected_rate=${expected_rate}" \
    "audio=$(audio_state "${data}/wav.scp")" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
pipes=()
[ "${allow_pipes}" = false ] || pipes=(--allow_pipes)
utils/validate_data_dir.sh --no-feats --lang "${pipes[@]}" "${data}"
rm -rf "${out}"
mkdir -p "${out}/split"

n=$(wc -l < "${data}/utt2spk")
most=$(((n + 999) / 1000))
[ "${nj}" -le "${most}" ] || nj=${most}
keys=()
for i in $(seq "${nj}"); do keys+=("${out}/split/keys.$i"); done
utils/split_scp.pl "${data}/utt2spk" "${keys[@]}"
opts=("${pipes[@]}")
[ -z "${expected_rate}" ] || opts+=(--expected_rate "${expected_rate}")
# shellcheck disable=SC2086  # cmd is a launcher with its options
${cmd} JOB=1:"${nj}" "${out}/log/features.JOB.log" \
    python3 -m espnet_peft.bin.extract_features --data_dir "${data}" --key_file "${out}/split/keys.JOB" \
    --feats_type "${feats_type}" --n_mels "${n_mels}" "${opts[@]}" --out_dir "${out}/split/JOB"

for name in feats.scp utt2num_frames wav.scp utt2num_samples; do
    [ ! -f "${out}/split/1/${name}" ] || cat "${out}"/split/*/"${name}" | LC_ALL=C sort > "${out}/${name}"
done
for name in text utt2spk spk2utt utt2lang; do cp "${data}/${name}" "${out}/${name}"; done
[ ! -f "${data}/timeline" ] || cp "${data}/timeline" "${out}/timeline"
# Tables name places in the archives; this tells later stages whether what lies there has changed.
cat "${out}"/split/*/*.ark | sha256sum | cut -c 1-16 > "${out}/content.sha256"
mark_done "${out}" "${want}"
log "${out}: $(wc -l < "${out}/text") utterances"
