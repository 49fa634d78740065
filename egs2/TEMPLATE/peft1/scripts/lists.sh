# shellcheck shell=bash
# Sourced by peft.sh, whose variables it reads: what is decoded and scored, and the jobs for it.

# decodings <dir> <configs> <strategies> <set>...: a line "<system> <strategy> <set> <decode dir>" for each.
decodings() {
    local dir=$1 configs=$2 strategies=$3 x system config strategy
    shift 3
    for x in "$@"; do
        echo "base base $x ${dir}/base/${decode_tag}/$x"
        for config in ${configs}; do
            system=$(basename "${config}" .yaml)
            echo "${system} oracle $x ${dir}/${system}/${decode_tag}/$x"
            [[ " ${route_configs} " == *" ${config} "* ]] || continue
            for strategy in ${strategies}; do
                echo "${system} ${strategy} $x ${dir}/routing/${system}/${strategy}${by}/$x"
            done
        done
    done
}

# decode_jobs, score_jobs < lines of decodings
decode_jobs() {
    local system strategy x out adapters l
    while read -r system strategy x out; do
        adapters=
        if [ "${system}" != base ]; then
            for l in ${lang}; do adapters+=" $l=${base_dir}/${l}_${system}/adapter"; done
        fi
        printf 'scripts/decode.sh --cmd %q --nj %q --decode_config %q --ngpu %q --adapters %q --strategy %q --router %q --routing_config %q --base_languages %q %q %q %q\n' \
            "${decode_cmd}" "${inference_nj}" "${decode_config}" "${ngpu}" "${adapters# }" "${strategy}" \
            "${router_place}" "${routing_config}" "${base_langs}" "${base}" "${feats}/$x" "${out}"
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "$1"
}

score_jobs() {
    local x out
    while read -r _ _ x out; do
        printf 'scripts/score.sh --normalise %q --bootstrap %q %q %q\n' "${normalise}" "${bootstrap}" "${feats}/$x" "${out}"
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "$1"
}

feature_jobs() {
    local x
    for x in "$@"; do
        printf 'scripts/features.sh --cmd %q --nj %q --feats_type %q --n_mels %q --expected_rate %q --allow_pipes %q %q %q\n' \
            "${train_cmd}" "${nj}" "${feats_type}" "${n_mels}" "${expected_rate}" "${allow_pipes}" \
            "${datadir}/$x" "${feats}/$x"
    done | scripts/jobs.sh --max_jobs "${max_jobs}" "${feats}/log/features"
}

# routing_table <dir> <name> <sets> [options]: RESULTS_<name>.md in the directory, and on the terminal.
routing_table() {
    local dir=$1 name=$2 names=$3
    shift 3
    python3 -m espnet_peft.bin.routing_results --exp_dir "${dir}" --sets "${names}" --decode_tag "${decode_tag}" \
        --title "Routing: ${name}" --out "${dir}/RESULTS_${name}.md" "${about[@]}" \
        --setting "router=${router}" --setting "strategies=${routing_config}" "$@"
}

# hard_audio: sets whose language is hard to tell, made of the first test set, decoded and scored.
hard_audio() {
    local dir=${base_dir}/hard list=${base_dir}/log/hard.list x=${test_sets%% *} kind l strategy out name
    local codeswitched=() segments=() uncertain=() parts=() pictures=()
    for kind in ${codeswitch_kinds}; do codeswitched+=("cs_${kind}"); segments+=("cs_${kind}_segments"); done
    for kind in ${uncertain_kinds}; do uncertain+=("${x}_${kind}"); done
    if [ ${#codeswitched[@]} -gt 0 ]; then
        for l in ${languages}; do parts+=("${datadir}/${x}_$l"); done
        # shellcheck disable=SC2086  # codeswitch_opts is a list of words
        local/make_codeswitch.sh --kinds "${codeswitch_kinds}" --allow_pipes "${allow_pipes}" ${codeswitch_opts} \
            "${datadir}/cs" "${parts[@]}"
    fi
    [ ${#uncertain[@]} -eq 0 ] ||
        scripts/hard_sets.sh --kinds "${uncertain_kinds}" --allow_pipes "${allow_pipes}" "${datadir}/$x"
    feature_jobs "${codeswitched[@]}" "${segments[@]}" "${uncertain[@]}"
    mkdir -p "${base_dir}/log"
    {
        decodings "${dir}" "${route_configs}" "${codeswitch_routes}" "${codeswitched[@]}"
        decodings "${dir}" "${route_configs}" "" "${segments[@]}" | { grep -v '^base ' || true; }
        decodings "${dir}" "${route_configs}" "${uncertain_routes}" "${uncertain[@]}"
    } > "${list}"
    decode_jobs "${base_dir}/log/decode_hard" < "${list}"
    score_jobs "${base_dir}/log/score_hard" < "${list}"
    # Pictures show the frame posteriors of the classifier.
    while read -r _ strategy x out; do
        [ "${router}" = token ] || [[ " frame spans " != *" ${strategy} "* ]] || pictures+=("$x ${out}")
    done < "${list}"
    if [ ${#pictures[@]} -gt 0 ]; then
        for name in "${pictures[@]}"; do
            printf 'scripts/timeline_figures.sh --n %q %q %q %q %q\n' "${codeswitch_pictures}" "${router_dir}" "${base}" "${datadir}/${name%% *}" "${name#* }"
        done | scripts/jobs.sh --max_jobs "${max_jobs}" "${base_dir}/log/figures"
    fi
    if [ -n "${unknown_langs}" ]; then
        x=${test_sets%% *}
        scripts/data.sh --lang "${unknown_langs}" --db_root "${db_root}" --nj "${nj}" --test_sets "$x" \
            --allow_pipes "${allow_pipes}" --local_data_opts "${unknown_data_opts}" "${datadir}/unknown"
        utils/combine_data.sh "${datadir}/${x}_unknown" "${datadir}/$x" "${datadir}/unknown/$x"
        feature_jobs "${x}_unknown"
        scripts/evaluate_router.sh --languages "${languages}" --pairs "${router_pairs}" --ngpu "${ngpu}" \
            --unknown_languages "${unknown_langs}" "${router_place}" "${base}" "${feats}/${x}_unknown" \
            "${router_dir}/${x}_unknown"
    fi
    [ ${#uncertain[@]} -eq 0 ] || routing_table "${dir}" uncertain "${uncertain[*]}"
    [ ${#codeswitched[@]} -eq 0 ] || routing_table "${dir}" codeswitch "${codeswitched[*]}" --timelines
}
