import { EventEmitter } from 'node:events';
import type { Request } from 'express';
import { until } from '../../test/support/until.js';
import { BodyBudget } from './body-budget.js';

const limit = 1_000_000;

/** A request with a body of this size, and its response, whose `close` event ends it. */
function requestOf(bytes: number | null, encoding?: string, complete = false): { request: Request; answer: EventEmitter } {
  const answer = Object.assign(new EventEmitter(), { closed: false });
  const headers = { ...(bytes !== null && { 'content-length': String(bytes) }), ...(encoding && { 'content-encoding': encoding }) };
  return { request: { headers, res: answer, destroyed: false, complete } as unknown as Request, answer };
}

function enterAll(budget: BodyBudget, requests: { request: Request }[]): number[] {
  const entered: number[] = [];
  for (const [index, { request }] of requests.entries()) void budget.enter(request, limit).then(() => entered.push(index));
  return entered;
}

describe('the budget of bodies', () => {
  test('lets in what fits, in the order of arrival, and the next as soon as one is answered', async () => {
    const requests = Array.from({ length: 9 }, () => requestOf(900_000));
    const budget = new BodyBudget();
    const entered = enterAll(budget, requests);
    await new Promise(resolve => setImmediate(resolve));
    const first = entered.length;
    expect(entered).toEqual([...Array(first).keys()]);
    expect(first).toBeLessThan(9);
    requests[0]!.answer.emit('close');
    await new Promise(resolve => setImmediate(resolve));
    expect(entered).toHaveLength(first + 1);
    for (const { answer } of requests.slice(1)) answer.emit('close');
    await until(() => entered.length === 9, 'the last');
  });

  test('small bodies wait for nobody; one of unknown length, or that may grow when it is inflated, counts as large', async () => {
    const budget = new BodyBudget();
    enterAll(
      budget,
      Array.from({ length: 20 }, () => requestOf(900_000)),
    );
    const entered = enterAll(budget, [requestOf(500), requestOf(null), requestOf(500, 'gzip')]);
    await new Promise(resolve => setImmediate(resolve));
    expect(entered).toEqual([0]);
  });

  test('those who stand still hold up nobody for long', async () => {
    const budget = new BodyBudget();
    const entered = enterAll(
      budget,
      Array.from({ length: 12 }, () => requestOf(900_000)),
    );
    await until(() => entered.length === 12, 'all of them');
  });

  test('those that have come whole count until they are answered, however long that takes', async () => {
    const budget = new BodyBudget();
    const requests = Array.from({ length: 5 }, () => requestOf(900_000, undefined, true));
    const stalled = requestOf(900_000);
    const entered = enterAll(budget, [...requests, stalled, ...requests]);
    await until(() => entered.length > 0, 'the first');
    const later = enterAll(budget, [requestOf(1)]);
    // Longer than a stalled body counts towards the budget.
    await new Promise(resolve => setTimeout(resolve, 400));
    expect(entered).toEqual([0, 1, 2, 3]);
    expect(later).toEqual([0]);
  });

  test('one whose sender has gone meanwhile is not read, and takes nothing', async () => {
    const { request, answer } = requestOf(900_000);
    Object.assign(request, { destroyed: true });
    Object.assign(answer, { closed: true });
    await expect(new BodyBudget().enter(request, limit)).rejects.toThrow('ended');
  });
});
