# shellcheck shell=bash disable=SC2034
# Launchers, as in Kaldi: train_cmd for CPU jobs, cuda_cmd for training, decode_cmd for decoding.
train_cmd=run.pl
cuda_cmd=run.pl
decode_cmd=run.pl
