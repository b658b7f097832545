"""More pictures than one machine can hold: tar files ("shards") that are read from beginning to end.

A hard disk or a network reads one long file much faster than a million small ones. The layout is
WebDataset's: a shard is an ordinary tar, and files that share a name belong together, `000017.png` and
`000017.txt`. The price is that a shard is iterated and not indexed; whatever fits a machine is better kept
map-style (`FolderOfPictures`).
"""

import glob
import io
import random
from pathlib import Path

import torch

from dalle_edu.data.folder import SUFFIXES, read_picture
from dalle_edu.errors import ReaderError


class Shards(torch.utils.data.IterableDataset):
    """`for image, caption in Shards("pictures-{000000..000099}.tar", size=64)` is one pass over the shards.

    `paths`: a path, a pattern with `*` or `{000000..000099}`, or a list of paths; local files only.
    `shuffle`: how many pictures wait in a buffer from which one is drawn at random (0: the stored order); the
    shards change places too. `seed` and the number of the pass decide the order (in the workers of a
    `DataLoader`, PyTorch's own seed as well). Each process of a distributed run, and each worker of a
    `DataLoader`, reads its own shards, so there should be more shards than readers. Raises `ReaderError` for
    a missing shard, a file that is no tar, a picture that cannot be read or has no caption.
    """

    def __init__(self, paths: str | Path | list, size: int = 64, shuffle: int = 0, seed: int = 0):
        self.paths, self.size, self.shuffle, self.seed, self.passes = _expand(paths), size, shuffle, seed, 0

    def __iter__(self):
        import webdataset as wds

        # A worker process is a copy whose count of passes stands still, but whose seed changes.
        worker = torch.utils.data.get_worker_info()
        order = random.Random(f"{self.seed} {self.passes} {worker.seed if worker else 0}")
        self.passes += 1
        stages = [wds.SimpleShardList(self.paths), wds.split_by_node, wds.split_by_worker]
        if self.shuffle:
            stages.append(wds.shuffle(len(self.paths), initial=len(self.paths), rng=order))
        stages.append(wds.tarfile_to_samples(_stop))
        if self.shuffle:
            stages.append(wds.shuffle(self.shuffle, initial=self.shuffle, rng=order))
        for sample in wds.DataPipeline(*stages):
            yield self._item(sample)

    def _item(self, sample: dict) -> tuple[torch.Tensor, str]:
        name = f"{sample['__key__']} in {sample['__url__']}"
        suffix = next((suffix for suffix in SUFFIXES if suffix[1:] in sample), None)
        if suffix is None or "txt" not in sample:
            raise ReaderError(
                f"{name} has no {'picture' if suffix is None else 'caption (.txt)'}; each picture needs both."
            )
        image = read_picture(io.BytesIO(sample[suffix[1:]]), self.size, name + suffix)
        return image, " ".join(sample["txt"].decode("utf-8", errors="replace").split())


def write_shards(dataset, folder: str | Path, per_shard: int = 1000) -> list[Path]:
    """Writes a map-style data set of `(image, caption)` as `pictures-000000.tar` and on; returns the paths.

    Images become PNG, rounded to 8 bits. Raises `ReaderError` when the folder already holds shards: nothing
    is overwritten.
    """
    import webdataset as wds
    from PIL import Image

    folder = Path(folder)
    if list(folder.glob("pictures-*.tar")):
        raise ReaderError(
            f"The folder {folder} already holds shards; choose an empty one, so that nothing is lost."
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = wds.ShardWriter(
        "pictures-%06d.tar", maxcount=per_shard, verbose=0, opener=lambda name: (folder / name).open("wb")
    )
    with written as shards:
        for index in range(len(dataset)):
            image, caption = dataset[index]
            file = io.BytesIO()
            Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "PNG")
            shards.write({"__key__": f"{index:09d}", "png": file.getvalue(), "txt": caption.encode()})
    return sorted(folder.glob("pictures-*.tar"))


def _expand(paths) -> list[str]:
    from braceexpand import braceexpand

    found = []
    for pattern in [paths] if isinstance(paths, str | Path) else paths:
        for path in braceexpand(str(pattern), escape=False):
            files = sorted(glob.glob(path)) if any(sign in path for sign in "*?[") else [path]
            missing = [file for file in files if not Path(file).is_file()]
            if not files or missing:
                raise ReaderError(
                    f"There is no shard {missing[0] if missing else path}; expected local tar files."
                )
            # As an address, so that no letter of a path (a drive's colon, a percent sign) means anything
            # else.
            found += [Path(file).absolute().as_uri() for file in files]
    if not found:
        raise ReaderError("No shards were given; expected at least one tar file.")
    return found


def _stop(error: Exception) -> bool:
    """WebDataset asks what to do about an unreadable shard: stop, and say which one."""
    if isinstance(error, ReaderError):
        raise error
    where = next(
        (text for text in error.args if isinstance(text, str) and text.startswith("file:")), "A shard"
    )
    raise ReaderError(
        f"{where} is no tar file, or is cut short ({error.args[0]}); write or copy it again."
    ) from None
