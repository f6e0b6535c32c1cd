"""A training run on disk: settings, log, TensorBoard events, weights and the checkpoint to resume from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from upright.detector.model import Detector
from upright.detector.weights import save_weights
from upright.errors import InputError
from upright.output import whole_file

# Of checkpoints; counted up when what is in one changes, since a run goes on bit for bit or not at all.
FORMAT = 2


class RunDirectory:
    """`settings.json`, `log.jsonl`, events, `last.safetensors`, `best.safetensors` and `checkpoint.pt`.

    Args:
        path: of the folder, made where it is missing.
        settings: everything that decides what the run computes, as JSON types.
        resume: go on with the checkpoint there, if there is one.
        provenance: stored in the weights files.

    Raises:
        InputError: the folder holds a run already and `resume` is False, or one of other settings.
    """

    def __init__(
        self,
        path: str | Path,
        settings: dict[str, Any],
        *,
        resume: bool,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.provenance = provenance or {}
        self.checkpoint_file = self.path / "checkpoint.pt"
        self._settings = json.loads(json.dumps(settings))
        self._log_file = self.path / "log.jsonl"
        self._writer: SummaryWriter | None = None
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file: pass another --output")
        if self.checkpoint_file.exists():  # a run that never got so far has nothing to lose
            if not resume:
                raise InputError(f"{self.path} holds a run already: pass --resume to go on, or another --output")
            self._refuse_other(self.path / "settings.json")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {self.path} ({error.strerror}): pass another --output") from None
        self.write_text("settings.json", json.dumps(self._settings, indent=2) + "\n")

    def _refuse_other(self, file: Path) -> None:
        try:
            before = flat(json.loads(file.read_text()))
        except (OSError, ValueError):
            raise InputError(f"{file} is missing or damaged: pass another --output") from None
        now = flat(self._settings)
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                raise InputError(
                    f"{self.path} was run with {name} = {before.get(name)}, not {now.get(name)}: "
                    "resume with the same settings, or pass another --output"
                )

    def write_text(self, name: str, text: str) -> None:
        """Write a small file whole or not at all."""
        with whole_file(self.path / name) as temporary:
            temporary.write_text(text)

    def save_weights(self, name: str, model: Detector, more: dict[str, Any]) -> None:
        """Write a weights file; `more` joins its provenance."""
        save_weights(self.path / name, model, {**self.provenance, **more})

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write a state with its "step" done and the last step that was "validated"."""
        with whole_file(self.checkpoint_file) as temporary:
            torch.save({**state, "format": FORMAT}, temporary)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The state saved last, on the CPU, or None; log entries after it are dropped.

        Raises:
            InputError: the file is damaged, or of another version of Upright.
        """
        if not self.checkpoint_file.exists():
            self.write_text("log.jsonl", "")
            return None
        try:
            state = torch.load(self.checkpoint_file, map_location="cpu", weights_only=True)
        except Exception:  # a damaged pickle raises whatever it likes
            raise InputError(f"{self.checkpoint_file} is damaged: start again with another --output") from None
        if state.get("format") != FORMAT:
            raise InputError(
                f"{self.checkpoint_file} was written by another version of Upright and cannot be resumed bit for bit: "
                "resume it with that version, or start again with another --output"
            )
        lines = self._log_file.read_text().splitlines() if self._log_file.exists() else []
        kept = [line for line in lines if whole_entry(line) and not after(json.loads(line), state)]
        self.write_text("log.jsonl", "".join(line + "\n" for line in kept))
        return state

    def log(self, step: int, entry: dict[str, Any]) -> None:
        """One line in `log.jsonl`; its numbers also go to TensorBoard."""
        with self._log_file.open("a") as file:
            file.write(json.dumps({"step": step, **entry}) + "\n")
        if self._writer is None:
            self._writer = SummaryWriter(str(self.path), purge_step=step)
        for name, value in flat(entry).items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def whole_entry(line: str) -> bool:
    """Whether a line of the log is complete; the last one may have been cut by a kill."""
    try:
        return "step" in json.loads(line)
    except ValueError:
        return False


def after(entry: dict[str, Any], state: dict[str, Any]) -> bool:
    """Whether an entry of the log is of work that a checkpoint does not hold, and that is done again."""
    return entry["step"] > state["validated" if "validation" in entry else "step"]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, names joined by dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result
