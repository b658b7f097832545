"""The `dalle-edu` command: draw, train, evaluate, info, doctor, course, book.

Torch is imported only where it is used.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated

import typer

from dalle_edu.errors import ReaderError, ReaderWarning

app = typer.Typer(
    help="DALL·E 1 to read, run and look into: draw a sentence, train a model, open the book.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str, typer.Option("--model", help="A shipped model's name, or a folder that `train` wrote.")
]


def a_path(text: str | Path) -> Path:
    """A path that a reader typed: `~` is the home folder, and nothing is no path (a shell's variable that was
    never set, most often), not the folder in which one stands."""
    from dalle_edu.files import readers_path

    if not str(text).strip():
        raise typer.BadParameter("it is empty; name a file or a folder ('.' for this one)")
    return readers_path(text)


def path_option(help: str):
    """A typer option that takes a path."""
    return typer.Option(help=help, parser=a_path, metavar="PATH")


def path_argument(help: str):
    """A typer argument that takes a path."""
    return typer.Argument(help=help, parser=a_path)


MODELS_OWN = " \\[default: the model's]"
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        help="Above 1: closer to the caption; for models trained with caption_dropout." + MODELS_OWN
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="How many cores share the work (DALLE_EDU_WORKERS says so for every command)."),
]


@app.command()
def draw(
    prompt: Annotated[str, typer.Argument(help="What the picture should show, such as 'a red apple'.")],
    samples: Annotated[int, typer.Option(help="How many pictures to draw.")] = 32,
    best: Annotated[int, typer.Option(help="How many of them to show, best first by CLIP.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed draws the same again on the same machine.")] = 0,
    temperature: Annotated[
        float | None, typer.Option(help="Below 1: safer; above 1: wilder." + MODELS_OWN)
    ] = None,
    top_k: Annotated[int, typer.Option(help="Draw each token from the K most probable ones (0: all).")] = 0,
    guidance: GuidanceOption = None,
    model: ModelOption = "picturebook",
    start: Annotated[Path | None, path_option("A picture to begin with.")] = None,
    keep_rows: Annotated[int, typer.Option(help="How many rows of its tokens to keep.")] = 0,
    out: Annotated[Path, path_option("The PNG file to write.")] = Path("drawing.png"),
    workers: WorkersOption = None,
) -> None:
    """Draw pictures for a sentence, ranked by CLIP, into one PNG."""
    _require(best >= 1, f"--best is {best}; at least one picture must be shown.")
    _require(out.suffix.lower() == ".png", f"--out {out} must end in .png.")
    _require(not out.is_dir(), f"--out {out} is a folder: name a file in it.")
    _require(out.parent.is_dir(), f"--out {out}: there is no folder {out.parent}.")
    _require(
        (start is None) == (keep_rows == 0),
        "--start and --keep-rows go together: a picture, and how much of it to keep.",
    )
    from dalle_edu.drawing import load

    loaded = load(model)
    picture = None
    if start is not None:
        from dalle_edu.data.folder import read_picture

        _require(os.path.isfile(start), f"--start {start}: there is no such file.")
        picture = read_picture(start, loaded.config.dvae.image_size)
    dials = {"temperature": temperature, "top_k": top_k, "start": picture, "keep_rows": keep_rows}
    dials["guidance"] = guidance
    try:
        drawing = loaded.draw(_typed(prompt), samples, seed, **dials, progress=True, workers=workers)
    except KeyboardInterrupt:
        print("Stopped before the first pictures were finished; nothing is written.", file=sys.stderr)
        raise typer.Exit(130) from None
    drawing.best(best).save(out, columns=4, scale=4)
    scores = ", ".join(f"{score:.3f}" for score in drawing.scores[:best].tolist())
    count = f"{min(best, len(drawing))} of {len(drawing)}"
    if loaded.clip is None:
        print(f"{out}: the first {count} drawings of {drawing.prompt!r}; the model has no CLIP to rank them")
    else:
        print(f"{out}: the best {count} drawings of {drawing.prompt!r}; CLIP similarity {scores}")


@app.command()
def train(
    part: Annotated[str, typer.Argument(help="dvae, clip or dalle, in this order.")],
    config: Annotated[str, typer.Option(help="A shipped configuration's name, or a TOML file.")],
    out: Annotated[Path, path_option("The folder of the model; all its parts go into one.")],
    data: Annotated[
        list[str] | None, typer.Option(help="emoji, scenes[:FAMILY], folder:PATH or shards:PATH.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    start: Annotated[
        str | None, typer.Option(help="A model, by name or folder, with whose weights this part begins.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
) -> None:
    """Train one part of a model; Ctrl-C stops at a checkpoint, --resume goes on from it."""
    from dalle_edu.data.mixture import parse_data
    from dalle_edu.drawing import model_folder
    from dalle_edu.train.folder import Folder
    from dalle_edu.train.run import train_part

    _require(out.is_dir() or not out.exists(), f"--out {out} is a file: name a folder for the model.")
    sources = [parse_data(text) for text in data] if data else None
    try:
        begun = model_folder(start) if start is not None else None
        weights = train_part(part, config, out, sources, resume, device=_use_device(device), start=begun)
    except KeyboardInterrupt:
        # Ctrl-C may come before there is a checkpoint: while pictures are read, for one.
        if Folder(out).checkpoint(part).is_file():
            print(
                f"Stopped. The checkpoint in {out} is whole: add --resume to go on from it.", file=sys.stderr
            )
        else:
            print("Stopped before the first checkpoint: start again without --resume.", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"{weights} is trained.")


@app.command()
def evaluate(
    model: ModelOption = "picturebook",
    out: Annotated[Path | None, path_option("A JSON file for the figures.")] = None,
    samples: Annotated[int, typer.Option(help="Captions of each family to draw.")] = 64,
    best: Annotated[
        str, typer.Option(help="Best of how many samples: 8,64:16 is best of 8, and of 64 for 16 captions.")
    ] = "8,64:16",
    seed: Annotated[int, typer.Option(help="The same seed measures the same figures.")] = 0,
    guidance: GuidanceOption = None,
    workers: WorkersOption = None,
) -> None:
    """Measure a model: dVAE, CLIP, copies, and drawings of held-out captions, read by judges."""
    _require(samples >= 1, f"--samples is {samples}; at least one is needed.")
    _require(0 <= seed < 2**63, f"--seed is {seed}; it must be a whole number from 0 to 2**63 - 1.")
    _require(out is None or not out.is_dir(), f"--out {out} is a folder: name a file in it.")
    _require(out is None or out.parent.is_dir(), f"--out {out}: there is no folder {out and out.parent}.")
    from dalle_edu.drawing import load
    from dalle_edu.evaluate.figures import evaluate as measure
    from dalle_edu.evaluate.figures import parse_best, table, write

    parse_best(best)
    dials = {"samples": samples, "seed": seed, "best": best, "guidance": guidance}
    figures = measure(load(model), **dials, progress=True, workers=workers)
    print(table(figures))
    if out is not None:
        write(figures, out)


@app.command()
def info(
    config: Annotated[str, typer.Argument(help="A shipped configuration's name, or a TOML file.")],
    devices: Annotated[
        int | None, typer.Option(help="Say also what each of so many devices holds, computes and sends.")
    ] = None,
    memory: Annotated[str, typer.Option(help="Memory of a device, such as 80GB.")] = "80GB",
    speed: Annotated[float, typer.Option(help="TFLOPs a second that a device reaches.")] = 400.0,
    network: Annotated[float, typer.Option(help="GB a second between devices.")] = 50.0,
    price: Annotated[float, typer.Option(help="Dollars an hour of one device.")] = 2.5,
) -> None:
    """Parameters, memory, arithmetic, cost of a configuration, a line a part. Builds nothing."""
    from dalle_edu.configs import read_config
    from dalle_edu.scale import table

    print(table(read_config(config)))
    if devices is not None:
        from dalle_edu.machine.budget import budget_table

        print(budget_table(read_config(config), devices, memory, speed, network, price))


shards = typer.Typer(help="Pictures as tar files, for what fits no memory.")
app.add_typer(shards, name="shards")


@shards.command("make")
def make(
    source: Annotated[str, typer.Argument(help="A folder, a CSV or JSONL table, emoji, scenes[:FAMILY].")],
    out: Annotated[Path, path_argument("The folder for the shards; it must hold none yet.")],
    tokens: Annotated[
        str | None, typer.Option(help="Write tokens of this model's dVAE in place of pictures.")
    ] = None,
    per_shard: Annotated[int, typer.Option(help="Pictures a shard.")] = 1000,
    length: Annotated[int, typer.Option(help="How many scenes or things to draw.")] = 10_000,
    size: Annotated[int, typer.Option(help="Pixels of what is drawn: emoji, scenes, things.")] = 64,
) -> None:
    """Write captioned pictures as shards that training streams: --data 'shards:OUT/*.tar'."""
    _require(not out.exists() or out.is_dir(), f"{out} is a file: name a folder for the shards.")
    from dalle_edu.data.make_shards import make_shards

    made = make_shards(source, out, per_shard, length, size, tokens)
    broken = f", {len(made.broken)} left out" if made.broken else ""
    print(f"{out}: {made.samples:,} pictures in {len(made.paths)} shards{broken}")


@shards.callback()
def _shards() -> None:
    """Pictures as tar files, for what fits no memory."""


@app.command()
def doctor() -> None:
    """Say what this machine is, how fast, what chapters and commands take on it, and what to change."""
    from rich.console import Console

    from dalle_edu.machine.doctor import examine

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    examine(console.print)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A shipped model's name, or a folder that `train` wrote.")],
    out: Annotated[Path, path_argument("The folder for the page.")],
) -> None:
    """Write a model as a web page that draws, with a server or without: open its index.html."""
    from dalle_edu.drawing import load
    from dalle_edu.page.export import export as write

    write(load(model), out)
    print(f"The page is at {out / 'index.html'}")


@app.command()
def course(
    out: Annotated[Path, path_argument("The folder to make; it must not hold anything yet.")],
    solutions: Annotated[
        bool, typer.Option("--solutions", help="Add a folder for the teacher: grader, solutions, exam.")
    ] = False,
    handouts: Annotated[
        bool, typer.Option("--handouts", help="Print the slides into PDFs, too (by Chromium or Chrome).")
    ] = False,
) -> None:
    """Make a course of the book: notebooks, assignments with points, slides; with --solutions the rest."""
    from dalle_edu.course.make import make_course

    print(f"The course is at {make_course(out, solutions, handouts, print)}")


@app.command()
def lab() -> None:
    """Open the book in JupyterLab."""
    from dalle_edu.publish.book import lab as open_lab

    open_lab()


@app.command()
def book(
    run: Annotated[bool, typer.Option("--run", help="Run every chapter first.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print it into one PDF instead of a site.")] = False,
    epub: Annotated[bool, typer.Option("--epub", help="Make one EPUB instead of a site.")] = False,
) -> None:
    """Build the book as a site, from stored outputs or after running every chapter; or as one file."""
    from dalle_edu.publish.book import build

    _require(pdf + epub + run <= 1, "--run, --pdf and --epub go one at a time.")
    print(f"The book is at {build(run, 'pdf' if pdf else 'epub' if epub else 'html')}")


def _typed(text: str) -> str:
    """What a reader typed, where Python took the bytes of an argument for another encoding (LANG=C)."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ReaderError(sentence)


