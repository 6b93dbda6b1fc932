"""An encoder–decoder of these layers learns to read dates, which shows that the layers learn."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import torch
from torch.nn import functional

from attention.transformer import Architecture, EncoderDecoder, arrays, initial, map_arrays

CHARACTERS = ["<begin>", "<end>", *sorted(set("0123456789-/,. abcdefghijklmnopqrstuvwxyzADFJMNOS"))]
NUMBER = {character: i for i, character in enumerate(CHARACTERS)}
BEGIN, END = 0, 1
FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
FORMS = ["{0:%B} {0.day}, {0.year}", "{0.day} {0:%b} {0.year}", "{0.day}.{0.month}.{0.year}", "{0:%m/%d/%Y}"]
LONGEST = len("September 30, 2049")
ISO = len("2049-09-30") + 1  # and an end
STEPS, BATCH = 350, 64  # about fifteen seconds on one core


def numbers(text: str, length: int) -> list[int]:
    """The characters of a text by number, and ends up to the length."""
    return [NUMBER[character] for character in text] + [END] * (length - len(text))


def task(days):
    """Dates as people write them, and as ISO 8601 does: sources, their lengths, targets."""
    dates = [FIRST + datetime.timedelta(int(day)) for day in days]
    texts = [FORMS[i % len(FORMS)].format(date) for i, date in enumerate(dates)]
    sources = torch.tensor([numbers(text, LONGEST) for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    return sources, lengths, torch.tensor([numbers(date.isoformat(), ISO) for date in dates])


def new_model(random) -> EncoderDecoder:
    sizes = Architecture(d_model=48, n_heads=4, d_ff=96, n_layers=2)
    model = EncoderDecoder(
        source=initial.embeddings(random, len(CHARACTERS), LONGEST, sizes.d_model),
        encoder=initial.encoder(random, sizes),
        target=initial.embeddings(random, len(CHARACTERS), ISO, sizes.d_model),
        decoder=initial.decoder(random, sizes, cross_attention=True),
        output=initial.linear(random, sizes.d_model, len(CHARACTERS)),
    )
    return map_arrays(lambda array: torch.from_numpy(array).requires_grad_(), model)


def accuracy(model: EncoderDecoder, days) -> float:
    """The share of dates that are written without a mistake."""
    source, lengths, target = task(days)
    with torch.no_grad():
        written = model.generate(source, lengths, begin=BEGIN, end=END, limit=ISO)
    missing = ISO - written.shape[1]  # writing stops where every date has ended
    return float((functional.pad(written, (0, missing), value=END) == target).all(dim=1).float().mean())


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_an_encoder_decoder_learns_to_read_dates():
    random = np.random.default_rng(0)
    days = random.permutation((LAST - FIRST).days + 1)
    seen, unseen = days[256:], days[:256]
    model = new_model(random)
    parameters = [tensor for _, tensor in arrays(model)]
    optimiser = torch.optim.AdamW(parameters, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=STEPS)
    assert accuracy(model, unseen) == 0

    for _ in range(STEPS):
        source, lengths, target = task(random.choice(seen, BATCH))
        decoder_input = functional.pad(target[:, :-1], (1, 0), value=BEGIN)
        loss = functional.cross_entropy(model(source, decoder_input, lengths).flatten(0, 1), target.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()

    assert accuracy(model, unseen) > 0.99
