#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train the target on the corpus, or distil the draft from the target.

  3_train.py target --data DIR --tok DIR --out DIR --minutes 42
  3_train.py draft  --data DIR --tok DIR --out DIR --minutes 18 --teacher DIR [--extra FILE.bin] [--init DIR]

The learning rate follows the clock (warm-up, then cosine down over --minutes), so the run ends on time
whatever else the machine does. Every 5 minutes and at the end OUT becomes a complete Hugging Face folder.
OUT.csv logs minutes, step, tokens, learning rate, train loss and validation loss (nats per token).
"""
import argparse, json, math, os, shutil, time
import numpy as np
import torch
import torch.nn.functional as F
from model import Llama, config, load_model, load_safetensors, save_safetensors


def export(m, c, tok, out):
    os.makedirs(out, exist_ok=True)
    for f in ('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'):
        shutil.copy(os.path.join(tok, f), out)
    json.dump(c, open(out + '/config.json', 'w'), indent=2)
    json.dump({'_from_model_config': True, 'bos_token_id': 2043, 'eos_token_id': [2044, 2047],
               'pad_token_id': 2044, 'do_sample': True, 'temperature': 0.7, 'max_new_tokens': 256,
               'transformers_version': c['transformers_version']},
              open(out + '/generation_config.json', 'w'), indent=2)
    save_safetensors(out + '/model.tmp', m.state_dict())
    os.replace(out + '/model.tmp', out + '/model.safetensors')


def main():
    a = argparse.ArgumentParser()
    a.add_argument('which', choices=('target', 'draft'))
    a.add_argument('--data', required=True)
    a.add_argument('--tok', required=True)
    a.add_argument('--out', required=True)
    a.add_argument('--minutes', type=float, required=True)
    a.add_argument('--lr', type=float, default=1.5e-3)
    a.add_argument('--batch', type=int, default=16)
    a.add_argument('--len', type=int, default=256)
    a.add_argument('--teacher')
    a.add_argument('--extra', help='more token ids, e.g. text the target wrote; half of each batch then')
    a.add_argument('--init', help='go on from this folder')
    a.add_argument('--ce', type=float, default=0.1, help='weight of plain cross entropy when distilling')
    a.add_argument('--seed', type=int, default=0)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    c = config(a.which)
    m = Llama(c)
    if a.init:
        m.load_state_dict(load_safetensors(a.init + '/model.safetensors'))
    teacher = load_model(a.teacher) if a.teacher else None
    data = np.fromfile(a.data + '/train.bin', dtype=np.uint16)
    valid = np.fromfile(a.data + '/valid.bin', dtype=np.uint16)
    extra = np.fromfile(a.extra, dtype=np.uint16) if a.extra else None
    n = a.len + 1
    vx = torch.from_numpy(np.stack([valid[i:i + n] for i in np.linspace(0, len(valid) - n, 64).astype(int)])
                          .astype(np.int64))
    decay = [p for p in m.parameters() if p.dim() == 2]
    other = [p for p in m.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW([{'params': decay, 'weight_decay': 0.1}, {'params': other, 'weight_decay': 0.0}],
                            lr=a.lr, betas=(0.9, 0.97))
    amp = lambda: torch.autocast('cpu', dtype=torch.bfloat16)

    def validate():
        with torch.no_grad(), amp():
            ls = [F.cross_entropy(m(b[:, :-1]).float().flatten(0, 1), b[:, 1:].flatten()).item()
                  for b in vx.split(16)]
        return sum(ls) / len(ls)

    log = open(a.out + '.csv', 'w')
    log.write('minutes,step,tokens,lr,train_loss,valid_loss\n')
    print(a.which, sum(p.numel() for p in m.parameters()), 'parameters', flush=True)
    t0, saved, step, run = time.time(), time.time(), 0, []
    while True:
        at = (time.time() - t0) / 60 / a.minutes
        end = at >= 1
        if end or step % 250 == 0:
            v = validate()
            r = sum(run) / max(1, len(run))
            log.write('%.2f,%d,%d,%.2e,%.4f,%.4f\n' % (at * a.minutes, step, step * a.batch * a.len,
                                                       opt.param_groups[0]['lr'], r, v))
            log.flush()
            print('%.1f min  step %d  train %.4f  valid %.4f' % (at * a.minutes, step, r, v), flush=True)
            run = []
        if end or time.time() - saved > 300:
            export(m, c, a.tok, a.out)
            saved = time.time()
        if end:
            break
        for g in opt.param_groups:
            g['lr'] = a.lr * min(1, (step + 1) / 150) * (0.04 + 0.96 * (0.5 + 0.5 * math.cos(math.pi * at)))
        k = a.batch // 2 if extra is not None else 0
        b = [data[i:i + n] for i in rng.integers(0, len(data) - n, a.batch - k)]
        b += [extra[i:i + n] for i in rng.integers(0, len(extra) - n, k)] if k else []
        b = torch.from_numpy(np.stack(b).astype(np.int64))
        x, y = b[:, :-1], b[:, 1:].flatten()
        with amp():
            lo = m(x)
        lo = lo.float().flatten(0, 1)
        if teacher is None:
            loss = F.cross_entropy(lo, y)
        else:
            with torch.no_grad(), amp():
                p = F.softmax(teacher(x).float().flatten(0, 1), -1)
            lp = F.log_softmax(lo, -1)
            loss = -(p * lp).sum(-1).mean()        # KL to the target, but for a constant
            if a.ce:
                loss = (1 - a.ce) * loss + a.ce * F.nll_loss(lp, y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        run.append(loss.item())
        step += 1


main()
