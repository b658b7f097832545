"""Shards as a stream: what N processes see, what a resumed run sees, what is broken, and how much is held."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from toy import noise_png, png, shard

from dalle_edu.data.readers import PictureReader, TokenReader, random_square
from dalle_edu.data.shards import write_samples
from dalle_edu.data.stream import ShardStream, gathered
from dalle_edu.errors import ReaderError, ReaderWarning
from dalle_edu.parallel import run_workers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """96 pictures in 12 shards; the caption is the number."""
    folder = tmp_path_factory.mktemp("shards")
    write_samples(({"png": png((i, 0, 0)), "txt": str(i).encode()} for i in range(96)), folder, per_shard=8)
    return folder


def stream(folder, **dials):
    dials = {"batch_size": 16, "buffer": 32, "lanes": 4} | dials
    return ShardStream(folder / "*.tar", PictureReader(8, dials.pop("crop", "centre")), **dials)


def captions(stream, steps):
    return [stream.batch(step)[1] for step in steps]


def test_a_pass_shows_each_picture_once_and_the_next_in_another_order(folder):
    for batch_size, lanes in ((16, 4), (12, 3), (8, 1)):
        steps = 96 // batch_size
        seen = captions(stream(folder, batch_size=batch_size, lanes=lanes), range(2 * steps))
        first, second = sum(seen[:steps], []), sum(seen[steps:], [])
        assert sorted(map(int, first)) == sorted(map(int, second)) == list(range(96))
        assert first != second and first != sorted(first, key=int)


def test_a_picture_belongs_to_its_caption_and_the_seed_decides_the_order(folder):
    images, texts = stream(folder).batch(0)
    assert images.shape == (16, 3, 8, 8)
    assert (images[:, 0, 0, 0] * 255).round().int().tolist() == [int(text) for text in texts]
    assert captions(stream(folder), range(3)) == captions(stream(folder), range(3))
    assert captions(stream(folder), range(3)) != captions(stream(folder, seed=1), range(3))


def test_processes_see_together_what_one_sees_and_open_no_shard_of_another(folder, monkeypatch):
    import dalle_edu.data.lanes as module

    opened, samples_of = {}, module.samples_of
    whole = captions(stream(folder), range(8))
    for count in (2, 4):
        parts = [stream(folder, rank=rank, world_size=count) for rank in range(count)]
        for step in range(8):
            assert sum((part.batch(step)[1] for part in parts), []) == whole[step]
        for part in parts:
            part.close()  # or it would read ahead while shards are counted below
    for rank in range(4):
        part = stream(folder, rank=rank, world_size=4, threads=1)
        opened[rank] = set()
        monkeypatch.setattr(
            module, "samples_of", lambda path, *at, r=rank: opened[r].add(path) or samples_of(path, *at)
        )
        part.batch(0)
        part.close()
    assert sum(map(len, opened.values())) == len(set.union(*opened.values())) <= 12


@pytest.mark.parametrize("step", [0, 1, 5, 6, 11, 17])
def test_a_resumed_stream_gives_the_very_samples_of_the_unbroken_one(folder, step):
    """At any step, within a pass, at its end, and in the third one; crops too."""
    whole = stream(folder, crop="dvae")
    batches = [whole.batch(each) for each in range(step + 8)]
    first = stream(folder, crop="dvae")
    for each in range(step):
        first.batch(each)
    state = json.loads(json.dumps(first.state_dict()))
    second = stream(folder, crop="dvae")
    second.load_state_dict(state)
    for each in range(step, step + 8):
        images, texts = second.batch(each)
        assert texts == batches[each][1] and torch.equal(images, batches[each][0])
    first.load_state_dict(state)  # the same stream, gone back
    assert first.batch(step)[1] == batches[step][1]


def test_four_processes_two_and_one_go_on_where_the_others_stopped(folder):
    whole, step, state = captions(stream(folder), range(12)), 0, None
    for count in (4, 2, 1, 4):
        parts = [stream(folder, rank=rank, world_size=count) for rank in range(count)]
        for part in parts:
            if state:
                part.load_state_dict(state)
        for _ in range(3):
            assert sum((part.batch(step)[1] for part in parts), []) == whole[step]
            step += 1
        states = [part.state_dict() for part in parts]
        state = states[0] | {"lanes": {k: v for each in states for k, v in each["lanes"].items()}}
    part = stream(folder, rank=1, world_size=2)
    with pytest.raises(ReaderError, match="lacks lane"):
        part.load_state_dict(stream(folder, rank=0, world_size=2).state_dict())


def states_of_workers(folder):
    import torch.distributed as dist

    part = stream(folder, rank=dist.get_rank(), world_size=dist.get_world_size())
    part.batch(0)
    return {"state": json.dumps(gathered(part.state_dict()))}


def test_workers_gather_the_state_of_all(folder):
    alone = stream(folder)
    alone.batch(0)
    for each in run_workers(states_of_workers, 2, folder):
        assert json.loads(each["state"]) == alone.state_dict()


def test_broken_samples_are_left_out_counted_and_named_and_a_resumed_stream_leaves_out_the_same(tmp_path):
    for i in range(4):
        bad = {"a_png": b"no picture", "a_txt": b"broken"} if i == 1 else {"a_png": png(), "a_txt": b"red"}
        empty = {"b_png": png(), "b_txt": b" "} if i == 2 else {"b_png": png("blue"), "b_txt": b"blue"}
        shard(tmp_path / f"{i}.tar", **bad, **empty, c_png=png("green"), c_txt=b"green")
    whole = (tmp_path / "3.tar").read_bytes()
    (tmp_path / "3.tar").write_bytes(whole[: whole.index(b"c.png") + 600])  # cut short
    whole = stream(tmp_path, batch_size=2, lanes=2, buffer=4)
    with pytest.warns(ReaderWarning, match="broken samples were left out so far"):
        seen = captions(whole, range(20))
    # A pass: 12 written, less the broken picture, the empty caption, and two that a cut shard no longer has.
    count = Counter(sum(seen, []))
    assert set(count) == {"red", "blue", "green"} and "broken" not in count
    text = " ".join(whole.broken_names)
    assert "a.png in" in text and "1.tar is not a picture" in text
    assert "b.txt in" in text and "2.tar is empty" in text
    assert "3.tar is no tar file, or is cut short" in text or "3.tar is cut short" in text
    assert whole.broken >= 6
    first = stream(tmp_path, batch_size=2, lanes=2, buffer=4)
    with pytest.warns(ReaderWarning):
        assert captions(first, range(9)) == seen[:9]
    second = stream(tmp_path, batch_size=2, lanes=2, buffer=4)
    second.load_state_dict(first.state_dict())
    assert captions(second, range(9, 20)) == seen[9:]


def test_a_set_without_one_good_sample_ends_with_a_sentence(tmp_path):
    shard(tmp_path / "a.tar", a_png=b"no picture", a_txt=b"a")
    with pytest.raises(ReaderError, match=r"No sample of a.*a\.png"):
        stream(tmp_path, batch_size=1, lanes=1).batch(0)
    (tmp_path / "a.tar").write_text("no tar at all")
    with pytest.raises(ReaderError, match="None of the shards can be read.*no tar file"):
        stream(tmp_path, batch_size=1, lanes=1).batch(0)


def test_what_cannot_be_divided_or_gone_on_with_is_said(folder, tmp_path):
    with pytest.raises(ReaderError, match="3 processes cannot share 4 lanes"):
        stream(folder, world_size=3)
    with pytest.raises(ReaderError, match="each needs a shard"):
        stream(folder, lanes=16)
    with pytest.raises(ReaderError, match="of another seed"):
        stream(folder).load_state_dict(stream(folder, seed=1).state_dict())
    with pytest.raises(ReaderError, match="stands at 0"):
        stream(folder).batch(7)
    with pytest.raises(ReaderError, match="no way to crop"):
        PictureReader(8, "middle")
    assert ShardStream(folder / "*.tar", PictureReader(8), 10).lanes == 10
    write_samples([{"png": png(), "txt": b"red"}] * 2, tmp_path, per_shard=1)
    gone = stream(tmp_path, batch_size=2, lanes=1, buffer=1)
    (tmp_path / "pictures-000001.tar").unlink()
    with pytest.raises(ReaderError, match="no shard .* any more"):
        captions(gone, range(3))


def test_squares_are_where_the_paper_s_listings_put_them():
    import random

    picture = Image.new("RGB", (300, 100))
    picture.putdata([(x * 255 // 299, y * 2, 0) for y in range(100) for x in range(300)])
    seen = {"dvae": [], "dalle": []}
    for crop, columns in seen.items():
        for i in range(300):
            square = random_square(picture, 64, crop, random.Random(i))
            assert square.size == (64, 64)
            columns.append(np.asarray(square)[0, [0, -1], 0].astype(int) / 255)
    dvae, dalle = map(np.array, seen.values())
    assert 0.4 < (dvae[:, 0] > dvae[:, 1]).mean() < 0.6  # half of them mirrored
    assert (dalle[:, 0] < dalle[:, 1]).all()  # none of them
    assert dvae.min() < 0.05 and dvae.max() > 0.95  # from edge to edge
    # The square of 100 pixels begins at 75 to 125 of 300.
    assert 0.24 < dalle.min() < 0.3 and 0.7 < dalle.max() < 0.76
    assert random_square(Image.new("RGB", (5, 9)), 8, "dvae", random.Random(0)).size == (8, 8)


class Watched:
    """A picture of which only the size is there; it notes what is cut out of it."""

    def __init__(self, width, height):
        self.size, self.did = (width, height), {}

    def resize(self, size, resample, box):
        self.did |= {"scaled": size, "square": box}
        return self

    def crop(self, box):
        self.did["window"] = box
        return Image.new("RGB", (box[2] - box[0], box[3] - box[1]))


@pytest.mark.parametrize("width, height, size", [(300, 100, 64), (90, 133, 64), (70, 71, 64), (64, 64, 64)])
@pytest.mark.parametrize("crop", ["dvae", "dalle"])
def test_every_square_of_the_paper_s_listings_is_drawn_and_no_other(crop, width, height, size):
    """Listings 1 and 2 by hand: `tf.random.uniform` of whole numbers never gives its upper bound,
    `tf.image.random_crop` gives every place."""
    import random

    side = min(width, height)
    if crop == "dvae":
        places = [range(length - side + 1) for length in (width, height)]
        scales = range(min(side, round(9 / 8 * size)), min(side, round(12 / 8 * size)) + 1)
    else:
        places = [
            range(3 * (length - side) // 8, max(3 * (length - side) // 8 + 1, 5 * (length - side) // 8))
            for length in (width, height)
        ]
        scales = range(size, min(side, round(9 / 8 * size)) + 1)
    seen = []
    for i in range(4000):
        picture = Watched(width, height)
        random_square(picture, size, crop, random.Random(i))
        (left, top, right, bottom), (scaled, also) = picture.did["square"], picture.did["scaled"]
        assert right - left == bottom - top == side and scaled == also
        across, down, *end = picture.did["window"]
        assert 0 <= across <= scaled - size and 0 <= down <= scaled - size
        assert end == [across + size, down + size]
        seen.append((left, top, scaled, across, down))
    lefts, tops, scaled, across, down = map(set, zip(*seen, strict=True))
    assert (lefts, tops, scaled) == (set(places[0]), set(places[1]), set(scales))
    assert across == down == set(range(max(scales) - size + 1))


def test_tokens_of_another_dvae_are_refused(tmp_path):
    def npy(array):
        import io

        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    good = np.arange(6, dtype=np.uint16).reshape(2, 3)
    read = TokenReader((2, 3), 6)
    sample = {"__key__": "a", "__url__": "a.tar", "files": {".tokens.npy": npy(good), ".txt": b"red"}}
    tokens, caption = read(sample, None)
    assert tokens.tolist() == list(range(6)) and tokens.dtype == torch.int64 and caption == "red"
    objects = npy(np.array([{}], dtype=object))
    for content, sentence in (
        (npy(good + 1), "token 6"), (npy(good.T), "shape"), (npy(good * 1.0), "shape"),
        (b"junk", "cannot be read"), (objects, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ReaderError, match=sentence):
            read(sample | {"files": {".tokens.npy": content, ".txt": b"red"}}, None)


MEASURE = """
import sys, resource
from dalle_edu.data.readers import PictureReader
from dalle_edu.data.stream import ShardStream
stream = ShardStream(sys.argv[1], PictureReader(32), batch_size=16, buffer=64, lanes=4)
peaks = []
for step in range(int(sys.argv[2])):
    stream.batch(step)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[4], peaks[-1])
