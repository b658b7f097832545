"""Pictures made on demand from a seed, with their captions and their ground truth kept (chapter 13).

`drawing` holds what is painted with; `flat`, `posed` and `context` hold the families, `wording` their words,
`dataset` the data set.
"""

from dalle_edu.data.scenes.dataset import FAMILIES, Scenes, caption, captions

__all__ = ["FAMILIES", "Scenes", "caption", "captions"]
