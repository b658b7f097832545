"""How each part is trained: what a configuration file says besides the shapes of the models (chapter 10)."""

from __future__ import annotations

from pydantic import Field

from dalle_edu.configs.checked import (
    Count,
    Decay,
    NotNegative,
    Positive,
    Share,
    Switch,
    Whole,
    checked,
    one_of,
)
from dalle_edu.errors import ReaderError


@checked("training")
class TrainingConfig:
    """How one model is trained.

    `learning_rate` is reached after `warmup` steps and falls along a cosine to `final_learning_rate` at
    `steps`. `weight_average` is the decay of an exponential moving average of the weights (0: none; the
    paper: 0.999 for the dVAE, A.2). `precision` is "float32" or "bfloat16" (autocast). `gradient_clip` bounds
    the gradient's norm (0: no bound). `optimizer` is "adamw" (the paper's) or "muon" (Jordan et al. 2024):
    Muon for the matrices of a transformer's blocks, AdamW for the rest.

    A batch is worked off in `accumulate` pieces, whose gradients add up. With `recompute` a transformer's
    blocks keep only their inputs (chapter 14); `compile`: by torch.compile. On several devices, `replicas`
    groups of them hold a whole model each, sharded within the group.

    A checkpoint is written every `checkpoint_every` steps; `asynchronous`: while training goes on, for as
    much memory more as it has bytes. The last `keep_last` are kept, and each whose step is a multiple of
    `keep_every` (0: none). To go back to one, copy its checkpoint.json over the one beside its folder.
    """

    steps: Count
    batch_size: Count
    learning_rate: NotNegative
    final_learning_rate: NotNegative = 0.0
    warmup: Whole = 0
    weight_decay: NotNegative = 0.0
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    gradient_clip: NotNegative = 0.0
    weight_average: Decay = 0.0
    precision: one_of("float32", "bfloat16") = "float32"
    optimizer: one_of("adamw", "muon") = "adamw"
    checkpoint_every: Count = 200
    seed: Whole = 0
    accumulate: Count = 1
    recompute: Switch = False
    compile: Switch = False
    replicas: Count = 1
    asynchronous: Switch = False
    keep_last: Count = 1
    keep_every: Whole = 0

    def __post_init__(self):
        if self.batch_size % self.accumulate:
            raise ReaderError(
                f"batch_size {self.batch_size} is no multiple of accumulate {self.accumulate}: a batch is "
                "worked off in pieces of one size."
            )
        if self.warmup > self.steps:
            raise ReaderError(
                f"warmup is {self.warmup}, longer than the {self.steps} steps of the training: shorten it."
            )


@checked("dvae.schedule")
class Schedule:
    """The dVAE's two annealed dials (A.2): temperature along a cosine, KL weight along a cosine from zero."""

    temperature_start: Positive = 1.0
    temperature_end: Positive = 1 / 16
    temperature_steps: Whole = 150_000
    kl_weight: NotNegative = 6.6
    kl_steps: Whole = 5_000


@checked("dvae")
class DvaeRecipe:
    """The dVAE looks at squares of `crop` pixels (0: whole pictures); `varied`: at any
    alignment, mirrored and scaled (`data/vary.py`), else at the corners of its grid. Out of shards
    it always gets the paper's random squares (`data/readers.py`), and of these squares of `crop`."""

    crop: Whole = 0
    varied: Switch = False
    schedule: Schedule = Field(default_factory=Schedule)


@checked("clip")
class ClipRecipe:
    """CLIP looks at pictures moved by up to `shift` pixels, the share `together` of a batch from
    one source and there each with the `near` ones in words, with `spoilt` copies as wrong answers
    (`data/augment.py`). Of streamed pairs, which pass by once, all are random."""

    shift: Whole = 0
    together: Share = 0.0
    near: Whole = 0
    spoilt: Switch = False


@checked("dalle")
class DalleRecipe:
    """With `appearance` the transformer learns a code's embedding from what the code looks like
    (`appearance.py`); it sees up to the share `noise` of a picture's tokens wrongly (`with_noise`);
    the share `caption_dropout` of pictures comes without its caption (`without_some_captions`). Captions are
    spelled with the chance `bpe_dropout` that a join of word pieces is left out (the paper: 0.1)."""

    appearance: Switch = False
    noise: Share = 0.0
    caption_dropout: Share = 0.0
    bpe_dropout: Share = 0.0
