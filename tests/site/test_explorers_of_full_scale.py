"""The figures of chapter 14 to touch, in a browser and by keyboard: they say what the module says."""

import torch

from dalle_edu.configs import read_config
from dalle_edu.explore import budget_explorer, scale_explorer
from dalle_edu.explore.budget import CARDS
from dalle_edu.machine.budget import budget

SAYS = "document.querySelector('.says').textContent"


def test_fewer_devices_hold_more_and_computation_binds_again(show):
    paper = read_config("paper-12b")
    (_, speed, network), *_ = CARDS.values()
    browser = show(budget_explorer(paper, 1024))
    browser.value("document.querySelectorAll('input[type=range]')[3].focus()")
    for devices in (1024, 512, 256, 128):
        b = budget(paper, devices, speed, network)
        said = browser.value(SAYS)
        assert f"{b.bytes / 1e9:#.3g} GB on each device, which fits into 16.0 GB" in said
        assert f"{b.binds} binds" in said
        browser.key("ArrowLeft")
    browser.key("ArrowLeft")  # 32 devices
    assert "does not fit into 16.0 GB" in browser.value(SAYS)
    browser.value(
        "(function () { var s = document.querySelector('select'); s.value = 1;"
        "s.dispatchEvent(new Event('change')); })()"
    )
    assert "which fits into 80.0 GB" in browser.value(SAYS)


def test_a_scale_for_each_block_saves_what_one_for_all_cannot(show):
    gradients = [torch.rand(200, generator=torch.Generator().manual_seed(k)) * 2.0**-k for k in (0, 30, 60)]
    browser = show(scale_explorer(gradients, scale=13))
    assert "100 % of block 3 vanish" in browser.value(SAYS)
    browser.value("document.querySelector('input[type=checkbox]').click()")
    said = browser.value(SAYS)
    assert "Scales from 2¹⁶ to 2⁷⁶" in said and "over all blocks 0 % are lost" in said
    assert browser.value("document.querySelector('input[type=range]').disabled")
