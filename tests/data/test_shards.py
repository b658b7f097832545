"""Shards: tar files of pictures with captions, read from beginning to end."""

import io
import tarfile

import pytest
import torch

from dalle_edu.data import EmojiPictures, Shards, write_shards
from dalle_edu.errors import ReaderError


@pytest.fixture(scope="module")
def emoji():
    return EmojiPictures(size=16, split="test")


@pytest.fixture(scope="module")
def folder(emoji, tmp_path_factory):
    folder = tmp_path_factory.mktemp("100 % shards")
    assert len(write_shards(emoji, folder, per_shard=40)) == -(-len(emoji) // 40)
    return folder


def test_what_is_written_is_read_again_in_order(emoji, folder):
    items = list(Shards(folder / "pictures-*.tar", size=16))
    assert [caption for _, caption in items] == emoji.captions
    assert torch.equal(torch.stack([image for image, _ in items]), emoji.pictures)


def test_braces_name_a_range_of_shards(emoji, folder):
    items = Shards(f"{folder}/pictures-{{000001..000002}}.tar", size=16)
    assert [caption for _, caption in items] == emoji.captions[40:120]


def test_shuffling_changes_the_order_and_nothing_else(emoji, folder):
    def captions(shards):
        return [caption for _, caption in shards]

    shards = Shards(f"{folder}/*.tar", size=16, shuffle=50, seed=3)
    first, second = captions(shards), captions(shards)
    assert sorted(first) == sorted(second) == sorted(emoji.captions)
    assert first != second and first != emoji.captions
    assert captions(Shards(f"{folder}/*.tar", size=16, shuffle=50, seed=3)) == first
    assert captions(Shards(f"{folder}/*.tar", size=16, shuffle=50, seed=4)) != first


def test_workers_share_the_shards(emoji, folder):
    # "spawn" as on macOS and Windows: a fork of a process that has threads can hang.
    shards = Shards(f"{folder}/*.tar", size=16)
    loader = torch.utils.data.DataLoader(shards, None, num_workers=2, multiprocessing_context="spawn")
    assert sorted(caption for _, caption in loader) == sorted(emoji.captions)


def test_nothing_is_overwritten(emoji, folder):
    with pytest.raises(ReaderError, match="already holds shards"):
        write_shards(emoji, folder)


def shard(path, **files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_what_is_wrong_with_a_shard_is_said_in_one_sentence(folder, tmp_path):
    with pytest.raises(ReaderError, match="no shard .*nowhere-000000.tar"):
        Shards(str(tmp_path / "nowhere-{000000..000003}.tar"))
    with pytest.raises(ReaderError, match="no shard .*nowhere"):
        Shards(tmp_path / "nowhere-*.tar")
    with pytest.raises(ReaderError, match="no shard https:"):
        Shards("https://example.org/pictures.tar")
    with pytest.raises(ReaderError, match="No shards were given"):
        Shards([])
    (tmp_path / "no.tar").write_text("no tar at all")
    with pytest.raises(ReaderError, match=r"no\.tar is no tar file"):
        next(iter(Shards(tmp_path / "no.tar")))
    whole = sorted(folder.glob("*.tar"))[0].read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2 + 100])
    with pytest.raises(ReaderError, match=r"cut\.tar .*cut short"):
        list(Shards(tmp_path / "cut.tar", size=16))
    shard(tmp_path / "a.tar", a_png=b"no picture", a_txt=b"a")
    with pytest.raises(ReaderError, match=r"a\.tar.*is not a picture"):
        list(Shards(tmp_path / "a.tar"))
    shard(tmp_path / "b.tar", b_png=b"no caption")
    with pytest.raises(ReaderError, match="has no caption"):
        list(Shards(tmp_path / "b.tar"))
    shard(tmp_path / "c.tar", c_txt=b"no picture")
    with pytest.raises(ReaderError, match="has no picture"):
        list(Shards(tmp_path / "c.tar"))