def _use_device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        sentence = f"--device {name} cannot be used here ({error}): leave it out to train on the CPU."
        raise ReaderError(sentence) from error
    return name


# What typer raises for a command line that it cannot read (its own click, or the real one).
_USAGE_ERROR = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main(arguments: list[str] | None = None) -> None:
    """The entry point: whatever the reader can mend becomes one line on standard error and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal of code page 1252 cannot spell every prompt
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ReaderWarning)
            warnings.showwarning = _one_line
            code = app(arguments or ["--help"], prog_name="dalle-edu", standalone_mode=False)
        raise SystemExit(code)
    except ReaderError as error:
        sentence = str(error)
    except _USAGE_ERROR as error:
        said = error.format_message()
        sentence = f"{said}{'' if said.endswith(('.', '?')) else '.'} See {_help_command(error)}."
    except OSError as error:  # a full disk, a folder that may not be written to
        if isinstance(error, BrokenPipeError):  # whoever read the output has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        sentence = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    except (KeyboardInterrupt, typer.Abort):
        _say("Stopped.")
        raise SystemExit(130) from None
    except MemoryError as error:
        sentence = (
            f"The memory of this machine does not suffice ({error or 'no more is free'}): ask for less."
        )
    except Exception as error:
        if os.environ.get("DALLE_EDU_TRACEBACK"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        _say(
            f"A mistake in dalle_edu, not yours: {type(error).__name__}: {error} "
            f"({Path(place.filename).name}, line {place.lineno}). Please report it; with "
            "DALLE_EDU_TRACEBACK=1 set, all of it is shown."
        )
        raise SystemExit(1) from error
    _say(sentence)
    raise SystemExit(2)


def _say(sentence: str) -> None:
    print("dalle-edu:", " ".join(sentence.split()), file=sys.stderr)


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    """Warnings for the reader as one line; those that
    libraries give to programmers are not for a command line."""
    if issubclass(category, UserWarning) and (
        category is ReaderWarning or f"{os.sep}dalle_edu{os.sep}" in filename or filename == __file__
    ):
        _say(str(message))


def _help_command(error) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'dalle-edu'} --help"


if __name__ == "__main__":
    main()
