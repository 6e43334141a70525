"""The authors' layers as plain one-dimensional ones under their own names are the oracle of the conversion."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ecg_tl.bundle import load_bundle
from ecg_tl.networks import Architecture, Decoder, Encoder
from tests.commands import refused, run

BLOCKS = ((1, 1, 0), (1, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 4, 1), (4, 5, 1), (5, 5, 1), (5, 5, 0))
WIDTH, LATENT, KERNEL, LATE_KERNEL = 3, 7, 5, 3


def taps(block: int) -> int:
    return KERNEL if block < 6 else LATE_KERNEL


class Skip(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1d = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1d(x)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, k: int, halves: int) -> None:
        super().__init__()
        convolutions = [nn.Conv1d(n, outputs, k, padding=k // 2) for n in (inputs, outputs)]
        norms = [nn.BatchNorm1d(n) for n in (inputs, outputs)]
        self.seq = nn.Sequential(
            norms[0], nn.LeakyReLU(0.01), convolutions[0], norms[1], nn.LeakyReLU(0.01), convolutions[1]
        )
        self.pool = nn.MaxPool1d(2) if halves else nn.Identity()
        self.skip = Skip(inputs, outputs) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.pool(self.seq(x)) + self.skip(self.pool(x)), 0.3, self.training)


class TheirEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1st = nn.Conv1d(1, WIDTH, KERNEL, padding=KERNEL // 2)
        self.bn = nn.BatchNorm1d(WIDTH)
        self.encoder = nn.Sequential()
        for number, (inputs, outputs, halves) in enumerate(BLOCKS):
            block = Block(inputs * WIDTH, outputs * WIDTH, taps(number), halves)
            self.encoder.add_module(f"residual_block_{number}", block)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.bn(self.conv1st(x)))


class Latent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("mu_linear", "std_linear"):
            layers = nn.Linear(80 * WIDTH, 40 * WIDTH), nn.LeakyReLU(0.01), nn.Linear(40 * WIDTH, LATENT)
            self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.mu_linear(x.flatten(1))


class DecodeSkip(nn.Module):
    def __init__(self, inputs: int, outputs: int, doubles: int) -> None:
        super().__init__()
        widen = [nn.Upsample(scale_factor=2, mode="linear"), nn.Identity()] if doubles else []
        self.pipeline = nn.Sequential(*widen, nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))


class DecodeBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, k: int, doubles: int) -> None:
        super().__init__()
        first = nn.Conv1d(inputs, inputs, k, padding=k // 2, bias=False)
        self.pipeline1 = nn.Sequential(first, nn.BatchNorm1d(inputs), nn.LeakyReLU(0.01))
        widen = [nn.Upsample(scale_factor=2, mode="linear"), nn.ReflectionPad1d(k // 2)] if doubles else []
        second = nn.Conv1d(inputs, outputs, k, padding=0 if doubles else k // 2, bias=False)
        self.pipeline2 = nn.Sequential(*widen, second, nn.BatchNorm1d(outputs), nn.LeakyReLU(0.01), nn.Dropout(0.2))
        self.skip = DecodeSkip(inputs, outputs, doubles)

    def forward(self, x: Tensor) -> Tensor:
        return self.pipeline2(self.pipeline1(x))


class TheirDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recon_linear = nn.Linear(LATENT, 80 * WIDTH)
        self.decoder = nn.Sequential()
        for place, (number, (inputs, outputs, halves)) in enumerate(reversed(list(enumerate(BLOCKS)))):
            block = DecodeBlock(outputs * WIDTH, inputs * WIDTH, taps(number), halves)
            self.decoder.add_module(f"residual_decode_block({place})", block)
        self.final_conv = nn.Conv1d(WIDTH, 1, 1, bias=False)

    def forward(self, latent: Tensor) -> Tensor:
        return self.final_conv(self.decoder(self.recon_linear(latent).view(len(latent), -1, 16)))


class Theirs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.latent_extractor, self.decoder = TheirEncoder(), Latent(), TheirDecoder()

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.latent_extractor(self.encoder(windows[:, None]))
        return latent, self.decoder(latent)[:, 0]


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    """Weights of no symmetry, and batch-norm statistics as if it had been trained."""
    torch.manual_seed(0)
    network = Theirs()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 2048))
    return network.eval()


def save_torch(state: Any, path: Path) -> None:
    torch.save(state, path)


FORMS: dict[str, tuple[str, Callable[[dict[str, Tensor], Path], None]]] = {
    "bare": ("w.pt", save_torch),
    "wrapped": ("w.pt", lambda state, path: save_torch({"epoch": 3, "state_dict": state, "optimizer": {}}, path)),
    "parallel": ("w.pt", lambda state, path: save_torch({f"module.{name}": v for name, v in state.items()}, path)),
    "safetensors": ("w.safetensors", save_file),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_converted_computes_what_theirs_computes(
    form: str, theirs: Theirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, save = FORMS[form]
    save(theirs.state_dict(), tmp_path / name)
    run("convert", f"checkpoint={tmp_path / name}", f"out={tmp_path / 'out'}")
    words = "model=released model.width=3 model.latent=7 model.kernel=5 model.late_kernel=3"
    assert capsys.readouterr().out.endswith(f"; use it as encoder={tmp_path / 'out'} {words}\n")
    bundle = load_bundle(tmp_path / "out")
    assert bundle.architecture == Architecture("released", WIDTH, LATENT, KERNEL, LATE_KERNEL)
    encoder, decoder = Encoder(bundle.architecture).eval(), Decoder(bundle.architecture).eval()
    encoder.load_state_dict(bundle.encoder_state)
    decoder.load_state_dict(bundle.decoder_state)
    windows = torch.randn(3, 2048)
    with torch.no_grad():
        latent, window = theirs(windows)
        torch.testing.assert_close(encoder(windows), latent, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(decoder(latent), window, rtol=1e-5, atol=1e-5)
    assert bundle.description["assumed"] == ["lead", "filter"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Assumed, since the weights came without a word of it: lead and filter." in card
    assert latent.std() > 0.01  # else anything would be equal
    assert window.std() > 0.001


def without(name: str) -> Callable[[dict[str, Tensor]], Any]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("encoder.conv1st.weight"), "encoder.conv1st.weight: no such weight among"),
        (without("decoder.final_conv.weight"), "decoder.final_conv.weight: no such weight among"),
        (lambda state: state | {"fc.weight": torch.zeros(2)}, "fc.weight: the released networks have no such weight"),
        (
            lambda state: state | {"encoder.bn.weight": torch.zeros(4)},
            "encoder.bn.weight: shape (4,) does not fit a network of width 3",
        ),
        (
            lambda state: state | {"encoder.conv1st.weight": torch.zeros(4)},
            "encoder.conv1st.weight: shape (4,) has not 3",
        ),
        (lambda state: {"epoch": 3}, "w.pt: 'epoch' is of type int, no tensor"),
        (lambda state: {"a": torch.zeros(1), "b": None, "c": 1}, "w.pt: 'b' is of type NoneType, no tensor"),
        (lambda state: {0: torch.zeros(1)}, "w.pt: 0 is no name of a weight"),
        (lambda state: [1, 2], "w.pt: no table of weights by name but list;"),
        (lambda state: {"state_dict": {}}, "w.pt: no table of weights by name but empty dict;"),
    ],
)
def test_something_else_is_refused_by_the_first_odd_name(
    change: Callable[[dict[str, Tensor]], Any],
    message: str,
    theirs: Theirs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(change(theirs.state_dict()), tmp_path / "w.pt")
    refused("convert", f"checkpoint={tmp_path / 'w.pt'}", f"out={tmp_path / 'out'}")
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_a_pickled_object_is_refused_without_running_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": Trap()}, tmp_path / "w.pt")
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "y.safetensors").write_bytes(b"nonsense")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "text.pt").write_text("width,latent\n3,7\n")
    for name in ("w.pt", "x.pt", "y.safetensors", "empty.pt", "empty.safetensors", "text.pt"):
        refused("convert", f"checkpoint={tmp_path / name}", f"out={tmp_path / 'out'}")
        error = capsys.readouterr().err
        assert f"{name}: no weights that can be read safely" in error
        assert error.count("\n") == 1
        assert "weights_only" not in error
    assert not Path("sprung").exists()
    refused("convert", f"checkpoint={tmp_path / 'none.pt'}", f"out={tmp_path / 'out'}")
    assert "none.pt: no such checkpoint" in capsys.readouterr().err


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused("convert", f"checkpoint={tmp_path / 'w.pt'}", f"out={tmp_path}")
    assert "exists; remove it or choose another out" in capsys.readouterr().err


def test_a_conversion_that_is_interrupted_leaves_nothing_and_can_be_repeated(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    torch.save(theirs.state_dict(), tmp_path / "w.pt")
    words = (f"checkpoint={tmp_path / 'w.pt'}", f"out={tmp_path / 'out'}")
    with monkeypatch.context() as patch:
        patch.setattr("ecg_tl.convert.write_card", interrupt)
        with pytest.raises(SystemExit):
            run("convert", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pt"]
    run("convert", *words)
    assert load_bundle(tmp_path / "out").folder == tmp_path / "out"
