#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Let the target write text for the draft to be distilled on: what it will be asked to foresee.

  4_generate.py --model DIR --data DIR --out FILE.bin --minutes 3

Each batch goes on from random snippets of the training text, at a random temperature (0, 0.5, 0.7 or 1).
"""
import argparse, time
import numpy as np
import torch
from model import load_model

a = argparse.ArgumentParser()
a.add_argument('--model', required=True)
a.add_argument('--data', required=True)
a.add_argument('--out', required=True)
a.add_argument('--minutes', type=float, default=3)
a.add_argument('--batch', type=int, default=128)
a = a.parse_args()
torch.manual_seed(5)
rng = np.random.default_rng(5)
m = load_model(a.model)
data = np.fromfile(a.data + '/train.bin', dtype=np.uint16)
starts = np.flatnonzero(data == 2043)              # <|bos|>
out, t0, turn = [], time.time(), 0
with torch.no_grad():
    while time.time() - t0 < 60 * a.minutes:
        temp = (0.0, 0.7, 0.5, 1.0, 0.7)[turn % 5]
        take = int(rng.integers(16, 49))
        # half of the snippets open a document, half start anywhere
        at = np.concatenate((rng.choice(starts[starts < len(data) - 64], a.batch // 2),
                             rng.integers(0, len(data) - 64, a.batch - a.batch // 2)))
        ids = torch.from_numpy(np.stack([data[i:i + take] for i in at]).astype(np.int64))
        cache, x, rows = [], ids, [ids]
        for _ in range(208 - take):
            lo = m(x, cache)[:, -1]
            x = lo.argmax(-1, True) if temp == 0 else torch.multinomial(torch.softmax(lo / temp, -1), 1)
            rows.append(x)
        out.append(torch.cat(rows, 1).numpy().astype(np.uint16).ravel())
        turn += 1
        print('%.1f min  %d tokens' % ((time.time() - t0) / 60, sum(map(len, out))), flush=True)
np.concatenate(out).tofile(a.out)
