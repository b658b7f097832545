import test from 'node:test';
import assert from 'node:assert/strict';
import {
  amount,
  budgetOf,
  large,
  seconds,
  sizes,
  verdict,
} from '../../dalle_edu/explore/budget.js';
import { cases, close } from './cases.js';

test('parameters, arithmetic, memory and communication are those of dalle_edu.machine.budget', () => {
  assert.ok(cases.budgets.length > 10);
  for (const { shape, devices, batch, speed, network, wanted, flops, binds } of cases.budgets) {
    const found = budgetOf(shape, devices, batch, speed, network);
    assert.equal(found.parameters, wanted.parameters);
    assert.ok(
      Math.abs(sizes(shape).flops / flops - 1) < 1e-12,
      'FLOPs of ' + JSON.stringify(shape),
    );
    const names = Object.keys(wanted);
    close(
      names.map((name) => (wanted[name] ? found[name] / wanted[name] : 1 + found[name])),
      names.map(() => 1),
      1e-12,
    );
    assert.ok(verdict(found, 16e9).includes(binds + ' binds'));
  }
});

test('the sentence says whether it fits, and what takes most', () => {
  const b = {
    parameters: 12e9,
    weights: 1e9,
    gradients: 1e9,
    moments: 2e9,
    gathered: 0,
    kept: 9e9,
    computing: 2,
    sending: 1,
  };
  assert.ok(
    verdict(b, 16e9).includes(
      '13.0 GB on each device, which fits into 16.0 GB; the most of it: kept',
    ),
  );
  assert.ok(verdict(b, 12e9).includes('does not fit'));
  assert.ok(verdict(b, 12e9).includes('sending takes 0.50 of its time'));
});

test('numbers are written for people', () => {
  assert.deepEqual(
    [large(12.3e9), large(4.56e6), amount(2e12), seconds(0.25)],
    ['12.3 billion', '4.56 million', '2.00 TB', '250 ms'],
  );
});
