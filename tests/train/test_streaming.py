"""Training streams shards: what several processes learn, what a resumed run learns, what is refused."""

import json
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import torch
from torchrun import losses, several
from toy import TOML, loaded_model, noise_png, png, shard, trained_folder

from dalle_edu.cli import main
from dalle_edu.configs.schema import config_of
from dalle_edu.data.make_shards import make_shards
from dalle_edu.data.mixture import mixture
from dalle_edu.data.readers import PictureReader
from dalle_edu.data.shards import write_samples
from dalle_edu.data.streamed import Streamed, streamed
from dalle_edu.errors import ReaderError, ReaderWarning
from dalle_edu.evaluate.copies import training_pictures
from dalle_edu.files import read_history, read_tensors
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.distributed import _pass_over
from dalle_edu.train.run import train_part
from dalle_edu.train.stages import spelled

CONFIG = TOML.replace(
    "steps = 6\nbatch_size = 4\nlearning_rate = 1e-3\nwarmup = 2",
    "steps = 20\nbatch_size = 8\nlearning_rate = 3e-3\ngradient_clip = 1.0\nweight_average = 0.9\nwarmup = 2",
).replace("[dalle.training]", "noise = 0.2\ncaption_dropout = 0.3\nbpe_dropout = 0.1\n[dalle.training]")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """72 scenes in 9 shards."""
    folder = tmp_path_factory.mktemp("pictures")
    make_shards("scenes:attributes", folder, per_shard=8, length=72, size=16)
    return f"{folder}/*.tar"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """The same as tokens of the dVAE of `trained_folder`."""
    folder = tmp_path_factory.mktemp("tokens")
    make_shards("scenes:attributes", folder, per_shard=8, length=72, tokens=trained_folder())
    return f"{folder}/*.tar"


def of(pattern):
    return [{"kind": "shards", "path": str(pattern)}]


def with_dvae(place):
    """A folder in which the dVAE of `trained_folder` is there already, and its configuration."""
    place.mkdir()
    (place / "c.toml").write_text(CONFIG)
    out = place / "model"
    shutil.copytree(trained_folder(), out, ignore=shutil.ignore_patterns("*dalle*", "*clip*", "words.json"))
    (out / "config.toml").write_text(CONFIG)
    return {"part": "dalle", "config": place / "c.toml", "out": out}


def alone(part, config, out, **more):
    return train_part(part, config, out, progress=False, **more)


def test_one_two_and_four_processes_learn_the_same_from_shards(tmp_path, tokens, pictures):
    """From tokens and from pictures; and so do four, then two, then one, each of which goes on at the sample
    where the others stopped. And CLIP, of whose batch each process embeds a slice."""
    # The trained folder was given no data, so pictures for a part of it must be the configuration's.
    own = f'kind = "shards"\npath = "{pictures}"'
    text = CONFIG.replace('kind = "scenes"\nfamily = "attributes"\nlength = 40', own)
    runs = []
    for name, data in (("tokens", {"sources": of(tokens)}), ("pictures", {})):
        jobs = [with_dvae(tmp_path / f"{name}-{count}") for count in ("one", "two", "four", "fewer")]
        for job in jobs:
            job["config"].write_text(text)
            (job["out"] / "config.toml").write_text(text)
        runs.append((*jobs, data))
        alone(**jobs[0], **data)
    clips = clip_jobs(tmp_path, pictures)
    for job, *_ in clips.values():
        alone(**job)
    begun = [
        job for one, two, four, fewer, data in runs for job in (four | data, fewer | data | {"until": 7})
    ]
    several(4, *begun, *(job for _, _, job in clips.values()))
    gone_on = [
        job
        for one, two, four, fewer, data in runs
        for job in (two | data, fewer | {"until": 13, "resume": True})
    ]
    several(2, *gone_on, *(job for _, job, _ in clips.values()))
    for one, two, four, fewer, _ in runs:
        alone(**fewer, resume=True)
        curve = losses(one["out"])
        assert len(curve) == 20
        for job in (two, four, fewer):
            assert losses(job["out"]) == pytest.approx(curve, abs=1e-4)
        record = tomllib.loads((fewer["out"] / "dalle.trained.toml").read_text())
        assert record["shards"] == 9 and record["left_out"] == 0 and "pictures" not in record
    for name, (one, *others) in clips.items():
        rows, theirs = (read(one["out"]) for read in (history, clip_weights))
        assert len(rows) == 20 and len({row["loss"] for row in rows}) == 20
        for job in others:
            for part in ("loss", "accuracy"):
                ours = [row[part] for row in history(job["out"])]
                assert ours == pytest.approx([row[part] for row in rows], abs=1e-4), (name, part)
            ours = clip_weights(job["out"])
            assert max(float((ours[key] - theirs[key]).abs().max()) for key in theirs) < 1e-5, name


