"""Models as ONNX files, for programs that have no torch.

What is exported is the core of a network: the Fourier transform before it stays outside, as ONNX
runtimes differ in theirs or have none, and so does the way from activations to a result.

========================  ==================================  ====================================
model                     input                               output
========================  ==================================  ====================================
separation, stereo        magnitude (1, 4, bins, frames) of    masks (1, sources, 2, bins, frames)
                          middle, side, left, right           of middle and side
separation, one channel   magnitude (batch, bins, frames)     masks (batch, sources, bins, frames)
onsets, chords, bases     images (batch, channels, bands,     logits or components
                          frames) of the filterbank           (batch, outputs, frames)
encoders, small           the same                            features or logits (batch, units,
classifiers                                                   steps)
classifiers on encoders   pooled features (batch, features)   logits (batch, classes)
========================  ==================================  ====================================

The number of frames is free. torch's exporter by tracing (TorchScript) is used: it needs no other
package, knows recurrent layers of any length, and each file is compared with torch afterwards.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError
from audiocli.io.atomic import write_whole
from audiocli.nn import models, registry
from audiocli.nn.bases import NMF, Dictionary
from audiocli.nn.clipwise import ClipNetwork, Head
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.live import LiveDRNN
from audiocli.nn.masking import MaskingNetwork, soft_mask
from audiocli.nn.stereo import StereoDRNN

__all__ = ["TOLERANCE", "Exported", "export_onnx"]

#: Largest difference from torch, relative to the largest output where that is above 1.
TOLERANCE = 1e-4
#: Of the ONNX operators, so old that every runtime of the last years has it.
OPSET = 17
#: Frames of the example that is traced, and of another that the file must be right for, too; as
#: many more as make them a multiple of what a network needs.
FRAMES = (96, 200)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    inputs, outputs : str
        Name and shape, with the names of free sizes.
    difference : float or None
        The largest from torch; None where onnxruntime is not installed.
    """

    path: Path
    inputs: str
    outputs: str
    difference: float | None


@dataclass(frozen=True)
class _Core:
    """The part of a network that is exported."""

    compute: Callable[[Tensor], Tensor]
    inputs: str
    shape: tuple[int | str, ...]  # of the input; names are free sizes
    outputs: str
    steps: str = ""  # name of the last axis of the output, where that is free
    multiple: int = 1  # of which the number of frames must be


class _Module(nn.Module):
    """A core as a module, which torch exports."""

    def __init__(self, network: nn.Module, core: _Core) -> None:
        super().__init__()
        self.network, self.core = network, core

    def forward(self, x: Tensor) -> Tensor:
        return self.core.compute(x)


def export_onnx(entry: registry.ModelEntry, path: Path, *, overwrite: bool = False) -> Exported:
    """Write a model's core to an ONNX file, and compare it with torch."""
    try:
        import onnx
    except ImportError as error:
        raise UsageError("{onnx} needs onnx: pip install 'audiocli[onnx]'", "onnx") from error
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path}: name a file that ends in .onnx")
    network = models.load(entry).requires_grad_(False)
    core = _core(entry, network)
    module = _Module(network, core).eval()
    found: dict[str, Any] = {}

    def fill(partial: Path) -> None:
        _trace(module, core, partial, entry)
        graph = onnx.load(partial)
        for key, value in _description(entry, network).items():
            graph.metadata_props.add(key=key, value=value)
        sizes = _output_shape(module, core)
        # The tracer takes sizes that are computed for free ones.
        for stated, size in zip(
            graph.graph.output[0].type.tensor_type.shape.dim, sizes, strict=True
        ):
            if isinstance(size, int):
                stated.dim_value = size
        onnx.checker.check_model(graph)
        onnx.save(graph, partial)
        found["difference"] = _difference(module, core, partial, entry)
        found["outputs"] = f"{core.outputs} ({', '.join(map(str, sizes))})"

    write_whole(path, fill, overwrite=overwrite)
    frames = f", frames a multiple of {core.multiple}" if core.multiple > 1 else ""
    shape = ", ".join(map(str, core.shape))
    return Exported(path, f"{core.inputs} ({shape}){frames}", found["outputs"], found["difference"])


