#!/usr/bin/env bash
# The stage driver of every recipe: parameter-efficient fine-tuning of a speech recogniser.
# A corpus' run.sh calls this with its settings; each stage calls one script of scripts/,
# which also runs alone.
# shellcheck disable=SC2034  # scripts/lists.sh reads some of the options
set -euo pipefail

# options: name=default    # what it is
stage=1                    # first stage to run: 1 data, 2 features, 3 base model, 4 train, 5 router, 6 decode, 7 score, 8 pack, 9 hard audio
stop_stage=8               # last stage to run; 9 is run by --stage 9 --stop_stage 9
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
base_recipe_opts=          # options of that recipe, for example "--base_tag mini_bytes --byte_fallback true"
pad_to=                    # 30 pads every utterance to 30 s as OpenAI's decoder does
pretrain_config=conf/pretrain.yaml    # training of a base from scratch
pretrain_sets=             # "<train set> <valid set>" of the pretraining
token_type=char            # tokens of a pretrained base: char, unigram or bpe
n_tokens=256               # size of the vocabulary for unigram and bpe
byte_fallback=             # true: a pretrained base spells characters that it lacks as bytes; default: true but for char, where most bytes would never be trained
token_langs=               # languages whose text and tags the vocabulary covers; default: base_langs and lang
adapter_configs=conf/tuning/lora_r16.yaml    # one training a language for each of these
train_args=                # further options of espnet_peft.bin.train
decode_config=conf/decode.yaml        # search options
routes="hard threshold soft"    # how adapters are chosen beside oracle (utt2lang): hard, threshold, soft, soft_decoders, hierarchical, frame, spans; empty: no router
route_configs=             # adapter configurations that are routed; default: those of adapter_configs whose adapters can share a batch
router=classifier          # classifier: trained in stage 5; token: the language token of the base itself
router_config=conf/router.yaml    # training of the classifier
router_sets=               # "<train set> <valid set>" with the base languages, for the classifier; default: pretrain_sets, or train_set and valid_set of each
router_pairs=              # languages whose confusion is reported by itself, for example "hi-pa"
routing_config=conf/routing.yaml    # settings of the strategies
uncertain_kinds="short noise"    # sets that stage 9 makes of the first test set: short, noise; empty: none
uncertain_routes="hard threshold soft soft_decoders"    # strategies that decode them
codeswitch_kinds="inter intra rapid"    # code-switched sets that stage 9 makes: inter, intra, rapid; empty: none
codeswitch_routes="hard frame spans"    # strategies that decode them
codeswitch_pictures=4      # pictures of each of those sets by frame and by spans; 1000: one for every utterance
codeswitch_opts=           # further options of local/make_codeswitch.sh
unknown_langs=             # languages that nothing is trained on: stage 9 tells how often the router answers "other" for them
unknown_data_opts=         # further options of local/data.sh for these
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
. scripts/lists.sh

[ $# -eq 0 ] || die "unexpected argument '$1'; options only, see --help"
for name in stage stop_stage; do
    [[ ${!name} =~ ^[1-9]$ ]] || die "--${name} ${!name}: there are stages 1 to 9"
done
for n in ${skip_stages}; do
    [[ $n =~ ^[1-9]$ ]] || die "--skip_stages '${skip_stages}': there are stages 1 to 9"
done
[ "${stage}" -le "${stop_stage}" ] || die "--stage ${stage} is after --stop_stage ${stop_stage}"
runs() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] && [[ " ${skip_stages} " != *" $1 "* ]]; }

[ -n "${lang}" ] || die "--lang is empty: name the languages to adapt to, for example --lang \"hi pa\""
[ -n "${base_model}" ] || die "--base_model is empty: give a Whisper name, a checkpoint or \"pretrain\""
for n in nj inference_nj max_jobs num_threads n_mels n_tokens codeswitch_pictures ${expected_rate:+expected_rate}; do
    [[ ${!n} =~ ^[1-9][0-9]*$ ]] || die "--$n ${!n}: expected a number of 1 or more"
done
for n in ngpu bootstrap seed; do
    [[ ${!n} =~ ^[0-9]+$ ]] || die "--$n ${!n}: expected a number of 0 or more"
