"""dalle_edu: a textbook that runs, from a plain autoencoder to DALL·E 1, one module a chapter, in order."""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Drawing", "ReaderError", "load", "model_names"]
_WHERE = {"load": "drawing", "model_names": "drawing", "Drawing": "drawing", "ReaderError": "errors"}


def __getattr__(name):
    # Imported when first asked for, so that `import dalle_edu` itself costs next to nothing.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