def _core(entry: registry.ModelEntry, network: nn.Module) -> _Core:
    """Choose what of a network is exported, by its family."""
    if isinstance(network, LiveDRNN):
        raise _impossible(entry, "its level and its memory go along from frame to frame")
    if isinstance(network, StereoDRNN):
        stereo = network
        shape = (1, 4, stereo.stft.config.bins, "frames")
        return _Core(stereo.masks_of_magnitude, "magnitude", shape, "masks", "frames")
    if isinstance(network, MaskingNetwork):
        masking = network
        single = ("batch", masking.stft.config.bins, "frames")
        return _Core(
            lambda x: soft_mask(masking.outputs(x)), "magnitude", single, "masks", "frames"
        )
    if isinstance(network, Head):
        return _Core(network, "pooled", ("batch", len(network.mean)), "logits")
    if isinstance(network, NMF | Dictionary):
        raise _impossible(entry, "its components are found by an iteration; pca, kmeans and "
                          "autoencoder can be exported")  # fmt: skip
    if isinstance(network, FramewiseNetwork):
        return _of_images(entry, network)
    raise _impossible(entry, "its network has no core that runs without torch")


def _of_images(entry: registry.ModelEntry, network: FramewiseNetwork) -> _Core:
    """Take what follows the filterbank; the scale of its images is part of that."""
    config = network.frontend.config
    images = ("batch", config.channels, config.bands, "frames")

    def after(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: compute(network.scaled(x))

    if isinstance(network, ClipNetwork):
        stride = network.stride
        if entry.task == "encode":
            core = after(network.features)
            return _Core(core, "images", images, "features", "steps", multiple=stride)
        return _Core(after(network.outputs), "images", images, "logits", multiple=stride)
    name = "components" if entry.task == "features" else "logits"
    return _Core(after(network.outputs), "images", images, name, "frames")


def _impossible(entry: registry.ModelEntry, reason: str) -> ModelError:
    return ModelError(f"{entry.task}/{entry.name}: cannot be exported to ONNX: {reason}")


def _example(core: _Core, frames: int, batch: int = 1) -> Tensor:
    """Draw an input; those of filterbanks and magnitudes are positive, like the real ones."""
    free = {"batch": batch, "frames": -(-frames // core.multiple) * core.multiple}
    shape = [free[size] if isinstance(size, str) else size for size in core.shape]
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape, generator=generator)


def _trace(module: _Module, core: _Core, path: Path, entry: registry.ModelEntry) -> None:
    axes = {core.inputs: {i: size for i, size in enumerate(core.shape) if isinstance(size, str)}}
    example = _example(core, FRAMES[0])
    axes[core.outputs] = {0: "batch"} if core.shape[0] == "batch" else {}
    if core.steps:
        axes[core.outputs][module(example).ndim - 1] = core.steps
    try:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(StringIO()):
            # On constants in the trace, which the comparison below would find, and on its age.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=[core.inputs],
                output_names=[core.outputs],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise _impossible(entry, reason) from error


def _description(entry: registry.ModelEntry, network: nn.Module) -> Mapping[str, str]:
    """Say in the file what a program needs that runs it."""
    config = entry.config
    kept = ("task", "architecture", "labels", "frontend", "decoder", "licence", "weights_sha256")
    return {
        "name": entry.name,
        **{key: json.dumps(config[key]) for key in kept if key in config},
    }


def _difference(
    module: _Module, core: _Core, path: Path, entry: registry.ModelEntry
) -> float | None:
    """Compare a file with torch, for the example that was traced and for another."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more wait actively, beside other programs for seconds
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for frames, batch in zip(FRAMES, (1, 2), strict=True):
        x = _example(core, frames, batch)
        with torch.inference_mode():
            expected = module(x).numpy()
        try:
            (computed,) = session.run(None, {core.inputs: x.numpy()})
        except Exception as error:  # onnxruntime's errors have no root of their own
            raise _impossible(entry, " ".join(str(error).split())[:200]) from error
        if computed.shape != expected.shape:
            raise _impossible(entry, f"its shape would be {computed.shape}, not {expected.shape}")
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        largest = max(largest, float(np.abs(computed - expected).max(initial=0.0)) / scale)
    if not largest <= TOLERANCE:
        raise _impossible(entry, f"it would differ from torch by {largest:.1e}")
    return largest


def _output_shape(module: _Module, core: _Core) -> list[int | str]:
    """Give the shape of the output, with the names of free sizes."""
    with torch.inference_mode():
        sizes: list[int | str] = list(module(_example(core, FRAMES[0])).shape)
    sizes[0] = core.shape[0]
    if core.steps:
        sizes[-1] = core.steps
    return sizes