done
one_of feats_type fbank raw
one_of token_type char unigram bpe
[ -z "${byte_fallback}" ] || one_of byte_fallback true false
one_of normalise basic whisper_basic none
[ -z "$(tr ' ' '\n' <<< "${lang} ${base_langs} ${unknown_langs}" | grep . | sort | uniq -d)" ] ||
    die "--lang \"${lang}\" --base_langs \"${base_langs}\" --unknown_langs \"${unknown_langs}\": a language is named twice"
one_of router classifier token
for name in routes uncertain_routes codeswitch_routes; do
    some_of "${name}" hard threshold soft soft_decoders hierarchical frame spans
done
some_of uncertain_kinds short noise
some_of codeswitch_kinds inter intra rapid

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
languages="${base_langs:+${base_langs} }${lang}"
if [ -n "${routes}" ] && [[ ${languages} != *" "* ]]; then
    log "one language (${languages}): nothing to route"
    routes=
fi
# Rows of one batch can have low-rank updates and bottlenecks of their own, nothing else.
if [ -z "${route_configs}" ]; then
    for config in ${adapter_configs}; do
        ! grep -Eqs '^method: *(lora|adapter) *(#.*)?$' "${config}" || route_configs+="${route_configs:+ }${config}"
    done
    if [ -n "${routes}" ] && [ -z "${route_configs}" ]; then
        log "adapters of ${adapter_configs} cannot share a batch: nothing to route"
        routes=
    fi
else
    # shellcheck disable=SC2086  # adapter_configs is a list of words
    some_of route_configs ${adapter_configs}
fi
! runs 9 || [ -n "${routes}" ] || die "stage 9 needs a router, and nothing is routed: set --routes and two languages or more"
router_dir=${base_dir}/router
router_place=${router_dir}
by=
if [ "${router}" = token ]; then
    router_dir=${base_dir}/router_token
    router_place=token
    by=_token
fi

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

# The router learns the languages to adapt to from their training sets, those of the base from these.
router_train=() router_valid=()
if [ -n "${routes}" ] && [ "${router}" = classifier ]; then
    for l in ${lang}; do router_train+=("${train_set}_$l"); router_valid+=("${valid_set}_$l"); done
    if [ -n "${router_sets:-${pretrain_sets}}" ]; then
        read -r name l <<< "${router_sets:-${pretrain_sets}}"
        [ -n "$l" ] || die "--router_sets '${router_sets}': expected \"<train set> <valid set>\""
        router_train+=("${name}"); router_valid+=("$l")
    else
        for l in ${base_langs}; do router_train+=("${train_set}_$l"); router_valid+=("${valid_set}_$l"); done
    fi
    for name in "${router_train[@]}" "${router_valid[@]}"; do
        [[ " ${sets[*]} " == *" ${name} "* ]] || sets+=("${name}")
    done
fi

for config in ${adapter_configs}; do
    ! runs 4 || [ -f "${config}" ] || die "--adapter_configs: ${config}: no such file"
done
! runs 6 || [ -f "${decode_config}" ] || die "--decode_config ${decode_config}: no such file"
if [ -n "${routes}" ]; then
    [ "${router}" = token ] || ! runs 5 || [ -f "${router_config}" ] || die "--router_config ${router_config}: no such file"
    ! runs 6 || [ -f "${routing_config}" ] || die "--routing_config ${routing_config}: no such file"
fi

if runs 1; then
    log "stage 1: data"
    scripts/data.sh --lang "${lang}" --base_langs "${base_langs}" --db_root "${db_root}" --nj "${nj}" \
        --test_sets "${test_sets}" --sets "${sets[*]}" --allow_pipes "${allow_pipes}" \
        --local_data_opts "${local_data_opts}" "${datadir}"
fi

if runs 2; then
    log "stage 2: features"
    # shellcheck disable=SC2086  # test_sets is a list of words
    feature_jobs "${sets[@]}" ${test_sets}
fi

