"""The layer that doubles the bands: fused it computes the same."""

from __future__ import annotations

import pytest
import torch

from audiocli.nn.doubling import Doubling
from audiocli.nn.fusing import fuse
from audiocli.nn.hourglass import Hourglass


@pytest.mark.parametrize("kernel", [(4, 1), (8, 3), (12, 5)])
def test_fused_it_gives_what_the_transposed_convolution_gives(kernel: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Doubling(5, 3, kernel).eval()
    x, added = torch.randn(2, 5, 7, 11), torch.randn(2, 3, 14, 11)
    with torch.inference_mode():
        wanted, summed = layer(x), layer(x, added)
        torch.testing.assert_close(summed, wanted + added)
        layer.fuse()
        torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer(x, added.clone()), summed, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [(2, 1), (4, 2)])
def test_other_kernels_are_refused(kernel: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Doubling(5, 3, kernel)


def test_a_fused_hourglass_computes_the_same_and_keeps_its_weights() -> None:
    torch.manual_seed(0)
    network = Hourglass(2, 3, channels=(4, 6, 8), num_recurrent=1).eval()
    names = {name for name in network.state_dict() if name.startswith(("widen.", "output"))}
    x = torch.randn(1, 2, 32, 9)
    with torch.inference_mode():
        wanted = network(x)
        fuse(network)
        for _ in range(2):  # nothing that is kept is changed
            torch.testing.assert_close(network(x), wanted, atol=1e-5, rtol=1e-4)
    assert names <= set(network.state_dict())
    assert "widen.0.weight" in names
