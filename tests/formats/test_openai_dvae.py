"""OpenAI's published dVAE: the same numbers as the package `dall_e`, and no file that runs anything."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig, map_pixels, unmap_pixels
from dalle_edu.errors import ReaderError
from dalle_edu.formats.openai_dvae import load_published, our_name, published_name, read_published

WHY = "the package dall_e is not installed; `pip install -c constraints.txt dall-e==0.1` brings the reference"
SMALL = DiscreteVAEConfig(image_size=32, vocabulary=512, hidden=64, decoder_input=16)


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("dall_e", reason=WHY)


def small_pair(reference, seed=0):
    torch.manual_seed(seed)
    encoder = reference.Encoder(n_hid=64, vocab_size=512)
    decoder = reference.Decoder(n_hid=64, n_init=16, vocab_size=512)
    for half in (encoder, decoder):
        for name, parameter in half.named_parameters():
            if name.endswith(".b"):  # biases start at zero, where a forgotten one would not be noticed
                torch.nn.init.normal_(parameter, std=0.3)
    return encoder, decoder


def saved(halves, folder, **options):
    paths = []
    for half, name in zip(halves, ("encoder.pkl", "decoder.pkl"), strict=True):
        torch.save(half, folder / name, **options)
        paths.append(folder / name)
    return paths


def pictures(size=32, count=2, seed=1):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def agree(model, encoder, decoder, images):
    with torch.no_grad():
        wanted = encoder(map_pixels(images))
        assert (model.logits(images) - wanted).abs().max() < 1e-5
        codes = (wanted / 0.5).softmax(1)
        mu, ln_b = model.statistics(codes)
        theirs = decoder(codes)
        assert (torch.cat([mu, ln_b], 1) - theirs).abs().max() < 1e-5
        one_hot = torch.nn.functional.one_hot(wanted.argmax(1), wanted.shape[1]).permute(0, 3, 1, 2).float()
        from dall_e import unmap_pixels as unmap

        theirs = unmap(torch.sigmoid(decoder(one_hot)[:, :3]))
        assert (model.decode(model.encode(images)) - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older file"])
def test_whole_modules_give_the_outputs_of_the_package_that_saved_them(reference, tmp_path, zipped):
    encoder, decoder = small_pair(reference)
    paths = saved((encoder, decoder), tmp_path, _use_new_zipfile_serialization=zipped)
    agree(load_published(*paths, SMALL), encoder, decoder, pictures())


def test_at_full_size_97_million_weights_give_the_same_outputs(reference, tmp_path):
    torch.manual_seed(0)
    encoder, decoder = reference.Encoder(), reference.Decoder()
    model = load_published(*saved((encoder, decoder), tmp_path))
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for half in (encoder, decoder) for p in half.parameters()
    )
    assert model.config.grid == (32, 32)
    agree(model, encoder, decoder, pictures(size=32, count=1))


def test_the_pixel_mapping_is_theirs(reference):
    images = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    assert torch.equal(map_pixels(images), reference.map_pixels(images))
    beyond = images * 1.4 - 0.2
    assert (unmap_pixels(beyond) - reference.unmap_pixels(beyond)).abs().max() < 1e-6


@pytest.mark.parametrize("names", ["theirs", "ours"])
@pytest.mark.parametrize("kind", ["pkl", "safetensors"])
def test_state_dicts_and_safetensors_load_as_well(tmp_path, names, kind):
    torch.manual_seed(0)
    model = DiscreteVAE(SMALL)
    paths = []
    for half in ("encoder", "decoder"):
        state = getattr(model, half).state_dict()
        if names == "theirs":
            state = {published_name(name): tensor for name, tensor in state.items()}
        path = tmp_path / f"{half}.{kind}"
        (torch.save if kind == "pkl" else save_file)(state, path)
        paths.append(path)
    loaded = load_published(*paths, SMALL)
    assert torch.equal(loaded.encode(pictures()), model.encode(pictures()))


def test_half_precision_files_become_float32(tmp_path):
    model = DiscreteVAE(SMALL)
    torch.save({n: t.half() for n, t in model.encoder.state_dict().items()}, tmp_path / "encoder.pt")
    assert {t.dtype for t in read_published(tmp_path / "encoder.pt").values()} == {torch.float32}


def test_names_are_translated_both_ways():
    assert (
        our_name("blocks.group_1.block_1.res_path.conv_1.w")
        == "blocks.group_1.block_1.res_path.conv_1.weight"
    )
    assert our_name("blocks.output.conv.b") == "blocks.output.conv.bias"
    for name in DiscreteVAE(SMALL).encoder.state_dict():
        assert our_name(published_name(name)) == our_name(name) == name


class RunsOnLoading:
    """Unpickled by an ordinary reader, this writes a file."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def proof(tmp_path):
    return tmp_path / "executed"


