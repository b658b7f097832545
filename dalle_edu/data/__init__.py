"""Pictures with captions: every data set here gives `(image, caption)` pairs, image float32 `(3, size, size)`
in [0, 1].

`EmojiPictures` are real drawings with real names; `Scenes` and `ThingScenes` are made on demand and know
their own truth; `FolderOfPictures` and `Shards` hold the reader's own pictures. Each is imported when it is
first asked for.
"""

from importlib import import_module

_WHERE = {
    "EmojiPictures": "emoji",
    "Scenes": "scenes",
    "ThingScenes": "things",
    "FolderOfPictures": "folder",
    "Shards": "shards",
    "write_shards": "shards",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__():
    return sorted(set(globals()) | set(__all__))
