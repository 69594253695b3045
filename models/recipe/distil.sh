#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An experiment, not part of the model's recipe (its scores: README.md): TRAIN=train.tsv models/recipe/distil.sh
# fine-tunes a teacher five times the model's size, has it judge 100,000 texts once, and lets two students go
# on from FIRST with that. A run that was cut goes on. One thread a run; the students can run side by side.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${TRAIN:?set TRAIN to the train.tsv of SST-2 (label<TAB>sentence with a header line); see models/recipe/README.md}"
work=${WORK:-build/train}
out=${OUT:-build/train/distilled}
first=${FIRST:-models/sst2-minilm-l6}
dev=models/eval/sst2-dev.tsv
python=$(scripts/venv.sh train models/recipe/requirements.txt)
"$python" -m pip install -q --disable-pip-version-check --no-deps -r models/recipe/requirements-teacher.txt
lexicon=$("$python" -c "import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec('vaderSentiment').origin).parent)")/vader_lexicon.txt
export OMP_NUM_THREADS=1 # with a second busy process on the machine, two threads that wait for each other are ten times slower

run() { # run NAME BASE options...
  local name=$1 from=$2
  shift 2
  echo "distil: run $name"
  "$python" models/recipe/train.py --base "$from" --train "$TRAIN" --dev "$dev" --out "$work/$name" --threads 1 \
    --attention-dropout 0 "$@"
}

[ -f "$work/mpnet-base/model.safetensors" ] || "$python" models/recipe/teacher_pack.py --out "$work/mpnet-base"
run t1 "$work/mpnet-base" --seed 21 --lr 3e-5 --layer-decay 0.95 --epochs 2 --stop-after 1 --batch 32 --token-dropout 0 \
  --frozen-layers 3 --whole-repeat 1 --phrase-share 0.2 --templates 300 --raw-share 0.6 --ema 0.99
"$python" models/recipe/soften.py --teacher "$work/t1" --student "$first" --train "$TRAIN" --dev "$dev" \
  --lexicon "$lexicon" --out "$work/soft"
for seed in 31 32; do
  run "s$((seed - 30))" "$first" --soft "$work/soft" --seed "$seed" --lr 6e-5 --epochs 2 --pool-share 0.5 --batch 64 \
    --hidden-dropout 0 --token-dropout 0.05 --ema 0.998 --soft-temperature 1.5 --distil-weight 0.85
done
"$python" models/recipe/finish.py --runs "$work/s1" "$work/s2" --train "$TRAIN" --dev "$dev" --out "$out"
echo "distil: the result is in $out"
