#!/usr/bin/env bash
# The stage driver of every recipe: parameter-efficient fine-tuning of a speech recogniser.
# A corpus' run.sh calls this with its settings; each stage calls one script of scripts/,
# which also runs alone.
set -euo pipefail

# options: name=default    # what it is
stage=1                    # first stage to run: 1 data, 2 features, 3 base model, 4 train, 5 route, 6 decode, 7 score, 8 pack
stop_stage=8               # last stage to run
skip_stages=               # stages to leave out, for example "2 5"
lang=                      # languages to adapt to, for example "hi pa"; data/<train_set>_<lang> is the training set of each
base_langs=                # languages of the base that are tested beside them
train_set=train            # training sets are data/<train_set>_<lang>
valid_set=dev              # validation sets are data/<valid_set>_<lang>
test_sets=test             # test sets; data/<test_set> joins the data/<test_set>_<lang> of all languages
db_root=                   # where the corpus lies, for local/data.sh
local_data_opts=           # further options of local/data.sh
datadir=data               # Kaldi data directories
dumpdir=dump               # features
expdir=exp                 # experiments
feats_type=fbank           # fbank: log-mel in compressed Kaldi archives; raw: 16 kHz audio
n_mels=80                  # mel bands; 128 for Whisper large-v3 and turbo
expected_rate=             # sample rate that the audio must have (Hz); empty takes any
allow_pipes=false          # run the shell pipes of wav.scp
base_model=                # Whisper name, .pt file, Hugging Face directory or base directory; "pretrain" trains one
base_tag=                  # name of the base in expdir; default: from base_model
base_recipe=               # recipe whose stage 3 makes base_model where it is a path and missing
pad_to=                    # 30 pads every utterance to 30 s as OpenAI's decoder does
pretrain_config=conf/pretrain.yaml    # training of a base from scratch
pretrain_sets=             # "<train set> <valid set>" of the pretraining
token_type=char            # tokens of a pretrained base: char, unigram or bpe
n_tokens=256               # size of the vocabulary for unigram and bpe
token_langs=               # languages whose text and tags the vocabulary covers; default: base_langs and lang
adapter_configs=conf/tuning/lora_r16.yaml    # one training a language for each of these
train_args=                # further options of espnet_peft.bin.train
decode_config=conf/decode.yaml        # search options
route=oracle               # how an adapter is chosen: oracle (utt2lang)
normalise=basic            # text normalisation before scoring: basic, whisper_basic, none
bootstrap=1000             # bootstrap samples for the confidence intervals
seed=1                     # seed of every training
nj=2                       # parallel jobs of data and feature stages
inference_nj=1             # parallel jobs of each decoding
max_jobs=2                 # experiments that train, decode or are scored side by side
num_threads=1              # CPU threads of each job
ngpu=0                     # GPUs of each training; decoding takes one where this is > 0
# end of options

help_message="Usage: $0 [options]

$(sed -n '/^# options:/,/^# end of options/{/^# /d;s/^\([a-z0-9_]*\)=\([^#]*[^# ]\)\{0,1\} *# \(.*\)/  --\1 (\2)\n        \3/;p}' "${BASH_SOURCE[0]}")"

. ./path.sh
. ./cmd.sh
. utils/parse_options.sh
. scripts/lib.sh

