"""Shards: tar files of pictures with captions, read from beginning to end."""

import io
import random
import tarfile
import tracemalloc

import pytest
import torch
from toy import png, shard

from dalle_edu.data import EmojiPictures, Shards, write_shards
from dalle_edu.data.mixture import mixture
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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b" \n", r"a\.txt in .*a\.tar is empty"),
        ("Ömer".encode("latin-1"), r"a\.txt in .*a\.tar is not text in UTF-8"),
        ("red".encode("utf-16"), r"a\.txt in .*a\.tar is not text in UTF-8"),
        (b"x" * 20_000, "20,000 characters"),
        (b"x" * 50_000, "50,000 bytes"),
    ],
)
def test_captions_obey_the_rules_of_the_folder(tmp_path, text, sentence):
    shard(tmp_path / "a.tar", a_png=png(), a_txt=text)
    with pytest.raises(ReaderError, match=sentence):
        list(Shards(tmp_path / "a.tar", 8))


def test_a_byte_order_mark_and_line_breaks_are_not_part_of_a_caption(tmp_path):
    shard(tmp_path / "a.tar", a_PNG=png(), a_TXT="\ufeffa red\u2028card\n".encode())
    assert [caption for _, caption in Shards(tmp_path / "a.tar", 8)] == ["a red card"]


def test_a_picture_that_cannot_be_read_is_named_by_its_place(tmp_path):
    shard(tmp_path / "a.tar", a_png=b"no picture", a_txt=b"red")
    with pytest.raises(ReaderError, match=r"^a\.png in .*a\.tar is not a picture") as error:
        list(Shards(tmp_path / "a.tar", 8))
    assert "BytesIO" not in str(error.value)
    shard(tmp_path / "b.tar", a_heic=b"x", a_txt=b"red")
    with pytest.raises(ReaderError, match=r"no picture of a kind that is read, only \.heic, \.txt"):
        list(Shards(tmp_path / "b.tar", 8))


