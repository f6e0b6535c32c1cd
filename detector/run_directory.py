"""A training run on disk: settings, log, TensorBoard events, weights and the checkpoint to resume from."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import torch

from upright.detector.event_log import EventLog
from upright.detector.model import Detector
from upright.detector.weights import save_weights
from upright.errors import InputError
from upright.output import whole_file

# Of checkpoints; counted up when what is in one changes, since a run goes on bit for bit or not at all.
FORMAT = 3


class RunDirectory:
    """`settings.json`, `log.jsonl`, events, `last.safetensors`, `best.safetensors` and `checkpoint.pt`.

    While it is open no other process can open it: `.lock` is locked.

    Args:
        path: of the folder, made where it is missing.
        settings: everything that decides what the run computes, as JSON types. A dict of "path" and "sha256" is the
            content of files: it may lie somewhere else later, but not change.
        resume: go on with the checkpoint there, if there is one.
        provenance: stored in the weights files.

    Raises:
        InputError: the folder holds a run already and `resume` is False, or one of other settings; another process
            writes to it; it cannot be written.
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
        self._events: EventLog | None = None
        self._lock: IO[bytes] | None = None
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
        self._take()
        try:
            self.write_text("settings.json", json.dumps(self._settings, indent=2) + "\n")
        except InputError:
            self.close()
            raise

    def _take(self) -> None:
        """Lock the run, as long as this process lives."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            self._lock = (self.path / ".lock").open("wb")
        except OSError as error:
            raise InputError(f"{self.path} cannot be written ({error.strerror}): pass another --output") from None
        try:
            # Not flock, which the workers that load pictures would inherit and hold beyond the death of the training.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.close()
            raise InputError(
                f"{self.path} is written by another training: wait for its end, or pass another --output"
            ) from None
        except OSError:  # a file system without locks
            pass

    def longer(self) -> str:
        """How to train a run on that is finished; its learning rate has fallen to its end."""
        return f"to train on, start another run from it: --weights {self.path / 'last.safetensors'} --output ANOTHER"

    def _refuse_other(self, file: Path) -> None:
        try:
            before = flat(json.loads(file.read_text()))
        except (OSError, ValueError):
            raise InputError(f"{file} is missing or damaged: pass another --output") from None
        now = flat(self._settings)
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) == now.get(name) or name.endswith(".path"):
                continue
            remedy = "resume with the same settings, or pass another --output"
            if name.endswith(".sha256") and before.get(name) and now.get(name):
                what = now.get(name.replace(".sha256", ".path"))
                raise InputError(
                    f"{self.path} was run with another content of {what} ({name}): give what it was run with, or pass "
                    "another --output"
                )
            if name == "training.steps":
                remedy = f"resume it to its end with the same settings; {self.longer()}"
            raise InputError(f"{self.path} was run with {name} = {before.get(name)}, not {now.get(name)}: {remedy}")

    def write_text(self, name: str, text: str) -> None:
        """Write a small file whole or not at all."""
        with whole_file(self.path / name) as temporary:
            temporary.write_text(text)

    def save_weights(self, name: str, model: Detector, more: dict[str, Any]) -> None:
        """Write a weights file; `more` joins its provenance."""
        save_weights(self.path / name, model, {**self.provenance, **more})

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write a state with its "step" done and the last step that was "validated"."""
        # Torch does not say why it could not write; Python does.
        content = BytesIO()
        torch.save({**state, "format": FORMAT}, content)
        with whole_file(self.checkpoint_file) as temporary:
            temporary.write_bytes(content.getbuffer())

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
        if not isinstance(state, dict):
            raise InputError(f"{self.checkpoint_file} is no checkpoint: start again with another --output")
        if state.get("format") != FORMAT:
            raise InputError(
                f"{self.checkpoint_file} was written by another version of Upright and cannot be resumed bit for bit: "
                "resume it with that version, or start again with another --output"
            )
        # What else it holds shows where it is used, in `TrainingState.load`.
        if not all(type(state.get(name)) is int for name in ("step", "validated")):
            raise InputError(f"{self.checkpoint_file} is damaged: start again with another --output")
        try:
            lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file.exists() else []
        except OSError as error:
            raise InputError(f"{self._log_file} cannot be read ({error.strerror}): make it readable") from None
        kept = [line for line in lines if whole_entry(line) and not after(json.loads(line), state)]
        self.write_text("log.jsonl", "".join(line + "\n" for line in kept))
        return state

    def log(self, step: int, entry: dict[str, Any]) -> None:
        """One line in `log.jsonl`; its numbers also go to TensorBoard.

        Raises:
            InputError: it cannot be written. The last whole checkpoint is as it was.
        """
        path = self._log_file
        try:
            with path.open("a") as file:
                file.write(json.dumps({"step": step, **entry}) + "\n")
            path = self.path / "events.out.tfevents"
            if self._events is None:
                self._events = EventLog(self.path, step)
            numbers = {name: value for name, value in flat(entry).items() if isinstance(value, int | float)}
            self._events.add(step, numbers)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror or error}); make room and go on with --resume"
            ) from None

    def close(self) -> None:
        if self._events is not None:
            with suppress(OSError):  # what could not be written was told when it was
                self._events.close()
            self._events = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def whole_entry(line: str) -> bool:
    """Whether a line of the log is complete; the last one may have been cut by a kill."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and isinstance(entry.get("step"), int)


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
