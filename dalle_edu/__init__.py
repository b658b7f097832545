"""dalle_edu: a textbook that runs, from a plain autoencoder to DALL·E 1, one module a chapter, in order."""

import os
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

# A thread of PyTorch that waits for another one should soon sleep. To spin for milliseconds, which is the
# default of GNU's OpenMP, made a training step ten to fifty times slower beside other programs. OpenMP
# reads this when torch is first imported; what the reader has set stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

__version__ = "0.2.0"
__all__ = ["Drawing", "ReaderError", "load", "model_names"]
_WHERE = {"load": "drawing", "model_names": "drawing", "Drawing": "drawing", "ReaderError": "errors"}


def __getattr__(name):
    # Imported when first asked for, so that `import dalle_edu` itself costs next to nothing.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


# Names that modules had before each got a room by its purpose: notebooks that readers have written keep
# running.
_MOVED = {
    "appearance": "train.appearance",
    "book": "publish.book",
    "bpe": "tokens",
    "copies": "evaluate.copies",
    "data.emoji_judge": "judges.people",
    "data.scene_captions": "data.scenes.wording",
    "data.scene_context": "data.scenes.context",
    "data.scene_drawing": "data.scenes.drawing",
    "data.scene_errors": "judges.mistakes",
    "data.scene_families": "data.scenes.flat",
    "data.scene_worlds": "data.scenes.posed",
    "evaluation": "evaluate.figures",
    "evaluation_table": "evaluate.report",
    "openai_dvae": "formats.openai_dvae",
    "reading": "judges.pixels",
    "recipes": "train.run",
    "training": "train.loop",
    "wrong_answers": "data.augment",
}


class _Moved(MetaPathFinder, Loader):
    """Gives a module under the name that it had before: the same object, not a copy."""

    def find_spec(self, name, path=None, target=None):
        package, _, old = name.partition(".")
        return ModuleSpec(name, self) if package == __name__ and old in _MOVED else None

    def create_module(self, spec):
        module = import_module(f"{__name__}.{_MOVED[spec.name.partition('.')[2]]}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module):
        # The import system has just written the old name's spec into the module: it gets back its own.
        module.__spec__ = module.__spec__.loader_state


sys.meta_path.append(_Moved())
