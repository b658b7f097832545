"""The dials of chapter 11 in a real browser calculate what `adjust_logits` calculates."""

import json
import re

import pytest
import torch
from toy import loaded_model

from dalle_edu.explore import dials_explorer
from dalle_edu.sampling import adjust_logits

STEPS = [0, 1, 2, 3, 5, 8, 12, 20, 32, 64, 128, 256]  # of the slider for top-k


@pytest.mark.parametrize(
    "temperature, k_step, top_p", [(1.0, 0, 1.0), (0.5, 4, 1.0), (1.5, 0, 0.6), (0.7, 6, 0.8)]
)
def test_the_dials_calculate_what_the_module_calculates(browser, tmp_path, temperature, k_step, top_p):
    explorer = dials_explorer(loaded_model(), "a red circle", torch.arange(16), [3, 9])
    html = explorer._repr_html_()
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'><body>{html}", encoding="utf-8")
    browser.open(path.as_uri())
    browser.value(f"""(function () {{
      var choice = document.querySelector('select'), sliders = document.querySelectorAll('input[type=range]');
      choice.value = 1; choice.dispatchEvent(new Event('change'));
      [{temperature * 100}, {k_step}, {top_p * 100}].forEach(function (v, i) {{
        sliders[i].value = v; sliders[i].dispatchEvent(new Event('input')); }});
      document.querySelector('button').click(); }})()""")
    says = browser.value("document.querySelector('.says').textContent")
    row = json.loads(re.search(r'class="data">(.*?)</script>', html, re.S).group(1))["logits"][1]
    wanted = adjust_logits(torch.tensor(row).double() / 100, temperature, STEPS[k_step], top_p)
    shares = wanted.softmax(0)
    entropy = -(shares * shares.clamp_min(1e-12).log2()).sum()
    assert says.startswith(f"Kept: {int(wanted.isfinite().sum())} of 32 codes."), says
    assert f"has {100 * float(shares.max()):.1f} %" in says and f"Entropy: {float(entropy):.2f} bits" in says
    drawn = int(re.search(r"(\d+) different", says).group(1))
    assert 1 <= drawn <= int(wanted.isfinite().sum())
    assert browser.errors == []