"""


def test_a_set_larger_than_its_bound_streams_in_the_same_memory(tmp_path):
    """96 MB of noise, which PNG cannot pack, and at most 64 pictures, 6 MB, waiting."""
    rng = np.random.default_rng(0)
    noise = ({"png": noise_png(180, rng), "txt": str(i).encode()} for i in range(1000))
    write_samples(noise, tmp_path, per_shard=125)
    size = sum(path.stat().st_size for path in tmp_path.iterdir()) / 1024
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "*.tar"), "62"]
    early, late = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
    assert size > 95_000 and late - early < size / 8, (early, late, size)


def mixed(folder, weights=(3.0, 1.0), **dials):
    """The first 8 shards as one source, numbers below 64, and the last 4 as another."""
    paths = sorted(map(str, folder.glob("*.tar")))
    dials = {"batch_size": 16, "buffer": 32, "lanes": 4} | dials
    return ShardStream([paths[:8], paths[8:]], PictureReader(8), weights=weights, **dials)


@pytest.mark.parametrize("weights, share", [((3, 1), 3 / 4), ((1, 3), 1 / 4), ((0.5, 0.5), 1 / 2)])
def test_sources_are_mixed_in_the_shares_of_their_weights_and_nothing_is_left_out(folder, weights, share):
    count = 16 * 60
    numbers = [int(c) for some in captions(mixed(folder, weights), range(60)) for c in some]
    of_first = [number for number in numbers if number < 64]
    # Four standard deviations of a binomial count: a fair draw fails in one run of sixteen thousand.
    assert abs(len(of_first) - count * share) < 4 * (count * share * (1 - share)) ** 0.5
    assert sorted(set(numbers)) == list(range(96))


def test_a_mixed_stream_is_one_of_its_seed_split_over_processes_and_resumed_at_the_sample(folder):
    whole = captions(mixed(folder), range(9))
    assert whole == captions(mixed(folder), range(9)) != captions(mixed(folder, seed=1), range(9))
    for count in (2, 4):
        each = [captions(mixed(folder, rank=rank, world_size=count), range(9)) for rank in range(count)]
        assert [sum(parts, []) for parts in zip(*each, strict=True)] == whole
    for step in (1, 5):
        first = mixed(folder)
        captions(first, range(step))
        state = json.loads(json.dumps(first.state_dict()))
        for rank in range(2):
            later = mixed(folder, rank=rank, world_size=2)
            later.load_state_dict(state)
            own = slice(8 * rank, 8 * (rank + 1))
            assert captions(later, range(step, 9)) == [batch[own] for batch in whole[step:]]
        with pytest.raises(ReaderError, match="of other shards"):
            mixed(folder, (3, 2)).load_state_dict(state)


@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_draws_nothing_or_everything_is_refused(folder, weight):
    with pytest.raises(ReaderError, match=f"has the weight {weight}; it must be a positive number"):
        mixed(folder, (1.0, weight))


def test_each_source_needs_a_shard_for_each_lane(folder):
    assert mixed(folder, lanes=None).lanes == 4
    with pytest.raises(ReaderError, match="8 lanes cannot read 4 shards.*each needs a shard of each source"):
        mixed(folder, lanes=8)
    with pytest.raises(ReaderError, match="1 weights for 2 sources"):
        mixed(folder, (1.0,))
