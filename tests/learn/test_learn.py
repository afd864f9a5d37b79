"""The topics of ``audiocli learn``: their numbers say what the lecture says."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from audiocli.cli import cli
from audiocli.learn import (
    TOPICS,
    backprop,
    bidirectional,
    features_or_learned,
    find,
    local_minima,
    masks,
    memory,
    perceptron,
    sigmoid,
    two_layers,
    unfold,
    vanishing,
)
from audiocli.learn.settings import choices

SMALL = {
    "backprop": [],
    "bidirectional": ["--steps", "20"],
    "features-or-learned": ["--clips", "120", "--steps", "20"],
    "history": [],
    "local-minima": ["--starts", "4", "--steps", "50"],
    "masks": ["--seconds", "1", "--steps", "5"],
    "memory": ["--delays", "3", "--steps", "5", "--seconds", "1"],
    "perceptron": [],
    "sigmoid": [],
    "two-layers": ["--units", "1,2", "--starts", "2", "--steps", "50"],
    "unfold": ["--training", "10"],
    "vanishing": ["--lags", "10"],
}


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_a_topic_prints_numbers_and_draws(tmp_path, topic):
    picture = tmp_path / "a.png"
    words = ["learn", topic, "--plot", str(picture), *SMALL[topic]]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert any(character.isdigit() for character in result.stdout)
    again = CliRunner().invoke(cli, words)
    assert again.exit_code != 0 and "is there already" in str(again.exception or again.output)


def test_topics_are_listed_and_help_loads_nothing_heavy():
    result = CliRunner().invoke(cli, ["learn"])
    assert [line.split()[0] for line in result.output.splitlines()] == [t.name for t in TOPICS]
    program = (
        "import sys; from audiocli.cli import main; sys.argv = ['audiocli', 'learn', 'memory', "
        "'--help']\ntry: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "--delays" in done.stdout and done.stdout.rstrip().endswith("[]")


def test_choices_are_those_of_the_settings():
    for topic in TOPICS:
        module = __import__(topic.module, fromlist=["Settings"])
        settings = module.Settings()
        for choice in choices(topic):
            assert getattr(settings, choice.name) == choice.default


def test_unknown_topics_are_refused():
    with pytest.raises(Exception, match="did you mean 'perceptron'"):
        find("percptron")


def test_perceptron_keeps_novikoffs_bound_and_never_ends_on_xor():
    lesson = perceptron.run(perceptron.Settings())
    for gate in lesson.gates:
        assert gate.run.ended == (gate.name != "xor")
        assert gate.mistakes <= gate.bound
    assert (lesson.cloud_mistakes <= lesson.cloud_bounds).all()


def test_backpropagation_by_hand_is_that_of_autograd_and_of_differences():
    lesson = backprop.run(backprop.Settings())
    assert lesson.disagreement["autograd"] < 1e-6
    assert lesson.step_errors.min() < 1e-6


def test_a_net_counts_where_a_linear_decision_cannot():
    settings = features_or_learned.Settings(clips=800, steps=300)
    lesson = features_or_learned.run(settings)
    assert max(lesson.accuracy[name] for name in ("PCA, linear", "NMF, linear")) < 0.65
    assert lesson.accuracy["NMF, net"] > 0.85


def test_directions_know_what_they_have_read():
    lesson = bidirectional.run(bidirectional.Settings(frames=12, steps=200))
    before, after = lesson.distances < 0, lesson.distances > 0
    past, future = lesson.accuracy["past only"], lesson.accuracy["future only"]
    assert past[after].mean() > 0.9 > 0.7 > past[before].mean()
    assert future[before].mean() > 0.9 > 0.7 > future[after].mean()
    assert lesson.overall["both"] > 0.9


def test_an_lstm_recalls_what_an_elman_net_forgot():
    settings = memory.Settings(delays=(50,))
    assert memory.recall(settings, "LSTM", 50) > 0.9 > 0.7 > memory.recall(settings, "RNN", 50)


def test_gates_by_hand_are_those_of_torch():
    gates = memory.look_into_detector(1.0)
    assert gates.error < 1e-4
    for gate in (gates.input, gates.forget, gates.output):
        assert gate.min() >= 0 and gate.max() <= 1


def test_losses_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    sources = (rng.random((3, 4)), rng.random((3, 4)))
    perfect = masks.losses(sources, sources, 0.05)
    assert perfect["MSE"] == 0 and abs(perfect["KL"]) < 1e-9
    assert perfect["discriminative MSE"] < 0 and perfect["discriminative KL"] < 0
    lesson = masks.run(masks.Settings(seconds=1.0, steps=20))
    for losses in lesson.losses.values():
        assert losses["discriminative MSE"] < losses["MSE"]
    assert lesson.ratios["ideal ratio mask"] > lesson.ratios["net, after the mask layer"]


def test_vanishing_unfolding_and_the_rest_run():
    assert vanishing.run(vanishing.Settings(layers=4, units=10, lags=8)) is not None
    assert unfold.run(unfold.Settings(training=5)).disagreement < 1e-6
    assert sigmoid.run(sigmoid.Settings(epochs=20)) is not None
    assert two_layers.run(two_layers.Settings(units=(1, 2), starts=2, steps=30)) is not None
    assert local_minima.run(local_minima.Settings(starts=3, steps=30)) is not None
