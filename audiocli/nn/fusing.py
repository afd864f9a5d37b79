"""Make a trained network faster without changing what it computes."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from audiocli.nn.doubling import Doubling

__all__ = ["fuse"]


def fuse(network: nn.Module) -> nn.Module:
    """Merge batch normalisation into the convolutions before it, and rearrange transposed ones.

    With fixed statistics a normalisation is a factor and an offset for each channel, which
    the convolution's weights can take in.
    """
    for module in network.modules():
        if isinstance(module, Doubling):
            module.fuse()
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            convolution, norm = module[index], module[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(convolution, norm)
                module[index + 1] = nn.Identity()
    return network