def test_a_shard_that_is_cut_at_any_place_is_noticed(tmp_path):
    """At each block, and within blocks: what is read is all that was written, or a sentence."""
    shard(tmp_path / "a.tar", a_png=png("red"), a_txt=b"red", b_png=png("blue"), b_txt=b"blue")
    whole = (tmp_path / "a.tar").read_bytes()
    entries = whole.rstrip(b"\0")
    end = -(-len(entries) // 512) * 512  # where the blocks of zeros begin
    path = tmp_path / "cut.tar"
    for length in [*range(0, len(whole), 512), *range(100, len(whole), 700)]:
        path.write_bytes(whole[:length])
        if length >= end + 512:
            assert len(list(Shards(path, 8))) == 2
        else:
            with pytest.raises(ReaderError, match="cut short|no pictures"):
                list(Shards(path, 8))


def test_a_damaged_header_and_a_second_tar_behind_the_first_are_noticed(tmp_path):
    shard(tmp_path / "a.tar", a_png=png("red"), a_txt=b"red", b_png=png("blue"), b_txt=b"blue")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    at = content.index(b"b.png")
    content[at + 10] ^= 255
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(ReaderError, match="cut short or damaged"):
        list(Shards(tmp_path / "b.tar", 8))
    (tmp_path / "c.tar").write_bytes((tmp_path / "a.tar").read_bytes() * 2)
    with pytest.raises(ReaderError, match="goes on after its end"):
        list(Shards(tmp_path / "c.tar", 8))


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_packed_shards_are_read_too(tmp_path, packing):
    with tarfile.open(tmp_path / "a.tar", f"w:{packing}") as tar:
        for name, content in (("a.png", png()), ("a.txt", b"red")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    assert [caption for _, caption in Shards(tmp_path / "a.tar", 8)] == ["red"]
    packed = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ReaderError, match="cut short"):
        list(Shards(tmp_path / "b.tar", 8))


def special(path, name, kind=tarfile.REGTYPE, target="", size=0):
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, target, size
        tar.addfile(entry, io.BytesIO(b"\0" * min(size, 2**20)) if size <= 2**20 else None)


@pytest.mark.parametrize(
    ("name", "kind", "target", "sentence"),
    [
        ("../a.png", tarfile.REGTYPE, "", "leads out of it"),
        ("/etc/a.png", tarfile.REGTYPE, "", "leads out of it"),
        ("in/../../a.png", tarfile.REGTYPE, "", "leads out of it"),
        ("..\\a.png", tarfile.REGTYPE, "", "leads out of it"),
        ("a.png", tarfile.SYMTYPE, "/etc/passwd", "is a link or a device"),
        ("a.png", tarfile.LNKTYPE, "../../x", "is a link or a device"),
        ("a.png", tarfile.CHRTYPE, "", "is a link or a device"),
        ("a.png", tarfile.FIFOTYPE, "", "is a link or a device"),
    ],
)
def test_a_tar_that_points_outside_is_refused_and_nothing_is_written(tmp_path, name, kind, target, sentence):
    special(tmp_path / "a.tar", name, kind, target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ReaderError, match=sentence):
        list(Shards(tmp_path / "a.tar", 8))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_tar_of_gigabytes_is_refused_without_their_memory(tmp_path, kind):
    entry = tarfile.TarInfo("a.png")
    entry.type, entry.size = kind, 6 * 2**30
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        file.truncate(7 * 2**30)  # sparse
    tracemalloc.start()
    with pytest.raises(ReaderError, match="bytes"):
        list(Shards(tmp_path / "a.tar", 8))
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_hidden_files_are_left_out_and_twins_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (
            ("__MACOSX/._a.png", b"x"),
            ("._a.png", b"x"),
            ("a.png", png()),
            ("a.txt", b"red"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    assert [caption for _, caption in Shards(tmp_path / "a.tar", 8)] == ["red"]
    shard(tmp_path / "b.tar", a_png=png(), a_txt=b"red", a_PNG=png())
    with pytest.raises(ReaderError, match="twice"):
        list(Shards(tmp_path / "b.tar", 8))
    shard(tmp_path / "c.tar")
    with pytest.raises(ReaderError, match="holds no pictures"):
        list(Shards(tmp_path / "c.tar", 8))


def test_a_name_may_hold_brackets_and_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a[1].tar", "b{0..1}.tar", "c*.tar", "{.tar"):
        shard(tmp_path / name, a_png=png(), a_txt=b"red")
        assert len(list(Shards(tmp_path / name, 8))) == len(list(Shards(f"~/{name}", 8))) == 1


@pytest.mark.parametrize("paths", [7, None, [None], [3.5], "\0", ["x" * 5000]])
def test_what_cannot_be_a_path_is_refused(paths):
    with pytest.raises(ReaderError, match="path|no shard"):
        Shards(paths)


def test_shards_that_could_not_be_finished_are_not_there(tmp_path):
    class Short(list):
        def __getitem__(self, index):
            if index == 3:
                raise OSError(28, "No space left on device")
            return torch.zeros(3, 8, 8), "red"

    with pytest.raises(ReaderError, match="000001.tar could not be written .No space left"):
        write_shards(Short(range(5)), tmp_path / "new", per_shard=2)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ReaderError, match="item 0 is empty"):
        write_shards([(torch.zeros(3, 8, 8), " ")], tmp_path / "other")


def test_reading_shards_takes_little_more_memory_than_their_pictures(tmp_path):
    pictures = [(torch.full((3, 64, 64), i / 300), f"number {i}") for i in range(300)]
    write_shards(pictures, tmp_path)
    mixture([{"kind": "shards", "path": str(tmp_path / "*.tar")}], 64)  # what is imported is not counted
    tracemalloc.start()
    data = mixture([{"kind": "shards", "path": str(tmp_path / "*.tar")}], 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.pictures[7].float().mean() == 6 and data.captions[7] == ["number 7"]
    assert peak < 2 * data.pictures.nbytes, peak / data.pictures.nbytes


def test_damaged_tars_give_all_pictures_or_one_sentence(tmp_path):
    shard(tmp_path / "a.tar", a_png=png("red"), a_txt=b"red", b_png=png("blue"), b_txt=b"blue")
    whole, rng, path, read = (tmp_path / "a.tar").read_bytes(), random.Random(3), tmp_path / "b.tar", 0
    for _ in range(600):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            assert len(list(Shards(path, 8))) == 2
            read += 1
        except ReaderError as error:
            assert "\n" not in str(error) and "b.tar" in str(error)
    assert 10 < read < 590
