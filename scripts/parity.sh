#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# parity.sh: ids beside PyPI tokenizers and transformers, logits beside transformers, header
# verdicts beside safetensors. Prints each count; a difference fails. About half an hour on two cores;
# PARITY_RANDOM (default 1000000) sets the random strings of a tokenizer configuration, PARITY_ONLY picks
# configurations by their first letters.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
scripts/setup.sh build test parity
scripts/build.sh build -DIFD_TESTS=ON
python=$(scripts/venv.sh parity engine/tests/parity-requirements.txt)
model=${MODEL:-models/sst2-minilm-l6}
sst2=$(mktemp -d)
trap 'rm -rf "$sst2"' EXIT
cp models/eval/sst2-dev.tsv "$sst2/dev.tsv"
if [ -n "${TRAIN:-}" ]; then
  cp "$TRAIN" "$sst2/train.tsv"
else
  echo "parity: TRAIN=train.tsv is not set: SST-2 ids are compared on dev only"
fi
"$python" engine/tests/text/tools/diff_tokenizers.py --driver build/tests/text/tok_driver --sst2 "$sst2" \
  --tokenizer "$model/tokenizer.json" --random "${PARITY_RANDOM:-1000000}" --only "${PARITY_ONLY:-}"
"$python" engine/tests/text/tools/diff_pairs.py --driver build/tests/text/tok_driver --tokenizer "$model/tokenizer.json"
"$python" engine/tests/text/tools/diff_vocab.py --driver build/tests/text/tok_driver
"$python" engine/tests/model/tools/parity.py build/inferd --model "$model"
echo "parity: done in $((SECONDS - began)) s"