if runs 3; then
    log "stage 3: base model ${base_tag}"
    if [ "${base_model}" = pretrain ]; then
        token_text=${feats}/${pretrain_set}/text
        for l in ${lang}; do token_text+=" ${feats}/${train_set}_$l/text"; done
        printf 'scripts/pretrain.sh --train_config %q --seed %q --ngpu %q --token_type %q --n_tokens %q --byte_fallback %q --token_langs %q --token_text %q %q %q %q\n' \
            "${pretrain_config}" "${seed}" "${ngpu}" "${token_type}" "${n_tokens}" "${byte_fallback}" "${token_langs}" "${token_text}" \
            "${feats}/${pretrain_set}" "${feats}/${pretrain_valid}" "${base_dir}" |
            scripts/jobs.sh --cmd "${cuda_cmd}" --gpu "${ngpu}" --max_jobs 1 "${base_dir}/log/pretrain"
    else
        scripts/base.sh --base_recipe "${base_recipe}" --base_recipe_opts "${base_recipe_opts}" --pad_to "${pad_to}" "${base_model}" "${base}"
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

if runs 5 && [ -n "${routes}" ]; then
    log "stage 5: router (${router})"
    if [ "${router}" = classifier ]; then
        states=${dumpdir}/states/${base_tag}
        mapfile -t dirs < <(printf '%s\n' "${router_train[@]/#/${feats}/}" "${router_valid[@]/#/${feats}/}")
        {
            printf 'scripts/states.sh --router_config %q --seed %q --ngpu %q %q %q' \
                "${router_config}" "${seed}" "${ngpu}" "${base}" "${states}"
            printf ' %q' "${dirs[@]}"
            echo
        } | scripts/jobs.sh --cmd "${cuda_cmd}" --gpu "${ngpu}" "${base_dir}/log/states"
        printf 'scripts/router.sh --router_config %q --languages %q --seed %q %q %q %q %q\n' \
            "${router_config}" "${languages}" "${seed}" "${router_train[*]/#/${states}/}" \
            "${router_valid[*]/#/${states}/}" "${base}" "${router_dir}" |
            scripts/jobs.sh --cmd "${cuda_cmd}" "${base_dir}/log/router"
    fi
    for x in ${test_sets}; do
        printf 'scripts/evaluate_router.sh --languages %q --pairs %q --ngpu %q %q %q %q %q\n' "${languages}" \
            "${router_pairs}" "${ngpu}" "${router_place}" "${base}" "${feats}/$x" "${router_dir}/$x"
    done | scripts/jobs.sh --cmd "${decode_cmd}" --gpu "${ngpu}" --max_jobs "${max_jobs}" "${base_dir}/log/evaluate_router"
fi

if runs 6; then
    log "stage 6: decode"
    # shellcheck disable=SC2086  # test_sets is a list of words
    decodings "${base_dir}" "${adapter_configs}" "${routes}" ${test_sets} | decode_jobs "${base_dir}/log/decode"
fi

about=(--setting "base model=${base_model}" --setting "adapters=${adapter_configs}"
    --setting "search=${decode_config}" --setting "features=${feats_type}, ${n_mels} mel bands")
if runs 7; then
    log "stage 7: score"
    # shellcheck disable=SC2086  # test_sets is a list of words
    decodings "${base_dir}" "${adapter_configs}" "${routes}" ${test_sets} | score_jobs "${base_dir}/log/score"
    python3 -m espnet_peft.bin.results --exp_dir "${base_dir}" --out "${base_dir}/RESULTS.md" \
        "${about[@]}" --setting "router=oracle"
    if [ -n "${routes}" ]; then
        routing_table "${base_dir}" routing "${test_sets}" > "${base_dir}/log/routing_table.txt"
    fi
fi

if runs 8; then
    log "stage 8: pack"
    for config in ${adapter_configs}; do
        for l in ${lang}; do
            printf 'scripts/pack.sh %q\n' "${base_dir}/${l}_$(basename "${config}" .yaml)"
        done
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${base_dir}/log/pack"
fi
if runs 9; then
    log "stage 9: hard audio"
    hard_audio
fi

if runs 7; then
    log "results: ${base_dir}/RESULTS.md"
    if [ -n "${routes}" ]; then
        cat "${base_dir}/log/routing_table.txt"
        for x in ${test_sets}; do log "languages confused by the router: ${router_dir}/$x/confusion.png"; done
    fi
fi
log "stages ${stage} to ${stop_stage} finished"
