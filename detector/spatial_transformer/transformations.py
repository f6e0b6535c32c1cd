"""Transformations T_theta of Jaderberg et al. 2015, section 3.2: target points to source points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

# Far off any map, and small enough that its pixel index fits an int32 on maps of 10^5 pixels a side.
FARTHEST = 1e4
# The least absolute value of a denominator of `Projective`.
SMALLEST = 1e-4

# How far `bounded` lets theta leave its prior.
# A third to three times the size. A person 2.44 times as tall as wide that leans by 45 degrees fills its box along
# its length and 0.41 of it across: that must lie where tanh still has some slope.
LOG_SCALE = math.log(3.0)
# 60 degrees, so that the 45 of a strong lean lie where tanh still has a third of its slope.
ROTATION = math.pi / 3
# A turn by 45 degrees in a box 2.44 times as tall as wide needs a shear of 1.01 in normalised coordinates.
SHEAR = 1.5
# A quarter of the region's side. Near the edge less: the middle of the grid never leaves |x|, |y| <= CENTRE.
SHIFT = 0.5
CENTRE = 0.95
# Keeps denominators in 0.2 .. 1.8 on the whole target square: no horizon, and at most five times the size.
PERSPECTIVE = 0.4


class Transformation(nn.Module, ABC):
    """A family of maps from target points to source points, with `num_params` numbers each.

    A module, so that constants follow `.to(device)`; it has no parameters and nothing in its state dict.
    Points are (x, y), normalised: -1 and 1 are the outer edges of the corner pixels.
    """

    num_params: ClassVar[int]
    can_turn: ClassVar[bool] = True

    @abstractmethod
    def warp(self, theta: Tensor, xy: Tensor) -> Tensor:
        """Source points of target points.

        Args:
            theta: (B, num_params).
            xy: (N, 2), target points.

        Returns:
            (B, N, 2) source points, in float32 or better also under autocast. Finite for every theta without
            NaN, cut at 1e4 where theta is huge; NaN in theta stays NaN.
        """

    @abstractmethod
    def window(self, scale_x: float, scale_y: float, x: float, y: float) -> Tensor:
        """Theta (num_params,) that reads the window with half sides `scale_x`, `scale_y` about (x, y)."""

    @abstractmethod
    def limits(self, prior: Tensor) -> Tensor:
        """How far each offset of `displaced` may go: positive, of the shape of `prior` (..., num_params)."""

    @abstractmethod
    def displaced(self, prior: Tensor, offset: Tensor) -> Tensor:
        """Theta at `offset` from `prior`, exactly `prior` at 0. All (..., num_params), broadcast."""

    @abstractmethod
    def turned(self, theta: Tensor, direction: Tensor) -> Tensor:
        """Theta whose source points are those of `theta`, turned about (0, 0); x goes to `direction`.

        Args:
            theta: (..., num_params).
            direction: (..., 2), unit vectors (cosine, sine), clockwise where y points down; broadcast against theta.

        Raises:
            NotImplementedError: the family cannot turn (`can_turn`).
        """

    def identity(self) -> Tensor:
        """Theta (num_params,) that leaves every point where it is."""
        return self.window(1.0, 1.0, 0.0, 0.0)

    def bounded(self, raw: Tensor, prior: Tensor, limits: Tensor | None = None) -> Tensor:
        """Theta around `prior`: raw numbers go through limit * tanh(raw / limit), then `displaced`.

        Args:
            raw: (..., num_params), any finite or infinite numbers; 0 gives exactly `prior`.
            prior: (..., num_params), broadcast against raw.
            limits: (..., num_params), positive; default `self.limits(prior)`.

        Returns:
            (..., num_params), in float32 or better.
        """
        raw, prior = at_least_float32(raw, prior)
        limits = self.limits(prior) if limits is None else limits.to(raw.dtype)
        return self.displaced(prior, limits * torch.tanh(raw / limits))

    def forward(self, theta: Tensor, xy: Tensor) -> Tensor:
        return self.warp(theta, xy)


class Attention(Transformation):
    """Scale and translation: theta = (s, t_x, t_y), source = s * target + t (equation 2 of the paper)."""

    num_params = 3
    can_turn = False

    def warp(self, theta: Tensor, xy: Tensor) -> Tensor:
        theta, xy = at_least_float32(theta, xy)
        theta = theta.clamp(-FARTHEST, FARTHEST)[:, None, :]
        return torch.addcmul(theta[..., 1:], theta[..., :1], xy).clamp(-FARTHEST, FARTHEST)

    def window(self, scale_x: float, scale_y: float, x: float, y: float) -> Tensor:
        """As the base class; of the two scales the vertical one is kept, as parts differ in height."""
        return torch.tensor([scale_y, x, y])

    def limits(self, prior: Tensor) -> Tensor:
        return torch.cat([torch.full_like(prior[..., :1], LOG_SCALE), shift_limits(prior[..., 1:])], dim=-1)

    def displaced(self, prior: Tensor, offset: Tensor) -> Tensor:
        """Offsets: log-scale, shift x, shift y."""
        return torch.cat([prior[..., :1] * offset[..., :1].exp(), prior[..., 1:] + offset[..., 1:]], dim=-1)

    def turned(self, theta: Tensor, direction: Tensor) -> Tensor:
        raise NotImplementedError("scale and translation do not turn")


class Affine(Transformation):
    """(x_s, y_s) = A (x_t, y_t, 1) with A 2 x 3, row-major in theta (equation 1 of the paper)."""

    num_params = 6

    def warp(self, theta: Tensor, xy: Tensor) -> Tensor:
        theta, xy = at_least_float32(theta, xy)
        matrix = theta.clamp(-FARTHEST, FARTHEST).unflatten(-1, (1, 2, 3))
        points = torch.addcmul(matrix[..., 2], matrix[..., 0], xy[:, :1])
        return torch.addcmul(points, matrix[..., 1], xy[:, 1:]).clamp(-FARTHEST, FARTHEST)

    def window(self, scale_x: float, scale_y: float, x: float, y: float) -> Tensor:
        return torch.tensor([scale_x, 0.0, x, 0.0, scale_y, y])

    def limits(self, prior: Tensor) -> Tensor:
        shape = prior.new_tensor([LOG_SCALE, LOG_SCALE, ROTATION, SHEAR]).expand(*prior.shape[:-1], 4)
        return torch.cat([shape, shift_limits(prior[..., 2:6:3])], dim=-1)

    def displaced(self, prior: Tensor, offset: Tensor) -> Tensor:
        """Offsets: log-scale x, log-scale y, rotation in radians, shear x, shift x, shift y.

        The linear part becomes R(rotation) [[1, shear], [0, 1]] diag(scale) times the prior's: it never
        mirrors nor collapses, and turns in the region's frame whatever part the prior reads. Shifts add.
        """
        scale_x, scale_y = offset[..., 0].exp(), offset[..., 1].exp()
        cosine, sine, shear = offset[..., 2].cos(), offset[..., 2].sin(), offset[..., 3]
        m00, m01 = cosine * scale_x, (cosine * shear - sine) * scale_y
        m10, m11 = sine * scale_x, (sine * shear + cosine) * scale_y
        p00, p01, x, p10, p11, y = prior[..., :6].unbind(-1)
        return torch.stack(
            [
                m00 * p00 + m01 * p10,
                m00 * p01 + m01 * p11,
                x + offset[..., 4],
                m10 * p00 + m11 * p10,
                m10 * p01 + m11 * p11,
                y + offset[..., 5],
            ],
            dim=-1,
        )

    def turned(self, theta: Tensor, direction: Tensor) -> Tensor:
        return turned_rows(theta, direction)


class Projective(Transformation):
    """Homographies: theta is the 3 x 3 matrix row-major without its last entry, which is 1."""

    num_params = 8

    def __init__(self) -> None:
        super().__init__()
        self.affine = Affine()

    def warp(self, theta: Tensor, xy: Tensor) -> Tensor:
        """As the base class; a denominator nearer to zero than 1e-4 is moved there, with no gradient."""
        theta, xy = at_least_float32(theta, xy)
        theta = theta.clamp(-FARTHEST, FARTHEST)[:, None, :]
        x, y = xy[:, :1], xy[:, 1:]
        points = theta[..., 2:6:3] + theta[..., 0:6:3] * x + theta[..., 1:6:3] * y
        denominator = theta[..., 6:7] * x + theta[..., 7:] * y + 1
        nearest = torch.where(denominator < 0, -SMALLEST, SMALLEST).to(denominator.dtype)
        denominator = torch.where(denominator.abs() < SMALLEST, nearest, denominator)
        return (points / denominator).clamp(-FARTHEST, FARTHEST)

    def window(self, scale_x: float, scale_y: float, x: float, y: float) -> Tensor:
        return torch.cat([self.affine.window(scale_x, scale_y, x, y), torch.zeros(2)])

    def limits(self, prior: Tensor) -> Tensor:
        return torch.cat([self.affine.limits(prior), torch.full_like(prior[..., 6:], PERSPECTIVE)], dim=-1)

    def displaced(self, prior: Tensor, offset: Tensor) -> Tensor:
        """Offsets: as `Affine`, then those of the two perspective entries, which are added."""
        affine = self.affine.displaced(prior, offset)
        perspective = (prior[..., 6:] + offset[..., 6:]).expand(*affine.shape[:-1], 2)
        return torch.cat([affine, perspective], dim=-1)

    def turned(self, theta: Tensor, direction: Tensor) -> Tensor:
        # The turn comes after the division, so that it leaves the denominator as it is.
        rows = turned_rows(theta[..., :6], direction)
        return torch.cat([rows, theta[..., 6:].expand(*rows.shape[:-1], 2)], dim=-1)


class ThinPlateSpline(Transformation):
    """Thin plate splines through a 4 x 4 grid of control points that spans [-1, 1] squared (Bookstein 1989).

    Theta holds the source positions (x, y) of the control points, row by row, x first. The kernel is r^2 log r and
    the interpolation exact. As the targets are fixed, the system is solved once; a warp is then one product of the
    (N, 16) weights of the target points with theta, all in float64, which neither autocast nor TF32 rounds.
    """

    num_params = 32
    controls: Tensor  # (16, 2)
    solution: Tensor  # (19, 16)

    def __init__(self) -> None:
        super().__init__()
        solution = solve_spline(control_points())
        self.register_buffer("controls", control_points(), persistent=False)
        self.register_buffer("solution", solution, persistent=False)
        self.reach = self.weights(torch.zeros(1, 2, device="cpu")).abs().sum().item()

    def weights(self, xy: Tensor) -> Tensor:
        """Share (N, 16) of each control point in the source of the target points xy (N, 2); rows sum to 1."""
        xy = xy.to(self.controls.dtype)
        kernel = radial((xy[:, None] - self.controls).square().sum(-1))
        with torch.autocast(xy.device.type, enabled=False):
            return torch.cat([kernel, torch.ones_like(xy[:, :1]), xy], dim=1) @ self.solution

    def warp(self, theta: Tensor, xy: Tensor) -> Tensor:
        theta, xy = at_least_float32(theta, xy)
        weights = self.weights(xy)
        controls = theta.clamp(-FARTHEST, FARTHEST).unflatten(-1, (16, 2)).to(weights.dtype)
        with torch.autocast(theta.device.type, enabled=False):
            points = torch.matmul(weights, controls)
        return points.to(theta.dtype).clamp(-FARTHEST, FARTHEST)

    def window(self, scale_x: float, scale_y: float, x: float, y: float) -> Tensor:
        scale, centre = torch.tensor([scale_x, scale_y]), torch.tensor([x, y])
        return (control_points().float() * scale + centre).flatten()

    def limits(self, prior: Tensor) -> Tensor:
        """Less than `SHIFT` by so much that no choice of all 16 shifts moves the middle out of the region."""
        centre = prior.unflatten(-1, (16, 2)).mean(-2)
        limit = torch.minimum((CENTRE - centre.abs()) / self.reach, prior.new_tensor(SHIFT)).clamp(min=0.05)
        return limit.repeat(*[1] * (limit.dim() - 1), 16)

    def displaced(self, prior: Tensor, offset: Tensor) -> Tensor:
        """Offsets: shifts (x, y) of the control points."""
        return prior + offset

    def turned(self, theta: Tensor, direction: Tensor) -> Tensor:
        return torch.stack(rotated(theta[..., 0::2], theta[..., 1::2], direction), dim=-1).flatten(-2)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ThinPlateSpline:
        """Follows the device that `.to(...)` names, but not the type: the spline stays solved in float64."""
        device = fn(torch.empty(0, device=self.controls.device)).device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.controls = control_points().to(device, dtype)
        self.solution = solve_spline(control_points()).to(device, dtype)
        return self


def rotated(x: Tensor, y: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates x and y (..., n), turned about (0, 0) so that x goes to `direction` (..., 2)."""
    cosine, sine = direction[..., :1], direction[..., 1:]
    return cosine * x - sine * y, sine * x + cosine * y


