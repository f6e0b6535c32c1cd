"""All that a training needs to go on, bit for bit, after it was stopped or killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel

from upright.detector.model import Detector
from upright.detector.processes import Processes
from upright.detector.run_directory import RunDirectory
from upright.errors import InputError


@dataclass
class TrainingState:
    """A training between two steps.

    Attributes:
        model, optimizer, scaler: as they are now; their tensors are saved and loaded.
        average: the moving average of the model's weights, or None.
        step: steps done.
        validated: the last step that was validated, 0 before the first.
        best: the best score of a validation so far, None before the first.
    """

    model: Detector
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None = None
    step: int = 0
    validated: int = 0
    best: float | None = None

    @property
    def released(self) -> Detector:
        """The model that is validated and written: the average where there is one."""
        return self.model if self.average is None else cast(Detector, self.average.module)

    def save(self, directory: RunDirectory | None, processes: Processes) -> None:
        """Write the checkpoint and the weights; to be called in all processes.

        Args:
            directory: of the run, None in all processes but the first.
            processes: whose random numbers go on, too.
        """
        cuda = next(self.model.parameters()).is_cuda
        random = processes.gathered(torch.get_rng_state())
        random_cuda = processes.gathered(torch.cuda.get_rng_state() if cuda else torch.empty(0))
        if directory is None:
            return
        directory.save_checkpoint(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
                "step": self.step,
                "validated": self.validated,
                "best": self.best,
                "random": random,
                "random_cuda": random_cuda,
            }
        )
        directory.save_weights("last.safetensors", self.released, {"steps": self.step})

    def load(self, directory: RunDirectory | None, processes: Processes) -> None:
        """Go on from the first process's checkpoint, where there is one; to be called in all processes.

        Raises:
            InputError: the checkpoint is damaged, or of another version of Upright.
        """
        saved = processes.from_first(directory.load_checkpoint() if directory is not None else None)
        if saved is None:
            return
        try:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.scaler.load_state_dict(saved["scaler"])
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
            self.step, self.validated, self.best = saved["step"], saved["validated"], saved["best"]
            torch.set_rng_state(saved["random"][processes.rank])
            if next(self.model.parameters()).is_cuda:
                torch.cuda.set_rng_state(saved["random_cuda"][processes.rank])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"the checkpoint does not fit this training ({reason}): resume it with as many processes on the same "
                "device, or start again with another --output"
            ) from None
