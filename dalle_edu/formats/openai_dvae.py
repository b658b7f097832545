"""The discrete VAE that OpenAI published, from files that the reader has (chapter 5).

    blocks.group_1.block_1.res_path.conv_1.w   ->   blocks.group_1.block_1.res_path.conv_1.weight

`DiscreteVAEConfig()` is its architecture: Ramesh et al. 2021, appendix A.1, and the repository openai/DALL-E.

`encoder.pkl` and `decoder.pkl` hold whole modules as pickles. A pickle is a program: it may call any function
that it names. So a restricted reader is used, which makes tensors and plain containers and refuses every
other name; the names of the classes in these files are given to one stand-in that can do nothing. Only the
tensors are taken.
"""

from __future__ import annotations

import pickle
import tarfile
import types
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_tensors

# Every class that a published file names, besides what the restricted reader knows already.
CLASSES = (
    "dall_e.encoder.Encoder",
    "dall_e.encoder.EncoderBlock",
    "dall_e.decoder.Decoder",
    "dall_e.decoder.DecoderBlock",
    "dall_e.utils.Conv2d",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.pooling.MaxPool2d",
    "torch.nn.modules.upsampling.Upsample",
)


class StandIn:
    """What becomes of a pickled module: its attributes, and no behaviour."""

    dump_patches = False  # PyTorch asks every class of an older file for this before it compares source texts


# What files of torch.save from before version 1.6 may name; PyTorch itself adds the storages.
OLDER_NAMES = dict.fromkeys(CLASSES, StandIn) | {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
    "torch.device": torch.device,
    "builtins.set": set,
    "__builtin__.set": set,
}


# The one in Python: that in C makes room for as many objects as a damaged number asks for, 18 GB in one case.
class _OlderUnpickler(pickle._Unpickler):
    """Finds the names of `OLDER_NAMES` and no others; it imports nothing."""

    def find_class(self, module, name):
        try:
            return OLDER_NAMES[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"Unsupported global: {module}.{name}") from None


def _older_load(file, **options):
    return _OlderUnpickler(file, **options).load()


OLDER_PICKLE = types.SimpleNamespace(Unpickler=_OlderUnpickler, load=_older_load, __name__="pickle")
OLDER_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the number that every such file begins with


def load_published(
    encoder: str | Path, decoder: str | Path, config: DiscreteVAEConfig | None = None
) -> DiscreteVAE:
    """OpenAI's dVAE from the files of its two halves, ready to `encode` and `decode`; float32, about 390 MB.

    Each file may be the published pickle of a whole module, a pickled state dict, or a
    safetensors file, with OpenAI's names (`.w`, `.b`) or ours (`.weight`, `.bias`).
    Nothing in them is executed. `config` is for files of another size. Raises ReaderError
    for a file that is missing, damaged, does not fit, or holds anything else.
    """
    with torch.device("meta"):  # shapes without memory: the numbers come from the files
        model = DiscreteVAE(config or DiscreteVAEConfig())
    for half, path in (("encoder", encoder), ("decoder", decoder)):
        module, tensors = getattr(model, half), read_published(path)
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                raise ReaderError(
                    f"{Path(path).name} is not the {half} of this architecture: {name} should be "
                    f"{wanted.get(name, 'absent')}, but is {found.get(name, 'absent')}."
                )
        module.load_state_dict(tensors, assign=True)
    return model.requires_grad_(False).eval()


def read_published(path: str | Path) -> dict[str, Tensor]:
    """The tensors of one file by our names, float32, whatever kind of file it is. See `load_published`."""
    path = Path(path)
    if not path.is_file():
        raise ReaderError(
            f"There is no file {path}: give the path of a file that you have; nothing is downloaded."
        )
    if path.suffix == ".safetensors":
        return {our_name(name): tensor.float() for name, tensor in read_tensors(path).items()}
    try:
        content = _read_pickle(path)
    except pickle.UnpicklingError as error:
        raise ReaderError(
            f"{path.name} was refused and nothing in it was executed: it holds more than the weights of a "
            f"dVAE, or is damaged ({_reason(error)})."
        ) from None
    # What a damaged file raises depends on the byte that is damaged: a dozen kinds were seen, AssertionError
    # and MemoryError among them.
    except Exception as error:
        raise ReaderError(
            f"{path.name} is damaged or no file of torch.save ({_reason(error)}): copy it again."
        ) from None
    tensors = _tensors(content)
    if not tensors:
        raise ReaderError(
            f"{path.name} holds no weights: expected OpenAI's encoder.pkl or decoder.pkl, or a state dict."
        )
    return {our_name(name): tensor.detach().float() for name, tensor in tensors.items()}


def _read_pickle(path: Path):
    """What `torch.save` wrote, modules as stand-ins. `weights_only` is PyTorch's own restricted reader."""
    with path.open("rb") as file:
        older = file.read(len(OLDER_START)) == OLDER_START and not tarfile.is_tarfile(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about source texts and pickle protocols, which do not matter here
        if older:  # its modules are marked in a way that weights_only has no word for
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=OLDER_PICKLE)
        with torch.serialization.safe_globals([(StandIn, name) for name in CLASSES]):
            return torch.load(path, map_location="cpu", weights_only=True)


def our_name(name: str) -> str:
    """OpenAI's name in our spelling: `blocks.input.w` -> `blocks.input.weight`; ours stay as they are."""
    return _with_last(name, {"w": "weight", "b": "bias"})


def published_name(name: str) -> str:
    """The way back: `blocks.input.weight` -> `blocks.input.w`."""
    return _with_last(name, {"weight": "w", "bias": "b"})


def _with_last(name: str, spelling: Mapping[str, str]) -> str:
    stem, dot, last = name.rpartition(".")
    return stem + dot + spelling.get(last, last)


def _tensors(content) -> dict[str, Tensor]:
    """The tensors of a stand-in and of all parts within it, or of a state dict, by their dotted names."""
    if isinstance(content, Mapping):
        return {str(name): value for name, value in dict(content).items() if isinstance(value, Tensor)}
    found, seen, waiting = {}, set(), [("", content)]
    while waiting:
        prefix, part = waiting.pop()
        # A file may be built so that a part contains itself, or many times the same: each is looked at once.
        if not isinstance(part, StandIn) or id(part) in seen:
            continue
        seen.add(id(part))
        own, parts = (vars(part).get(key) for key in ("_parameters", "_modules"))
        for name, value in dict(own).items() if isinstance(own, Mapping) else ():
            if isinstance(value, Tensor):
                found[f"{prefix}{name}"] = value
        for name, value in dict(parts).items() if isinstance(parts, Mapping) else ():
            waiting.append((f"{prefix}{name}.", value))
    return found


def _reason(error: BaseException) -> str:
    """What was wrong, in PyTorch's words; its advice, to switch the protection off, is left out."""
    for line in str(error).replace("WeightsUnpickler error:", "\n").splitlines():
        line = line.strip()
        if line and not line.lower().startswith(
            ("weights only load failed", "(1)", "(2)", "do those", "please file")
        ):
            return line.split(". ")[0].rstrip(".")[:160]
    return type(error).__name__