[ $# -eq 0 ] || die "unexpected argument '$1'; options only, see --help"
for name in stage stop_stage; do
    [[ ${!name} =~ ^[1-8]$ ]] || die "--${name} ${!name}: there are stages 1 to 8"
done
for n in ${skip_stages}; do
    [[ $n =~ ^[1-8]$ ]] || die "--skip_stages '${skip_stages}': there are stages 1 to 8"
done
[ "${stage}" -le "${stop_stage}" ] || die "--stage ${stage} is after --stop_stage ${stop_stage}"
[ -n "${lang}" ] || die "--lang is empty: name the languages to adapt to, for example --lang \"hi pa\""
[ -n "${base_model}" ] || die "--base_model is empty: give a Whisper name, a checkpoint or \"pretrain\""
for n in nj inference_nj max_jobs num_threads n_mels n_tokens ${expected_rate:+expected_rate}; do
    [[ ${!n} =~ ^[1-9][0-9]*$ ]] || die "--$n ${!n}: expected a number of 1 or more"
done
for n in ngpu bootstrap seed; do
    [[ ${!n} =~ ^[0-9]+$ ]] || die "--$n ${!n}: expected a number of 0 or more"
done
one_of feats_type fbank raw
one_of token_type char unigram bpe
one_of normalise basic whisper_basic none
[ -z "$(tr ' ' '\n' <<< "${lang} ${base_langs}" | grep . | sort | uniq -d)" ] ||
    die "--lang \"${lang}\" --base_langs \"${base_langs}\": a language is named twice"
[ "${route}" = oracle ] || die "--route ${route}: this version has the strategy oracle"

if [ -z "${base_tag}" ]; then
    # A base directory is <tag>/base_model where a recipe made it.
    base_tag=$(basename "${base_model%/base_model}" .pt)
fi
for name in datadir dumpdir expdir base_tag; do
    # Lists of files are words, commands are quoted, and run.pl puts a number in the place of JOB.
    [[ ! ${!name} =~ [[:space:]\'\"\\]|JOB ]] ||
        die "--${name} '${!name}': white space, a quote, a backslash or JOB in it; choose a name without"
done
token_langs=${token_langs:-${base_langs} ${lang}}
feats=${dumpdir}/${feats_type}
base_dir=${expdir}/${base_tag}
base=${base_dir}/base_model
decode_tag=$(basename "${decode_config}" .yaml)
read -r pretrain_set pretrain_valid <<< "${pretrain_sets:-- -}"
export OMP_NUM_THREADS=${num_threads}

# The sets that are made from audio; the test sets are joined from them.
sets=()
for l in ${lang}; do sets+=("${train_set}_$l" "${valid_set}_$l"); done
if [ "${base_model}" = pretrain ]; then
    [ -n "${pretrain_valid}" ] && [ "${pretrain_valid}" != - ] ||
        die "--base_model pretrain needs --pretrain_sets \"<train set> <valid set>\""
    [ -z "${pad_to}" ] || die "--pad_to ${pad_to}: a base that is trained here works without; leave it empty"
    sets+=("${pretrain_set}" "${pretrain_valid}")
fi

runs() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] && [[ " ${skip_stages} " != *" $1 "* ]]; }

for config in ${adapter_configs}; do
    ! runs 4 || [ -f "${config}" ] || die "--adapter_configs: ${config}: no such file"
done
! runs 6 || [ -f "${decode_config}" ] || die "--decode_config ${decode_config}: no such file"

if runs 1; then
    log "stage 1: data"
    scripts/data.sh --lang "${lang}" --base_langs "${base_langs}" --db_root "${db_root}" --nj "${nj}" \
        --test_sets "${test_sets}" --sets "${sets[*]}" --allow_pipes "${allow_pipes}" \
        --local_data_opts "${local_data_opts}" "${datadir}"
fi

if runs 2; then
    log "stage 2: features"
    for x in "${sets[@]}" ${test_sets}; do
        printf 'scripts/features.sh --cmd %q --nj %q --feats_type %q --n_mels %q --expected_rate %q --allow_pipes %q %q %q\n' \
            "${train_cmd}" "${nj}" "${feats_type}" "${n_mels}" "${expected_rate}" "${allow_pipes}" \
            "${datadir}/$x" "${feats}/$x"
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${feats}/log/features"
fi

if runs 3; then
    log "stage 3: base model ${base_tag}"
    if [ "${base_model}" = pretrain ]; then
        token_text=${feats}/${pretrain_set}/text
        for l in ${lang}; do token_text+=" ${feats}/${train_set}_$l/text"; done
        printf 'scripts/pretrain.sh --train_config %q --seed %q --ngpu %q --token_type %q --n_tokens %q --token_langs %q --token_text %q %q %q %q\n' \
            "${pretrain_config}" "${seed}" "${ngpu}" "${token_type}" "${n_tokens}" "${token_langs}" "${token_text}" \
            "${feats}/${pretrain_set}" "${feats}/${pretrain_valid}" "${base_dir}" |
            scripts/jobs.sh --cmd "${cuda_cmd}" --gpu "${ngpu}" --max_jobs 1 "${base_dir}/log/pretrain"
    else
        scripts/base.sh --base_recipe "${base_recipe}" --pad_to "${pad_to}" "${base_model}" "${base}"
    fi
fi

if runs 4; then
    log "stage 4: train"
    for config in ${adapter_configs}; do
        for l in ${lang}; do
            printf 'scripts/train.sh --train_config %q --seed %q --ngpu %q --train_args %q %q %q %q %q %q\n' \
                "${config}" "${seed}" "${ngpu}" "${train_args}" "$l" "${feats}/${train_set}_$l" \
                "${feats}/${valid_set}_$l" "${base}" "${base_dir}/${l}_$(basename "${config}" .yaml)"
        done
    done | scripts/jobs.sh --cmd "${cuda_cmd}" --gpu "${ngpu}" --max_jobs "${max_jobs}" "${base_dir}/log/train"
fi

if runs 5; then
    log "stage 5: route (${route})"
    for x in ${test_sets}; do
        scripts/route.sh --strategy "${route}" --adapters "${lang}" "${feats}/$x" "${base_dir}/route_${route}/$x"
    done
fi

if runs 6; then
    log "stage 6: decode"
    for x in ${test_sets}; do
        for system in base ${adapter_configs}; do
            system=$(basename "${system}" .yaml)
            adapters=
            if [ "${system}" != base ]; then
                for l in ${lang}; do adapters+=" $l=${base_dir}/${l}_${system}/adapter"; done
            fi
            printf 'scripts/decode.sh --cmd %q --nj %q --decode_config %q --ngpu %q --adapters %q --utt2adapter %q %q %q %q\n' \
                "${decode_cmd}" "${inference_nj}" "${decode_config}" "${ngpu}" "${adapters# }" \
                "${base_dir}/route_${route}/$x/utt2adapter" "${base}" "${feats}/$x" \
                "${base_dir}/${system}/${decode_tag}/$x"
        done
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${base_dir}/log/decode"
fi

if runs 7; then
    log "stage 7: score"
    for x in ${test_sets}; do
        for system in base ${adapter_configs}; do
            printf 'scripts/score.sh --normalise %q --bootstrap %q %q %q\n' "${normalise}" "${bootstrap}" \
                "${feats}/$x" "${base_dir}/$(basename "${system}" .yaml)/${decode_tag}/$x"
        done
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${base_dir}/log/score"
    python3 -m espnet_peft.bin.results --exp_dir "${base_dir}" --out "${base_dir}/RESULTS.md" \
        --setting "base model=${base_model}" --setting "adapters=${adapter_configs}" \
        --setting "search=${decode_config}" --setting "features=${feats_type}, ${n_mels} mel bands" \
        --setting "router=${route}"
fi

if runs 8; then
    log "stage 8: pack"
    for config in ${adapter_configs}; do
        for l in ${lang}; do
            printf 'scripts/pack.sh %q\n' "${base_dir}/${l}_$(basename "${config}" .yaml)"
        done
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${base_dir}/log/pack"
fi
! runs 7 || log "results: ${base_dir}/RESULTS.md"
log "stages ${stage} to ${stop_stage} finished"
