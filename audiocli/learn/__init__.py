"""The lecture as something to run: a topic each from the perceptron to the LSTM.

Every topic is one file that needs nothing else of audiocli, so that it can be copied, read and
changed: ``Settings`` (a frozen dataclass), ``run(settings)`` which computes, ``page(lesson)``
which makes text and tables of what was computed, and ``draw(lesson)`` which makes a picture of it.
Nothing on a page is written down beforehand: all numbers are computed when it is shown.

A page is a list: text is a string, a table a list of rows of strings, the first its heading.

Examples
--------
>>> from audiocli.learn import perceptron
>>> lesson = perceptron.run(perceptron.Settings(gates=("or",)))
>>> lesson.gates[0].mistakes <= lesson.gates[0].bound
True
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiocli.errors import UsageError, suggest

__all__ = ["TOPICS", "Topic", "find"]


@dataclass(frozen=True)
class Topic:
    """One topic.

    Parameters
    ----------
    name : str
        As it is typed.
    title : str
        What it shows, in a line.

    Examples
    --------
    >>> Topic("two-layers", "XOR solved").module
    'audiocli.learn.two_layers'
    """

    name: str
    title: str

    @property
    def module(self) -> str:
        """Where ``Settings``, ``run``, ``page`` and ``draw`` are."""
        return f"audiocli.learn.{self.name.replace('-', '_')}"

    @property
    def file(self) -> Path:
        """The file of the module."""
        return Path(__file__).with_name(f"{self.name.replace('-', '_')}.py")


#: In the order of the lecture.
TOPICS = (
    Topic("history", "from the first model of a neuron to today's networks: the time line"),
    Topic("features-or-learned", "'two or not two': PCA, NMF and a small net on tones"),
    Topic("perceptron", "Rosenblatt's rule on AND, OR, NOT; the bound on its mistakes; XOR"),
    Topic("sigmoid", "from the step to the sigmoid: a decision by gradient descent"),
    Topic("two-layers", "XOR solved; what width can approximate, and what depth saves"),
    Topic("backprop", "a gradient by hand, by finite differences and by autograd"),
    Topic("local-minima", "many starts, where they end, and paths on a loss surface"),
    Topic("unfold", "a recurrent net unrolled: back-propagation through time, whole and truncated"),
    Topic("bidirectional", "what a frame can know: past only, future only, both"),
    Topic("vanishing", "gradients by layer (sigmoid, tanh, ReLU) and by lag (RNN, LSTM)"),
    Topic("memory", "gates and cell of an LSTM: delayed recall, and onsets in a song"),
    Topic("masks", "the mask layer and the four losses of separation, on one clip"),
)


def find(name: str) -> Topic:
    """Find a topic.

    Parameters
    ----------
    name : str
        As it is typed.

    Returns
    -------
    Topic

    Raises
    ------
    UsageError
        If there is none of this name; the message suggests one.

    Examples
    --------
    >>> find("memory").title
    'gates and cell of an LSTM: delayed recall, and onsets in a song'
    """
    for topic in TOPICS:
        if topic.name == name:
            return topic
    raise UsageError(
        f"no topic {name!r}; {suggest(name.lower(), [topic.name for topic in TOPICS])}"
    )