def turned_rows(theta: Tensor, direction: Tensor) -> Tensor:
    """Rows of a 2 x 3 matrix, theta (..., 6), from the left with the turn that takes x to `direction` (..., 2)."""
    return torch.cat(rotated(theta[..., :3], theta[..., 3:], direction), dim=-1)


def control_points() -> Tensor:
    """The 4 x 4 grid of targets (16, 2), float64, row by row, x first, from -1 to 1."""
    line = torch.linspace(-1, 1, 4, dtype=torch.float64, device="cpu")
    return torch.stack([line.repeat(4), line.repeat_interleave(4)], dim=-1)


def radial(squared: Tensor) -> Tensor:
    """The kernel r^2 log r of squared distances, 0 and with gradient 0 at 0."""
    return squared * squared.clamp(min=torch.finfo(squared.dtype).tiny).log() / 2


def solve_spline(controls: Tensor) -> Tensor:
    """Coefficients of the kernels, of 1, x and y (K + 3, K) of the K splines that are 1 at one control point each."""
    count = len(controls)
    system = controls.new_zeros(count + 3, count + 3)
    system[:count, :count] = radial((controls[:, None] - controls).square().sum(-1))
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = controls
    system[count + 1 :, :count] = controls.T
    return torch.linalg.inv(system)[:, :count]


def at_least_float32(theta: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider of their types, float32 at least: bfloat16 is off by whole pixels on a wide map."""
    dtype = torch.promote_types(torch.promote_types(theta.dtype, other.dtype), torch.float32)
    return theta.to(dtype), other.to(dtype)


def shift_limits(centre: Tensor) -> Tensor:
    """Shift (..., 2) allowed to a window about `centre` (..., 2), so that its middle stays in the region."""
    return (CENTRE - centre.abs()).clamp(min=0.05, max=SHIFT)