def clip_jobs(place, pictures):
    """CLIP from memory, with moved pictures and spoilt copies, and from shards: by name, three jobs each, for
    1, 2 and 4 processes. A caption that comes twice is left out, so a batch may have an odd length."""
    head, _, tail = CONFIG.partition("[clip.training]\nsteps = 4\n")
    tail = tail.replace("checkpoint_every = 2", "checkpoint_every = 20", 1)
    shards = f"{head}[clip.training]\nsteps = 20\n{tail}"
    configs = {"memory": shards.replace("[clip]\n", "[clip]\nshift = 1\nspoilt = true\n"), "shards": shards}
    jobs = {}
    for name, text in configs.items():
        (place / f"{name}.toml").write_text(text)
        more = {"sources": of(pictures)} if name == "shards" else {}
        job = {"part": "clip", "config": place / f"{name}.toml"} | more
        jobs[name] = [job | {"out": place / f"clip-{name}-{count}"} for count in (1, 2, 4)]
    return jobs


def history(out):
    return read_history(out / "training-clip" / "history.jsonl")


def clip_weights(out):
    """Without what is added to keys: it shifts all scores of a query alike, so its gradient is but rounding,
    of which AdamW makes steps of full size."""
    weights = read_tensors(out / "clip.safetensors")
    for name in [name for name in weights if name.endswith("in_proj_bias")]:
        query, _, value = weights[name].chunk(3)
        weights[name] = torch.cat((query, value))
    return weights


def test_dvae_and_clip_learn_from_shards_on_two_processes_what_they_learn_on_one(tmp_path, pictures):
    (tmp_path / "c.toml").write_text(CONFIG)
    for part in ("dvae", "clip"):
        alone(part, tmp_path / "c.toml", tmp_path / "one", sources=of(pictures))
    job = {"config": tmp_path / "c.toml", "out": tmp_path / "two"}
    several(2, *(job | {"part": part, "sources": of(pictures)} for part in ("dvae", "clip")))
    for part in ("dvae", "clip"):
        ours, theirs = losses(tmp_path / "two", part), losses(tmp_path / "one", part)
        assert ours == pytest.approx(theirs, abs=1e-4) and len(set(theirs)) == len(theirs)
    one, two = (CaptionTokenizer.load(tmp_path / name / "tokenizer.json") for name in ("one", "two"))
    assert one.tokenizer.to_str() == two.tokenizer.to_str()


