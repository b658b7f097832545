"""Trains the small networks of chapters 1 to 3 for longer than a chapter can wait, and writes their card.

    OMP_NUM_THREADS=1 python experiments/train_longer.py autoencoder vae vqvae
    python experiments/train_longer.py --card

Each goes to dalle_edu/weights/longer: NAME.safetensors in 16 bits (half the size; what is lost lies below a
hundredth of a decibel, printed), and NAME.json with the curve of its training.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from dalle_edu.autoencoder import Autoencoder, AutoencoderConfig, fit, psnr, reconstruct
from dalle_edu.data import EmojiPictures
from dalle_edu.machine.processor import machine
from dalle_edu.train.loop import load_weights, write_tensors, write_text
from dalle_edu.vae import VariationalAutoencoder, gaussian_kl
from dalle_edu.vqvae import VQVAE, VQVAEConfig, codebook_usage, perplexity

FOLDER = Path(__file__).resolve().parents[1] / "dalle_edu" / "weights" / "longer"
BATCH, SEED = 64, 0


def autoencoder(mean):
    return Autoencoder(AutoencoderConfig(latent_size=32, hidden=(128,)), mean)


def vae(mean):
    return VariationalAutoencoder(AutoencoderConfig(latent_size=16, hidden=(128,)), mean, beta=10)


def vqvae(mean):
    return VQVAE(VQVAEConfig(width=64, blocks=2, vocabulary=256, code_width=16, sigma=0.5, decay=0.95))


# name: the model, its steps, its learning rate at the start, what the card says of it
NETWORKS = {
    "autoencoder": (autoencoder, 6000, 3e-3, "chapter 1: 32 numbers, one hidden layer of 128"),
    "vae": (vae, 6000, 3e-3, "chapter 2: 16 latent numbers, one hidden layer of 128, beta 10, sigma 0.3"),
    "vqvae": (vqvae, 2500, 3e-3, "chapter 3: 8 x 8 tokens of 256, width 64, 2 blocks"),
}


def measure(model, trained_on, unseen) -> dict[str, float]:
    """What the chapters draw over the steps: PSNR in dB, and what a picture costs or how codes are used."""
    training, model = model.training, model.eval()
    row = {
        "trained_on": psnr(trained_on, reconstruct(model, trained_on)).mean().item(),
        "unseen": psnr(unseen, reconstruct(model, unseen)).mean().item(),
    }
    if isinstance(model, VariationalAutoencoder):
        with torch.no_grad():
            row["nats"] = gaussian_kl(*model.encode(unseen)).sum(1).mean().item()
    if isinstance(model, VQVAE):
        row["perplexity"] = perplexity(codebook_usage(model.encode(unseen), model.config.vocabulary))
    model.train(training)
    return row


def train(name: str) -> None:
    """Trains one network and writes its weights and its curve; prints what storing in 16 bits costs."""
    make, steps, learning_rate, _ = NETWORKS[name]
    pictures, unseen = EmojiPictures(32).pictures, EmojiPictures(32, "validation").pictures
    torch.manual_seed(SEED)
    model = make(pictures.mean(dim=0))
    curve, started = [], time.perf_counter()
    marks = {
        round(steps * share) for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    }

    def loss(model, batch, step):
        if step in marks:
            curve.append({"step": step, **measure(model, pictures[::7], unseen)})
        return model.loss(batch)

    fit(model, pictures, steps, BATCH, learning_rate, SEED, loss)
    curve.append({"step": steps, **measure(model, pictures[::7], unseen)})
    seconds = time.perf_counter() - started
    path = FOLDER / f"{name}.safetensors"
    write_tensors(path, {key: value.half() for key, value in model.state_dict().items()})
    stored = measure(load_weights(make(pictures.mean(dim=0)), path), pictures[::7], unseen)
    lost = curve[-1]["unseen"] - stored["unseen"]
    about = {
        "steps": steps,
        "batch": BATCH,
        "learning_rate": learning_rate,
        "seed": SEED,
        "seconds": round(seconds),
    }
    about |= {
        "machine": machine(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "lost_in_16_bits": lost,
        "curve": curve,
    }
    write_text(FOLDER / f"{name}.json", json.dumps(about, indent=1) + "\n")
    print(f"{name}: {stored['unseen']:.2f} dB on unseen pictures, {lost:.4f} dB lost, {seconds:.0f} s")


CARD = """# Model card: `longer`

Small networks of the first chapters, trained for longer than a chapter can wait, to be compared with those
that a reader trains in seconds: the same architecture, the same pictures, the same loss, only more steps.
Load one as its chapter does, with `load_weights(model, "dalle_edu/weights/longer/NAME.safetensors")`.

{table}

Data: `EmojiPictures(32)` (OpenMoji drawings), split "train"; "unseen" is its split "validation". Adam, the
rate falling to zero along half a cosine (`dalle_edu.autoencoder.fit`). Machine: {machine}; the minutes are
those of the clock while it did other work. Stored in 16 bits, which costs at most {lost:.3f} dB. The curves
over the steps lie beside the weights, `NAME.json`. The commands:

```bash
OMP_NUM_THREADS=1 python experiments/train_longer.py {names}
python experiments/train_longer.py --card
```

They know small emoji and nothing else, and are for learning only. {licence} The weights and what they draw
are shared under the same licence.
"""
HEAD = (
    "file",
    "what it is",
    "parameters",
    "kB",
    "steps",
    "batch",
    "rate",
    "seed",
    "minutes",
    "trained on",
    "unseen",
)


def card() -> None:
    """Writes README.md from what the trainings stored."""
    rows, machines, lost = [], [], []
    for name, (_, _, _, text) in NETWORKS.items():
        about = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        last, size = about["curve"][-1], (FOLDER / f"{name}.safetensors").stat().st_size / 1000
        parts = [
            f"{name}.safetensors",
            text,
            f"{about['parameters']:,}",
            f"{size:,.0f}",
            f"{about['steps']:,}",
        ]
        parts += [f"{about['batch']}", f"{about['learning_rate']:g}", f"{about['seed']}"]
        parts += [f"{about['seconds'] / 60:.1f}", f"{last['trained_on']:.1f} dB", f"{last['unseen']:.1f} dB"]
        rows.append(parts)
        machines.append(about["machine"])
        lost.append(about["lost_in_16_bits"])
    text = CARD.format(
        table="\n".join("| " + " | ".join(row) + " |" for row in [HEAD, ["---"] * len(HEAD), *rows]),
        machine="; ".join(sorted(set(machines))),
        lost=max(lost),
        names=" ".join(NETWORKS),
        licence=EmojiPictures.attribution + ".",
    )
    write_text(FOLDER / "README.md", text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*NETWORKS, []], help="which networks to train")
    parser.add_argument("--card", action="store_true", help="write the card from what is stored")
    chosen = parser.parse_args()
    for name in chosen.names:
        train(name)
    if chosen.card:
        card()


if __name__ == "__main__":
    main()
