#!/bin/bash
# All three parts on one machine with several GPUs:   GPUS=8 DATA='/data/train-*.tar' launch/one-machine.sh OUT [CONFIG]
# What was stopped, or killed, goes on from its last checkpoint when it is called again.
set -euo pipefail

OUT=${1:?Say where the model is to be kept: launch/one-machine.sh OUT [CONFIG]}
CONFIG=${2:-picturebook}
GPUS=${GPUS:-$(nvidia-smi --list-gpus | wc -l)}

for part in dvae clip dalle; do
	test -e "$OUT/$part.trained.toml" && continue
	resume=()
	test -e "$OUT/training-$part/checkpoint.json" && resume=(--resume)
	torchrun --standalone --nproc-per-node="$GPUS" -m dalle_edu train "$part" --config "$CONFIG" --out "$OUT" \
		--device cuda ${DATA:+--data "shards:$DATA"} "${resume[@]}"
done
