"""The figures of `dalle-edu evaluate` as text, every rate with its interval (chapter 13)."""

from __future__ import annotations

import math

from dalle_edu.machine.columns import columns


def wilson(right: float, of: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate, `right` out of `of` (Wilson 1927): honest near 0 and 1, too."""
    z, p = 1.96, right / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def rate(counts: list[int]) -> str:
    """[right, of] -> "71% (51-85)": the rate and its 95 % interval, in percent; "-" where none was read, as
    there is no other caption to take chance from when there is only one."""
    if not counts[1]:
        return "-"
    low, high = wilson(*counts)
    return f"{counts[0] / counts[1]:.0%} ({100 * low:.0f}-{100 * high:.0f})"


def interval(shares: list[float]) -> tuple[float, float]:
    """95 % of the mean of one number a caption: the bias-corrected bootstrap over captions; where all are
    right or all wrong, which no resampling can vary, Wilson's interval of so many captions."""
    import numpy as np
    from scipy.stats import bootstrap

    if len(set(shares)) == 1:
        return wilson(sum(shares), len(shares))
    found = bootstrap((np.array(shares),), np.mean, n_resamples=2000, rng=np.random.default_rng(0))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def all_samples(best: dict) -> str:
    """The rate of all that the best was chosen from. Its interval is of captions, whose samples succeed and
    fail together: of the rate itself where a file is too old to say how many each caption had right."""
    if "each" not in best:
        return rate(best["drawn"])
    right, of = best["drawn"]
    low, high = interval([count * len(best["each"]) / of for count in best["each"]])
    return f"{right / of:.0%} ({100 * low:.0f}-{100 * high:.0f})"


def table(figures: dict) -> str:
    """All figures as text, lines of at most 110 characters. In brackets stand 95 % intervals (Wilson)."""
    r = figures["reconstruction"]
    lines = [
        f"dVAE     test emoji {r['emoji_decibels']:.2f} dB, scenes {r['scenes_decibels']:.2f} dB, "
        f"{r['codes_used']:.1%} of codes used, perplexity {r['perplexity_off_background']:.0f} off the ground"
    ]
    if found := figures.get("retrieval"):
        said = ", ".join(f"{name} {rate(counts)}" for name, counts in found.items())
        lines.append(f"CLIP     the right one among {found['emoji'][1]} captions never seen: {said}")
    if found := figures.get("alignment"):
        moved = ", ".join(f"by {most} {value:.1f}" for most, value in found["shifts"].items() if most != "0")
        drawn = [f"{name} {value:.1f}" for name, value in found["renderings"].items() if name != "averaged"]
        lines.append(f"moved    emoji in dB, in pixels: {moved}")
        lines.append(f"drawn    emoji in dB, rendered {', '.join(drawn)}")
    if found := figures.get("known"):
        shares = (
            f"{100 * share:.0f}% ({100 * low:.0f}-{100 * high:.0f})"
            for share, low, high in (found["drawn"], found["ceiling"])
        )
        said = "{} of trained single things are recognised, through the dVAE {}".format(*shares)
        lines.append(f"known    {said} ({found['captions']} captions, {len(found['seeds'])} seeds)")
    run = f"{figures['samples']} captions a family, seed {figures['seed']}, {figures['threads']} threads"
    if figures.get("guidance", 1.0) != 1.0:
        run += f", guidance {figures['guidance']:g}"
    lines += ["", f"held-out captions, right in everything ({run}):"]
    families = figures["families"]
    numbers = list(next(iter(families.values()))["best"]) if families else []
    rows = []
    for name, row in families.items():
        best = [row["best"][n]["right"] for n in numbers]
        single, careful, chance, ceiling = (row[k]["all"] for k in ("single", "careful", "chance", "ceiling"))
        rows.append([name, *map(rate, [single, careful, *best, chance, ceiling])])
    heads = ["", "1 sample", "1, careful", *(f"best of {n}" for n in numbers), "chance", "ceiling"]
    lines.append(columns(heads, rows))
    for n in numbers:
        lines += ["", f"best of {n} by CLIP, beside what it chose from:"]
        best = {name: row["best"][n] for name, row in families.items()}
        rows = [
            [name, str(b["captions"]), all_samples(b), rate(b["right"]), rate(b["possible"])]
            for name, b in best.items()
        ]
        lines.append(columns(["", "captions", "all samples", "chosen", "one is right"], rows))
    lines += ["", "one sample, each property by itself:"]
    rows = []
    for name, row in families.items():
        for key in list(row["single"])[1:]:
            cells = (row[kind].get(key, [0, 0]) for kind in ("single", "careful", "chance", "ceiling"))
            rows.append([f"{name}: {key}", *map(rate, cells)])
    lines.append(columns(["", "1 sample", "1, careful", "chance", "ceiling"], rows))
    if families:
        lines += ["", "energy of fine detail, against real pictures of the same captions:"]
    wide = max(map(len, families), default=0) + 1
    for name, row in families.items():
        real, again, drawn = (row["detail"][key] for key in ("real", "reconstructed", "drawn"))
        lines.append(f"{name:{wide}}reconstructed {again / real:.0%}, drawn {drawn / real:.0%}")
    if found := figures.get("copies"):
        lines += ["", f"copies of training pictures, of {found['samples']} drawings a prompt:"]
        for name, row in found["groups"].items():
            counts = f"same tokens {rate(row['tokens'])}, as near as its reconstruction {rate(row['pixels'])}"
            lines.append(f"{name:26}{counts}")
    if figures.get("interrupted"):
        lines += ["", "Interrupted: what is not in the table was not measured."]
    return "\n".join(lines)
