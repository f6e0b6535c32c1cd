"""A batch follows from its seed and step."""

from __future__ import annotations

import torch
from torch import nn

from upright.experiments.parts.trainings import Pictures, batch_loss, normalised


def test_a_batch_follows_from_seed_and_step() -> None:
    images = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)
    pictures = Pictures(images, torch.arange(10), torch.zeros(10, 3, 4))
    seen = []

    class Spy(nn.Module):
        def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
            seen.append(batch)
            return torch.zeros(len(batch), 10), None

    for seed, step in ((0, 3), (0, 3), (0, 4), (1, 3)):
        batch_loss(Spy(), pictures, seed, step, 6, "cpu")
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[3])
    plain = normalised(images, "cpu")
    both = torch.cat([plain, plain.flip(-1)])
    which = [(both - one).flatten(1).abs().max(1).values.argmin().item() for one in torch.cat(seen)]
    assert any(k < 10 for k in which)
    assert any(k >= 10 for k in which)
    assert all(any(torch.equal(one, other) for other in both) for one in torch.cat(seen))
