"""Checks for the exercises of chapter 10, what training costs."""

import math

import torch

from dalle_edu.exercises import close, exercise, need, need_tensor
from dalle_edu.train import loop as training


def _generator(seed):
    return torch.Generator().manual_seed(seed)


@exercise(without=[training.learning_rate, training.cosine])
def check_rate(rate):
    """`rate(step, peak, final, warmup, steps)`: a line up to `peak`, then a cosine to `final`."""
    for peak, final, warmup, steps in ((2e-3, 2e-5, 150, 1000), (1.0, 0.0, 10, 60), (0.5, 0.1, 0, 40)):
        config = training.TrainingConfig(steps, 1, peak, final, warmup)
        wanted = [training.learning_rate(step, config) for step in range(steps + 1)]
        found = []
        for step in range(steps + 1):
            value = rate(step, peak, final, warmup, steps)
            need(value is not None, "the result is None; does the function end in a return?")
            found.append(float(value))
        if warmup:
            need(found[0] != 0, "step 0 has a rate of 0 and is wasted; the line is (step + 1) / warmup.")
            need(
                all(close(found[s], wanted[s], 1e-9) for s in range(warmup)),
                f"the warm-up is off: step {warmup // 2} should have {wanted[warmup // 2]:.3g}, "
                f"not {found[warmup // 2]:.3g}.",
            )
        early = [training.cosine(step, peak, final, steps) for step in range(steps + 1)]
        need(
            not warmup or not close(found[warmup:], early[warmup:], 1e-6),
            "the cosine is counted from step 0; it begins at its top when the warm-up ends.",
        )
        need(
            final == 0 or close(found[-1], final, 1e-6),
            f"at the end the rate should be final = {final:g}, not {found[-1]:.3g}.",
        )
        middle = (warmup + steps) // 2
        need(
            close(found, wanted, 1e-6),
            f"after the warm-up it is off: step {middle} of {steps} should have {wanted[middle]:.4g}, "
            f"not {found[middle]:.4g}.",
        )
    return "up in a line, down along a cosine."


@exercise(without=[torch.optim.AdamW, torch.optim.Adam])
def check_adamw_step(adamw_step):
    """`adamw_step(w, g, m, v, step, rate, beta_1, beta_2, decay)` -> (w, m, v); `step` counts from 1."""
    rate, beta_1, beta_2, decay = 0.01, 0.9, 0.96, 0.5
    start = torch.randn(5, 3, generator=_generator(0))
    gradients = [torch.randn(5, 3, generator=_generator(seed)) for seed in (1, 2, 3)]

    def by_torch(kind, weight_decay):
        parameter = torch.nn.Parameter(start.clone())
        optimizer = kind([parameter], lr=rate, betas=(beta_1, beta_2), eps=1e-8, weight_decay=weight_decay)
        rows = []
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
            rows.append(parameter.detach().clone())
        return rows

    wanted, inside = by_torch(torch.optim.AdamW, decay), by_torch(torch.optim.Adam, decay)
    plain = by_torch(torch.optim.AdamW, 0.0)
    w, m, v = start.clone(), torch.zeros(5, 3), torch.zeros(5, 3)
    for step, gradient in enumerate(gradients, start=1):
        answer = adamw_step(w.clone(), gradient.clone(), m, v, step, rate, beta_1, beta_2, decay)
        need(isinstance(answer, tuple) and len(answer) == 3, "three tensors should come back: w, m, v.")
        w, m_new, v_new = answer
        need_tensor(w, (5, 3), "w")
        need(
            close(m_new, beta_1 * m + (1 - beta_1) * gradient) or close(w, inside[step - 1]),
            "m should be beta_1 of the old m and 1 - beta_1 of the gradient, uncorrected.",
        )
        need(
            close(v_new, beta_2 * v + (1 - beta_2) * gradient**2) or close(w, inside[step - 1]),
            "v should be beta_2 of the old v and 1 - beta_2 of the gradient's square, uncorrected.",
        )
        m, v = m_new, v_new
        if step == 1:
            uncorrected = start * (1 - rate * decay) - rate * m / (v.sqrt() + 1e-8)
            need(
                not close(w, uncorrected),
                "m and v start at zero and are too small at first: divide by 1 - beta**step.",
            )
            need(
                not close(w, plain[0] - decay * start),
                "the decay is not multiplied by the learning rate; it should be rate * decay * w.",
            )
            need(not close(w, plain[0]), "the weight decay is missing.")
        need(
            not close(w, inside[step - 1]),
            "the decay went into the gradient, and is divided by sqrt(v) with it: that is Adam with L2; "
            "AdamW takes it off the weights directly.",
        )
        need(
            close(w, wanted[step - 1]),
            f"after step {step} the weights differ from torch.optim.AdamW's by up to "
            f"{(w - wanted[step - 1]).abs().max():.2g}.",
        )
    return "the same weights as torch.optim.AdamW's, three steps long."