@pytest.mark.parametrize("part", ["dvae", "clip"])
def test_a_part_that_was_stopped_goes_on_at_the_sample(tmp_path, pictures, part):
    (tmp_path / "c.toml").write_text(CONFIG)
    alone(part, tmp_path / "c.toml", tmp_path / "whole", sources=of(pictures))
    alone(part, tmp_path / "c.toml", tmp_path / "a", sources=of(pictures), until=3)
    alone(part, tmp_path / "c.toml", tmp_path / "a", resume=True)
    ours, theirs = (read_tensors(tmp_path / name / f"{part}.safetensors") for name in ("a", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_tokens_of_the_shards_are_those_that_the_dvae_gives_their_pictures(tmp_path, tokens, pictures):
    data = streamed(of(tokens))
    from dalle_edu.data.readers import TokenReader

    model = read_tensors(trained_folder() / "dvae.safetensors")
    assert model and data.tokens["grid"] == [4, 4]
    image, captions = data.stream(TokenReader((4, 4), 32), 8, 0, 0, 1).batch(0)
    stored = mixture(of(pictures), 16)
    at = [stored.captions.index([caption]) for caption in captions]
    wanted = loaded_model().vae.encode(stored.images(torch.tensor(at))).flatten(1)
    once = [i for i, caption in enumerate(captions) if stored.captions.count([caption]) == 1]
    assert len(once) >= 3 and torch.equal(image[once], wanted[once])


def test_what_is_broken_is_left_out_counted_and_named_where_the_part_was_trained(tmp_path, pictures):
    folder = tmp_path / "shards"
    shutil.copytree(pictures.removesuffix("/*.tar"), folder)
    shard(folder / "z.tar", a_png=b"no picture", a_txt=b"broken", b_png=png(), b_txt=b"a red square")
    (tmp_path / "c.toml").write_text(CONFIG)
    with pytest.warns(ReaderWarning, match="broken samples were left out so far"):
        alone("dvae", tmp_path / "c.toml", tmp_path / "a", sources=of(folder / "*.tar"))
        for part in ("clip", "dalle"):
            alone(part, tmp_path / "c.toml", tmp_path / "a", sources=of(folder / "*.tar"))
    record = tomllib.loads((tmp_path / "a" / "dalle.trained.toml").read_text())
    assert record["left_out"] >= 1 and "a.png in" in record["left_out_names"][0]
    assert "square" in json.loads((tmp_path / "a" / "words.json").read_text())
    sample = training_pictures(config_of(tmp_path / "a"))  # of which `evaluate` says how near drawings are
    assert len(sample) == 73 and sample.captions[72] == ["a red square"]


def test_shards_that_cannot_be_trained_on_are_refused_in_one_sentence(tmp_path, tokens, pictures, capsys):
    job = with_dvae(tmp_path / "a")
    with pytest.raises(ReaderError, match="hold tokens, and the dvae learns from pictures"):
        alone("dvae", job["config"], tmp_path / "new", sources=of(tokens))
    assert not (tmp_path / "new").exists()
    vae = job["out"] / "dvae.safetensors"
    from safetensors.torch import save_file

    changed = {name: tensor.clone() for name, tensor in read_tensors(vae).items()}
    next(tensor for name, tensor in changed.items() if name.startswith("encoder")).add_(1e-3)
    save_file(changed, vae)
    with pytest.raises(ReaderError, match="tokens of another dVAE .* than this model's .*--tokens"):
        alone(**job, sources=of(tokens))
    mixed = [*of(pictures), {"kind": "emoji"}]
    with pytest.raises(ReaderError, match="'emoji' is held in memory.*as shards, too"):
        alone("dvae", job["config"], tmp_path / "new", sources=mixed)
    for weight in (0, -2.0):
        with pytest.raises(ReaderError, match=f"weight in .data. is {weight}; it must be a number above 0"):
            streamed([of(pictures)[0] | {"weight": weight}, *of(pictures)])
    with pytest.raises(ReaderError, match="not of one kind"):
        streamed([*of(pictures), *of(tokens)])
    with pytest.raises(SystemExit):
        main(["train", "dvae", "--config", str(job["config"]), "--out", str(tmp_path / "new"), "--data",
              f"shards:{tmp_path}/none-*.tar"])  # fmt: skip
    assert "There is no shard" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_sources_that_weigh_are_mixed_and_a_training_on_them_goes_on_at_the_sample(tmp_path, pictures):
    other = tmp_path / "other"
    make_shards("scenes:objects", other, per_shard=8, length=32, size=16)
    sources = [of(pictures)[0] | {"weight": 3.0}, *of(f"{other}/*.tar")]
    assert streamed([*of(pictures), *of(f"{other}/*.tar")]).weights is None  # read as one set
    data = streamed(sources)
    assert data.weights == (3.0, 1.0) and data.counts == (9, 4)
    assert data.fingerprint() != streamed([sources[0], sources[1] | {"weight": 2.0}]).fingerprint()
    assert data.stream(PictureReader(16, "dalle"), 8, 0, 0, 1).lanes == 4
    text = CONFIG.replace('kind = "scenes"\nfamily = "attributes"\nlength = 40', table(sources[0]), 1)
    (tmp_path / "c.toml").write_text(
        text.replace("[tokenizer]", f"[[data]]\n{table(sources[1])}\n[tokenizer]")
    )
    alone("dvae", tmp_path / "c.toml", tmp_path / "whole")
    for more in ({"until": 3}, {"resume": True}):
        alone("dvae", tmp_path / "c.toml", tmp_path / "a", **more)
    ours, theirs = (read_tensors(tmp_path / name / "dvae.safetensors") for name in ("a", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def table(source):
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in source.items())


@pytest.mark.parametrize("damage", ["{", '{"dvae": 1}', '{"dvae": "a", "grid": 3}', "[]"])
def test_tokens_of_which_nobody_says_the_dvae_are_refused(tmp_path, tokens, damage):
    folder = tmp_path / "tokens"
    shutil.copytree(tokens.removesuffix("/*.tar"), folder)
    (folder / "tokens.json").write_text(damage)
    with pytest.raises(ReaderError, match=r"tokens.json is damaged"):
        streamed(of(folder / "*.tar"))
    (folder / "tokens.json").unlink()
    with pytest.raises(ReaderError, match="no tokens.json says of which dVAE"):
        streamed(of(folder / "*.tar"))


def test_a_checkpoint_says_where_the_stream_stands_and_a_damaged_one_is_refused(tmp_path, pictures):
    (tmp_path / "c.toml").write_text(CONFIG)
    alone("dvae", tmp_path / "c.toml", tmp_path / "a", sources=of(pictures), until=3)
    path = tmp_path / "a" / "training-dvae" / "checkpoint.json"
    about = json.loads(path.read_text())
    assert about["stream"]["step"] == 3 and len(about["stream"]["lanes"]) == 4
    for stream in ({"lanes": 3}, 3, about["stream"] | {"lanes": {"0": {}, "1": {}, "2": {}, "3": {}}}):
        path.write_text(json.dumps(about | {"stream": stream}))
        with pytest.raises(ReaderError, match="damaged"):
            alone("dvae", tmp_path / "c.toml", tmp_path / "a", resume=True)


def test_a_sample_is_bounded_takes_from_every_shard_and_passes_over_what_is_broken(pictures, tmp_path):
    data = streamed(of(pictures))
    assert [len(data.sample(16, count)) for count in (5, 18, 10_000)] == [5, 18, 72]
    everything = mixture(of(pictures), 16)
    two = data.sample(16, 18)
    assert two.captions == [everything.captions[8 * i + j] for i in range(9) for j in range(2)]
    assert torch.equal(two.pictures[2], everything.pictures[8])
    assert data.captions == everything.captions
    (tmp_path / "a.tar").write_bytes(b"no tar")
    with pytest.raises(ReaderError, match="No caption can be read"):
        print(Streamed([str(tmp_path / "a.tar")]).captions)


@pytest.mark.parametrize("count, lanes", [(1, 16), (2, 16), (4, 16), (8, 16), (16, 16), (3, 12), (24, 24)])
def test_as_many_lanes_are_read_as_the_processes_can_share_out(tmp_path, count, lanes):
    for i in range(30):
        shard(tmp_path / f"{i:02}.tar", a_png=png(), a_txt=b"red")
    assert streamed(of(tmp_path / "*.tar")).stream(None, 48, 0, 0, count).lanes == lanes


def test_joins_are_left_out_in_training_only_and_slices_spell_what_the_whole_spells():
    tokenizer, config = loaded_model().tokenizer, loaded_model().config.dalle
    captions = ["a large red circle", "a small blue square", "two green stars", "a red circle"]

    def spell(some, dropout, *place):
        return spelled(tokenizer, some, config, dropout, torch.Generator().manual_seed(5), *place)

    usual = tokenizer.encode(captions, config.text_length, padding=config.text_vocabulary)
    assert torch.equal(spell(captions, 0.0), usual)
    whole = spell(captions, 0.5)
    assert not torch.equal(whole, usual)
    for row, caption in zip(whole, captions, strict=True):  # more pieces, of which 16 are kept
        assert caption.startswith(tokenizer.decode(row)) and len(tokenizer.decode(row)) > 8
    assert torch.equal(torch.cat([spell(captions[:2], 0.5, 0, 4), spell(captions[2:], 0.5, 2, 4)]), whole)
    assert torch.equal(loaded_model().encode_text(captions), usual)  # of a model that draws


def test_numbers_are_passed_over_exactly_and_a_few_at_a_time():
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    torch.rand(3 * 2**20 + 5, dtype=torch.float64, generator=one)
    _pass_over(3 * 2**20 + 5, other, 1)
    assert torch.equal(torch.rand(4, generator=one), torch.rand(4, generator=other))


MEASURE = """
import json, resource, sys
from pathlib import Path
from dalle_edu.train.run import train_part
job = json.loads(sys.argv[1])
for until in (2, None):
    train_part("dvae", job["config"], Path(job["out"]), [job["source"]], until is None, False, until)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_training_on_more_than_its_bound_takes_no_more_memory_than_its_first_steps(tmp_path):
    """150 MB of noise, which PNG cannot pack, and at most 32 pictures, 12 MB, waiting."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "shards"
    noise = ({"png": noise_png(360, rng), "txt": b"noise"} for _ in range(390))
    write_samples(noise, folder, per_shard=65)
    size = sum(path.stat().st_size for path in folder.iterdir())
    text = TOML.replace(
        "[dvae.training]\nsteps = 6\nbatch_size = 4", "[dvae.training]\nsteps = 140\nbatch_size = 6"
    )
    (tmp_path / "c.toml").write_text(text.replace("checkpoint_every = 2", "checkpoint_every = 200", 1))
    source = {"kind": "shards", "path": f"{folder}/*.tar", "buffer": 32}
    job = {"config": str(tmp_path / "c.toml"), "out": str(tmp_path / "model"), "source": source}
    command = [sys.executable, "-c", MEASURE, json.dumps(job)]
    early, late = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
    read = 140 * 6 / 390
    assert size > 150e6 and read > 2, "the set is larger than the bound, and read to its end"
    assert (late - early) * 1024 < 40e6, (early, late, size)
