import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

import upright.detector.spatial_transformer as room
from upright.detector.spatial_transformer import (
    Affine,
    Attention,
    ConvolutionalLocalisation,
    FullyConnectedLocalisation,
    ParallelSpatialTransformers,
    Projective,
    SpatialTransformer,
    ThinPlateSpline,
    sample,
    sampling_grid,
)

ROOT = Path(__file__).parents[3]
ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
# Where four transformers start: half width, half height, centre x, centre y.
WINDOWS = {
    "whole": (1.0, 1.0, 0.0, 0.0),
    "top": (0.7, 0.4, 0.0, -0.6),
    "middle": (0.8, 0.45, 0.0, -0.15),
    "low": (0.9, 0.5, 0.0, 0.5),
}


def starts(transformation):
    return [transformation.window(*window) for window in WINDOWS.values()]


def moved(module, seed=0):
    """The module with a localisation that differs from picture to picture."""
    generator = torch.Generator().manual_seed(seed)
    for regression in (m for m in module.modules() if isinstance(m, room.ThetaRegression)):
        torch.nn.init.normal_(regression.linear.weight, std=0.5, generator=generator)
    return module


def parallel(transformation, **options):
    localisation = ConvolutionalLocalisation(3, transformation, starts(transformation), widths=(8, 8), bounded=True)
    return moved(ParallelSpatialTransformers(localisation, transformation, (5, 7), **options))


@each
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("shape", [(2, 3, 12, 10), (1, 64, 7, 7), (2, 1, 1, 5)])
def test_an_untrained_transformer_changes_nothing(transformation, mode, shape):
    U = torch.randn(*shape)
    for localisation in (
        FullyConnectedLocalisation(shape[1:], transformation),
        ConvolutionalLocalisation(shape[1], transformation, bounded=True),
    ):
        V, theta = SpatialTransformer(localisation, transformation, mode=mode)(U, return_theta=True)
        torch.testing.assert_close(V, U, rtol=0, atol=1e-5)
        assert torch.equal(theta, transformation.identity().repeat(len(U), 1))


@each
def test_transformer_is_grid_and_sampler_at_the_theta_it_gives(transformation):
    U = torch.randn(3, 3, 20, 16)
    localisation = ConvolutionalLocalisation(3, transformation, bounded=True)
    for options in ({}, {"padding": "zeros"}, {"mode": "nearest"}, {"samples": 2}):
        module = moved(SpatialTransformer(localisation, transformation, (5, 4), **options))
        V, theta = module(U, return_theta=True)
        assert theta.std(0).max() > 0
        grid = sampling_grid(transformation, theta, (5, 4), options.get("samples", 1))
        assert torch.equal(V, sample(U, grid, **options))
        assert torch.equal(V, module(U))


