#!/usr/bin/env bash
# Make <data>/{train,dev,test}_en from the Free Spoken Digit Dataset: <db_root>/recordings/*.wav,
# named <digit>_<speaker>_<n>.wav (https://github.com/Jakobovski/free-spoken-digit-dataset).
set -euo pipefail
db_root=                   # the dataset's directory, which holds recordings/
lang=en                    # the corpus has English only
train_speakers="jackson nicolas theo"
dev_speakers=yweweler
test_speakers=george
max_per_digit=0            # recordings of one digit by one speaker; 0 takes all
nj=1                       # accepted for uniformity; there is nothing to do in parallel
data=data                  # output directory
help_message="Usage: $0 --db_root <free-spoken-digit-dataset> [options]"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 0 ] || die "unexpected argument '$1'. ${help_message}"
[ -n "${db_root}" ] || die "--db_root is empty, expected the dataset's directory. ${help_message}"
[ "${lang}" = en ] || die "--lang ${lang}: the corpus has English only, expected en"
[[ ${nj} =~ ^[1-9][0-9]*$ ]] || die "--nj ${nj}: expected a positive integer"

python3 local/fsdd.py --db_root "${db_root}" --train_speakers "${train_speakers}" \
    --dev_speakers "${dev_speakers}" --test_speakers "${test_speakers}" \
    --max_per_digit "${max_per_digit}" --data "${data}"
