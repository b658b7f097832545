"""FolderOfPictures: the reader's own pictures, and what is said when something is wrong with them."""

import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dalle_edu.data import FolderOfPictures
from dalle_edu.data.folder import read_picture
from dalle_edu.errors import ReaderError, ReaderWarning


def save(folder, name, colour="red", size=(40, 30), mode="RGB", caption=None):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(folder / name)
    if caption is not None:
        (folder / name).with_suffix(".txt").write_text(caption, encoding="utf-8")


def test_text_files_beside_the_pictures_are_their_captions(tmp_path):
    save(tmp_path, "b.png", "blue", caption=" a blue\n card ")
    save(tmp_path, "a.jpg", "red", caption="ein rotes Viereck für Ömer")
    save(tmp_path, "more/c.png", "lime", caption="green")
    data = FolderOfPictures(tmp_path, size=16)
    assert data.captions == ["ein rotes Viereck für Ömer", "a blue card", "green"]
    image, caption = data[1]
    assert image.shape == (3, 16, 16) and image.dtype == torch.float32
    assert torch.equal(image.mean((1, 2)), torch.tensor([0.0, 0.0, 1.0]))
    assert data.pictures.shape == (3, 3, 16, 16) and len(data) == 3


def test_one_table_can_hold_all_captions(tmp_path):
    save(tmp_path, "a.png")
    save(tmp_path, "in/b.png", "blue")
    (tmp_path / "captions.csv").write_text(
        '\ufefffile,caption\nin/b.png,"blue, plain"\na.png,red\n', encoding="utf-8"
    )
    assert FolderOfPictures(tmp_path).captions == ["blue, plain", "red"]
    (tmp_path / "captions.csv").unlink()
    lines = [{"file": "a.png", "caption": "red\nand plain"}, {"file": "in/b.png", "caption": "blue"}]
    (tmp_path / "captions.jsonl").write_text("\n\n".join(json.dumps(line) for line in lines))
    assert FolderOfPictures(tmp_path).captions == ["red and plain", "blue"]


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 90), size=st.integers(1, 48))
def test_any_shape_of_picture_becomes_a_square(tmp_path_factory, width, height, size):
    file = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.new("RGB", (width, height), (255, 0, 128)).save(file)
    image = read_picture(file, size)
    assert image.shape == (3, size, size)
    assert torch.allclose(image, torch.tensor([1.0, 0.0, 128 / 255])[:, None, None].expand_as(image))


def test_the_middle_of_a_long_picture_is_kept(tmp_path):
    picture = Image.new("RGB", (90, 30), "red")
    picture.paste("blue", (30, 0, 60, 30))
    picture.save(tmp_path / "flag.png")
    assert torch.equal(read_picture(tmp_path / "flag.png", 30).mean((1, 2)), torch.tensor([0.0, 0.0, 1.0]))


def test_transparent_parts_become_white_and_grey_pictures_work(tmp_path):
    save(tmp_path, "clear.png", (0, 0, 0, 0), mode="RGBA")
    save(tmp_path, "grey.png", 0, mode="L")
    assert read_picture(tmp_path / "clear.png", 8).min() == 1
    assert read_picture(tmp_path / "grey.png", 8).max() == 0