@each
@pytest.mark.parametrize("samples", [1, 2])
def test_parallel_transformers_equal_each_one_alone(transformation, samples):
    U = torch.randn(3, 3, 20, 16)
    module = parallel(transformation, combine="stack", samples=samples)
    stacked, theta = module(U, return_theta=True)
    module.combine = "concatenate"
    concatenated = module(U)
    assert stacked.shape == (3, 4, 3, 5, 7)
    assert theta.shape == (3, 4, transformation.num_params)
    for n in range(4):
        alone = sample(U, sampling_grid(transformation, theta[:, n], (5, 7), samples), samples=samples)
        torch.testing.assert_close(stacked[:, n], alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(concatenated[:, 3 * n : 3 * n + 3], alone, rtol=0, atol=1e-5)


def test_different_priors_give_different_gradients_so_that_transformers_part():
    localisation = ConvolutionalLocalisation(3, Affine(), starts(Affine()))
    module = ParallelSpatialTransformers(localisation, Affine(), (7, 7))
    module(functional.avg_pool2d(torch.randn(4, 3, 34, 34), 3, 1)).square().sum().backward()
    gradient = localisation[-1].linear.bias.grad.view(4, 6)
    for n in range(3):
        assert not torch.allclose(gradient[n], gradient[n + 1], rtol=0.1)


def test_a_wrong_combination_is_refused():
    with pytest.raises(ValueError, match="sum"):
        parallel(Affine(), combine="sum")


@each
def test_transformer_learns_to_find_a_blob(transformation):
    torch.manual_seed(0)
    line = torch.linspace(-1, 1, 12)
    x, y = (0.7 * (2 * torch.rand(2, 12, 1, 1) - 1)).unbind(0)
    U = torch.exp(-8 * ((line - x) ** 2 + (line[:, None] - y) ** 2))[:, None]
    target = torch.exp(-8 * (line**2 + line[:, None] ** 2)).expand(12, 1, -1, -1)
    localisation = FullyConnectedLocalisation((1, 12, 12), transformation, hidden=(32,), bounded=True)
    module = SpatialTransformer(localisation, transformation, padding="zeros")
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        loss = functional.mse_loss(module(U), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@each
def test_gradients_reach_map_and_localisation(transformation):
    U = torch.randn(2, 3, 12, 10, requires_grad=True)
    module = parallel(transformation)
    module(U).square().sum().backward()
    assert U.grad.abs().sum() > 0
    for parameter in module.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@each
def test_autocast_reads_at_the_same_points(transformation):
    U = torch.randn(2, 3, 12, 10)
    module = parallel(transformation, combine="stack")
    with torch.autocast("cpu", torch.bfloat16):
        V, theta = module(U, return_theta=True)
        V.float().sum().backward()
    assert theta.dtype == torch.float32
    for n in range(4):
        expected = sample(U, sampling_grid(transformation, theta[:, n], (5, 7)))
        torch.testing.assert_close(V[:, n].float(), expected, rtol=0, atol=1e-5)


@each
def test_export_gives_the_same_for_other_sizes(transformation):
    module, U = parallel(transformation), torch.randn(2, 3, 17, 23)
    free = {0: torch.export.Dim("B", min=2), 2: torch.export.Dim("H", min=8), 3: torch.export.Dim("W", min=8)}
    for size, mode, samples in (((5, 7), "bilinear", 1), (None, "nearest", 2)):
        module.size, module.mode, module.samples = size, mode, samples
        program = torch.export.export(module, (torch.randn(3, 3, 12, 10),), dynamic_shapes=(free,)).module()
        torch.testing.assert_close(program(U), module(U), rtol=0, atol=1e-6)


@each
def test_compiles_as_one_graph_with_its_gradients(transformation):
    torch._dynamo.reset()
    module, U = parallel(transformation), torch.randn(2, 3, 12, 10)
    compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")
    V, expected = compiled(U), module(U)
    torch.testing.assert_close(V, expected, rtol=0, atol=1e-5)
    V.square().sum().backward()
    expected.square().sum().backward()
    for found, parameter in zip(compiled.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(found.grad, parameter.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile generates C++ and finds no compiler")
def test_compiled_code_gives_the_same():
    torch._dynamo.reset()

    def read(U, theta):
        return sample(U, sampling_grid(Affine(), theta, (5, 7)))

    U, theta = torch.randn(2, 3, 12, 10), Affine().identity() + 0.2 * torch.randn(2, 6)
    torch.testing.assert_close(torch.compile(read, fullgraph=True)(U, theta), read(U, theta), rtol=0, atol=1e-5)


def test_a_trained_transformer_is_loaded_again_and_moves_as_a_whole():
    module = parallel(ThinPlateSpline())
    again = ParallelSpatialTransformers(
        ConvolutionalLocalisation(3, ThinPlateSpline(), starts(ThinPlateSpline()), widths=(8, 8), bounded=True),
        ThinPlateSpline(),
        (5, 7),
    )
    again.load_state_dict(module.state_dict())
    U = torch.randn(2, 3, 12, 10)
    assert torch.equal(again(U), module(U))
    assert {buffer.device.type for buffer in again.to("meta").buffers()} == {"meta"}


def test_the_room_imports_torch_and_nothing_else():
    program = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import upright.detector.spatial_transformer\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    foreign = [
        name
        for name in done.stdout.split()
        if name not in {"upright", "upright.errors", "upright.detector"}  # `import upright` offers InputError
        and not name.startswith("upright.detector.spatial_transformer")
        and name.split(".")[0] not in {"torch", *sys.stdlib_module_names}
    ]
    assert foreign == []


def test_the_folder_can_be_copied_into_another_project(tmp_path):
    shutil.copytree(Path(room.__file__).parent, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys, torch\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from elsewhere import Affine, ConvolutionalLocalisation, SpatialTransformer\n"
        "affine = Affine()\n"
        "print(*SpatialTransformer(ConvolutionalLocalisation(3, affine), affine)(torch.zeros(1, 3, 9, 9)).shape)\n"
        "assert not any(name.split('.')[0] == 'upright' for name in sys.modules)"
    )
    command = [sys.executable, "-I", "-c", program, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["1", "3", "9", "9"]


def test_all_names_are_there_and_documented():
    for name in room.__all__:
        thing = getattr(room, name)
        assert thing.__doc__, name


def test_the_examples_of_the_guide_run():
    guide = (ROOT / "docs" / "spatial_transformer.md").read_text()
    names: dict = {}
    examples = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "docs/spatial_transformer.md", "exec"), names)
