"""Losses: zero at the reference, the papers' formulas, and finite gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import kl_div
from torch import Tensor

from audiocli.tasks.separate.losses import FLOOR, divergence_loss, snr_loss, squared_loss

Loss = Callable[..., Tensor]
MAGNITUDES: list[Loss] = [squared_loss, divergence_loss]


def magnitudes(seed: int, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 + torch.rand(batch, 2, 6, 5, generator=generator)


def spectra(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 2, 6, 5, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("function", MAGNITUDES)
def test_zero_at_the_reference_and_only_there(function: Loss) -> None:
    reference = magnitudes(0)
    assert function(reference, reference).item() == pytest.approx(0, abs=1e-6)
    for seed in range(1, 5):
        assert function(magnitudes(seed), reference).item() > 0.01


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_squared_loss_is_the_formula(gamma: float) -> None:
    estimate, reference = magnitudes(1), magnitudes(2)
    expected = []
    for y_, y in zip(estimate.double().numpy(), reference.double().numpy(), strict=True):
        near = np.sum((y_[0] - y[0]) ** 2) + np.sum((y_[1] - y[1]) ** 2)
        far = np.sum((y_[0] - y[1]) ** 2) + np.sum((y_[1] - y[0]) ** 2)
        expected.append((near - gamma * far) / 2 / np.sum((y[0] + y[1]) ** 2))
    assert squared_loss(estimate, reference, gamma).item() == pytest.approx(
        np.mean(expected), rel=1e-4
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_divergence_is_scipys(gamma: float) -> None:
    estimate, reference = magnitudes(1), magnitudes(2)
    expected = []
    for y_, y in zip(estimate.double().numpy(), reference.double().numpy(), strict=True):
        near, far = kl_div(y, y_).sum(), kl_div(y[::-1], y_).sum()
        expected.append((near - gamma * far) / 2 / y.sum())
    assert divergence_loss(estimate, reference, gamma).item() == pytest.approx(
        np.mean(expected), rel=1e-3
    )


@pytest.mark.parametrize("decibels", [0, 6, 20])
def test_snr_is_in_decibels(decibels: int) -> None:
    reference = spectra(0)
    noise = reference.roll(1, dims=2) * 10 ** (
        -decibels / 20
    )  # of the power of the reference, less so much
    expected = 10 * np.log10(10 ** (-decibels / 10) + FLOOR)
    assert snr_loss(reference + noise, reference).item() == pytest.approx(expected, abs=1e-3)


def test_snr_depends_on_phase() -> None:
    reference = spectra(0)
    assert snr_loss(-reference, reference).item() == pytest.approx(10 * np.log10(4), abs=0.01)
    assert snr_loss(1j * reference, reference).item() == pytest.approx(10 * np.log10(2), abs=0.01)


def test_snr_stops_at_its_floor() -> None:
    reference = spectra(0)
    assert snr_loss(reference, reference).item() == pytest.approx(-30, abs=1e-3)


def test_snr_with_gamma_takes_the_other_source() -> None:
    estimate, reference = spectra(1), spectra(2)
    swapped = torch.stack([reference[:, 1], reference[:, 0]], dim=1)
    expected = snr_loss(estimate, reference) - 0.2 * snr_loss(estimate, swapped)
    assert snr_loss(estimate, reference, 0.2).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("function", [*MAGNITUDES, snr_loss])
def test_gamma_prefers_what_is_far_from_the_other_source(function: Loss) -> None:
    reference = (spectra if function is snr_loss else magnitudes)(0)
    towards = reference + 0.1 * (reference.flip(1) - reference)
    away = reference - 0.1 * (reference.flip(1) - reference)

    def preference(gamma: float) -> float:
        return (function(towards, reference, gamma) - function(away, reference, gamma)).item()

    assert preference(0.5) > preference(0.0) + 1e-3
    assert preference(1.0) > preference(0.5) + 1e-3


@pytest.mark.parametrize("function", [*MAGNITUDES, snr_loss])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_loud_and_quiet_examples_count_alike(function: Loss, gamma: float) -> None:
    make = spectra if function is snr_loss else magnitudes
    estimate, reference = make(1), make(2)
    gains = torch.tensor([0.1, 1.0, 100.0]).view(3, 1, 1, 1)
    plain = function(estimate, reference, gamma).item()
    assert function(gains * estimate, gains * reference, gamma).item() == pytest.approx(
        plain, rel=2e-3
    )


@pytest.mark.parametrize("function", [*MAGNITUDES, snr_loss])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
@pytest.mark.parametrize("silent", ["estimates", "references", "one source", "all"])
def test_gradients_of_silence_are_finite(function: Loss, gamma: float, silent: str) -> None:
    make = spectra if function is snr_loss else magnitudes
    mixture = make(1).sum(dim=1, keepdim=True)
    reference = make(2)
    if silent in ("references", "all"):
        reference = torch.zeros_like(reference)
    if silent == "one source":
        reference[:, 0] = 0
    if silent in ("estimates", "all"):
        mixture = torch.zeros_like(mixture)
    masks = torch.full((3, 2, 6, 5), 0.5, requires_grad=True)
    value = function(masks * mixture, reference, gamma)
    value.backward()
    assert masks.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(masks.grad).all()
    if silent == "all":
        assert masks.grad.abs().max() == 0
    else:
        assert masks.grad.abs().max() > 0 or silent == "estimates"


@pytest.mark.parametrize("function", [*MAGNITUDES, snr_loss])
def test_descending_finds_the_masks(function: Loss) -> None:
    make = spectra if function is snr_loss else magnitudes
    reference = make(3)
    if function is snr_loss:  # in phase, so that real masks can be right
        reference = reference.abs() * torch.exp(1j * reference[:, :1].angle())
    mixture = reference.sum(dim=1, keepdim=True)
    logits = torch.zeros(3, 1, 6, 5, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        share = torch.sigmoid(logits)
        function(torch.cat([share, 1 - share], dim=1) * mixture, reference).backward()
        optimizer.step()
    ideal = reference[:, :1].abs() / reference.abs().sum(dim=1, keepdim=True)
    assert (torch.sigmoid(logits) - ideal).abs().max() < 0.1