def attacks(marker):
    source = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": RunsOnLoading(os.system, f"touch '{marker}'"),
        "exec": RunsOnLoading(exec, source),
        "eval": RunsOnLoading(eval, source),
        "open": RunsOnLoading(open, str(marker), "w"),
        "subprocess": RunsOnLoading(subprocess.call, [sys.executable, "-c", source]),
        "inside a state dict": {"blocks.input.w": torch.zeros(1), "note": RunsOnLoading(exec, source)},
        "torch.load within": RunsOnLoading(torch.load, str(marker)),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older file"])
@pytest.mark.parametrize("attack", attacks("x"))
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path, attack, zipped):
    marker = proof(tmp_path)
    path = tmp_path / "encoder.pkl"
    torch.save(attacks(marker)[attack], path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ReaderError, match="nothing in it was executed") as error:
        read_published(path)
    assert not marker.exists()
    assert "\n" not in str(error.value) and "weights_only=False" not in str(error.value)


def test_the_attacks_of_these_tests_are_real(tmp_path):
    path = tmp_path / "encoder.pkl"
    torch.save(attacks(proof(tmp_path))["exec"], path)
    torch.load(path, weights_only=False)
    assert proof(tmp_path).exists()


def test_a_bare_pickle_is_refused_and_runs_nothing(tmp_path):
    path = tmp_path / "encoder.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(attacks(proof(tmp_path))["exec"], protocol))
        with pytest.raises(ReaderError):
            read_published(path)
        assert not proof(tmp_path).exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older file"])
def test_a_call_hidden_within_a_published_module_is_refused(reference, tmp_path, zipped):
    encoder, _ = small_pair(reference)
    encoder.blocks.input.extra = RunsOnLoading(exec, f"open({str(proof(tmp_path))!r}, 'w').close()")
    torch.save(encoder, tmp_path / "encoder.pkl", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ReaderError, match="refused"):
        read_published(tmp_path / "encoder.pkl")
    assert not proof(tmp_path).exists()


def test_the_stand_ins_are_gone_afterwards(tmp_path):
    torch.save({"blocks.input.w": torch.zeros(1)}, tmp_path / "a.pt")
    before = set(map(str, torch.serialization.get_safe_globals()))
    read_published(tmp_path / "a.pt")
    assert set(map(str, torch.serialization.get_safe_globals())) == before


def test_parts_that_contain_one_another_end(reference, tmp_path):
    encoder, _ = small_pair(reference)
    encoder.blocks._modules["again"] = encoder
    torch.save(encoder, tmp_path / "encoder.pkl")
    assert len(read_published(tmp_path / "encoder.pkl")) == len(dict(encoder.named_parameters()))


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\x03\x04 cut", b"\x80\x02]q\x00."])
def test_a_damaged_file_is_one_clear_sentence(tmp_path, content):
    path = tmp_path / "encoder.pkl"
    path.write_bytes(content)
    with pytest.raises(ReaderError, match="encoder.pkl"):
        read_published(path)


def test_a_file_that_is_cut_short_is_one_clear_sentence(tmp_path):
    path = tmp_path / "encoder.pkl"
    torch.save(DiscreteVAE(SMALL).encoder.state_dict(), path)
    whole = path.read_bytes()
    for length in (10, 1000, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        with pytest.raises(ReaderError, match="encoder.pkl"):
            read_published(path)


def test_a_missing_file_and_one_of_another_size_are_clear_sentences(tmp_path):
    with pytest.raises(ReaderError, match="no file"):
        read_published(tmp_path / "encoder.pkl")
    model = DiscreteVAE(SMALL)
    for half in ("encoder", "decoder"):
        torch.save(getattr(model, half).state_dict(), tmp_path / f"{half}.pkl")
    with pytest.raises(ReaderError, match=r"not the encoder of this architecture: .*should be"):
        load_published(tmp_path / "encoder.pkl", tmp_path / "decoder.pkl")
    with pytest.raises(ReaderError, match="not the encoder"):
        load_published(tmp_path / "decoder.pkl", tmp_path / "encoder.pkl", SMALL)
