"""Figures of the book: static ones, and explorers that a reader can touch.

Every name is fetched from its own file when it is first asked for, so that one explorer does not import all
others and `import dalle_edu` does not import matplotlib. A new explorer lives in a file of its own and
adds its line to `_HOMES`.
"""

from importlib import import_module

_HOMES = {
    # name: the file of this folder that defines it
    "show": "figures",
    "figure_texts": "figures",
    "COLOURS": "figures",
    "picture_grid": "figures",
    "Explorer": "explorer",
    "picture_uri": "explorer",
    "attention_explorer": "attention",
    "attention_weights": "attention",
    "best_of_explorer": "best_of",
    "budget_explorer": "budget",
    "plot_budget": "budget",
    "plot_best_of": "best_of",
    "plot_similarity": "similarity",
    "similarity_explorer": "similarity",
    "plot_attention": "attention",
    "dials_explorer": "dials",
    "plot_dials": "dials",
    "next_token_step": "one_step",
    "plot_candidates": "one_step",
    "plot_logits": "one_step",
    "plot_one_step": "one_step",
    "PromptBox": "prompt_box",
    "film_explorer": "film",
    "film_strip": "film",
    "plot_history": "curves",
    "plot_scaling": "scaling",
    "scaling_explorer": "scaling",
    "plot_token_losses": "token_loss",
    "token_loss_explorer": "token_loss",
    "token_losses": "token_loss",
    "latent_explorer": "latent",
    "plot_codes": "latent",
    "plot_latent_map": "latent",
    "plot_map": "map",
    "plot_residual_block": "block",
    "plot_autoencoder": "schematics",
    "plot_convolution": "schematics",
    "plot_elbo": "schematics",
    "plot_dvae_block": "schematics",
    "mask_explorer": "masks",
    "plot_keys": "masks",
    "plot_mask": "masks",
    "rewrite_explorer": "rewriting",
    "branch_gradients": "scales",
    "plot_lost": "scales",
    "scale_explorer": "scales",
    "computed_pairs": "tiles",
    "plot_tiles": "tiles",
    "tile_explorer": "tiles",
    "plot_pieces": "stream",
    "plot_stream": "stream",
    "stream_explorer": "stream",
    "stream_typing": "stream",
    "simplex_plot": "simplex",
    "simplex_explorer": "simplex",
    "codebook_usage": "codebook",
    "perplexity": "codebook",
    "plot_usage": "codebook",
    "plot_perplexity": "codebook",
    "dead_code_report": "codebook",
    "code_pictures": "codebook",
    "code_gallery": "codebook",
    "plot_code_locations": "codebook",
    "nearest_codes": "codebook",
    "plot_nearest_codes": "codebook",
    "codebook_explorer": "codebook",
    "Case": "abilities",
    "ability_explorer": "abilities",
    "convolution_explorer": "convolution",
    "gaussian_explorer": "gaussian",
    "gumbel_race_explorer": "gumbel_race",
    "interval_explorer": "intervals",
    "merge_explorer": "merges",
    "nearest_code_explorer": "nearest",
    "rate_explorer": "rates",
    "schedule_explorer": "schedule",
    "word_attention_explorer": "six_words",
    "examine": "abilities",
    "plot_abilities": "abilities",
    "plot_case": "abilities",
    "plot_firsts": "abilities",
    "plot_properties": "abilities",
    "verdict_words": "abilities",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"dalle_edu.explore has no {name!r}; it has: {', '.join(sorted(_HOMES))}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