def test_what_is_wrong_with_a_folder_is_said_in_one_sentence(tmp_path):
    def says(message):
        return pytest.raises(ReaderError, match=message)

    with says("nowhere does not exist"):
        FolderOfPictures(tmp_path / "nowhere")
    with says("holds no pictures"):
        FolderOfPictures(tmp_path)
    save(tmp_path, "a.png")
    with says(r"holds no captions.*a\.txt.*captions\.csv"):
        FolderOfPictures(tmp_path)
    with says("is a file, not a folder"):
        FolderOfPictures(tmp_path / "a.png")
    save(tmp_path, "b.png", caption="b")
    with says(r"1 of 2 pictures .* the first of them a\.png"):
        FolderOfPictures(tmp_path)
    (tmp_path / "a.txt").write_text(" \n")
    with says(r"a\.txt is empty"):
        FolderOfPictures(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with says(r"a\.txt is not text in UTF-8"):
        FolderOfPictures(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "a.png").write_text("no picture at all")
    with says(r"a\.png is not a picture"):
        FolderOfPictures(tmp_path)
    with says("whole number of pixels"):
        FolderOfPictures(tmp_path, size=0)


def test_a_picture_that_is_cut_short_is_named(tmp_path):
    save(tmp_path, "a.png", size=(200, 200), caption="a")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReaderError, match=r"a\.png is not a picture that can be read"):
        FolderOfPictures(tmp_path)[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.csv", "picture,caption\na.png,red\n", "must name the columns"),
        ("captions.csv", "", "must name the columns"),
        ("captions.csv", "file,caption\n", "holds no captions"),
        ("captions.csv", "file,caption\na.png\n", "Line 2 .* both a file and a caption"),
        ("captions.csv", "file,caption\nb.png,blue\n", "Line 2 .* names b.png"),
        ("captions.csv", "file,caption\na.png,\n", "line 2 .* is empty"),
        ("captions.jsonl", '{"file": "a.png", "caption": "red"}\n{"file"', "Line 2 .* is not JSON"),
        ("captions.jsonl", '["a.png", "red"]', "Line 1 .* both a file and a caption"),
        ("captions.jsonl", '{"file": "a.png", "caption": 3}', "Line 1 .* both a file and a caption"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, name, text, message):
    save(tmp_path, "a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(ReaderError, match=message):
        FolderOfPictures(tmp_path)


def left_out(folder, count):
    with pytest.warns(ReaderWarning) as said:
        data = FolderOfPictures(folder, size=8)
    assert len(said) == 1 and len(data) == count
    return data, str(said[0].message)


def test_kinds_that_are_not_read_are_counted_and_named(tmp_path):
    save(tmp_path, "a.png", caption="red")
    for name in ("b.heic", "c.HEIC", "d.psd"):
        (tmp_path / name).write_bytes(b"something else")
        (tmp_path / name).with_suffix(".txt").write_text("theirs")
    data, said = left_out(tmp_path, 1)
    assert "2 .heic files" in said and "1 .psd files" in said and sum(data.left_out.values()) == 3
    (tmp_path / "a.png").unlink(), (tmp_path / "a.txt").unlink()
    with pytest.raises(
        ReaderError, match=r"holds no pictures \(3 of kinds that are not read, such as b.heic\)"
    ):
        FolderOfPictures(tmp_path)


def test_copies_and_thumbnails_of_programs_are_left_out_and_counted(tmp_path):
    save(tmp_path, "a.png", caption="red")
    for place in (".ipynb_checkpoints", ".thumbs", "@eaDir", "__MACOSX", "in/.cache/deep", "$RECYCLE.BIN"):
        save(tmp_path, f"{place}/a.png", caption="old")
    save(tmp_path, "._a.png")
    data, said = left_out(tmp_path, 1)
    assert data.captions == ["red"] and "6 pictures in hidden folders" in said and "1 hidden pictures" in said


def test_pictures_that_a_table_does_not_name_are_counted(tmp_path):
    for name in ("a.png", "b.png", "in/c.png"):
        save(tmp_path, name)
    (tmp_path / "captions.csv").write_text("file,caption\na.png,red\n")
    assert "2 pictures that captions.csv does not name" in left_out(tmp_path, 1)[1]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    save(tmp_path, "a.png", caption="red")
    save(tmp_path, "closed/b.png", caption="blue")
    scan = os.scandir

    def closed(path):  # as the system does it to anyone but its administrator
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert "1 folders that may not be read" in left_out(tmp_path, 1)[1]


def test_linked_folders_are_read_once_and_circles_end(tmp_path):
    save(tmp_path / "elsewhere", "a.png", caption="red")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/album").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine/album again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "mine")
    assert FolderOfPictures(tmp_path / "mine", 8).captions == ["red"]


def test_a_folder_may_be_called_like_a_picture_and_a_caption_may_shout(tmp_path):
    save(tmp_path, "album.png/a.PNG")
    (tmp_path / "album.png/a.TXT").write_text("red")
    assert FolderOfPictures(tmp_path, 8).captions == ["red"]


def test_a_caption_without_its_picture_is_named(tmp_path):
    save(tmp_path, "a.png", caption="red")
    (tmp_path / "b.txt").write_text("blue")
    with pytest.raises(ReaderError, match="1 of 2 captions in .* have no picture, the first of them b.txt"):
        FolderOfPictures(tmp_path)


def test_accents_and_spaces_are_the_same_name_however_they_are_composed(tmp_path):
    composed, apart = "caf\u00e9 noir.png", "cafe\u0301 noir.png"
    save(tmp_path, composed)
    (tmp_path / apart).with_suffix(".txt").write_text("coffee")
    assert FolderOfPictures(tmp_path, 8).captions == ["coffee"]
    (tmp_path / apart).with_suffix(".txt").unlink()
    save(tmp_path, "in/b.png")
    (tmp_path / "captions.csv").write_text(
        f"file,caption\n{apart},coffee\nin\\b.png,blue\n", encoding="utf-8"
    )
    assert FolderOfPictures(tmp_path, 8).captions == ["coffee", "blue"]


@pytest.mark.parametrize("name", ["../a.png", "/etc/hostname", "in/../../a.png", "..\\a.png"])
def test_a_table_cannot_name_files_outside_its_folder(tmp_path, name):
    save(tmp_path, "a.png")
    save(tmp_path, "mine/b.png")
    (tmp_path / "mine/captions.jsonl").write_text(json.dumps({"file": name, "caption": "red"}))
    with pytest.raises(ReaderError, match="Line 1 .* lies outside"):
        FolderOfPictures(tmp_path / "mine")


@pytest.mark.parametrize("name", ["a\0.png", "a" * 5000, "", "\ud83d.png", "\n"])
def test_a_name_that_no_file_can_have_is_no_such_file(tmp_path, name):
    save(tmp_path, "a.png")
    (tmp_path / "captions.jsonl").write_text(json.dumps({"file": name, "caption": "red"}))
    with pytest.raises(ReaderError, match="Line 1 .*no such file") as error:
        FolderOfPictures(tmp_path)
    str(error.value).encode()


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path, "pictures/a.png", caption="red")
    assert FolderOfPictures("~/pictures", 8).captions == ["red"]
    with pytest.raises(ReaderError, match="cannot be used"):
        FolderOfPictures("~nobody-of-this-name/pictures")
