"""Python's model with exactly the numbers that the page gets: what differs then is the arithmetic."""

from safetensors.torch import load

from dalle_edu.page.export import weights_file


def with_the_page_s_numbers(model):
    """Gives `model` the numbers that its page gets, in 8 and 16 bits; returns it and the file's bytes."""
    weights = weights_file(model)
    tensors = load(weights)
    for part, module in (("dalle", model.dalle), ("dvae", model.vae), ("clip", model.clip)):
        for name, parameter in module.named_parameters():
            stored = f"{part}.{name.removeprefix('clip.')}"
            values = tensors[stored].float()
            if f"{stored}.scale" in tensors:
                values = (values.flatten(1) * tensors[f"{stored}.scale"][:, None]).view_as(values)
            parameter.data = values
    return model, weights