@exercise
def check_next_scale(next_scale):
    """`next_scale(scale, finite, since)`: the gradient scale after an update, for one worker (appendix D).

    `finite`: were all gradients finite? `since`: how many updates ago the scale was last lowered.
    """
    grow = 2 ** (1 / 1000)
    for scale in (2.0**13, 1000.0, 2.0**20):
        up, down = float(next_scale(scale, True, 500)), float(next_scale(scale, False, 500))
        need(up > scale, "after a good update the scale should grow a little.")
        need(not math.isclose(up, 2 * scale), "it doubles in one update; it should take a thousand of them.")
        need(
            math.isclose(up, scale * grow, rel_tol=1e-9),
            f"a good update should multiply it by {grow:.5f}, 2^(1/1000).",
        )
        need(down < scale, "a gradient that is not finite should lower the scale.")
        need(not math.isclose(down, scale / 2), "it is halved; the paper divides by the square root of 2.")
        need(
            math.isclose(down, scale / math.sqrt(2), rel_tol=1e-9),
            "not finite: divide by the square root of 2.",
        )
        need(
            math.isclose(float(next_scale(scale, False, 60)), scale, rel_tol=1e-9),
            "it was lowered 60 updates ago: within 125 it is not lowered again, and stays.",
        )
        need(
            float(next_scale(scale, True, 60)) > scale,
            "within the 125 updates a good one still makes it grow.",
        )
    need(float(next_scale(2.0**24, True, 500)) == 2.0**24, "it may not grow beyond 2^24.")
    need(float(next_scale(2.0**7, False, 500)) == 2.0**7, "it may not fall below 2^7.")
    return "it creeps up until something overflows, steps back, and waits."


@exercise
def check_compress(compress):
    """`compress(gradient, error, q)` -> (sent, error, q): one PowerSGD step on one machine.

    gradient and error (m, n), q (n, r); sent has rank r, and its columns are a basis that q chose.
    """
    gradient = torch.randn(12, 9, generator=_generator(0)) @ torch.diag(0.6 ** torch.arange(9.0))
    error = 0.3 * torch.randn(12, 9, generator=_generator(1))
    q = torch.randn(9, 3, generator=_generator(2))
    answer = compress(gradient.clone(), error.clone(), q.clone())
    need(isinstance(answer, tuple) and len(answer) == 3, "three tensors should come back: sent, error, q.")
    sent, left, new_q = answer
    need_tensor(sent, (12, 9), "what is sent")
    need_tensor(left, (12, 9), "the error")
    need_tensor(new_q, (9, 3), "q")

    def wanted(matrix):
        p = torch.linalg.qr(matrix @ q).Q
        return p @ p.T @ matrix

    whole = gradient + error
    raw = whole @ q
    need(
        not close(sent, wanted(gradient), 1e-3),
        "the old error is forgotten: compress gradient + error, or what was lost is lost for good.",
    )
    need(
        not close(sent, raw @ (whole.T @ raw).T, 1e-3) and not close(sent, raw @ q.T, 1e-3),
        "P is not orthonormal: without torch.linalg.qr(...).Q the product is no projection.",
    )
    need(
        close(sent, wanted(whole), 1e-3),
        "sent should be P Q^T with P = orthonormal((gradient + error) q) and Q = (gradient + error)^T P.",
    )
    need(
        not close(left, gradient - sent, 1e-3),
        "the new error leaves the old one out: it is gradient + error - sent.",
    )
    need(close(left, whole - sent, 1e-3), "the new error is what was not sent: gradient + error - sent.")
    need(close(new_q @ new_q.T, sent.T @ sent, 1e-3), "q for the next step should be (gradient + error)^T P.")
    return "a thin product travels, and what it leaves out is added next time."
