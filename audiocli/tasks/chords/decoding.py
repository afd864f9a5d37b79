"""From the network's outputs for each frame to a sequence of chords.

The network's outputs are read as log probabilities of states: every root with every quality of
the vocabulary, and no chord. The best path through them (Viterbi) is found while frames come:
what lies before the point where all paths meet cannot change any more and is given at once,
so memory does not grow with the length of a recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError, check_choice
from audiocli.tasks.chords.labels import NO_CHORD, QUALITIES, VOCABULARIES, Chord

__all__ = ["Decoder", "Outputs", "FrameSegment", "best_path", "decode", "outputs_of", "states_of"]

Frames = NDArray[np.float32]
PITCH_CLASSES = 12


@dataclass(frozen=True)
class Decoder:
    """How outputs become chords.

    Parameters
    ----------
    vocabulary : str
        One of ``VOCABULARIES``.
    change : float
        What a change of chord costs, in nats: the larger, the fewer changes.
    habit : float
        Weight of which changes are usual, from 0 to 1.
    trust : float
        Weight of the network's log probabilities; neighbouring frames share most of
        their input, so it is below 1.
    inversion : float
        What a bass other than the root costs, in nats a frame on average.
    open_fifth : float
        What a root with a fifth and no third costs, in nats a frame, where the vocabulary has it:
        a third that hardly sounds is more frequent than none.
    rarity : float
        Weight of how rare each quality was in the training annotations: rare qualities are trained
        on more often than they occur in music, so the network expects them too often.
    """

    vocabulary: str = "full"
    change: float = 2.0
    habit: float = 0.5
    trust: float = 0.5
    inversion: float = 0.5
    open_fifth: float = 0.0
    rarity: float = 0.0

    def __post_init__(self) -> None:
        check_choice("vocabulary", self.vocabulary, VOCABULARIES)
        weights = (
            self.change,
            self.habit,
            self.trust,
            self.inversion,
            self.open_fifth,
            self.rarity,
        )
        if min(weights) < 0:
            raise UsageError(
                "change, habit, trust, inversion, open_fifth and rarity must be 0 or more"
            )

    @property
    def qualities(self) -> tuple[str, ...]:
        """The qualities that its chords can have."""
        return tuple(dict.fromkeys(VOCABULARIES[self.vocabulary].values()))


@dataclass(frozen=True)
class Outputs:
    """The network's outputs for each frame.

    Parameters
    ----------
    chords : ndarray, shape (frames, 12 * qualities + 1)
        Log probabilities, root by root; the last is no chord.
    basses : ndarray, shape (frames, 13)
        Log probabilities of the lowest pitch class; the last is none.
    tones : ndarray, shape (frames, 12)
        Probability that each pitch class sounds.
    """

    chords: Frames
    basses: Frames
    tones: Frames


@dataclass(frozen=True)
class FrameSegment:
    """A segment of frames with one chord.

    Parameters
    ----------
    start, end : int
        The first frame, and the first after it.
    chord : Chord
    confidence : float
        Mean probability that the network gives the chord's root and quality, from 0 to 1.
    """

    start: int
    end: int
    chord: Chord
    confidence: float


def outputs_of(logits: Frames) -> Outputs:
    """Turn logits (frames, 12 * qualities + 1 + 13 + 12) into probabilities."""
    basses = logits.shape[1] - 2 * PITCH_CLASSES - 1
    return Outputs(
        _log_softmax(logits[:, :basses]),
        _log_softmax(logits[:, basses:-PITCH_CLASSES]),
        (1 / (1 + np.exp(-logits[:, -PITCH_CLASSES:]))).astype(np.float32),
    )


def _log_softmax(logits: Frames) -> Frames:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float32)


def states_of(chords: Frames, decoder: Decoder) -> Frames:
    """Add up the probabilities of qualities that are one quality in the decoder's vocabulary.

    In a vocabulary of thirds a chord without one is as major and as minor as the other chords on
    its root: so a minor chord whose third hardly sounds is still minor.
    """
    if decoder.vocabulary == "full":
        return chords
    grouping = _grouping(decoder)
    major, minor = map(decoder.qualities.index, ("maj", "min"))
    names = list(QUALITIES)
    open_chords = _without_third() & (grouping[:, major] > 0)
    shaped = np.exp(chords[:, :-1]).reshape(len(chords), PITCH_CLASSES, -1)
    joined = shaped @ np.where(open_chords[:, None], 0.0, grouping)
    shared = shaped[..., open_chords].sum(axis=-1)
    thirds = shaped[..., [names.index("maj"), names.index("min")]] + 1e-12
    thirds /= thirds.sum(axis=-1, keepdims=True)
    joined[..., [major, minor]] += shared[..., None] * thirds
    logs = np.log(np.maximum(joined, 1e-12)).reshape(len(chords), -1)
    return np.asarray(np.concatenate([logs, chords[:, -1:]], axis=1), np.float32)


def _without_third() -> NDArray[np.bool_]:
    """Mark the qualities that have no third."""
    return np.array([not {3, 4} & set(steps) for steps in QUALITIES.values()])


def _grouping(decoder: Decoder) -> NDArray[np.float64]:
    """Which quality belongs to which of the vocabulary: (all, those of the vocabulary)."""
    names = decoder.qualities
    become = VOCABULARIES[decoder.vocabulary]
    return np.array([[become[each] == name for name in names] for each in QUALITIES], np.float64)


def transitions(changes: NDArray[np.float64], decoder: Decoder) -> NDArray[np.float64]:
    """Compute the log probabilities (states, states) of changing from each state to each other."""
    grouping = _grouping(decoder)
    joined = np.einsum("qr,qds,st->rdt", grouping, changes, grouping)
    joined = joined / joined.sum() + 1e-5
    joined = joined / joined.sum(axis=(1, 2), keepdims=True)
    count = len(decoder.qualities)
    states = PITCH_CLASSES * count + 1
    even = -np.log(PITCH_CLASSES * count)
    table = np.full((states, states), even)
    for root in range(PITCH_CLASSES):
        for step in range(PITCH_CLASSES):
            to = (root + step) % PITCH_CLASSES
            block = decoder.habit * np.log(joined[:, step]) + (1 - decoder.habit) * even
            table[root * count : (root + 1) * count, to * count : (to + 1) * count] = block
    # What a change costs on average is the decoder's to say.
    table -= even + decoder.change
    np.fill_diagonal(table, 0.0)
    return table


def quality_costs(changes: NDArray[np.float64], decoder: Decoder) -> Frames:
    """Compute what each state costs in nats a frame, (states,): open fifths, and rare qualities.

    How often the model's changes of chord lead to a quality says how rare it is; major and minor,
    the most frequent in all music, cost nothing.
    """
    counts = changes.sum(axis=(0, 1)) @ _grouping(decoder)
    shares = counts / max(counts.sum(), 1e-12) + 1e-4
    names = decoder.qualities
    common = min(shares[names.index("maj")], shares[names.index("min")])
    costs = decoder.rarity * np.maximum(np.log(common / shares), 0.0)
    costs += [decoder.open_fifth * (name == "5") for name in names]
    return np.append(np.tile(costs, PITCH_CLASSES), 0.0).astype(np.float32)


def best_path(
    batches: Iterable[Frames], table: NDArray[np.float64], trust: float
) -> Iterator[NDArray[np.int16]]:
    """Find the best path of states of batches (frames, states), while they come (Viterbi).

    References
    ----------
    Viterbi: Error bounds for convolutional codes and an asymptotically optimum decoding
    algorithm. IEEE Trans. Information Theory 13(2), 1967.
    """
    states = len(table)
    score: NDArray[np.float64] | None = None
    back: list[NDArray[np.int16]] = []  # of each frame that is not yet certain, but the first
    waiting = 0
    for batch in batches:
        for frame in batch:
            if score is None:
                score, waiting = trust * frame.astype(np.float64), 1
                continue
            reached = score[:, None] + table
            best = reached.argmax(axis=0)
            score = reached[best, np.arange(states)] + trust * frame
            score -= score.max()
            back.append(best.astype(np.int16))
            waiting += 1
        if waiting > 1:
            certain = _certain(back)
            if len(certain):
                yield certain
                waiting -= len(certain)
                back = back[len(back) - waiting + 1 :]
    if score is not None:
        path = np.empty(waiting, np.int16)
        path[-1] = score.argmax()
        for index in range(waiting - 2, -1, -1):
            path[index] = back[index][path[index + 1]]
        yield path


def _certain(back: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    """Trace all paths back to where they meet; what lies before is settled."""
    alive = np.arange(len(back[0]))
    for index in range(len(back) - 1, -1, -1):
        alive = np.unique(back[index][alive])
        if len(alive) == 1:
            path = np.empty(index + 1, np.int16)
            path[-1] = alive[0]
            for earlier in range(index - 1, -1, -1):
                path[earlier] = back[earlier][path[earlier + 1]]
            return path
    return np.empty(0, np.int16)


def decode(
    batches: Iterable[Outputs], changes: NDArray[np.float64], decoder: Decoder
) -> Iterator[FrameSegment]:
    """Turn outputs into segments of one chord each, with counts of changes of chord."""
    # Of frames whose states are not yet certain.
    states: list[Frames] = []
    basses: list[Frames] = []
    costs = quality_costs(changes, decoder)

    def scored() -> Iterator[Frames]:
        for outputs in batches:
            states.append(states_of(outputs.chords, decoder))
            basses.append(outputs.basses)
            yield states[-1] - costs

    state, begin, done = -1, 0, 0
    sums = np.zeros(PITCH_CLASSES + 2)  # of the segment: log probabilities of basses, confidence
    for path in best_path(scored(), transitions(changes, decoder), decoder.trust):
        probabilities, lowest = np.concatenate(states), np.concatenate(basses)
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
        for first, last in zip(edges, edges[1:], strict=False):
            if path[first] != state:
                if state >= 0:
                    yield _segment(begin, done + first, state, sums, decoder)
                state, begin, sums = int(path[first]), done + first, np.zeros(PITCH_CLASSES + 2)
            sums[:-1] += lowest[first:last].sum(axis=0)
            sums[-1] += np.exp(probabilities[first:last, state]).sum()
        done += len(path)
        states[:], basses[:] = [probabilities[len(path) :]], [lowest[len(path) :]]
    if state >= 0:
        yield _segment(begin, done, state, sums, decoder)


def _segment(
    begin: int, end: int, state: int, sums: NDArray[np.float64], decoder: Decoder
) -> FrameSegment:
    """Turn a state into a chord, with the bass that is likeliest over its frames."""
    long = end - begin
    confidence = min(float(sums[-1]) / long, 1.0)
    root, index = divmod(state, len(decoder.qualities))
    if root == PITCH_CLASSES:
        return FrameSegment(begin, end, NO_CHORD, confidence)
    quality = decoder.qualities[index]
    bass = 0
    if decoder.vocabulary == "full":
        steps = QUALITIES[quality]
        means = [sums[(root + step) % PITCH_CLASSES] / long for step in steps]
        means[1:] = [mean - decoder.inversion for mean in means[1:]]
        bass = steps[int(np.argmax(means))]
    return FrameSegment(begin, end, Chord(root, quality, bass), confidence)
