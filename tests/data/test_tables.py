"""Captions in tables and texts: as they were written, or a sentence with the file and the line."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.data.tables import LONGEST, read_caption, read_csv, read_jsonl
from dalle_edu.errors import ReaderError


@pytest.fixture
def table(tmp_path):
    def write(content, name="captions.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("rows", "caption"),
    [
        ('a.png,"a red\ncard"', "a red card"),
        ('a.png,"a red\r\ncard"', "a red card"),
        ('a.png,"a red\rcard"', "a red card"),
        ("a.png,a red\u2028card", "a red card"),
        ("a.png,a red\u2029card", "a red card"),
        ("a.png,a red\x85card", "a red card"),
        ("a.png,a red\x0bcard\x1cx", "a red card x"),
        ('a.png,"5"" disc, red"', '5" disc, red'),
        ('a.png,a 5" disc', 'a 5" disc'),
        ("a.png,NULL", "NULL"),
        ("a.png,=1+1", "=1+1"),
    ],
)
def test_a_cell_is_read_as_it_was_written(table, rows, caption):
    assert read_csv(table(f"file,caption\n{rows}\nb.png,blue\n")) == [
        (2, "a.png", caption),
        (2 + 1 + rows.count("\n") + rows.count("\r") - rows.count("\r\n"), "b.png", "blue"),
    ]


@settings(max_examples=300, deadline=None)
@given(
    captions=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
            str.strip
        ),
        min_size=1,
        max_size=5,
    ),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    separator=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_comes_back_whole(tmp_path_factory, captions, quoting, separator, ending):
    if quoting == csv.QUOTE_MINIMAL:  # Python 3.11 writes a bare carriage return without quotes around it
        captions = [caption.replace("\r", " ") + "." for caption in captions]
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, delimiter=separator, lineterminator=ending)
    writer.writerows([("file", "caption"), *((f"{i}.png", caption) for i, caption in enumerate(captions))])
    path = tmp_path_factory.mktemp("table") / "captions.csv"
    path.write_bytes(out.getvalue().encode())
    assert [(f, c) for _, f, c in read_csv(path)] == [
        (f"{i}.png", " ".join(caption.split())) for i, caption in enumerate(captions)
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: text.replace("\0", "").strip()),
        max_size=5,
    ),
    st.booleans(),
)
def test_json_lines_come_back_whole(tmp_path_factory, captions, ascii_only):
    path = tmp_path_factory.mktemp("table") / "captions.jsonl"
    lines = (json.dumps({"file": "a.png", "caption": text}, ensure_ascii=ascii_only) for text in captions)
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert [caption for _, _, caption in read_jsonl(path)] == [" ".join(text.split()) for text in captions]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("file,caption\na.png,red, and blue\n", "Line 2 of .* has 3 cells for 2 columns.*double quotes"),
        ('file,caption\na.png,"red\nb.png,blue\n', "Line 2 of .*unexpected end of data.*close them"),
        ('file,caption\na.png,"red\nb.png,"blue"\n', "Line 2 of .* is no row of a table"),
        ('file,caption\na.png,"red\nb.png,blue"\n', "Line 2 of .*double quote that is not closed.*b.png"),
        ("file,caption\n" + "a.png," + "x" * 200_000, "Line 2 of .*field larger than field limit"),
        (f"file,caption\na.png,{'x' * (LONGEST + 1)}\n", r"line 2 of .* has 10,001 characters.*10,000"),
        ("file,caption,caption\na.png,x,y\n", "caption is there more than once"),
        ("file\na.png\n", "caption is missing"),
        ("", "file is missing"),
        ("file,caption\na.png\n", "Line 2 of .*both a file and a caption"),
        ("file,caption\n\na.png,\u2028 \n", "line 3 of .* is empty"),
        ("file,caption\na.png,Ömer\n".encode("latin-1"), "is not text in UTF-8"),
        ("file,caption\na.png,red\n".encode("utf-16"), "is not text in UTF-8"),
        ("file,caption\na.png,red\n".encode("utf-16-le"), "is not text in UTF-8"),
        ("file,caption\na.png,re\0d\n", "is not text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_with_its_line(table, content, sentence):
    with pytest.raises(ReaderError, match=sentence) as error:
        read_csv(table(content), is_picture=lambda name: name == "b.png")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[" * 100_000 + "]" * 100_000, "Line 2 of .* is not JSON .nested too deeply"),
        ('{"a":' * 100_000, "Line 2 of .* is not JSON"),
        ('{"file": "a.png", "caption": "half \\ud83d"}', "line 2 of .* half a character"),
        ('{"file": "a.png", "caption": 1' + "0" * 5000 + "}", "Line 2 of .* is not JSON"),
        ('{"file": "a.png", "caption": null}', "Line 2 of .*both a file and a caption"),
        ('{"file": "a.png", "caption": " \\u2028 "}', "line 2 of .* is empty"),
        ('{"file": "a.png", "caption": "' + "x" * 1_000_000 + '"}', "1,000,000 characters"),
        ("null", "Line 2 of .*both a file and a caption"),
    ],
)
def test_what_is_wrong_with_a_line_of_json_is_said_with_its_number(table, line, sentence):
    path = table('{"file": "a.png", "caption": "red\u2028and blue"}\n' + line, "captions.jsonl")
    with pytest.raises(ReaderError, match=sentence) as error:
        read_jsonl(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("reader", [read_csv, read_jsonl, read_caption])
def test_a_file_of_gigabytes_is_refused_without_reading_it_all(tmp_path, reader, monkeypatch):
    monkeypatch.setattr("dalle_edu.data.tables.MOST_BYTES", 2**20)
    path = tmp_path / "captions"
    with path.open("wb") as file:
        file.truncate(8 * 2**30)  # sparse: it takes no room on the disk
    with pytest.raises(ReaderError, match="bytes, the most that are read"):
        reader(path)


def test_a_text_is_a_caption_or_a_sentence(tmp_path):
    path = tmp_path / "a.txt"
    for content, caption in ((b"\xef\xbb\xbfred", "red"), ("a\u2028b\tc  d\r\n".encode(), "a b c d")):
        path.write_bytes(content)
        assert read_caption(path) == caption
    for content, sentence in (
        (b" \n", "is empty"), ("é".encode("latin-1"), "UTF-8"), ("red".encode("utf-16"), "UTF-8"),
        (b"x" * 20_000, "20,000 characters"), (b"\xed\xa0\xbd", "UTF-8"), (b"", "is empty"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(ReaderError, match=sentence):
            read_caption(path)
    with pytest.raises(ReaderError, match="cannot be opened"):
        read_caption(tmp_path)
