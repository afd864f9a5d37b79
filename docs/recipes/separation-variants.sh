#!/bin/sh
# Train every separation network of docs/separation-networks.md and score it.
#
#   docs/recipes/separation-variants.sh MIR1K RUNS
#
# MIR1K holds train/, dev/ and extra/ (see docs/data.md); RUNS receives a model folder and a
# table of scores for each variant. Every variant is trained on the same 2.8 hours of mixtures,
# but for drnn-2-long, which gets 17.
set -eu
data=$1
runs=$2
mkdir -p "$runs"

variant() { # name, then options of `audiocli train separate`
    name=$1
    shift
    if [ ! -s "$runs/$name.csv" ]; then
        audiocli train separate "$data/train" --dev "$data/dev" -o "$runs/$name" --threads 1 \
            --seconds 4 --epochs 4 --half --licence "MIR-1K: for research" "$@"
        audiocli evaluate separate "$data/extra" --model "$runs/$name" --every 10 --quiet \
            --no-oracles --format csv >"$runs/$name.csv.part"
        mv "$runs/$name.csv.part" "$runs/$name.csv"
    fi
}

# As published but for the optimiser: plain magnitudes, 3 frames of context, three layers of
# 1000 ReLU units, circular shift of the accompaniment.
dense="--steps 40 --batch-size 16 --augment shift"
# Convolutions along frequency in the place of dense layers, on voices of many pitches.
shared="--arch conv-drnn --steps 80 --batch-size 8 --augment wide --learning-rate 2e-3"
# shellcheck disable=SC2086  # the words of $dense and $shared are options
{
    variant drnn-2 $dense --arch drnn --recurrent-layer 2 --gamma 0
    variant drnn-2-gamma $dense --arch drnn --recurrent-layer 2 --gamma 0.05
    variant dnn $dense --arch dnn --gamma 0
    variant drnn-1 $dense --arch drnn --recurrent-layer 1 --gamma 0
    variant drnn-3 $dense --arch drnn --recurrent-layer 3 --gamma 0
    variant srnn $dense --arch srnn --gamma 0
    variant drnn-2-kl $dense --arch drnn --recurrent-layer 2 --loss kl --gamma 0
    variant drnn-2-kl-gamma $dense --arch drnn --recurrent-layer 2 --loss kl --gamma 0.05
    variant drnn-2-wide $dense --augment wide --arch drnn --recurrent-layer 2 --power 0.4
    variant conv-blstm $shared --layers 3 --cell lstm --loss mse
    variant conv-0 $shared --layers 0 --loss mse
    # Does the published network only want more training?
    variant drnn-2-long $dense --arch drnn --recurrent-layer 2 --gamma 0.05 --epochs 24
}
